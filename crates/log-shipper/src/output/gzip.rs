//! Bodies made smaller, on the reading thread.

use std::{
    io::{self, Read, Write},
    str::FromStr,
};

use flate2::{Compression as Level, read, write};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    #[default]
    None,
    Gzip,
}

impl FromStr for Compression {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "gzip" => Ok(Self::Gzip),
            _ => Err("expected gzip or none"),
        }
    }
}

/// At the quickest level: the others cost more than they save on the way.
pub fn pack(body: &[u8]) -> Vec<u8> {
    let packed = write::GzEncoder::new(Vec::with_capacity(body.len() / 8), Level::fast());
    written(packed, body, write::GzEncoder::finish).unwrap_or_default()
}

/// All that is left of a file.
pub fn pack_into(from: &mut impl Read, to: impl Write) -> io::Result<()> {
    let mut packed = write::GzEncoder::new(to, Level::fast());
    io::copy(from, &mut packed)?;
    packed.finish().map(drop)
}

/// What we packed ourselves.
pub fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    let plain = write::GzDecoder::new(Vec::with_capacity(packed.len() * 8));
    written(plain, packed, write::GzDecoder::finish)
}

/// The first bytes of what was packed; fewer where it is shorter or broken.
pub fn beginning(packed: &[u8], most: usize) -> Vec<u8> {
    let mut plain = vec![0; most];
    let mut decoder = read::GzDecoder::new(packed);
    let mut filled = 0;
    while let Ok(count @ 1..) = decoder.read(&mut plain[filled..]) {
        filled += count;
    }
    plain.truncate(filled);
    plain
}

fn written<W: Write>(mut to: W, bytes: &[u8], finish: impl FnOnce(W) -> io::Result<Vec<u8>>) -> io::Result<Vec<u8>> {
    to.write_all(bytes)?;
    finish(to)
}

/// JSON and text never begin so.
pub fn is_packed(body: &[u8]) -> bool {
    body.starts_with(&[0x1f, 0x8b])
}
