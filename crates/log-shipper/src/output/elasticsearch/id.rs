//! The id of a document: where its line is, and what it says. Sent again, a record is recognised; 409 is success then.

use xxhash_rust::xxh3::xxh3_64;

use crate::record::Record;

/// As long as every id is. 18 bytes in the base64 that Elasticsearch stores as bytes again.
pub(super) const LENGTH: usize = 24;
/// Of which so much is the same for a terabyte of a file.
pub(super) const HEAD: usize = 12;

/// What the head is made of: the file, and the upper part of the offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    file: u64,
    upper: u8,
}

impl Place {
    pub(super) fn of(record: &Record<'_>) -> Self {
        Self { file: record.file, upper: record.offset.to_be_bytes()[2] }
    }

    pub(super) fn head(&self) -> [u8; HEAD] {
        let mut bytes = [0; 9];
        bytes[..8].copy_from_slice(&self.file.to_be_bytes());
        bytes[8] = self.upper;
        base64(bytes)
    }
}

/// The lower part of the offset, and a hash of the line: where a file was cut and begun anew without anybody noticing,
/// another line at the same place must not be taken for the one that is there already.
pub(super) fn tail(record: &Record<'_>) -> [u8; HEAD] {
    let mut bytes = [0; 9];
    bytes[..5].copy_from_slice(&record.offset.to_be_bytes()[3..]);
    bytes[5..].copy_from_slice(&xxh3_64(record.raw).to_be_bytes()[4..]);
    base64(bytes)
}

/// Nine bytes as twelve characters that are safe in URLs.
fn base64(bytes: [u8; 9]) -> [u8; 12] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = [0; 12];
    for (three, four) in bytes.chunks_exact(3).zip(text.chunks_exact_mut(4)) {
        let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        for (place, shift) in four.iter_mut().zip([18, 12, 6, 0]) {
            *place = ALPHABET[(bits >> shift) as usize & 63];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Body, Origin, Time};

    fn id(file: u64, offset: u64, raw: &[u8]) -> String {
        let origin = Origin { tag: String::new(), path: String::new(), fields: Vec::new(), line_key: String::new() };
        let record = Record { origin: &origin, file, offset, raw, time: Time(0), body: Body::Line(raw) };
        let text = [Place::of(&record).head(), tail(&record)].concat();
        assert_eq!(text.len(), LENGTH);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn an_id_is_of_the_file_the_place_and_the_line() {
        let one = id(u64::MAX, 0, b"line");
        assert_eq!(one, id(u64::MAX, 0, b"line"));
        assert!(one.starts_with("__________8A"), "{one}");
        for other in [
            id(u64::MAX - 1, 0, b"line"),
            id(u64::MAX, 1, b"line"),
            id(u64::MAX, 1 << 40, b"line"),
            id(u64::MAX, 0, b"lime"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn ids_of_a_file_are_in_its_order() {
        // Which is what makes them small in the index.
        let ids: Vec<_> = [0, 1, 255, 256, 1 << 20, 1 << 39].map(|offset| id(7, offset, b"")).into();
        let bits = |id: &String| {
            id.bytes()
                .map(|char| {
                    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
                        .iter()
                        .position(|known| *known == char)
                })
                .collect::<Vec<_>>()
        };
        assert!(ids.iter().map(bits).is_sorted());
    }
}
