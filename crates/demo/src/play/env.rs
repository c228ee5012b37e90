//! The environment of a container, and what `$(NAME)` in its words becomes.

use std::collections::BTreeMap;

use super::{
    instance::Instance,
    model::{Container, EnvValue, StoredKind, World},
};

/// In the order in which they were given; a later one replaces an earlier one of the same name.
pub fn resolve(
    container: &Container,
    instance: &Instance,
    world: &World,
    base: &[(String, String)],
) -> Result<Vec<(String, String)>, String> {
    let mut env = Vec::from(base);
    for from in &container.env_from {
        match world.stored(from.kind, &from.name) {
            Some(map) => {
                for (key, value) in &map.data {
                    set(&mut env, &format!("{}{key}", from.prefix), &String::from_utf8_lossy(value));
                }
            }
            None if from.optional => {}
            None => return Err(missing(from.kind, &from.name)),
        }
    }
    for (name, value) in &container.env {
        let value = match value {
            EnvValue::Text(text) => Some(expand(text, &env)),
            EnvValue::Key { kind, name, key, optional } => key_of(world, *kind, name, key, *optional)?,
            EnvValue::Field(path) => Some(instance.field(path)?),
        };
        if let Some(value) = value {
            set(&mut env, name, &value);
        }
    }
    Ok(env)
}

fn key_of(world: &World, kind: StoredKind, name: &str, key: &str, optional: bool) -> Result<Option<String>, String> {
    match world.stored(kind, name) {
        None if optional => Ok(None),
        None => Err(missing(kind, name)),
        Some(map) => match map.data.get(key) {
            Some(value) => Ok(Some(String::from_utf8_lossy(value).into_owned())),
            None if optional => Ok(None),
            None => Err(format!("{} {name} has no key {key}", kind.word())),
        },
    }
}

pub fn missing(kind: StoredKind, name: &str) -> String {
    format!("{} {name} is in none of the files", kind.word())
}

fn set(env: &mut Vec<(String, String)>, name: &str, value: &str) {
    env.retain(|(known, _)| known != name);
    env.push((name.into(), value.into()));
}

/// `$(NAME)` is a variable that is known by now; `$$` is a dollar; what is not known stays as it is.
pub fn expand(text: &str, env: &[(String, String)]) -> String {
    let known: BTreeMap<_, _> = env.iter().map(|(name, value)| (&**name, &**value)).collect();
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match known.get(name) {
                Some(value) => out.push_str(value),
                None => out.push_str(&format!("$({name})")),
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_expanded_as_a_kubelet_does() {
        let env = [("A".to_owned(), "1".to_owned())];
        let pairs = [
            ("--x=$(A)", "--x=1"),
            ("$$(A)", "$(A)"),
            ("$(B)$", "$(B)$"),
            ("$A ${A} $(A", "$A ${A} $(A"),
            ("$$$$(A)$(A)", "$$(A)1"),
        ];
        for (text, wanted) in pairs {
            assert_eq!(expand(text, &env), wanted, "{text}");
        }
    }
}
