//! One log record on its way from a line to the outputs: borrowed from the read buffer, never copied into a tree.

use crate::walk::{Token, Walk};

/// Nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub i64);

/// What an output is given to write down.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub origin: &'a Origin,
    /// Tells its file from every other, also from a later one with its inode: record ids are made of it.
    pub file: u64,
    /// Where its first byte is in the file.
    pub offset: u64,
    /// Exactly what the file has, without the line end.
    pub raw: &'a [u8],
    /// What the line says, or when it was read.
    pub time: Time,
    pub body: Body<'a>,
}

/// What is the same for all records of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The name of its input, by which outputs select.
    pub tag: String,
    /// The name the operator knows the file by.
    pub path: String,
    /// Goes into every record, before what the line says.
    pub fields: Vec<(String, String)>,
    /// What the whole line is called where it is one field.
    pub line_key: String,
}

/// What is known about the line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Body<'a> {
    /// Nothing: it is one field. May hold any byte.
    Line(&'a [u8]),
    /// It is a JSON object, and stays as it was written.
    Json(Json<'a>),
    Fields(&'a [Field<'a>]),
}

/// The members of a valid JSON object as they were written, without its braces: `"a":1,"b":"x"`. Taking one member out
/// leaves two pieces; either may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<'a> {
    pub members: [&'a str; 2],
    /// There is a member `@timestamp` already: another one would make the object invalid for Elasticsearch.
    pub has_timestamp: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    pub name: &'a str,
    pub value: Value<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Text(&'a str),
    Integer(i64),
    Float(f64),
    Bool(bool),
    /// A valid JSON value as it was written.
    Json(&'a str),
    Null,
}

impl Record<'_> {
    /// Hands over what the line says under this name, or else its origin.
    pub fn look_up(&self, name: &str, take: impl FnOnce(Value<'_>)) {
        let origin = || self.origin.fields.iter().find(|(known, _)| known == name).map(|(_, text)| Value::Text(text));
        let value = match &self.body {
            Body::Line(_) => None,
            Body::Fields(fields) => fields.iter().find(|field| field.name == name).map(|field| field.value),
            Body::Json(json) => json.member(name).map(Value::Json),
        };
        match value.or_else(origin) {
            Some(Value::Json(value)) => match Walk::new(value).next() {
                Some(Token::Text(text)) => {
                    let mut said = Vec::new();
                    text.unescape(&mut said);
                    take(Value::Text(&String::from_utf8_lossy(&said)));
                }
                Some(Token::Number(number)) => take(Value::Text(number)),
                Some(Token::Bool(yes)) => take(Value::Bool(yes)),
                Some(Token::Null) | None => take(Value::Null),
                Some(_) => take(Value::Json(value)),
            },
            Some(value) => take(value),
            None => {}
        }
    }

    /// Whether the line itself says something under this name.
    pub fn says(&self, name: &str) -> bool {
        match &self.body {
            Body::Line(_) => self.origin.line_key == name,
            Body::Json(json) => json.member(name).is_some(),
            Body::Fields(fields) => fields.iter().any(|field| field.name == name),
        }
    }
}

impl<'a> Json<'a> {
    /// The value of a member, as it is written.
    pub fn member(&self, name: &str) -> Option<&'a str> {
        self.members.iter().find_map(|piece| {
            // Most often there is none, and that is quickly seen: a name with escapes has a backslash.
            memchr::memmem::find(piece.as_bytes(), name.as_bytes())
                .or_else(|| memchr::memmem::find(piece.as_bytes(), b"\\u"))?;
            let mut walk = Walk::new(piece);
            while let Some(Token::Name(known)) = walk.next() {
                let value = walk.value()?;
                if known.is(name) {
                    return Some(value);
                }
            }
            None
        })
    }
}

/// An empty list that uses the memory of another, whatever that one's lifetime was.
pub fn recycle<'a>(mut fields: Vec<Field<'_>>) -> Vec<Field<'a>> {
    fields.clear();
    fields.into_iter().map(|_| Field { name: "", value: Value::Null }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_at_the_top_only() {
        let json =
            Json { members: [r#""a":{"b":1},"c\u0064":[{"e":2}]"#, r#" "f" : "g" ,"e": 3"#], has_timestamp: false };
        let values = ["a", "b", "cd", "e", "f", "g", ""].map(|name| json.member(name));
        assert_eq!(values, [Some(r#"{"b":1}"#), None, Some(r#"[{"e":2}]"#), Some("3"), Some("\"g\""), None, None]);
    }

    #[test]
    fn recycling_keeps_the_memory() {
        let mut fields = Vec::with_capacity(8);
        fields.push(Field { name: "a", value: Value::Bool(true) });
        let at = fields.as_ptr() as usize;
        let again = recycle(fields);
        assert!(again.is_empty() && again.capacity() >= 8);
        assert_eq!(again.as_ptr() as usize, at);
    }
}
