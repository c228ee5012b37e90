//! What the traces of some languages look like: the states and expressions that Fluent Bit has for them, so that the
//! same lines become one record, with what newer versions of the languages print.

use super::Rule;

/// States, separated by spaces; the expression; the next state.
type Row = (&'static str, &'static str, &'static str);

const JAVA: &[Row] = &[
    (
        "start_state java_start_exception",
        // It also ends a line: not every exception has a message.
        r"(.)(?:Exception|Error|Throwable|V8 errors stack trace)(?:[:\r\n]|$)",
        "java_after_exception",
    ),
    ("java_after_exception", r"^[\t ]*nested exception is:[\t ]*", "java_start_exception"),
    ("java_after_exception", r"^[\r\n]*$", "java_after_exception"),
    ("java_after_exception java", r"^[\t ]+(?:eval )?at ", "java"),
    ("java_after_exception java", r"^[\t ]+--- End of inner exception stack trace ---$", "java"),
    (
        "java_after_exception java",
        r"^--- End of stack trace from previous location where exception was thrown ---$",
        "java",
    ),
    ("java_after_exception java", r"^[\t ]*(?:Caused by|Suppressed):", "java_after_exception"),
    ("java_after_exception java", r"^[\t ]*\.\.\. \d+ (?:more|common frames omitted)", "java"),
];

const PYTHON: &[Row] = &[
    ("start_state", r"^Traceback \(most recent call last\):$", "python"),
    ("python", r"^[\t ]+File ", "python_code"),
    // Frozen modules have no source: the next frame comes at once.
    ("python_code", r#"^[\t ]+File ""#, "python_code"),
    ("python_code", r"[^\t ]", "python"),
    // `~~^~~` under the source, more lines of it, or how often a frame was repeated.
    ("python", r"^[\t ]+[^\t ]", "python"),
    // KeyboardInterrupt says nothing after its name.
    ("python", r"^(?:[^\s.():]+\.)*[^\s.():]+(?::|$)", "start_state"),
];

const GO: &[Row] = &[
    // A panic while another one was handled.
    ("go_after_panic", r"^\tpanic: ", "go_after_panic"),
    ("start_state", r"\bpanic: |^fatal error: ", "go_after_panic"),
    ("start_state", r"http: panic serving", "go_goroutine"),
    ("go_after_panic go_after_signal go_frame_1", r"^$", "go_goroutine"),
    ("go_after_panic", r"^\[signal ", "go_after_signal"),
    ("go_goroutine", r"^goroutine \d+ (?:[^\[\]]+ )?\[[^\]]+\]:$", "go_frame_1"),
    ("go_frame_1", r"^(?:[^\s.:]+\.)*[^\s.():]+\(|^created by ", "go_frame_2"),
    ("go_frame_2", r"^\s", "go_frame_1"),
];

const RUBY: &[Row] = &[
    ("start_state ruby_start_exception", r"^.+:\d+:in\s+.*", "ruby_after_exception"),
    ("ruby_after_exception ruby", r"^\s+from\s+.*:\d+:in\s+.*", "ruby"),
];

pub(super) fn rules(language: &str) -> Option<Vec<Rule>> {
    let rows = match language {
        "java" => JAVA,
        "python" => PYTHON,
        "go" => GO,
        "ruby" => RUBY,
        _ => return None,
    };
    let rule = |(from, pattern, to): &Row| Rule {
        from: from.split(' ').map(str::to_owned).collect(),
        pattern: (*pattern).into(),
        to: (*to).into(),
    };
    Some(rows.iter().map(rule).collect())
}
