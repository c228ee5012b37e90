//! Compression of a body that is made part by part.

use std::io::Write;

use exposition::Coding;
use flate2::{Compression, write::GzEncoder};
use zstd::stream::write::Encoder as ZstdEncoder;

/// The level that costs least: metrics compress well at any.
const LEVEL: i32 = 1;

pub(super) enum Compressor {
    Plain,
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Zstd(Box<ZstdEncoder<'static, Vec<u8>>>),
}

impl Compressor {
    pub(super) fn new(coding: Coding) -> Self {
        match coding {
            Coding::Plain => Self::Plain,
            Coding::Gzip => Self::Gzip(Box::new(GzEncoder::new(Vec::new(), Compression::fast()))),
            Coding::Zstd => {
                ZstdEncoder::new(Vec::new(), LEVEL).map_or(Self::Plain, |encoder| Self::Zstd(Box::new(encoder)))
            }
        }
    }

    /// Which one it is: memory may have been missing for the one that was asked for.
    pub(super) fn coding(&self) -> Coding {
        match self {
            Self::Plain => Coding::Plain,
            Self::Gzip(_) => Coding::Gzip,
            Self::Zstd(_) => Coding::Zstd,
        }
    }

    /// What a part becomes; possibly nothing yet. Writing to memory cannot fail.
    pub(super) fn part(&mut self, part: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Plain => part,
            Self::Gzip(encoder) => {
                let _ = encoder.write_all(&part);
                std::mem::take(encoder.get_mut())
            }
            Self::Zstd(encoder) => {
                let _ = encoder.write_all(&part);
                std::mem::take(encoder.get_mut())
            }
        }
    }

    /// What the last part becomes, and what the format ends with.
    pub(super) fn last(&mut self, part: Vec<u8>) -> Vec<u8> {
        let mut out = self.part(part);
        match std::mem::replace(self, Self::Plain) {
            Self::Plain => {}
            Self::Gzip(encoder) => out.extend(encoder.finish().unwrap_or_default()),
            Self::Zstd(encoder) => out.extend(encoder.finish().unwrap_or_default()),
        }
        out
    }
}
