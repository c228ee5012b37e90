//! Only `src/dialect` of a sidecar knows how a peer spells things.

use super::{Text, source::Code};

/// Comments may name a peer, to say why; code may not.
pub fn problems(texts: &[Text], sidecar: &str, peer_words: &[String]) -> Vec<String> {
    let folder = format!("crates/{sidecar}/src/");
    let rust = texts.iter().filter(|file| file.is_rust());
    let own = rust.filter(|file| file.path.strip_prefix(&folder).is_some_and(|rest| !in_dialect(rest)));
    let mut problems = Vec::new();
    for file in own {
        for (number, line) in (1..).zip(Code::of(&file.text).spoken.lines()) {
            let found = peer_words.iter().filter(|word| line.contains(word.as_str()));
            problems.extend(found.map(|word| {
                format!(
                    "{}:{number}: spells `{word}`: expected in {folder}dialect only (images/{sidecar}.toml)",
                    file.path
                )
            }));
        }
    }
    problems
}

/// The folder, or the file of the same module.
fn in_dialect(path: &str) -> bool {
    path.starts_with("dialect/") || path == "dialect.rs"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_word_outside_the_dialect_is_named() {
        let file = |path: &str, text: &str| Text { path: path.into(), text: text.into() };
        let texts = [
            file("crates/app/src/config.rs", "// webhook-url\nlet flag = \"webhook-url\";\n"),
            file("crates/app/src/dialect/peer.rs", "let flag = \"webhook-url\";\n"),
            file("crates/other/src/config.rs", "let flag = \"webhook-url\";\n"),
        ];
        let found = problems(&texts, "app", &["webhook-url".into()]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("crates/app/src/config.rs:2: spells `webhook-url`"), "{found:?}");
    }
}
