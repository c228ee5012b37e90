//! Bodies made smaller, on the reading thread.

use std::{
    io::{self, Read, Write},
    str::FromStr,
};

use flate2::{Compression as Level, read::GzDecoder, write::GzEncoder};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Zstd,
}

impl FromStr for Compression {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            _ => Err("expected gzip, zstd or none"),
        }
    }
}

impl Compression {
    /// As a body was packed. JSON and text never begin so.
    pub fn of(body: &[u8]) -> Self {
        match body {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// What the header Content-Encoding says of it.
    pub fn encoding(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    pub fn pack(self, body: &[u8]) -> Vec<u8> {
        match self {
            Self::None => body.to_vec(),
            Self::Gzip => pack(body),
            Self::Zstd => zstd::bulk::compress(body, ZSTD_LEVEL).map(shrunk).unwrap_or_else(|_| body.to_vec()),
        }
    }
}

/// The quickest levels: the others cost more than they save on the way.
const ZSTD_LEVEL: i32 = 1;

pub fn pack(body: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::with_capacity(body.len() / 8), Level::fast());
    // A vector takes all that is written to it.
    packed.write_all(body).and_then(|()| packed.finish()).unwrap_or_default()
}

fn shrunk(mut packed: Vec<u8>) -> Vec<u8> {
    packed.shrink_to_fit();
    packed
}

/// All that is left of a file.
pub fn pack_into(from: &mut impl Read, to: impl Write) -> io::Result<()> {
    let mut packed = GzEncoder::new(to, Level::fast());
    io::copy(from, &mut packed)?;
    packed.finish().map(drop)
}

/// What we packed ourselves.
pub fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::with_capacity(packed.len() * 8);
    io::copy(&mut unpacking(packed)?, &mut plain)?;
    Ok(plain)
}

/// How long a body is that was packed or was not: both formats say it, without looking into it.
pub fn plain_len(body: &[u8]) -> usize {
    let told = match Compression::of(body) {
        Compression::None => None,
        Compression::Gzip => body.last_chunk().map(|length| u64::from(u32::from_le_bytes(*length))),
        Compression::Zstd => zstd::zstd_safe::get_frame_content_size(body).ok().flatten(),
    };
    told.and_then(|length| usize::try_from(length).ok()).unwrap_or(body.len())
}

/// The first bytes of what was packed; fewer where it is shorter or broken.
pub fn beginning(packed: &[u8], most: usize) -> Vec<u8> {
    let mut plain = Vec::new();
    if let Ok(unpacking) = unpacking(packed) {
        // As far as it goes is what is wanted.
        let _ = io::copy(&mut unpacking.take(most as u64), &mut plain);
    }
    plain
}

fn unpacking<'a>(packed: &'a [u8]) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match Compression::of(packed) {
        Compression::None => Box::new(packed),
        Compression::Gzip => Box::new(GzDecoder::new(packed)),
        Compression::Zstd => Box::new(zstd::Decoder::new(packed)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_known_and_comes_back() {
        let body = b"{\"a\":1}\n".repeat(1000);
        for (compression, encoding) in
            [(Compression::None, None), (Compression::Gzip, Some("gzip")), (Compression::Zstd, Some("zstd"))]
        {
            let packed = compression.pack(&body);
            assert_eq!((Compression::of(&packed), compression.encoding()), (compression, encoding));
            assert_eq!(unpack(&packed).unwrap(), body);
            assert_eq!(plain_len(&packed), body.len());
            assert_eq!(beginning(&packed, 20), &body[..20]);
            assert!(compression == Compression::None || packed.len() < body.len() / 10);
        }
    }
}
