//! Bodies taken apart again: only where something was refused.

use http_client::Bytes;

use super::{
    Format,
    encode::{AFTER_ALL, BEFORE_ALL, BETWEEN},
};
use crate::output::{
    dead_letter::{Dead, Document},
    gzip::{self, Compression},
};

/// A part of a batch on its way: as the encoder sealed it, or plain.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    /// How many records it has.
    pub(super) count: u64,
}

impl Piece {
    fn plain(&self) -> Bytes {
        match Compression::of(&self.bytes) {
            Compression::None => self.bytes.clone(),
            _ => gzip::unpack(&self.bytes).map_or_else(|_| self.bytes.clone(), Bytes::from),
        }
    }

    /// The records, without what is around and between them.
    fn records(&self, format: Format) -> Vec<Bytes> {
        let plain = self.plain();
        let inside = match format {
            Format::Json => plain.strip_prefix(BEFORE_ALL).and_then(|rest| rest.strip_suffix(AFTER_ALL)),
            Format::Raw | Format::JsonLines => plain.strip_suffix(b"\n"),
        };
        let inside = inside.unwrap_or(&plain);
        let between = if format == Format::Json { BETWEEN } else { b"\n" };
        let mut begin = 0;
        let ends = memchr::memmem::find_iter(inside, between).chain([inside.len()]);
        let record = |end| {
            let record = &inside[begin..end];
            begin = end + between.len();
            plain.slice_ref(record)
        };
        ends.map(record).collect()
    }

    fn of(records: &[Bytes], count: u64, format: Format) -> Self {
        let bytes = match format {
            Format::Json => [BEFORE_ALL, &records.join(BETWEEN), AFTER_ALL].concat(),
            Format::Raw | Format::JsonLines => [&records.join(&b'\n'), b"\n".as_slice()].concat(),
        };
        Self { bytes: bytes.into(), count }
    }

    /// Both halves, where there is more than one record.
    pub(super) fn halves(&self, format: Format) -> Option<[Self; 2]> {
        let records = self.records(format);
        if self.count < 2 || records.len() < 2 {
            return None;
        }
        let (first, second) = records.split_at(records.len() / 2);
        // A record of several lines, as it was, is as many here. Together they are as many as there are.
        let count = (first.len() as u64).min(self.count - 1);
        Some([Self::of(first, count, format), Self::of(second, self.count - count, format)])
    }

    /// One piece of many, in their order.
    pub(super) fn join(pieces: &[Self], format: Format) -> Self {
        if let [one] = pieces {
            return one.clone();
        }
        let records: Vec<_> = pieces.iter().flat_map(|piece| piece.records(format)).collect();
        Self::of(&records, pieces.iter().map(|piece| piece.count).sum(), format)
    }

    pub(super) fn dead(&self, format: Format, reason: &'static str, why: &str) -> Vec<Dead> {
        let dead = |record| Dead {
            reason,
            why: why.to_owned(),
            place: Vec::new(),
            document: match format {
                Format::Raw => Document::Text(record),
                Format::JsonLines | Format::Json => Document::Json(record),
            },
        };
        self.records(format).into_iter().map(dead).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMATS: [(Format, &str); 3] = [
        (Format::Raw, "a\nb\nc\n"),
        (Format::JsonLines, "{\"a\":1}\n{}\n{}\n"),
        (Format::Json, "[{},\n{\"b\":\",\\n\"},\n{}]"),
    ];

    #[test]
    fn halves_are_the_whole() {
        for (format, text) in FORMATS {
            for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
                let whole = Piece { bytes: compression.pack(text.as_bytes()).into(), count: 3 };
                let halves = whole.halves(format).unwrap();
                assert_eq!(halves.each_ref().map(|half| half.count), [1, 2], "{text}");
                assert!(halves[0].halves(format).is_none());
                assert_eq!(Piece::join(&halves, format).bytes, text);
            }
        }
    }

    #[test]
    fn each_record_is_refused_by_itself() {
        for (format, text) in FORMATS {
            let piece = Piece { bytes: text.into(), count: 3 };
            assert_eq!(piece.dead(format, "refused", "no").len(), 3, "{text}");
        }
    }
}
