//! `set`: names for texts. What is the same for every request is put in where it is used, so that a host that is one in
//! truth may be written as a variable.

use std::sync::Arc;

use crate::template::{Template, Variable};

use super::{
    report::Report,
    syntax::Directive,
    variables::{self, Defined},
};

/// Reads the `set` directives of a block, in their order.
pub(super) fn read(block: &[Directive], defined: &mut Defined, report: &mut Report) {
    for directive in block.iter().filter(|directive| directive.name == "set") {
        let [name, value] = directive.args.as_slice() else {
            report.arguments(directive);
            continue;
        };
        let is_name = |name: &&str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let Some(name) = name.strip_prefix('$').filter(is_name) else {
            report.at(directive, format!("invalid variable name \"{name}\""));
            continue;
        };
        if variables::variable(name, &Defined::default()).is_some() {
            report.at(directive, format!("the duplicate \"{name}\" variable"));
            continue;
        }
        match variables::template(&folded(value, defined), defined) {
            Ok(template) if changes(&template) && rewrites(block) => {
                report.at(directive, "\"set\" of what \"rewrite\" changes is not supported here");
            }
            Ok(template) => drop(defined.0.insert(name.to_owned(), Variable::Named(Arc::new(template)))),
            Err(problem) => report.at(directive, problem),
        }
    }
}

/// Its value would be another one after a rewrite.
fn changes(template: &Template) -> bool {
    template.variables().any(|variable| {
        matches!(
            variable,
            Variable::Path
                | Variable::Query
                | Variable::QueryMark
                | Variable::Argument(_)
                | Variable::Capture(_)
                | Variable::NamedCapture(_)
        )
    })
}

fn rewrites(block: &[Directive]) -> bool {
    block.iter().any(|inner| inner.name == "rewrite" || inner.block.as_deref().is_some_and(rewrites))
}

/// The text, with what is the same for every request in place of its variables.
pub(super) fn folded(text: &str, defined: &Defined) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, behind) = match after.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
            Some(found) => found,
            None => after.split_at(after.find(|c| !is_name(c)).unwrap_or(after.len())),
        };
        match defined.0.get(name) {
            Some(Variable::Named(template)) if template.as_text().is_some() => {
                out.push_str(template.as_text().unwrap_or_default());
            }
            _ => out.push_str(&rest[at..rest.len() - behind.len()]),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_for_all_is_put_in() {
        let mut defined = Defined::default();
        let named = |text: &str| Variable::Named(Arc::new(Template::text(text)));
        defined.0.insert("app".into(), named("app"));
        defined.0.insert("port".into(), named("80"));
        for (text, expected) in [
            ("http://$app:$port/x", "http://app:80/x"),
            ("http://${app}s/$uri", "http://apps/$uri"),
            ("$apps", "$apps"),
            ("a$", "a$"),
            ("${app", "${app"),
            ("plain", "plain"),
        ] {
            assert_eq!(folded(text, &defined), expected, "{text}");
        }
    }
}
