//! One word for one thing: what belongs to a sidecar lies everywhere under its name.

use std::path::Path;

/// The app of the demos, and all sidecars in one.
pub const OTHER_IMAGES: &[&str] = &["all", "demo"];

pub fn problems(root: &Path, sidecars: &[&str], recipes: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    for name in sidecars {
        let expected = [
            (format!("images/{name}.toml"), "how its image is made"),
            (format!("manifests/{name}"), "how people run it"),
            (format!("docs/{name}.md"), "what it does, for people"),
            (format!("tests/{}.rs", name.replace('-', "_")), "what it promises, tested from outside"),
        ];
        let missing = expected.iter().filter(|(path, _)| !root.join(path).exists());
        problems.extend(missing.map(|(path, what)| format!("{path}: missing: {what} (crates/{name} is a sidecar)")));
    }
    let strangers = recipes.iter().filter(|name| !OTHER_IMAGES.contains(&name.as_str()));
    let strangers = strangers.filter(|name| !sidecars.contains(&name.as_str()));
    problems.extend(strangers.map(|name| format!("images/{name}.toml: expected a sidecar in crates/{name}")));
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_part_is_named() {
        let root = tempfile::tempdir().expect("a folder");
        let problems = problems(root.path(), &["log-shipper"], &["gone".into()]);
        let places: Vec<_> = problems.iter().filter_map(|problem| problem.split(':').next()).collect();
        let expected = [
            "images/log-shipper.toml",
            "manifests/log-shipper",
            "docs/log-shipper.md",
            "tests/log_shipper.rs",
            "images/gone.toml",
        ];
        assert_eq!(places, expected);
    }
}
