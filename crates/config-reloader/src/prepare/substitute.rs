//! `$(VAR)` becomes the value of the variable, as prometheus-config-reloader has it.

use std::collections::BTreeMap;

use crate::config::Undefined;

/// Works on bytes: what is not a reference passes untouched, whatever it is. Says how many had no value.
pub(super) fn substitute(
    input: &[u8],
    variables: &BTreeMap<String, String>,
    undefined: Undefined,
) -> Result<(Vec<u8>, usize), String> {
    let mut output = Vec::with_capacity(input.len());
    let mut missing = Vec::new();
    let mut rest = input;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"$(") {
        output.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let reference = rest.iter().position(|byte| *byte == b')').map(|end| (&rest[2..end], end + 1));
        let Some((name, length)) = reference.filter(|(name, _)| is_name(name)) else {
            output.extend_from_slice(&rest[..2]);
            rest = &rest[2..];
            continue;
        };
        let name = String::from_utf8_lossy(name).into_owned();
        match variables.get(&name) {
            Some(value) => output.extend_from_slice(value.as_bytes()),
            None => {
                output.extend_from_slice(&rest[..length]);
                missing.push(name);
            }
        }
        rest = &rest[length..];
    }
    output.extend_from_slice(rest);
    match undefined {
        Undefined::Error if !missing.is_empty() => Err(format!("no such variable: {}", missing.join(", "))),
        _ => Ok((output, missing.len())),
    }
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(input: &str, undefined: Undefined) -> Result<String, String> {
        let variables = BTreeMap::from([("HOST".into(), "db".into()), ("EMPTY".into(), String::new())]);
        substitute(input.as_bytes(), &variables, undefined).map(|(bytes, _)| String::from_utf8(bytes).unwrap())
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
}
