//! What the operator can ask: which names have most series, which grow, and what is refused.

use std::sync::Arc;

use common::{AdminRoutes, Answer};

use crate::{
    line::Wrong,
    shared::Shared,
    store::{Store, counts::Refused},
};

/// So many names are shown where nobody asks for more.
const SHOWN: usize = 50;

/// `/series`: names by their series, `/drops`: what was refused, by reason. `?n=100` shows more of them, `?name=x` the
/// series of one name.
pub fn attach(routes: &AdminRoutes, shared: &Arc<Shared>) {
    let store = Arc::clone(shared);
    routes.get("/series", move |query| Answer::text(200, series(&store.store.lock(), query.unwrap_or_default())));
    let store = Arc::clone(shared);
    routes.get("/drops", move |_| Answer::text(200, drops(&store.store.lock())));
}

fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn series(store: &Store, query: &str) -> String {
    let most = parameter(query, "n").and_then(|n| n.parse().ok()).unwrap_or(SHOWN);
    if let Some(name) = parameter(query, "name") {
        return of_name(store, name, most);
    }
    let families = store.families();
    let all = families.in_order().filter_map(|at| families.get(at));
    let mut all: Vec<_> = all.map(|family| (family.series.len(), family.born, family)).collect();
    let size = store.size();
    let mut text = format!(
        "{} series of {} names, {} known lines, {} of {} bytes\n\nmost series:\n",
        size.series,
        size.families,
        size.keys,
        size.bytes,
        store.limits().memory
    );
    let line = |(series, born, family): &(usize, u64, &crate::store::families::Family)| {
        format!("{series:>10} series {born:>10} ever  {} ({})\n", family.name, family.kind.name())
    };
    all.sort_by_key(|(series, ..)| std::cmp::Reverse(*series));
    text.extend(all.iter().take(most).map(line));
    // What comes and goes is not large at any moment.
    text.push_str("\nmost that came, since the start:\n");
    all.sort_by_key(|(_, born, _)| std::cmp::Reverse(*born));
    text.extend(all.iter().take(most).map(line));
    text
}

fn of_name(store: &Store, name: &str, most: usize) -> String {
    let families = store.families();
    let Some(family) = families.find(name).and_then(|at| families.get(at)) else {
        return format!("{name}: there is no such name\n");
    };
    let mut text = format!("{}: {} series\n", family.name, family.series.len());
    let labels = family.series.iter().filter_map(|at| store.series(*at)).take(most);
    text.extend(labels.map(|series| format!("{}{{{}}}\n", family.name, series.labels.text())));
    text
}

fn drops(store: &Store) -> String {
    let counts = store.counts();
    let wrong = Wrong::ALL.map(|wrong| (counts.wrong[wrong as usize], wrong.reason(), wrong.explained()));
    let refused = Refused::ALL.map(|one| (counts.refused[one as usize], one.reason(), one.explained()));
    let mut all: Vec<_> = wrong.into_iter().chain(refused).filter(|(times, ..)| *times > 0).collect();
    all.sort_by_key(|(times, ..)| std::cmp::Reverse(*times));
    let mut text = format!("{} lines, {} dropped by a rule\n", counts.lines, counts.dropped);
    text.extend(all.iter().map(|(times, reason, why)| format!("{times:>12} {reason}: {why}\n")));
    let conflicts = counts.conflicts.iter();
    text.extend(
        conflicts.map(|((kind, name), times)| format!("{times:>12} conflict: {name} came as a {}\n", kind.name())),
    );
    text
}
