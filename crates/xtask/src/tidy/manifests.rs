//! Cargo.toml of each member: versions are said once, in the root, and so are the lints.

use toml::{Table, Value};

use super::Text;

const SECTIONS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// It has a lint table of its own: the same, but for `unsafe`.
const OWN_LINTS: &str = "crates/heap/Cargo.toml";

pub fn problems(texts: &[Text]) -> Vec<String> {
    let members = texts.iter().filter(|file| file.path.ends_with("/Cargo.toml") && !file.path.starts_with("fuzz/"));
    members.flat_map(|file| of(&file.path, &file.text)).collect()
}

fn of(path: &str, text: &str) -> Vec<String> {
    let manifest: Table = match toml::from_str(text) {
        Ok(manifest) => manifest,
        Err(error) => return vec![format!("{path}: {error}")],
    };
    let mut problems = Vec::new();
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    for table in std::iter::once(&manifest).chain(targets.filter_map(Value::as_table)) {
        for section in SECTIONS {
            let needed = table.get(section).and_then(Value::as_table).into_iter().flatten();
            let loose = needed.filter(|(_, value)| !from_workspace(value)).map(|(name, _)| name);
            problems.extend(loose.map(|name| {
                format!(
                    "{path}: [{section}] {name}: expected `workspace = true`, and the version in the root Cargo.toml"
                )
            }));
        }
    }
    if path != OWN_LINTS && !manifest.get("lints").is_some_and(from_workspace) {
        problems.push(format!("{path}: [lints]: expected `workspace = true`"));
    }
    problems
}

fn from_workspace(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_beside_the_workspace_is_named() {
        let text = "lints.workspace = true\n[dependencies]\na.workspace = true\nb = \"1\"\n\
                    [dev-dependencies]\nc = { workspace = true, features = [\"x\"] }\n\
                    [target.'cfg(unix)'.dependencies]\nd = { version = \"1\" }\n";
        let problems = of("crates/a/Cargo.toml", text);
        assert_eq!(problems.len(), 2, "{problems:#?}");
        assert!(problems[0].contains("[dependencies] b:"), "{problems:#?}");
        assert!(problems[1].contains("[dependencies] d:"), "{problems:#?}");
    }

    #[test]
    fn a_crate_without_the_lints_is_named() {
        assert_eq!(of("crates/a/Cargo.toml", "").len(), 1);
        assert_eq!(of(OWN_LINTS, "[lints.rust]\nunsafe_code = \"deny\"\n"), [""; 0]);
    }
}
