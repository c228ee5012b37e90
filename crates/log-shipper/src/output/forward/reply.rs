//! What a server says: a greeting, an answer to ours, an acknowledgement. Read bounded, and trusted in nothing.

/// No reply is larger than this; what is, is something else.
pub(super) const LARGEST: usize = 64 << 10;
const DEEPEST: u8 = 8;

/// MessagePack, as far as servers use it.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    /// Numbers and what else is of no meaning here.
    Other,
    Bool(bool),
    Text(Vec<u8>),
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// It wants to know who we are.
    Hello {
        nonce: Vec<u8>,
        /// Not empty where it wants a user and a password as well.
        auth: Vec<u8>,
        keepalive: bool,
    },
    Pong {
        is_accepted: bool,
        reason: String,
        hostname: String,
        digest: String,
    },
    Ack(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// More must come first.
    Short,
    /// What came is no reply.
    Nonsense,
}

/// The first reply, and how many bytes it is.
pub(super) fn read(bytes: &[u8]) -> Result<(Reply, usize), Problem> {
    let mut reader = Reader { bytes, at: 0 };
    let value = match reader.value(0) {
        Err(Problem::Short) if bytes.len() >= LARGEST => return Err(Problem::Nonsense),
        value => value?,
    };
    Ok((reply(value).ok_or(Problem::Nonsense)?, reader.at))
}

fn reply(value: Value) -> Option<Reply> {
    match value {
        Value::Map(mut entries) => entries.find(b"ack").and_then(Value::text).map(Reply::Ack),
        Value::Array(items) => {
            let mut items = items.into_iter();
            match items.next()?.text()?.as_slice() {
                b"HELO" => {
                    let Value::Map(mut entries) = items.next()? else { return None };
                    Some(Reply::Hello {
                        nonce: entries.find(b"nonce")?.text()?,
                        auth: entries.find(b"auth").and_then(Value::text).unwrap_or_default(),
                        keepalive: entries.find(b"keepalive") != Some(Value::Bool(false)),
                    })
                }
                b"PONG" => {
                    let text = |value: Option<Value>| {
                        Some(String::from_utf8_lossy(&value?.text()?).chars().filter(|c| !c.is_control()).collect())
                    };
                    let is_accepted = items.next()? == Value::Bool(true);
                    let reason = text(items.next())?;
                    let hostname = text(items.next()).unwrap_or_default();
                    let digest = text(items.next()).unwrap_or_default();
                    Some(Reply::Pong { is_accepted, reason, hostname, digest })
                }
                _ => None,
            }
        }
        _ => None,
    }
}

trait Entries {
    fn find(&mut self, name: &[u8]) -> Option<Value>;
}

impl Entries for Vec<(Value, Value)> {
    fn find(&mut self, name: &[u8]) -> Option<Value> {
        let at = self.iter().position(|(known, _)| matches!(known, Value::Text(text) if text == name))?;
        Some(self.swap_remove(at).1)
    }
}

impl Value {
    fn text(self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8], Problem> {
        if count > LARGEST {
            return Err(Problem::Nonsense);
        }
        let taken = self.bytes.get(self.at..self.at + count).ok_or(Problem::Short)?;
        self.at += count;
        Ok(taken)
    }

    /// A length of so many bytes.
    fn length(&mut self, bytes: usize) -> Result<usize, Problem> {
        Ok(self.take(bytes)?.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
    }

    fn value(&mut self, depth: u8) -> Result<Value, Problem> {
        let mark = self.take(1)?[0];
        match mark {
            0xc2 | 0xc3 => Ok(Value::Bool(mark == 0xc3)),
            0xa0..=0xbf => self.text(usize::from(mark & 0x1f)),
            0xc4 | 0xd9 => self.length(1).and_then(|length| self.text(length)),
            0xc5 | 0xda => self.length(2).and_then(|length| self.text(length)),
            0xc6 | 0xdb => self.length(4).and_then(|length| self.text(length)),
            0x90..=0x9f => self.array(usize::from(mark & 0x0f), depth),
            0xdc => self.length(2).and_then(|length| self.array(length, depth)),
            0x80..=0x8f => self.map(usize::from(mark & 0x0f), depth),
            0xde => self.length(2).and_then(|length| self.map(length, depth)),
            0x00..=0x7f | 0xe0..=0xff | 0xc0 => Ok(Value::Other),
            0xcc | 0xd0 => self.other(1),
            0xcd | 0xd1 => self.other(2),
            0xca | 0xce | 0xd2 => self.other(4),
            0xcb | 0xcf | 0xd3 => self.other(8),
            _ => Err(Problem::Nonsense),
        }
    }

    fn other(&mut self, count: usize) -> Result<Value, Problem> {
        self.take(count).map(|_| Value::Other)
    }

    fn text(&mut self, length: usize) -> Result<Value, Problem> {
        self.take(length).map(|text| Value::Text(text.to_vec()))
    }

    fn array(&mut self, count: usize, depth: u8) -> Result<Value, Problem> {
        self.many(count, depth).map(Value::Array)
    }

    fn map(&mut self, count: usize, depth: u8) -> Result<Value, Problem> {
        let mut items = self.many(count * 2, depth)?.into_iter();
        let pairs = std::iter::from_fn(|| Some((items.next()?, items.next()?)));
        Ok(Value::Map(pairs.collect()))
    }

    fn many(&mut self, count: usize, depth: u8) -> Result<Vec<Value>, Problem> {
        if depth >= DEEPEST {
            return Err(Problem::Nonsense);
        }
        (0..count).map(|_| self.value(depth + 1)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn replies_are_read_when_they_are_whole() {
        let ack = b"\x81\xa3ack\xa2id";
        for end in 0..ack.len() {
            assert_eq!(read(&ack[..end]), Err(Problem::Short), "{end}");
        }
        assert_eq!(read(b"\x81\xa3ack\xa2id\x81"), Ok((Reply::Ack(b"id".to_vec()), ack.len())));
        let hello = b"\x92\xa4HELO\x83\xa5nonce\xc4\x02\x00\xff\xa4auth\xa0\xa9keepalive\xc3";
        let wanted = Reply::Hello { nonce: vec![0, 255], auth: Vec::new(), keepalive: true };
        assert_eq!(read(hello), Ok((wanted, hello.len())));
        let pong = b"\x95\xa4PONG\xc2\xa3no\n\xa1h\xa1d";
        let wanted = Reply::Pong { is_accepted: false, reason: "no".into(), hostname: "h".into(), digest: "d".into() };
        assert_eq!(read(pong), Ok((wanted, pong.len())));
    }

    #[test]
    fn what_is_no_reply_is_nonsense() {
        for bytes in
            [b"HTTP/1.1 400 Bad".as_slice(), b"\x16\x03\x01", b"\x81\xa1a\xa1b", b"\xc1", b"\xdb\xff\xff\xff\xff"]
        {
            assert_eq!(read(bytes), Err(Problem::Nonsense), "{bytes:?}");
        }
        assert_eq!(read(&vec![0x91; LARGEST]), Err(Problem::Nonsense));
        assert_eq!(read(&[b"\xdc\xff\xff".as_slice(), &[0xdc; LARGEST]].concat()), Err(Problem::Nonsense));
    }

    proptest! {
        #[test]
        fn anything_can_come(bytes in vec(any::<u8>(), 0..200)) {
            if let Ok((_, count)) = read(&bytes) {
                prop_assert!(count <= bytes.len());
            }
        }
    }
}
