//! The few expressions of Ruby that configurations have in them.

use std::collections::BTreeMap;

const EXPECTED: &str = "expected ENV['NAME'], ENV['NAME'] || 'else', ENV.fetch('NAME', 'else'), hostname or worker_id";

/// The text between two quotes, up to the second, with what is embedded in it put in.
pub(super) fn embedded(inside: &str, environment: &BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = inside;
    while let Some(char) = rest.chars().next() {
        rest = &rest[char.len_utf8()..];
        match char {
            '"' => break,
            '\\' => {
                let Some(escaped) = rest.chars().next() else { break };
                rest = &rest[escaped.len_utf8()..];
                out.push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other => other,
                });
            }
            '#' if rest.starts_with('{') => {
                let end = rest.find('}').ok_or("#{: expected }")?;
                let code = &rest[1..end];
                out.push_str(&value(code.trim(), environment).ok_or_else(|| format!("#{{{code}}}: {EXPECTED}"))?);
                rest = &rest[end + 1..];
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

fn value(code: &str, environment: &BTreeMap<String, String>) -> Option<String> {
    let of = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
    if matches!(code, "hostname" | "Socket.gethostname") {
        return Some(crate::output::forward::hostname());
    }
    if code == "worker_id" {
        return Some("0".into());
    }
    if let Some((first, second)) = code.split_once("||") {
        let otherwise = quoted(second.trim()).map(str::to_owned);
        let is_default = matches!(second.trim(), "use_default" | "use_nil");
        let otherwise = otherwise.or_else(|| is_default.then(String::new))?;
        return Some(of(name(first.trim())?).unwrap_or(otherwise));
    }
    if let Some(inside) = code.strip_prefix("ENV.fetch(").and_then(|rest| rest.strip_suffix(')')) {
        let (name, otherwise) = inside.split_once(',').map_or((inside, None), |(name, rest)| (name, Some(rest.trim())));
        let otherwise = otherwise.map_or(Some(""), quoted)?;
        return Some(environment.get(quoted(name.trim())?).cloned().unwrap_or_else(|| otherwise.to_owned()));
    }
    Some(of(name(code)?).unwrap_or_default())
}

/// `ENV['NAME']`
fn name(code: &str) -> Option<&str> {
    quoted(code.strip_prefix("ENV[")?.strip_suffix(']')?)
}

fn quoted(text: &str) -> Option<&str> {
    let inside = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inside('\'').or_else(|| inside('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_embedded_is_put_in() {
        let environment = [("A".to_owned(), "1".to_owned())].into();
        for (text, wanted) in [
            ("x-#{ENV['A']}\"", Some("x-1")),
            ("#{ENV[\"A\"]}", Some("1")),
            ("#{ENV['B']}", Some("")),
            ("#{ENV['B'] || 'b'}", Some("b")),
            ("#{ENV.fetch('B', 'c')}", Some("c")),
            ("#{ENV.fetch(\"A\", \"c\")}", Some("1")),
            ("a\\\"b\\n\"", Some("a\"b\n")),
            ("#{system('x')}", None),
            ("#{ENV['A'] + 'x'}", None),
        ] {
            assert_eq!(embedded(text, &environment).ok().as_deref(), wanted, "{text}");
        }
    }
}
