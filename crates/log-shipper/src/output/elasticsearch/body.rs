//! Bodies of bulk requests, taken apart again: only where something was refused.

use http_client::Bytes;

use crate::{
    json,
    output::gzip::{self, Compression},
};

/// An index has 255 bytes at most, all of which may be escaped.
const LONGEST_ACTION: usize = 2048;

/// A part of a batch on its way: as the encoder sealed it, or plain.
#[derive(Clone, Debug, Default)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    /// How many documents it has.
    pub(super) count: u64,
}

impl Piece {
    /// As it was before it was compressed.
    pub(super) fn plain(&self) -> Bytes {
        match Compression::of(&self.bytes) {
            Compression::None => self.bytes.clone(),
            _ => gzip::unpack(&self.bytes).map_or_else(|_| self.bytes.clone(), Bytes::from),
        }
    }

    /// Both halves, of a piece with more than one document. They share its memory.
    pub(super) fn halves(&self) -> [Self; 2] {
        let bytes = self.plain();
        let first = self.count / 2;
        let cut: usize = items(&bytes).take(usize::try_from(first).unwrap_or(usize::MAX)).map(<[u8]>::len).sum();
        let part = |bytes, count| Self { bytes, count };
        [part(bytes.slice(..cut), first), part(bytes.slice(cut..), self.count - first)]
    }

    /// One plain piece of many, in their order.
    pub(super) fn join(pieces: &[Self]) -> Self {
        if let [one] = pieces {
            return one.clone();
        }
        let plain: Vec<_> = pieces.iter().map(Self::plain).collect();
        Self { bytes: plain.concat().into(), count: pieces.iter().map(|piece| piece.count).sum() }
    }

    /// Whether its documents have types: all of them do, or none.
    pub(super) fn begins_with_type(&self, name: &str) -> bool {
        let begin = match Compression::of(&self.bytes) {
            Compression::None => self.bytes[..self.bytes.len().min(LONGEST_ACTION)].to_vec(),
            _ => gzip::beginning(&self.bytes, LONGEST_ACTION),
        };
        memchr::memmem::find(lines(&begin).0, &type_member(name)).is_some()
    }

    /// Without the types of documents.
    pub(super) fn without_type(&self, name: &str) -> Self {
        let member = type_member(name);
        self.with_actions(|action, bytes| match memchr::memmem::find(action, &member) {
            Some(at) => {
                bytes.extend_from_slice(&action[..at]);
                bytes.extend_from_slice(&action[at + member.len()..]);
            }
            None => bytes.extend_from_slice(action),
        })
    }

    /// With this type for all documents, which have none.
    pub(super) fn with_type(&self, name: &str) -> Self {
        let member = type_member(name);
        self.with_actions(|action, bytes| {
            let at = end_of_index(action);
            bytes.extend_from_slice(&action[..at]);
            bytes.extend_from_slice(&member);
            bytes.extend_from_slice(&action[at..]);
        })
    }

    fn with_actions(&self, write: impl Fn(&[u8], &mut Vec<u8>)) -> Self {
        let plain = self.plain();
        let mut bytes = Vec::with_capacity(plain.len());
        for item in items(&plain) {
            let (action, document) = lines(item);
            write(action, &mut bytes);
            bytes.extend_from_slice(document);
        }
        Self { bytes: bytes.into(), count: self.count }
    }
}

/// After `{"create":{"_index":"NAME"`. A name of an index has no quotes.
fn end_of_index(action: &[u8]) -> usize {
    const BEFORE: &[u8] = b"\"_index\":\"";
    let begin = memchr::memmem::find(action, BEFORE).map_or(0, |at| at + BEFORE.len());
    memchr::memchr(b'"', &action[begin..]).map_or(action.len(), |length| begin + length + 1)
}

/// `,"_type":"_doc"`, as it stands in an action.
pub(super) fn type_member(name: &str) -> Vec<u8> {
    let mut member = b",\"_type\":".to_vec();
    json::string(name.as_bytes(), &mut member);
    member
}

/// The documents of a body, each with its action: two lines.
pub(super) fn items(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = body;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr_iter(b'\n', rest).nth(1).map_or(rest.len(), |at| at + 1);
        let (item, after) = rest.split_at(end);
        rest = after;
        Some(item)
    })
}

/// The action and the document, both with their line ends.
pub(super) fn lines(item: &[u8]) -> (&[u8], &[u8]) {
    item.split_at(memchr::memchr(b'\n', item).map_or(item.len(), |at| at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(count: u64) -> Piece {
        let item = |n| {
            format!("{{\"create\":{{\"_index\":\"a\",\"_type\":\"t\",\"_id\":\"{n}\"}}}}\n{{\"m\":\"_type {n}\"}}\n")
        };
        Piece { bytes: (0..count).map(item).collect::<String>().into(), count }
    }

    #[test]
    fn halves_are_the_whole() {
        for count in 2..9 {
            let whole = piece(count);
            let halves = whole.halves();
            assert_eq!(halves.each_ref().map(|half| items(&half.bytes).count() as u64), [count / 2, count - count / 2]);
            let joined = Piece::join(&halves);
            assert_eq!((joined.bytes, joined.count), (whole.bytes, count));
        }
    }

    #[test]
    fn what_was_packed_can_be_taken_apart() {
        let plain = piece(3);
        for compression in [Compression::Gzip, Compression::Zstd] {
            let packed = Piece { bytes: compression.pack(&plain.bytes).into(), count: 3 };
            assert_eq!(packed.plain(), plain.bytes);
            assert_eq!(packed.halves()[1].bytes, plain.halves()[1].bytes);
            assert_eq!(Piece::join(&[packed.clone(), plain.clone()]).bytes, [&*plain.bytes, &*plain.bytes].concat());
            assert_eq!(Compression::of(&Piece::join(&[packed]).bytes), compression);
        }
    }

    #[test]
    fn whether_there_are_types_is_seen_at_the_beginning() {
        let typed = piece(100);
        let packed = |piece: &Piece| Piece { bytes: gzip::pack(&piece.bytes).into(), count: piece.count };
        assert!(typed.begins_with_type("t") && packed(&typed).begins_with_type("t"));
        let bare = typed.without_type("t");
        assert!(!bare.begins_with_type("t") && !packed(&bare).begins_with_type("t"));
    }

    #[test]
    fn types_go_out_of_the_actions_only() {
        let text = String::from_utf8(piece(2).without_type("t").bytes.to_vec()).unwrap();
        let wanted = "{\"create\":{\"_index\":\"a\",\"_id\":\"0\"}}\n{\"m\":\"_type 0\"}\n\
                      {\"create\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"m\":\"_type 1\"}\n";
        assert_eq!(text, wanted);
        assert_eq!(piece(2).without_type("t").with_type("t").bytes, piece(2).bytes);
    }
}
