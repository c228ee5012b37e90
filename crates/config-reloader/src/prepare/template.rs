//! Jinja templates fed from variables and files: `{{ env.HOST }}`, `{{ files.password }}`.

use std::{collections::BTreeMap, fmt, io, panic::resume_unwind, path::PathBuf, thread};

use minijinja::{
    Environment, Error, ErrorKind, UndefinedBehavior, Value, filters, functions,
    syntax::SyntaxConfig,
    tests,
    value::{Kwargs, StringInput},
};
use values::ByteSize;

use crate::config::Undefined;

/// Instructions that a template may take: a second or so, and then it loops.
const FUEL: u64 = 5_000_000;
/// A file that a template shows is a password or a certificate, not a database.
const LARGEST_FILE: u64 = 1 << 20;
/// No config file is indented by more columns.
const WIDEST: usize = 1000;
/// As much as a ConfigMap can hold.
const LARGEST_TEMPLATE: usize = 1 << 20;
/// The library goes as deep as a template is long, for a chain of filters or a hundred `elif`, and a stack that
/// overflows ends the process. Each byte is one level at the most, and no level takes more than this (a row of minus
/// signs in a debug build: 976 bytes). It is only address space, as long as nobody goes there.
const STACK_PER_BYTE: usize = 1 << 10;
const LEAST_STACK: usize = 8 << 20;

/// What comes of a template, on a thread with a stack that is large enough for it.
pub(crate) fn render(
    text: &str,
    variables: &BTreeMap<String, String>,
    files: &BTreeMap<String, PathBuf>,
    undefined: Undefined,
    largest: u64,
) -> Result<Vec<u8>, String> {
    if text.len() > LARGEST_TEMPLATE {
        return Err(format!("larger than {}, the most that a template may have", ByteSize(LARGEST_TEMPLATE as u64)));
    }
    let thread = thread::Builder::new().stack_size(LEAST_STACK + text.len() * STACK_PER_BYTE);
    thread::scope(|scope| {
        let rendering = thread.spawn_scoped(scope, || rendered(text, variables, files, undefined, largest));
        let rendering = rendering.map_err(|error| format!("cannot start a thread: {error}"))?;
        rendering.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

fn rendered(
    text: &str,
    variables: &BTreeMap<String, String>,
    files: &BTreeMap<String, PathBuf>,
    undefined: Undefined,
    largest: u64,
) -> Result<Vec<u8>, String> {
    let mut contents = BTreeMap::new();
    for (name, path) in files {
        let content = values::read_text(path, LARGEST_FILE)?;
        // Mounted Secrets have no newline at the end, files made with an editor do.
        contents.insert(name.clone(), Value::from(content.trim_end_matches('\n')));
    }
    let env: BTreeMap<String, Value> =
        variables.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    let root = Value::from(BTreeMap::from([("env", Value::from(env)), ("files", Value::from(contents))]));
    let mut jinja = vocabulary();
    // A config file that loses its last newline is a change that nobody asked for.
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    jinja.set_syntax(syntax.map_err(|error| spoken(&error))?);
    jinja.set_fuel(Some(FUEL));
    // A macro that calls itself has the stack of a template that is short.
    jinja.set_recursion_limit(50);
    jinja.set_undefined_behavior(match undefined {
        Undefined::Error => UndefinedBehavior::Strict,
        Undefined::Keep => UndefinedBehavior::Chainable,
    });
    let mut output = Capped { bytes: Vec::new(), largest };
    let template = jinja.template_from_str(text).map_err(|error| spoken(&error))?;
    template.render_captured_to(root, &mut output).map_err(|error| match output.bytes.len() as u64 >= largest {
        true => format!("the result is larger than {}; see `largest`", ByteSize(largest)),
        false if error.kind() == ErrorKind::UndefinedError => {
            let known = |name: &str| match name.split_once('.') {
                Some(("env", name)) => variables.contains_key(name),
                Some(("files", name)) => files.contains_key(name),
                _ => false,
            };
            let mut missing: Vec<_> = template.undeclared_variables(true).into_iter().collect();
            missing.retain(|name| !known(name));
            missing.sort();
            format!("{}; without a value: {}", spoken(&error), missing.join(", "))
        }
        false => spoken(&error),
    })?;
    Ok(output.bytes)
}

/// The filters and tests that config files use. All that Jinja has would be 200 KiB more of every pod's memory.
fn vocabulary() -> Environment<'static> {
    let mut jinja = Environment::empty();
    jinja.add_filter("default", filters::default);
    jinja.add_filter("first", filters::first);
    jinja.add_filter("indent", indent);
    jinja.add_filter("int", filters::int);
    jinja.add_filter("items", filters::items);
    jinja.add_filter("join", filters::join);
    jinja.add_filter("last", filters::last);
    jinja.add_filter("length", filters::length);
    jinja.add_filter("lines", filters::lines);
    jinja.add_filter("lower", filters::lower);
    jinja.add_filter("replace", filters::replace);
    jinja.add_filter("sort", filters::sort);
    jinja.add_filter("split", filters::split);
    jinja.add_filter("trim", filters::trim);
    jinja.add_filter("upper", filters::upper);
    jinja.add_test("defined", tests::is_defined);
    jinja.add_test("endingwith", tests::is_endingwith);
    jinja.add_test("startingwith", tests::is_startingwith);
    jinja.add_test("undefined", tests::is_undefined);
    jinja.add_function("range", functions::range);
    jinja
}

/// As Jinja has it, for widths that are meant: the library takes memory for any, or panics.
fn indent(
    text: StringInput<'_>,
    width: Option<usize>,
    first: Option<bool>,
    blank: Option<bool>,
    options: Kwargs,
) -> Result<Value, Error> {
    let widest = width.max(options.peek("width")?);
    if widest.is_some_and(|width| width > WIDEST) {
        return Err(Error::new(ErrorKind::InvalidOperation, format!("indent: expected at most {WIDEST}")));
    }
    filters::indent(text, width, first, blank, options)
}

/// Line, what is wrong, and what is behind it; without the values of variables.
fn spoken(error: &minijinja::Error) -> String {
    let line = error.line().map_or(String::new(), |line| format!("line {line}: "));
    let detail = error.detail().map_or(String::new(), |detail| format!(": {detail}"));
    format!("{line}{}{detail}", error.kind())
}

struct Capped {
    bytes: Vec<u8>,
    largest: u64,
}

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = (self.largest as usize).saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if bytes.len() > room { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Capped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    fn done(text: &str, undefined: Undefined) -> Result<String, String> {
        let variables = BTreeMap::from([("HOST".into(), "db".into())]);
        let bytes = render(text, &variables, &BTreeMap::new(), undefined, 1000)?;
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn variables_loops_and_defaults_work() {
        assert_eq!(done("host={{ env.HOST }}\n", Undefined::Error).unwrap(), "host=db\n");
        assert_eq!(done("{% for i in range(3) %}{{ i }}{% endfor %}", Undefined::Error).unwrap(), "012");
        assert_eq!(done("{{ env.NO | default('x') }}", Undefined::Error).unwrap(), "x");
        assert_eq!(done("[{{ env.NO }}]", Undefined::Keep).unwrap(), "[]");
    }

    #[test]
    fn mistakes_are_said_with_their_line() {
        let unknown = done("a\n{{ env.NO }} {{ env.HOST }}", Undefined::Error).unwrap_err();
        assert_eq!(unknown, "line 2: undefined value; without a value: env.NO");
        assert!(done("a\n{% if %}", Undefined::Error).unwrap_err().starts_with("line 2: syntax error"));
        assert!(done("{% include '/etc/passwd' %}", Undefined::Error).is_err());
    }

    #[test]
    fn depth_is_no_danger() {
        let n = 30_000;
        for text in [
            format!("{{{{ {}1 }}}}", "-".repeat(n)),
            format!("{{{{ {}1 }}}}", "not ".repeat(n)),
            format!("{{{{ {}1{} }}}}", "(".repeat(n), ")".repeat(n)),
            format!("{{{{ 1{} }}}}", "+1".repeat(n)),
            format!("{{{{ env{} }}}}", ".a".repeat(n)),
            format!("{{{{ env{} }}}}", "()".repeat(n)),
            format!("{{{{ 'x'{} }}}}", "|upper".repeat(n)),
            format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(n)),
            format!("{{% set a = 1 %}}{}{{{{ [a, a] | sort }}}}", "{% set a = [a] %}".repeat(n)),
        ] {
            // Well or not: what counts is that there is an answer.
            let _ = done(&text, Undefined::Error);
        }
        assert!(done(&" ".repeat(LARGEST_TEMPLATE + 1), Undefined::Error).unwrap_err().starts_with("larger than 1Mi"));
    }

    #[test]
    fn an_absurd_indentation_is_refused() {
        assert_eq!(done("{{ 'a\\nb' | indent(2) }}", Undefined::Error).unwrap(), "a\n  b");
        for width in ["1001", "width=99999999999", "18446744073709551615"] {
            let text = format!("{{{{ env.HOST | indent({width}) }}}}");
            let refused = done(&text, Undefined::Error).unwrap_err();
            assert_eq!(refused, "line 1: invalid operation: indent: expected at most 1000", "{width}");
        }
    }

    #[test]
    fn a_template_that_loops_or_grows_is_stopped() {
        let endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
        assert!(done(endless, Undefined::Error).unwrap_err().contains("fuel"));
        let growing = "{% for a in range(9999) %}xxxxxxxxxx{% endfor %}";
        assert_eq!(done(growing, Undefined::Error), Err("the result is larger than 1000; see `largest`".into()));
    }
}
