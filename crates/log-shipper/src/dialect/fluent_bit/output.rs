//! `[OUTPUT]`: where records go, which of them, and how often it is tried.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{classic::Variables, es, forward, http, loki, plain, service::Service};
use crate::{
    config::{Batch, Output, Retry},
    dialect::section::Section,
    output::{Discard, Ship},
    parse::pattern,
    select::{Only, Select},
};

/// What is known beyond the section itself.
pub(super) struct Around<'a> {
    pub(super) service: &'a Service,
    pub(super) variables: &'a Variables,
    /// Records have nothing but their line.
    pub(super) all_plain: bool,
}

/// Of each kind, how many there are: `es.0`, `es.1`.
#[derive(Default)]
pub(super) struct Names(BTreeMap<String, usize>);

impl Names {
    fn next(&mut self, kind: &str) -> String {
        let count = self.0.entry(kind.into()).or_default();
        *count += 1;
        format!("{kind}.{}", *count - 1)
    }
}

pub(super) fn read(mut section: Section, around: &Around<'_>, names: &mut Names) -> Option<Output> {
    let Some(name) = section.entry("name").or_else(|| section.entry("plugin")) else {
        section.problem("Name: required");
        section.forget();
        return None;
    };
    let kind = name.value.to_ascii_lowercase();
    let selects = selects(&mut section);
    let retry = retry(&mut section, around.service);
    let own_name = names.next(&kind);
    let alias = section.text("alias");
    section.no_effect(&["log_level", "log_suppress_interval", "storage.total_limit_size"]);
    let ship: Option<Arc<dyn Ship>> = match kind.as_str() {
        "es" | "opensearch" => es::read(&mut section, around.variables),
        "loki" => loki::read(&mut section, around.variables, around.all_plain),
        "forward" => forward::read(&mut section, around.variables),
        "stdout" => plain::stdout(&mut section),
        "file" => plain::file(&mut section),
        "null" => {
            section.no_effect(&["format", "workers"]);
            Some(Arc::new(Discard))
        }
        "http" => http::read(&mut section, around.variables),
        _ => {
            section.wrong(&name, "expected es, opensearch, loki, http, forward, file, stdout or null");
            section.forget();
            return None;
        }
    };
    let defaults = Batch::default();
    // The longest that a line may wait. It need not.
    let pause = around.service.flush.map_or(defaults.pause, |flush| flush.min(defaults.pause));
    let pause = if matches!(kind.as_str(), "stdout" | "null") { Duration::ZERO } else { pause };
    Some(Output {
        name: alias.unwrap_or(own_name),
        selects: selects?,
        only: Only::default(),
        ship: ship?,
        batch: Batch { pause, ..defaults },
        retry,
    })
}

fn selects(section: &mut Section) -> Option<Select> {
    let by_pattern = section.entry("match_regex");
    match (section.text("match"), by_pattern) {
        (_, Some(entry)) => match pattern::text(&entry.value) {
            Ok(pattern) => Some(Select::Matching { any: vec![pattern], none: Vec::new() }),
            Err(problem) => {
                section.say(&entry, problem);
                None
            }
        },
        (Some(tags), None) if tags == "*" => Some(Select::All),
        (Some(tags), None) => Some(Select::Tags(vec![tags])),
        (None, None) => {
            section.problem("Match: required, * for everything");
            None
        }
    }
}

/// For ever, unless somebody wants less: what is given up is lost.
fn retry(section: &mut Section, service: &Service) -> Retry {
    let limit = section.read("retry_limit", |text| match text.to_ascii_lowercase().as_str() {
        "false" | "no_limits" | "off" => Ok(None),
        "no_retries" => Ok(Some(0)),
        text => text.parse().map(Some).map_err(|_| "expected a number, False, no_limits or no_retries"),
    });
    let defaults = Retry::default();
    Retry {
        first: service.retry_first.unwrap_or(defaults.first),
        most: service.retry_most.unwrap_or(defaults.most),
        limit: limit.flatten(),
    }
}
