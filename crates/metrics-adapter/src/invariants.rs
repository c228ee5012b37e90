//! What holds for every input, however odd: the fuzz targets call these, and the tests below do on every `cargo test`.

use std::sync::Arc;

use exposition::{Encoder, Escaping, Format, Shape, read_openmetrics, read_protobuf, read_text};

use crate::{
    dialect::{mapping, web_config},
    expose::Scrape,
    facts::Facts,
    figures,
    listen::Drops,
    map, relabel,
    render::Body,
    shared::Shared,
    store::{Reserved, Rules, Store, clock::Tick, limits::Limits},
};

const MAPPING: &str = include_str!("../../../tests/fixtures/metrics-adapter/mapping.yaml");

fn rules() -> Rules {
    let mapping = mapping::parse("mapping", MAPPING).expect("the mapping is good").mapping;
    Rules { mapping: Arc::new(mapping), exemplars: vec!["a".into(), "y".into()], ..Rules::default() }
}

fn shared() -> Arc<Shared> {
    let limits = Limits { series: Some(200), series_per_name: Some(20), label_values: Some(10), memory: 1 << 20 };
    let reserved = Reserved::new(["process_threads".to_owned()].into_iter(), vec!["metrics_adapter_"]);
    Shared::new(Store::new(rules(), limits, reserved), Vec::new(), Default::default())
}

fn scraped(shared: &Arc<Shared>, shape: Shape) -> Vec<u8> {
    let others = figures::families(&Facts::now(shared, &Drops::default()));
    let mut body = Body::new(shared, others);
    let mut encoder = Encoder::new(Format::new(shape, Escaping::Underscores));
    while body.more(&mut encoder) {}
    encoder.finish();
    encoder.take(Vec::new())
}

/// Whatever lines came, what is exposed of them can be read in every format, and a line means the same when it is known as
/// when it is new.
pub fn lines(bytes: &[u8]) {
    let (known, new) = (shared(), shared());
    for line in bytes.split(|byte| *byte == b'\n') {
        for _ in 0..2 {
            known.store.lock().take(0, line, Tick(1));
            let mut store = new.store.lock();
            store.forget_lines();
            store.take(0, line, Tick(1));
        }
    }
    let text = String::from_utf8(scraped(&known, Shape::Text)).expect("text");
    assert!(read_text(&text).is_ok(), "{:?}\n{text}", read_text(&text).err().map(|error| error.to_string()));
    let without_keys = |text: &str| {
        let lines = text.lines().filter(|line| !line.contains("_keys") && !line.contains("_bytes"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let other = String::from_utf8(scraped(&new, Shape::Text)).expect("text");
    if let Some((known, new)) = without_keys(&text).iter().zip(&without_keys(&other)).find(|(known, new)| known != new)
    {
        panic!("known: {known}\n  new: {new}");
    }
    let open = String::from_utf8(scraped(&known, Shape::OpenMetrics)).expect("text");
    let read = read_openmetrics(&open);
    assert!(read.is_ok(), "{:?}\n{open}", read.err().map(|error| error.to_string()));
    assert!(read_protobuf(&scraped(&known, Shape::Protobuf)).is_ok());
}

const NAMES: [&str; 8] = ["", ".", "a", "a.b", "a.b.c", "*.*", "x-1.b..c", "ä.b"];

/// A mapping file is read or refused with a place. What a name becomes is the same each time, and its escaped name can be
/// exposed.
pub fn mapping_file(text: &str) {
    let loaded = match mapping::parse("m", text) {
        Ok(loaded) => loaded,
        Err(failure) => return all_have_places(&failure.problems),
    };
    for (name, kind) in NAMES.iter().flat_map(|name| map::Kind::ALL.map(|kind| (name, kind))) {
        let found = || loaded.mapping.find(name, kind).map(|found| (found.name, found.labels.len(), found.rule));
        assert_eq!(found(), found());
        if let Some((name, labels, rule)) = found() {
            let escaped = map::escape(&name);
            assert!(escaped.is_empty() || exposition::is_plain_name(&escaped), "{name}");
            assert_eq!(labels, rule.labels.len());
        }
    }
}

/// Rules for labels are read or refused with a place. What they leave is sorted, each name once, and can be exposed.
pub fn relabeling(text: &str) {
    let rules = match common::config::parse("r", text, |root| relabel::read(root, "rules")) {
        Ok(rules) => rules,
        Err(failure) => return all_have_places(&failure.problems),
    };
    let pairs = [(relabel::NAME, "a_total"), ("__tmp", "1"), ("code", "200"), ("path", "/a/b\n"), ("zone", "ä")];
    let mut labels: Vec<_> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    if rules.apply(&mut labels) && !rules.is_empty() {
        assert!(labels.windows(2).all(|pair| pair[0].0 < pair[1].0), "{labels:?}");
        let can_be = |name: &str| name == relabel::NAME || exposition::is_plain_label(name) && !name.starts_with("__");
        assert!(labels.iter().all(|(name, value)| can_be(name) && !value.is_empty()), "{labels:?}");
    }
}

/// A web configuration is read or refused with a place.
pub fn web_configuration(text: &str) {
    if let Err(failure) = web_config::parse("w", text) {
        all_have_places(&failure.problems);
    }
}

fn all_have_places(problems: &[String]) {
    assert!(!problems.is_empty());
    for problem in problems {
        let line = problem.split(':').nth(1).and_then(|line| line.parse::<usize>().ok());
        assert!(line.is_some_and(|line| line > 0) && !problem.contains('\n'), "{problem:?}");
    }
}

/// Files for property tests.
#[cfg(test)]
pub(crate) mod made {
    use proptest::prelude::*;

    pub(crate) type Keys = &'static [(&'static str, &'static [&'static str])];

    /// Lines of a file: each key with a value that may fit it.
    pub(crate) fn file(head: &'static str, keys: Keys) -> impl Strategy<Value = String> {
        let odd = ["", "~", "[]", "{}", "[1, 2]", "{a: b}", "-1", "'", "x", "1e400", "*a", "!!t x"];
        let entry = prop::sample::select(keys).prop_flat_map(move |(key, values)| {
            let value = prop_oneof![6 => prop::sample::select(values), 1 => prop::sample::select(odd.to_vec())];
            value.prop_map(move |value| format!("{key}: {value}"))
        });
        let item = prop::collection::vec(entry, 1..6).prop_map(|entries| format!("- {}\n", entries.join("\n  ")));
        prop::collection::vec(item, 0..6).prop_map(move |items| format!("{head}{}", items.concat()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn files_of_any_kind(text in "(tls_server_config|basic_auth_users|rate_limit|mappings|rules|defaults):[ -~\n]{0,60}") {
            super::mapping_file(&text);
            super::relabeling(&text);
            super::web_configuration(&text);
        }
    }

    fn line() -> impl Strategy<Value = String> {
        let names = [
            "a",
            "a_total",
            "a_sum",
            "a_count",
            "a_bucket",
            "a_created",
            "a.b",
            "a.b.c",
            "drop.x",
            "a_re_total",
            "1",
            "ä",
            "a,b=c",
            "a#b=c,x=y",
            "a[b=c]d",
            "a;b=c",
            "",
            "__a",
            "process_threads",
            "metrics_adapter_x",
            "a]b[",
            "_e{1,1}",
        ];
        let values = ["1", "-1", "+2", "0.5", "NaN", "1e308", "-1e308", "x", "1:2:3", "", "1e-320", "0x1p3", "1|c:2"];
        let kinds = ["c", "g", "ms", "h", "d", "s", "x", ""];
        let rests = [
            "",
            "|@0.1",
            "|@0",
            "|@9",
            "|@1e-9",
            "|#b:c",
            "|#le:1",
            "|#quantile:1",
            "|#__name__:x",
            "|#a:\"\\q",
            "|c:x",
            "|T12",
            "|#,,:",
            "|e:x|card:low",
            "|#b:ü",
            "|",
            ":3|g",
            "\r",
            "|@0.5|@bad",
            "|#x:1|T1|#x:2",
        ];
        let pick = |from: &[&'static str]| prop::sample::select(from.to_vec());
        let regular = (pick(&names), pick(&values), pick(&kinds), pick(&rests))
            .prop_map(|(name, value, kind, rest)| format!("{name}:{value}|{kind}{rest}"));
        prop_oneof![9 => regular, 1 => "[ -~]{0,40}", 1 => "\\PC{0,20}:[0-9]|\\PC{0,10}"]
    }

    proptest! {
        #[test]
        fn lines_of_any_kind(lines in prop::collection::vec(line(), 0..60)) {
            super::lines(lines.join("\n").as_bytes());
        }

        #[test]
        fn bytes_of_any_kind(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            super::lines(&bytes);
        }
    }
}
