//! What holds for every input: asserted here with a few, by the fuzz targets with many.

use htpasswd::Passwords;

use crate::{dialect, path, yaml};

/// Any text as an nginx.conf: a configuration, or problems of one line each, with a place.
pub fn nginx(text: &str) {
    // What an include would read is not the text's business.
    if text.contains("include") {
        return;
    }
    check(dialect::nginx::from_text("t", text).map(drop));
}

/// Any text as a bootstrap of Envoy.
pub fn envoy(text: &str) {
    if text.contains("filename") {
        return;
    }
    check(dialect::envoy::from_text("t", text).map(drop));
}

/// Any text as a file of ours.
pub fn settings(text: &str) {
    check(yaml::parse("t", text).map(drop).map_err(|failure| failure.problems));
}

/// Any text as a password file: users who can be verified, or problems that hold no hash.
pub fn passwords(text: &str) {
    check(Passwords::parse("t", text).map(drop));
}

/// A normal path is normal, has no detours, and comes out of its encoding as it was.
pub fn paths(raw: &str) {
    let Some(normal) = path::normal(raw) else { return };
    assert!(normal.starts_with('/') && !normal.contains("//"), "{raw:?} -> {normal:?}");
    assert!(!normal.split('/').any(|segment| matches!(segment, "." | "..")), "{raw:?} -> {normal:?}");
    let mut encoded = String::new();
    path::encoded(&normal, &mut encoded);
    assert_eq!(path::normal(&encoded).as_deref(), Some(normal.as_str()), "{raw:?} -> {encoded:?}");
}

fn check(outcome: Result<(), Vec<String>>) {
    let Err(problems) = outcome else { return };
    assert!(!problems.is_empty());
    for problem in problems {
        assert!(!problem.is_empty() && !problem.contains('\n'), "{problem:?}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_breaks_nginx(text in dialect::nginx::PIECES) {
            nginx(&text);
        }

        #[test]
        fn nothing_breaks_envoy(text in dialect::envoy::PIECES) {
            envoy(&text);
        }

        #[test]
        fn nothing_breaks_settings(text in "(listeners|routes|clusters|listen|to|prefix|[ \\n:{}\\[\\],'\"a-z0-9$-]){0,60}") {
            settings(&text);
        }

        #[test]
        fn nothing_breaks_passwords(text in "([a-z]:|\\$2y\\$|\\$apr1\\$|\\{SHA\\}|[\\n$./a-zA-Z0-9]){0,40}") {
            passwords(&text);
        }

        #[test]
        fn paths_stay_what_they_are(raw in "/(%2e|%2F|%25|[/.%a-z0-9\u{e9}?])*") {
            paths(&raw);
        }
    }
}
