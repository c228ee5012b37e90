//! Messages of DogStatsD that are no metrics: they are understood, counted, and not exposed.

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    Event,
    ServiceCheck,
}

impl Message {
    pub const ALL: [Self; 2] = [Self::Event, Self::ServiceCheck];

    pub fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::ServiceCheck => "service_check",
        }
    }

    /// `_e{5,4}:title|text|...` or `_sc|name|status|...`
    pub fn of(line: &[u8]) -> Option<Self> {
        if line.first() != Some(&b'_') {
            return None;
        }
        let line = std::str::from_utf8(line).ok()?;
        if let Some(check) = line.strip_prefix("_sc|") {
            let mut parts = check.split('|');
            let name = parts.next().filter(|name| !name.is_empty());
            let status = parts.next().filter(|status| matches!(*status, "0" | "1" | "2" | "3"));
            return name.and(status).map(|_| Self::ServiceCheck);
        }
        let (lengths, text) = line.strip_prefix("_e{")?.split_once("}:")?;
        let (title, body) = lengths.split_once(',')?;
        let (title, body): (usize, usize) = (title.parse().ok()?, body.parse().ok()?);
        let is_whole = text.len() > title.checked_add(body)? && text.as_bytes().get(title) == Some(&b'|');
        is_whole.then_some(Self::Event)
    }
}

/// Whether a line with this name may also be a message, by what follows: such a name says nothing alone.
pub fn may_be_message(name: &[u8]) -> bool {
    name.starts_with(b"_e{")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_messages_from_metrics() {
        for (line, message) in [
            ("_e{5,4}:title|text", Some(Message::Event)),
            ("_e{5,4}:title|text|t:warning|#a:b", Some(Message::Event)),
            ("_sc|db.up|0|#a:b|m:fine", Some(Message::ServiceCheck)),
            ("_e{5,40}:title|text", None),
            ("_e{5}:title|text", None),
            ("_sc|db.up|9", None),
            ("_sc:1|c", None),
            ("foo:1|c", None),
        ] {
            assert_eq!(Message::of(line.as_bytes()), message, "{line}");
        }
    }
}
