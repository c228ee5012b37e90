//! What holds for every input, however odd: the fuzz targets call these, and the tests below do on every `cargo test`.

use http1::Headers;
use url::Url;
use values::Secret;

use crate::{
    canonical::canonical,
    cookie::{CookieRules, SameSite},
    dialect::Dialect,
    seal::{Sealer, Use},
    target::safe,
    yaml,
};

/// What is taken as the end of a login is here or on the list, for whoever reads it, and stays what it is.
pub fn target(text: &str) {
    let hosts = ["app.example".to_owned(), ".friend.example".to_owned()];
    let Some(taken) = safe(text, &hosts) else { return };
    for base in ["https://here.invalid/", "http://here.invalid/a/b?c#d"] {
        let Ok(here) = Url::parse(base) else { return };
        let Ok(url) = here.join(&taken) else { panic!("{text:?} -> {taken:?}: no address") };
        let host = url.host_str().unwrap_or_default();
        let is_listed = host == "app.example" || host.ends_with(".friend.example");
        assert!(host == "here.invalid" || is_listed, "{text:?} -> {taken:?} -> {url}");
        assert!(url.username().is_empty() && matches!(url.scheme(), "http" | "https"), "{text:?} -> {taken:?}");
    }
    assert!(!taken.contains(|c: char| c.is_control() || c == '\\' || c == ' '), "{text:?} -> {taken:?}");
    assert_eq!(safe(&taken, &hosts).as_deref(), Some(&*taken), "{text:?}");
}

/// A path that rules are held against has no second reading.
pub fn path(raw: &str) {
    let Some(path) = canonical(raw) else { return };
    assert!(path.starts_with('/') && !path.contains("//") && !path.contains(['\\', '%', '#']), "{raw:?}");
    assert!(!path.chars().any(char::is_control), "{raw:?}");
    let bare: Vec<&str> = path.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect();
    assert!(!bare.iter().any(|segment| matches!(*segment, "." | "..")), "{raw:?} -> {path:?}");
    // Decoded again it is the same: nobody behind us finds more in it.
    let again = percent_encoding::percent_decode_str(&path).decode_utf8_lossy().into_owned();
    assert_eq!(again, path, "{raw:?}");
}

/// Whatever comes as cookies: nothing of ours reaches the app, all of others' does, and nobody else's opens.
pub fn cookies(line: &str) {
    if line.contains(['\r', '\n', '\0']) {
        return;
    }
    let rules = CookieRules {
        name: "_s".into(),
        path: "/".into(),
        domains: vec![".example.com".into()],
        secure: true,
        http_only: true,
        same_site: SameSite::Lax,
        login_same_site: SameSite::Lax,
    };
    let mut headers: Headers = [("Cookie", line)].into_iter().collect();
    let Some(sealer) = Sealer::new(&[Secret::new("a secret of the tests")]) else { return };
    let found = rules.get(&headers);
    assert!(found.is_none_or(|value| sealer.open(Use::Session, "_s", &value).is_none()), "{line:?}");
    for set in rules.clear("www.example.com", &headers, &[]) {
        assert!(set.starts_with("_s") && set.contains("Max-Age=0"), "{line:?} -> {set:?}");
    }
    let others = |headers: &Headers| crate::cookie::sent(headers).filter(|(name, _)| !name.starts_with("_s")).count();
    let before = others(&headers);
    rules.strip(&mut headers);
    assert_eq!(others(&headers), before, "{line:?}");
    assert!(rules.get(&headers).is_none() && rules.logins(&headers).is_empty(), "{line:?}");
}

/// Any text as our file: read, or refused with places.
pub fn file(text: &str) {
    check(yaml::parse("t.yaml", text).map(drop).map_err(|failure| failure.problems));
}

/// Any words, one a line, as the peer's flags: read, or refused with what is wrong, and no secret is repeated.
pub fn flags(text: &str) {
    let words: Vec<String> = text.lines().map(str::to_owned).collect();
    check(Dialect::of(&words).load().map(drop).map_err(|failure| failure.problems));
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
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_login_ends_here_or_where_it_may(text in "(https?:)?(/|//|\\\\|%2f|%5c|\t|\\.|\\.\\.|@|:|\\?|#|evil\\.example|app\\.example|a\\.friend\\.example|[a-z%0-9]){0,12}") {
            target(&text);
        }

        #[test]
        fn a_login_ends_here_whatever_is_said(text in any::<String>()) {
            target(&text);
        }

        #[test]
        fn paths_have_one_reading(raw in "/(%2e|%2F|%25|%5c|%3b|[/.;%a-z0-9\u{e9}?\\\\#])*") {
            path(&raw);
        }

        #[test]
        fn cookies_stay_apart(line in "((_s|_s_0|_s_7|_s_8|_s_csrf_x|_sx|a|b)=[a-zA-Z0-9_=-]{0,8}(; |;|,| )?){0,8}") {
            cookies(&line);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn no_flag_breaks_us(text in crate::dialect::PIECES) {
            flags(&text);
        }

        #[test]
        fn no_file_breaks_us(text in "((listen|cookie|providers|allow|bypass|passwords|upstreams|behind): ?(\\{|\\[|:1|x|\\{paths: \\[|\\{domains: \\[a\\]\\}|[a-z{}\\[\\]:, ]{0,12})\n){0,5}") {
            file(&text);
        }
    }
}
