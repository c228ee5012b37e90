//! Manifests: YAML of one or many documents in, a [`World`] out. Every problem is reported at once, with its line.

mod container;
mod objects;
mod pod;
mod probe;
mod volume;

use std::path::{Path, PathBuf};

use common::config::{Section, Value};

use super::model::World;

/// A manifest that is larger than this is none.
const LARGEST: u64 = 4 << 20;

/// What the keys of a section are, for those that are known and not followed.
pub struct Reading {
    pub world: World,
}

pub fn files(paths: &[PathBuf]) -> Result<World, String> {
    let mut reading = Reading { world: World::default() };
    let mut problems = Vec::new();
    for path in paths {
        if let Err(mut more) = file(path, &mut reading) {
            problems.append(&mut more);
        }
    }
    if problems.is_empty() {
        problems = super::check::problems(&reading.world);
    }
    if problems.is_empty() { Ok(reading.world) } else { Err(problems.join("\n")) }
}

fn file(path: &Path, reading: &mut Reading) -> Result<(), Vec<String>> {
    let text = values::read_text(path, LARGEST).map_err(|problem| vec![problem.to_string()])?;
    let name = path.display().to_string();
    let mut problems = Vec::new();
    for document in documents(&text) {
        if let Some(kind) = kind_of(&document).filter(|kind| !objects::KINDS.contains(&&**kind)) {
            reading.world.notes.push(format!("kind {kind}: is for a cluster, left out here"));
            continue;
        }
        if let Err(failure) = common::config::parse(&name, &document, |root| objects::object(root, reading)) {
            problems.extend(failure.problems);
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// What is wrong with a document that has no kind is said when it is read.
fn kind_of(document: &str) -> Option<String> {
    let Value::Map(entries) = common::config::tree(document).ok()?.value else { return None };
    entries.into_iter().find(|(key, _)| key == "kind").and_then(|(_, node)| match node.value {
        Value::Text(kind) => Some(kind),
        _ => None,
    })
}

/// The documents of a file, each with as many empty lines before it as others are before it: its lines keep their numbers.
fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for (number, line) in text.lines().enumerate() {
        let is_border = line == "---" || line.starts_with("--- ");
        if is_border {
            documents.push("\n".repeat(number));
        }
        if let Some(document) = documents.last_mut() {
            document.push_str(if is_border { "" } else { line });
            document.push('\n');
        }
    }
    let has_something =
        |text: &String| text.lines().any(|line| !line.trim().is_empty() && !line.trim().starts_with('#'));
    documents.into_iter().filter(has_something).collect()
}

impl Reading {
    /// Keys that a cluster needs and one machine does not.
    pub fn skip(&self, section: &mut Section, keys: &[&str]) {
        keys.iter().for_each(|key| section.ignore(key));
    }

    /// Keys whose effect will be missed: said once each.
    pub fn note(&mut self, section: &mut Section, keys: &[(&str, &str)]) {
        for (key, why) in keys {
            if section.has(key) {
                let note = format!("{key}: {why}");
                if !self.world.notes.contains(&note) {
                    self.world.notes.push(note);
                }
            }
            section.ignore(key);
        }
    }
}

/// `true` and `false` as YAML has them.
pub fn flag(section: &mut Section, key: &str) -> bool {
    section.parsed::<bool>(key).unwrap_or(false)
}

pub fn seconds(section: &mut Section, key: &str) -> Option<std::time::Duration> {
    section.parsed::<u64>(key).map(std::time::Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_later_documents_keep_their_numbers() {
        let found = documents("# nothing\n---\na: 1\n---\n\n---\nb: 2\n");
        assert_eq!(found, ["\n\na: 1\n", "\n\n\n\n\n\nb: 2\n"]);
    }

    #[test]
    fn every_problem_of_a_file_is_said_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pod.yaml");
        let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\nspec:\n  containers:\n    - name: a\n      imagee: b\n\
                    \x20     readinessProbe:\n        httpGet: {path: /, port: nope}\n        periodSeconds: often\n";
        std::fs::write(&path, text).unwrap();
        let problems = files(&[path]).err().unwrap();
        assert!(
            problems.contains("pod.yaml:8: spec.containers[0].imagee: unknown key, did you mean image?"),
            "{problems}"
        );
        assert!(problems.contains("pod.yaml:7: spec.containers[0].image: required"), "{problems}");
        assert!(
            problems.contains("pod.yaml:11: spec.containers[0].readinessProbe.periodSeconds: \"often\""),
            "{problems}"
        );
    }
}
