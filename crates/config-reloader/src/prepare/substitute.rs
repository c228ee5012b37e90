//! `$(VAR)` becomes the value of the variable, as prometheus-config-reloader has it.

use std::collections::BTreeMap;

use values::ByteSize;

use crate::config::Undefined;

/// Works on bytes: what is not a reference passes untouched, whatever it is. Says how many had no value.
pub(crate) fn substitute(
    input: &[u8],
    variables: &BTreeMap<String, String>,
    undefined: Undefined,
    largest: u64,
) -> Result<(Vec<u8>, usize), String> {
    let mut output = Vec::with_capacity(input.len());
    let mut missing = Vec::new();
    let mut rest = input;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"$(") {
        output.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let Some(name) = name(&rest[2..]) else {
            output.extend_from_slice(&rest[..2]);
            rest = &rest[2..];
            continue;
        };
        let reference = &rest[..name.len() + 3];
        match variables.get(name) {
            Some(value) => output.extend_from_slice(value.as_bytes()),
            None => {
                output.extend_from_slice(reference);
                missing.push(name.to_owned());
            }
        }
        rest = &rest[reference.len()..];
        // A small file can be made of nothing but references to a large value.
        if output.len() as u64 > largest {
            break;
        }
    }
    output.extend_from_slice(rest);
    if output.len() as u64 > largest {
        return Err(format!("the result is larger than {}; see `largest`", ByteSize(largest)));
    }
    match undefined {
        Undefined::Error if !missing.is_empty() => Err(format!("no such variable: {}", missing.join(", "))),
        _ => Ok((output, missing.len())),
    }
}

/// The name that ends at the next `)`. Looks no further than the name goes: a file may be nothing but `$(`.
fn name(text: &[u8]) -> Option<&str> {
    let length = text.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')?;
    if length == 0 || text[length] != b')' {
        return None;
    }
    std::str::from_utf8(&text[..length]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(input: &str, undefined: Undefined) -> Result<String, String> {
        let variables = BTreeMap::from([("HOST".into(), "db".into()), ("EMPTY".into(), String::new())]);
        substitute(input.as_bytes(), &variables, undefined, 100).map(|(bytes, _)| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn references_are_replaced_and_nothing_else() {
        for (input, output) in [
            ("a: $(HOST):5432", "a: db:5432"),
            ("$(HOST)$(HOST)", "dbdb"),
            ("[$(EMPTY)]", "[]"),
            ("$HOST ${HOST} $(a-b) $( $()", "$HOST ${HOST} $(a-b) $( $()"),
            ("$$(HOST)", "$db"),
            ("$($(HOST))", "$(db)"),
            ("", ""),
        ] {
            assert_eq!(done(input, Undefined::Error).as_deref(), Ok(output), "{input}");
        }
    }

    #[test]
    fn unknown_variables_are_all_named_or_kept() {
        assert_eq!(done("$(A) $(HOST) $(B)", Undefined::Error), Err("no such variable: A, B".into()));
        assert_eq!(done("$(A) $(HOST)", Undefined::Keep), Ok("$(A) db".into()));
    }
    #[test]
    fn a_result_that_grows_is_stopped() {
        let variables = BTreeMap::from([("BIG".into(), "x".repeat(1000))]);
        let references = "$(BIG)".repeat(1_000_000);
        let stopped = substitute(references.as_bytes(), &variables, Undefined::Error, 1 << 20);
        assert_eq!(stopped, Err("the result is larger than 1Mi; see `largest`".into()));
    }

    #[test]
    fn references_that_never_end_take_no_time() {
        let input = "$(".repeat(2 << 20);
        // Looking for the end from each of them would take hours.
        assert!(substitute(input.as_bytes(), &BTreeMap::new(), Undefined::Error, 8 << 20).is_ok());
    }
}
