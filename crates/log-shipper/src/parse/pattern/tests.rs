//! Spellings of Ruby, and what they match.

use proptest::prelude::*;

use super::*;

/// The first match, by both engines.
#[track_caller]
fn found<'a>(spec: &str, text: &'a str) -> Option<&'a str> {
    let by_text = super::text(spec).unwrap().find(text).map(|found| found.as_str());
    let by_bytes = of_bytes(spec).unwrap();
    let by_bytes = by_bytes.find(text.as_bytes()).map(|found| str::from_utf8(found.as_bytes()).unwrap());
    assert_eq!(by_text, by_bytes, "{spec} {text}");
    by_text
}

#[test]
fn spellings_of_ruby() {
    for (spec, text, expected) in [
        ("/b/", "abc", Some("b")),
        ("/B/i", "abc", Some("b")),
        ("/a.c/", "a\nc", None),
        ("/a.c/m", "a\nc", Some("a\nc")),
        ("/a b # it\n c/x", "abc", Some("abc")),
        ("/a[ ]b/x", "a b", Some("a b")),
        (r"/a\ b/x", "a b", Some("a b")),
        ("/path/to", "/path/to", Some("/path/to")),
        ("/", "a/b", Some("/")),
        (r"\/a", "/a", Some("/a")),
        (r"^\[signal ", "[signal x", Some("[signal ")),
        (r"\d+\h+\H", "x12fg", Some("12fg")),
        (r"[\d\-.]+", "a1-2.3b", Some("1-2.3")),
        (r"[\w-]+", "é a-b_1", Some("a-b_1")),
        (r"[a-\d]+", "xa-1", Some("a-1")),
        (r"[^\s]+", " é\t", Some("é")),
        (r"[\S]+", " é\t", Some("é")),
        (r"[^\S]", "a b", Some(" ")),
        (r"\w+", "éa", Some("a")),
        (r"\s", "\u{a0}\u{0b}", Some("\u{0b}")),
        (r"\bx\b", "ax x", Some("x")),
        (r"a\Bb", "ab", Some("ab")),
        (r"\Aa\z", "a", Some("a")),
        (r"a\Z", "a", Some("a")),
        ("^b$", "a\nb\nc", Some("b")),
        ("[]a]+", "x]a", Some("]a")),
        ("[a-]+", "x-a", Some("-a")),
        ("[+--]+", "x,-", Some(",-")),
        ("[a~~b]+", "x~a", Some("~a")),
        ("[a&&[^b]]", "ba", Some("a")),
        ("[[:alpha:]_]+", "1a_", Some("a_")),
        ("[[:^digit:]]", "1a", Some("a")),
        (r"[\b]", "\u{8}", Some("\u{8}")),
        (r"[\x41-\x43]+", "ABCD", Some("ABC")),
        (r"[\u00e8-\u00ea]+", "xéè", Some("éè")),
        (r"\u00e9\u{e9}\x41\0?", "ééA", Some("ééA")),
        (r"\t\n\r\e\a\f\v", "\t\n\r\u{1b}\u{7}\u{c}\u{b}", Some("\t\n\r\u{1b}\u{7}\u{c}\u{b}")),
        (r"\_\-\:\<\>\#\ \%\é", "_-:<># %é", Some("_-:<># %é")),
        (r#"^{"log""#, r#"{"log":1}"#, Some(r#"{"log""#)),
        ("a{2}b{,2}c{1,}d{1,2}?", "aabbccdd", Some("aabbccd")),
        ("a{,}", "a{,}", Some("a{,}")),
        ("a{x}", "a{x}", Some("a{x}")),
        ("a{1", "a{1", Some("a{1")),
        ("}{", "}{", Some("}{")),
        ("a{2}+", "aaaa", Some("aaaa")),
        ("a*?b", "aab", Some("aab")),
        ("(?i)aB[c-d]", "AbC", Some("AbC")),
        ("(?i:a)b", "AB", None),
        ("(?i:a)b", "Ab", Some("Ab")),
        ("((?i)a)b", "AB", None),
        ("(?i)é", "É", None),
        ("(?i)[^a]", "Ab", Some("b")),
        ("(?m:.)", "\n", Some("\n")),
        ("(?m:(?-m:.))", "\n", None),
        ("(?x: a b )c d", "abc d", Some("abc d")),
        ("(?#comment)a(?:b)", "ab", Some("ab")),
        ("(?'n'a)(?P<m>b)(?<o>c)", "abc", Some("abc")),
        ("a|", "b", Some("")),
        (".", "é", Some("é")),
    ] {
        // Without letters beyond ASCII in it, an expression for bytes takes a letter apart.
        if spec.is_ascii() && !text.is_ascii() && (spec == "." || spec.contains("[^") || spec.contains(r"\S")) {
            assert_eq!(super::text(spec).unwrap().find(text).map(|found| found.as_str()), expected, "{spec}");
            continue;
        }
        assert_eq!(found(spec, text), expected, "{spec} {text}");
    }
}

#[test]
fn any_byte_is_a_character_to_an_expression_for_bytes() {
    assert!(of_bytes("^.+:$").unwrap().is_match(b"a\xff\xfeb:"));
    assert!(of_bytes("^[^ ]+$").unwrap().is_match(b"\xff\0\xfe"));
    assert!(of_bytes("é$").unwrap().is_match("\u{e9}".as_bytes()));
}

#[test]
fn what_is_not_supported_is_named() {
    for (spec, problem) in [
        ("a(?=b)", "look-ahead"),
        ("^(?!a)", "look-ahead"),
        ("(?<=a)b", "look-behind"),
        ("(?<!a)b", "look-behind"),
        ("(?>a)", "atomic groups"),
        (r"(a)\1", r"back-references (`\1`)"),
        (r"(?<n>a)\k<n>", "back-references"),
        (r"(?<n>a\g<n>?)", "calls of groups"),
        ("a++", "possessive"),
        ("a*+", "possessive"),
        ("a?+", "possessive"),
        (r"\p{Alpha}", "classes of Unicode"),
        (r"[\p{Alpha}]", "classes of Unicode"),
        (r"\R", r"`\R` is not supported"),
        (r"\xe9", "half a character"),
        (r"\ud800", "is no character"),
        ("(?a)x", "`(?a` is not supported"),
        ("(?<1>x)", "`1` is no name"),
        ("(?<>x)", "`` is no name"),
        ("(?", "a group is not closed"),
        ("(?<a", "unclosed group"),
        ("(a", "unclosed group"),
        ("a)", "unopened group"),
        ("[a", "a class is not closed"),
        ("[[:x]", "a class is not closed"),
        ("[z-a]", "the range `z-a` is empty"),
        ("[[:nonsense:]]", "`[:nonsense:]` is not known"),
        ("*a", "repetition operator missing expression"),
        (r"a\", "in the middle of an escape"),
        (r"[\", "in the middle of an escape"),
        ("(?<a>x)(?<a>y)", "duplicate capture group name"),
        ("a{1000}{1000}{10}", "Compiled regex exceeds size limit"),
    ] {
        for said in [super::text(spec).unwrap_err(), of_bytes(spec).unwrap_err()] {
            assert!(said.contains(problem) && said.contains(spec) && !said.contains('\n'), "{spec}: {said}");
        }
    }
    assert!(super::text(&"(".repeat(100_000)).is_err());
    assert!(super::text(&"[".repeat(100_000)).unwrap_err().contains("classes nested"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn no_expression_breaks_it(spec in r"(\\.|[\[\](){}?<>:!=|*+^$./#&imx,a-cé0-2 \\-]){0,12}") {
        let _ = super::text(&spec);
        let _ = of_bytes(&spec);
    }

    #[test]
    fn what_is_escaped_matches_itself(text in "[ -~é\t\n]{1,12}") {
        let spec: String = text.chars().flat_map(|char| {
            let needs = !char.is_ascii_alphanumeric() && char.is_ascii();
            needs.then_some('\\').into_iter().chain([char])
        }).collect();
        prop_assert_eq!(found(&spec, &text), Some(text.as_str()));
        let shouted = text.to_ascii_uppercase();
        prop_assert_eq!(found(&format!("/{spec}/i"), &shouted), Some(shouted.as_str()));
    }
}
