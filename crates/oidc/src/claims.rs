//! What a token says of somebody.

use serde_json::{Map, Value};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claims(pub Map<String, Value>);

impl Claims {
    /// A claim by its name, or by its path where no claim has that name: `realm_access.roles`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).or_else(|| {
            let mut names = name.split('.');
            let first = self.0.get(names.next()?)?;
            names.try_fold(first, |value, name| value.get(name))
        })
    }

    /// A text; numbers and truths as they are written.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            _ => None,
        }
    }

    /// A list of texts, or the one text that is there. What is no text is its JSON.
    pub fn list(&self, name: &str) -> Vec<String> {
        let spoken = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match self.get(name) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(values)) => values.iter().map(spoken).collect(),
            Some(value) => vec![spoken(value)],
        }
    }

    pub fn truth(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Bool(truth) => Some(*truth),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// What is there already stays: an ID token is signed, what is added is not.
    pub fn add(&mut self, more: Map<String, Value>) {
        for (name, value) in more {
            self.0.entry(name).or_insert(value);
        }
    }
}

impl From<Value> for Claims {
    fn from(value: Value) -> Self {
        match value {
            Value::Object(map) => Self(map),
            _ => Self::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn claims_are_found_by_name_and_by_path() {
        let mut claims = Claims::from(json!({
            "realm_access": {"roles": ["a", "b"]}, "https://x.y/groups": ["g"], "groups": "one", "sub": 7,
            "email_verified": "true", "nested": [{"id": 1}],
        }));
        assert_eq!(claims.list("realm_access.roles"), ["a", "b"]);
        assert_eq!(claims.list("https://x.y/groups"), ["g"]);
        assert_eq!(claims.list("groups"), ["one"]);
        assert_eq!(claims.list("nested"), ["{\"id\":1}"]);
        assert_eq!(claims.text("sub").as_deref(), Some("7"));
        assert_eq!(claims.truth("email_verified"), Some(true));
        assert!(claims.list("nothing.there").is_empty());
        let Value::Object(more) = json!({"sub": "other", "name": "N"}) else { panic!() };
        claims.add(more);
        assert_eq!((claims.text("sub").as_deref(), claims.text("name").as_deref()), (Some("7"), Some("N")));
    }
}
