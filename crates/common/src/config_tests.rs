//! Config files: values, lines, and every problem at once.

use values::Span;

use super::*;

fn problems(text: &str, ask: impl FnOnce(&mut Section)) -> Vec<String> {
    parse("f.yaml", text, ask).map_or_else(|failure| failure.problems, |()| Vec::new())
}

#[test]
fn values_lists_and_sections_are_read() {
    let text = "watch: [/a, /b]\nsettle: 1s\ntell:\n  - http: {url: 'http://x'}\n  - touch: /t\nempty:\n";
    parse("f.yaml", text, |root| {
        assert_eq!(root.list::<String>("watch"), ["/a", "/b"]);
        assert_eq!(root.parsed::<Span>("settle"), Some(Span::from_secs(1)));
        assert_eq!(root.parsed::<String>("empty"), None);
        let mut tells = root.sections("tell");
        assert_eq!(tells[0].section("http").unwrap().required::<String>("url").unwrap(), "http://x");
        assert_eq!(tells[1].parsed::<String>("touch").unwrap(), "/t");
    })
    .unwrap();
}

#[test]
fn every_problem_is_reported_with_its_line() {
    let found = problems("setle: 1s\nsettle: 5\ntell:\n  - http: {}\n    zebra: 1\nwatch: {a: 1}\n", |root| {
        root.parsed::<Span>("settle");
        root.list::<String>("watch");
        for mut tell in root.sections("tell") {
            if let Some(mut http) = tell.section("http") {
                http.required::<String>("url");
            }
        }
    });
    assert_eq!(
        found,
        [
            "f.yaml:1: setle: unknown key, did you mean settle?",
            "f.yaml:2: settle: \"5\": missing unit, did you mean \"5s\"? \
             (expected a duration such as 500ms, 30s or 1h30m)",
            "f.yaml:4: tell[0].http.url: required",
            "f.yaml:5: tell[0].zebra: unknown key, expected one of http",
            "f.yaml:6: watch[0]: expected a plain value, found a mapping",
        ]
    );
}

#[test]
fn yaml_that_is_none_is_refused_with_its_line() {
    assert!(problems("a: [1\nb: 2", Section::ignore_all)[0].starts_with("f.yaml:2: "));
    assert_eq!(problems("a: 1\na: 2", Section::ignore_all), ["f.yaml:2: a: given twice"]);
    assert_eq!(problems("- 1", |_| ()), ["f.yaml:1: the file: expected a mapping, found a list"]);
}

#[test]
fn a_problem_is_one_line_and_names_a_line_that_exists() {
    assert!(problems("a:\n  {\n\n", Section::ignore_all)[0].starts_with("f.yaml:2: "));
    assert!(problems("{", Section::ignore_all)[0].starts_with("f.yaml:1: "));
    assert_eq!(problems("---\n\n", |root| drop(root.required::<String>("a"))), ["f.yaml:1: a: required"]);
    let quoting = problems("\"a\\nb\": 1\nsettle: |\n  5\n  6\n", |root| {
        root.parsed::<Span>("settle");
    });
    assert!(quoting[0].starts_with("f.yaml:1: a\\nb: unknown key"), "{quoting:?}");
    assert!(quoting[1].starts_with("f.yaml:3: settle: \"5\\n6\\n\": expected"), "{quoting:?}");
}

#[test]
fn aliases_cannot_blow_up() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let previous = format!("*a{}, ", level - 1).repeat(10);
        text.push_str(&format!("a{level}: &a{level} [{previous}]\n"));
    }
    assert!(problems(&text, Section::ignore_all)[0].ends_with("more than 100000 values"));
}

#[test]
fn deep_nesting_is_refused() {
    let text = format!("a: {}{}", "[".repeat(200), "]".repeat(200));
    assert!(problems(&text, Section::ignore_all)[0].ends_with("nested more than 64 deep"));
}

#[test]
fn the_short_form_of_an_item_is_a_plain_value() {
    parse("f.yaml", "watch:\n  - /a\n  - {path: /b, recursive: true}\n", |root| {
        let mut items = root.sections_or_text("watch", "path");
        assert_eq!(items[0].required::<String>("path").unwrap(), "/a");
        assert_eq!(items[1].required::<String>("path").unwrap(), "/b");
        assert_eq!(items[1].parsed::<bool>("recursive"), Some(true));
    })
    .unwrap();
}

#[test]
fn a_mapping_may_merge_others() {
    let text = "base: &base {a: 1, b: 2}\nother: &other {b: 3, c: 4}\nall: {<<: [*base, *other], a: 0}\nbad: {x: 1}\n";
    parse("f.yaml", text, |root| {
        root.ignore("base");
        root.ignore("other");
        root.ignore("bad");
        let mut found = root.pairs("all");
        found.sort();
        assert_eq!(found, [("a", "0"), ("b", "2"), ("c", "4")].map(|(key, value)| (key.to_owned(), value.to_owned())));
    })
    .unwrap();
    assert_eq!(problems("a: {<<: 1}", Section::ignore_all), ["f.yaml:1: <<: expected a mapping, found a plain value"]);
}

#[test]
fn what_is_made_of_each_entry_is_reported_with_its_line() {
    let make = |name: &str, text: &str| if text == "no" { Err("refused") } else { Ok(format!("{name}={text}")) };
    let found = problems("all:\n  a: 1\n  b: no\n  c:\n  d: [1]\n", |root| {
        assert_eq!(root.each("all", make), ["a=1", "c="]);
    });
    let expected = ["f.yaml:3: all.b: refused", "f.yaml:5: all.d: expected a plain value, found a list"];
    assert_eq!(found, expected);
}
