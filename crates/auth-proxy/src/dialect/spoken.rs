//! What was said, wherever it was: flags before variables before the file.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    str::FromStr,
};

use super::{
    flag::{Fate, Flag, Kind},
    flags::FLAGS,
};

pub(super) const PREFIX: &str = "OAUTH2_PROXY_";
const LARGEST: u64 = 1 << 20;

/// Values by the name of their flag, each with the place where it was said.
#[derive(Debug, Default)]
pub(super) struct Spoken {
    values: BTreeMap<&'static str, (Vec<String>, String)>,
    pub(super) is_test: bool,
    pub(super) notes: Vec<String>,
}

pub(super) fn help() -> String {
    let mut text = "Takes the flags, variables (OAUTH2_PROXY_NAME) and file (--config) of oauth2-proxy.\n\n".to_owned();
    for flag in FLAGS {
        let fate = match flag.fate {
            Fate::Used => String::new(),
            Fate::Idle(why) => format!("  without effect: {why}"),
            Fate::Never(why) => format!("  not supported: {why}"),
        };
        text.push_str(&format!("  --{}{fate}\n", flag.name));
    }
    text
}

impl Spoken {
    pub(super) fn read(
        argv: &[String],
        environment: &BTreeMap<String, String>,
        with_file: bool,
    ) -> Result<Self, Vec<String>> {
        let (mut said, mut problems) = (Self::default(), Vec::new());
        let mut file = environment.get("OAUTH2_PROXY_CONFIG").cloned();
        said.flags(argv, &mut file, &mut problems);
        said.variables(environment);
        if let Some(path) = file.filter(|path| with_file && !path.is_empty()) {
            said.file(&path, &mut problems);
        }
        said.check(&mut problems);
        if problems.is_empty() { Ok(said) } else { Err(problems) }
    }

    fn flags(&mut self, argv: &[String], file: &mut Option<String>, problems: &mut Vec<String>) {
        let mut given: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut words = argv.iter().peekable();
        while let Some(word) = words.next() {
            let Some(rest) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')).filter(|rest| !rest.is_empty())
            else {
                problems.push(format!("{word}: unexpected argument"));
                continue;
            };
            let (name, value) =
                rest.split_once('=').map_or((rest, None), |(name, value)| (name, Some(value.to_owned())));
            if name == "config-test" {
                self.is_test = value.is_none_or(|value| value == "true");
                continue;
            }
            let flag = FLAGS.iter().find(|flag| flag.name == name);
            if flag.is_none() && name != "config" {
                let near = values::nearest(name, FLAGS.iter().map(|flag| flag.name));
                let hint = near.map(|near| format!(", did you mean --{near}?")).unwrap_or_default();
                problems.push(format!("--{name}: unknown flag{hint}"));
                // Its value would only be reported again.
                if value.is_none() && words.peek().is_some_and(|next| !next.starts_with('-')) {
                    words.next();
                }
                continue;
            }
            let is_bool = flag.is_some_and(|flag| flag.kind == Kind::Bool);
            let value = value.or_else(|| if is_bool { Some("true".into()) } else { words.next().cloned() });
            let Some(value) = value else {
                problems.push(format!("--{name}: expected a value"));
                continue;
            };
            match flag {
                None => *file = Some(value),
                Some(flag) => given.entry(flag.name).or_default().push(value),
            }
        }
        for flag in FLAGS {
            if let Some(mut values) = given.remove(flag.name) {
                if flag.kind != Kind::List {
                    // The last one counts.
                    values.drain(..values.len() - 1);
                }
                self.put(flag, &values, format!("--{}", flag.name));
            }
        }
    }

    fn variables(&mut self, environment: &BTreeMap<String, String>) {
        for (name, value) in environment {
            let Some(key) = name.strip_prefix(PREFIX).filter(|key| *key != "CONFIG") else { continue };
            match FLAGS.iter().find(|flag| flag.is_called(key)) {
                Some(flag) => self.put(flag, std::slice::from_ref(value), name.clone()),
                None => self.notes.push(format!("{name}: there is no such setting")),
            }
        }
    }

    fn file(&mut self, path: &str, problems: &mut Vec<String>) {
        let read = values::read_text(Path::new(path), LARGEST);
        let table = read.and_then(|text| {
            let table = text.parse::<toml::Table>().map_err(|error| {
                let line = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
                format!("{path}:{line}: {}", error.message())
            });
            table.map(|table| (table, text))
        });
        let (table, text) = match table {
            Ok(read) => read,
            Err(problem) => return problems.push(problem),
        };
        for (key, value) in &table {
            let is_here = |line: &str| line.trim_start().trim_start_matches('"').starts_with(&**key);
            let line = 1 + text.lines().position(is_here).unwrap_or(0);
            let place = format!("{path}:{line}: {key}");
            let Some(flag) = FLAGS.iter().find(|flag| flag.is_called(key)) else {
                let keys: Vec<_> = FLAGS.iter().map(Flag::key).collect();
                let near = values::nearest(key, keys.iter().map(String::as_str));
                let hint = near.map(|near| format!(", did you mean {near}?")).unwrap_or_default();
                problems.push(format!("{place}: unknown key{hint}"));
                continue;
            };
            match spelled(value) {
                Some(values) => self.put(flag, &values, place),
                None => problems.push(format!("{place}: expected a plain value or a list of them")),
            }
        }
    }

    /// What was said before counts more.
    fn put(&mut self, flag: &Flag, values: &[String], place: String) {
        let split = |value: &String| value.split(',').map(|part| part.trim().to_owned()).collect::<Vec<_>>();
        let values = match flag.kind {
            Kind::List => values.iter().flat_map(split).filter(|part| !part.is_empty()).collect(),
            _ => values.to_vec(),
        };
        let Some(known) = FLAGS.iter().find(|known| known.name == flag.name) else { return };
        self.values.entry(known.name).or_insert((values, place));
    }

    fn check(&mut self, problems: &mut Vec<String>) {
        let mut idle = BTreeSet::new();
        for flag in FLAGS {
            let Some((values, place)) = self.values.get(flag.name) else { continue };
            let said = values.join(",");
            if flag.kind == Kind::Bool
                && !matches!(
                    &*said,
                    "true" | "false" | "1" | "0" | "t" | "f" | "T" | "F" | "TRUE" | "FALSE" | "True" | "False"
                )
            {
                problems.push(format!("{place} \"{said}\": expected true or false"));
            }
            let is_default = said.is_empty()
                || said == flag.default
                || (flag.kind == Kind::Bool && truth(&said) == truth(flag.default));
            match flag.fate {
                Fate::Never(why) if !is_default => {
                    problems.push(format!("{place}: not supported by auth-proxy: {why}"));
                }
                Fate::Never(why) if !is_default => {
                    problems.push(format!("{place}: not supported by auth-proxy: {why}"));
                }
                Fate::Idle(why) if !is_default => drop(idle.insert(format!("{place}: without effect: {why}"))),
                _ => {}
            }
        }
        self.notes.extend(idle);
    }

    pub(super) fn is_said(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|(values, _)| values.iter().any(|value| !value.is_empty()))
    }

    pub(super) fn truth_or_said(&self, name: &str) -> bool {
        self.is_said(name) && !matches!(self.text(name), "false" | "0")
    }

    /// What was said, or the default.
    pub(super) fn text(&self, name: &str) -> &str {
        let said = self.values.get(name).and_then(|(values, _)| values.first()).map(String::as_str);
        let default = || FLAGS.iter().find(|flag| flag.name == name).map_or("", |flag| flag.default);
        said.unwrap_or_else(default)
    }

    pub(super) fn said(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        self.values.get(name).map(|(values, _)| values.clone()).unwrap_or_default()
    }

    pub(super) fn truth(&self, name: &str) -> bool {
        truth(self.text(name))
    }

    /// Where it was said, for a problem with it.
    pub(super) fn place(&self, name: &str) -> String {
        self.values.get(name).map_or_else(|| format!("--{name}"), |(_, place)| place.clone())
    }

    pub(super) fn parsed<T: FromStr>(&self, name: &str, expected: &str, problems: &mut Vec<String>) -> Option<T> {
        let text = self.text(name);
        let parsed = text.parse().ok();
        if parsed.is_none() {
            problems.push(format!("{} \"{text}\": {expected}", self.place(name)));
        }
        parsed
    }
}

fn truth(text: &str) -> bool {
    matches!(text, "true" | "1" | "t" | "T" | "TRUE" | "True")
}

/// Truths and numbers are often quoted, and lists are often one text.
fn spelled(value: &toml::Value) -> Option<Vec<String>> {
    Some(match value {
        toml::Value::String(text) => vec![text.clone()],
        toml::Value::Boolean(truth) => vec![truth.to_string()],
        toml::Value::Integer(number) => vec![number.to_string()],
        toml::Value::Array(list) => list.iter().map(spelled).collect::<Option<Vec<_>>>()?.concat(),
        _ => return None,
    })
}
