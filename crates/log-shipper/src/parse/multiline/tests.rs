//! Traces as programs print them, and the records that come of them.

use proptest::prelude::*;

use super::*;

/// Does what the contract of [`Step`] says.
fn records<'a>(grouping: &Grouping, lines: impl IntoIterator<Item = &'a str>) -> Vec<Vec<&'a str>> {
    let mut grouper = Grouper::new(Arc::new(grouping.clone()));
    let (mut held, mut records) = (Vec::new(), Vec::new());
    for line in lines {
        let step = grouper.step(line.as_bytes());
        if matches!(step, Step::Start | Step::Alone) && !held.is_empty() {
            records.push(std::mem::take(&mut held));
        }
        held.push(line);
        if matches!(step, Step::End | Step::Alone) {
            records.push(std::mem::take(&mut held));
        }
    }
    if !held.is_empty() {
        records.push(held);
    }
    records
}

/// How many lines the records have.
fn sizes(language: &str, text: &str) -> Vec<usize> {
    let rules = Grouping::Rules(Rules::builtin(language).unwrap());
    records(&rules, text.lines()).iter().map(Vec::len).collect()
}

const JAVA: &str = "\
started
Exception in thread \"main\" java.lang.IllegalStateException: ..null property
     at com.example.myproject.Author.getBookIds(xx.java:38)
     at com.example.myproject.Bootstrap.main(Bootstrap.java:14)
Caused by: java.lang.NullPointerException
     at com.example.myproject.Book.getId(Book.java:22)
     ... 1 more
\tSuppressed: java.io.IOException: no
\t\tat com.example.Close.close(Close.java:3)
single line
java.lang.NullPointerException
\tat Main.main(Main.java:1)
\tat Main.main(Main.java:2)
java.lang.RuntimeException: a
\tat Main.main(Main.java:1)
done
System.Exception: outer
   at Program.Main() in /app/Program.cs:line 5
   --- End of inner exception stack trace ---
   at Program.Main() in /app/Program.cs:line 9
--- End of stack trace from previous location where exception was thrown ---
   at Program.Main()
done";

const PYTHON: &str = "\
Traceback (most recent call last):
  File \"/app/main.py\", line 1535, in __call__
    rv = self.handle_exception(request, response, e)
  File \"/app/main.py\", line 17, in start
    return get()
Exception: ('spam', 'eggs')
hello world, not multiline
Traceback (most recent call last):
  File \"<frozen importlib._bootstrap>\", line 1360, in _find_and_load
  File \"<frozen importlib._bootstrap>\", line 1331, in _find_and_load_unlocked
  File \"<frozen importlib._bootstrap>\", line 935, in _load_unlocked
  File \"/app/main.py\", line 3, in <module>
    total = left + \\
            ~~~~~^^^
            right
  [Previous line repeated 996 more times]
KeyboardInterrupt
hello: world";

const GO: &str = "\
2026/11/21 panic: not this one? it is
ok
panic: my panic

goroutine 4 [running]:
panic(0x45cb40, 0x47ad70)
\t/usr/local/go/src/runtime/panic.go:542 +0x46c fp=0xc42003f7b8
main.main.func1(0xc420024120)
\tfoo.go:6 +0x39 fp=0xc42003f7d8
created by main.main in goroutine 1
\tfoo.go:5 +0x58

goroutine 1 gp=0xc0000061c0 m=nil [chan receive]:
runtime.gopark(0x4739b8)
\t/usr/local/go/src/runtime/proc.go:280 +0x12c
one more line, no multiline
panic: runtime error: invalid memory address or nil pointer dereference [recovered]
\tpanic: again
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x1]

goroutine 1 [running]:
main.main()
\tfoo.go:1
end
2026/11/21 http: panic serving 127.0.0.1:1: boom
goroutine 24 [running]:
net/http.(*conn).serve.func1(0xc00007eaa0)
\t/usr/local/go/src/net/http/server.go:1746 +0xd0
fatal error: all goroutines are asleep - deadlock!

goroutine 1 [chan receive]:
main.main()
\tfoo.go:1";

const RUBY: &str = "\
/app/config/routes.rb:6:in `/': divided by 0 (ZeroDivisionError)
\tfrom /app/config/routes.rb:6:in `block in <main>'
\tfrom /app/config/routes.rb:1:in `<main>'
hello world, not multiline";

#[test]
fn traces_are_one_record() {
    assert_eq!(sizes("java", JAVA), [1, 8, 1, 3, 2, 1, 6, 1]);
    assert_eq!(sizes("python", PYTHON), [6, 1, 10, 1]);
    assert_eq!(sizes("go", GO), [1, 1, 13, 1, 7, 1, 4, 5]);
    assert_eq!(sizes("ruby", RUBY), [3, 1]);
    for (language, text) in [("java", JAVA), ("python", PYTHON), ("go", GO), ("ruby", RUBY)] {
        let returns: Vec<_> = text.lines().map(|line| format!("{line}\r")).collect();
        assert_eq!(sizes(language, &returns.join("\n")), sizes(language, text), "{language}");
    }
    assert!(Rules::builtin("cobol").is_none());
}

#[test]
fn several_languages_at_once() {
    let rules = Rules::builtin("ruby").unwrap();
    let rules = rules.or(Rules::builtin("python").unwrap()).or(Rules::builtin("go").unwrap());
    let text = format!("{RUBY}\n{PYTHON}\n{GO}\n{RUBY}");
    let sizes: Vec<_> = records(&Grouping::Rules(rules), text.lines()).iter().map(Vec::len).collect();
    assert_eq!(sizes, [3, 1, 6, 1, 10, 1, 1, 1, 13, 1, 7, 1, 4, 5, 3, 1]);
}

#[test]
fn rules_of_ones_own() {
    let rule = |from: &[&str], pattern: &str, to: &str| Rule {
        from: from.iter().map(|state| (*state).into()).collect(),
        pattern: pattern.into(),
        to: to.into(),
    };
    let rules = [rule(&[START], r"/(Dec \d+ \d+\:\d+\:\d+)(.*)/", "cont"), rule(&["cont"], r"/^\s+at.*/", "cont")];
    let rules = Grouping::Rules(Rules::new(&rules).unwrap());
    let lines =
        ["at first", "Dec 14 06:41:08 x", "  at a", "  at b", "y", "  at c", "Dec 15 06:41:08", "Dec 16 06:41:08"];
    let expected =
        vec![vec![lines[0]], lines[1..4].to_vec(), vec![lines[4]], vec![lines[5]], vec![lines[6]], vec![lines[7]]];
    assert_eq!(records(&rules, lines), expected);
    // What may begin a record anew ends the one before at once.
    let rules = [rule(&[START, "more"], "^a", "more"), rule(&["more"], "^b", "more")];
    let rules = Grouping::Rules(Rules::new(&rules).unwrap());
    assert_eq!(records(&rules, ["a", "b", "b"]), [["a"], ["b"], ["b"]]);
}

#[test]
fn what_is_wrong_with_rules_is_said_at_once() {
    let rule =
        |from: &str, pattern: &str, to: &str| Rule { from: vec![from.into()], pattern: pattern.into(), to: to.into() };
    let said = Rules::new(&[rule("a", "x(?=y)", "b"), rule("b", "(", "a"), rule("b", "z", "c")]).unwrap_err();
    for problem in
        ["no rule begins a record, expected one from start_state", "look-ahead", "unclosed group", "leads to `c`"]
    {
        assert!(said.contains(problem), "{problem}: {said}");
    }
    assert!(Rules::new(&[]).is_err());
    assert!(Grouping::start("(?<!x)").is_err() && Grouping::continues("[").is_err());
}

#[test]
fn lines_that_begin_and_lines_that_go_on() {
    let lines = ["lost", "more", "[1] a", "b", "", "[2] c", "[3] d", "  e"];
    let start = Grouping::start(r"^\[").unwrap();
    assert_eq!(records(&start, lines).iter().map(Vec::len).collect::<Vec<_>>(), [2, 3, 1, 2]);
    let continues = Grouping::continues(r"^\s|^$|^[a-z]").unwrap();
    assert_eq!(records(&continues, lines), records(&start, lines));
}

#[test]
fn a_new_file_begins_anew() {
    let mut grouper = Grouper::new(Arc::new(Grouping::Rules(Rules::builtin("ruby").unwrap())));
    let lines: Vec<_> = RUBY.lines().map(str::as_bytes).collect();
    assert_eq!((grouper.step(lines[0]), grouper.step(lines[1])), (Step::Start, Step::Continue));
    grouper.reset();
    assert_eq!(grouper.step(lines[1]), Step::Start);
    grouper.reset();
    assert_eq!(grouper.step(lines[3]), Step::Alone);
}

#[test]
fn any_byte_and_any_length() {
    for language in ["java", "python", "go", "ruby"] {
        let mut grouper = Grouper::new(Arc::new(Grouping::Rules(Rules::builtin(language).unwrap())));
        for line in [&b"\0\xff\xfe"[..], b"", b"\r", b"\r\r", &b"a".repeat(1 << 20), &b"a.".repeat(1 << 19)] {
            assert_eq!(grouper.step(line), Step::Alone, "{language}");
        }
    }
    let ruby = Rules::builtin("ruby").unwrap();
    let mut grouper = Grouper::new(Arc::new(Grouping::Rules(ruby)));
    assert_eq!(grouper.step(b"/app/\xff.rb:6:in `x'"), Step::Start);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn no_line_is_lost(picks in prop::collection::vec(any::<prop::sample::Index>(), 0..60), first in 0usize..4) {
        let all = [JAVA, PYTHON, GO, RUBY];
        let pool: Vec<_> = all.iter().flat_map(|text| text.lines()).collect();
        let lines: Vec<_> = picks.iter().map(|pick| *pick.get(&pool)).collect();
        let rules = Rules::builtin(["java", "python", "go", "ruby"][first]).unwrap();
        for grouping in [Grouping::Rules(rules), Grouping::start("^[A-Z]").unwrap(), Grouping::continues("^ ").unwrap()] {
            let records = records(&grouping, lines.iter().copied());
            prop_assert!(records.iter().all(|record| !record.is_empty()));
            prop_assert_eq!(records.concat(), lines.clone());
        }
    }
}
