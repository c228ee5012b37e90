//! One line per record: as it was, or as a JSON object.

use std::str::FromStr;

use super::{
    Encode,
    layout::{self, Layout},
};
use crate::{json, parse::time::Writer, record::Record};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Byte for byte what the file has.
    Raw,
    /// An object with the time and all fields.
    Json,
    /// As somebody else writes it.
    Layout(Layout),
}

impl FromStr for Shape {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "raw" => Ok(Self::Raw),
            "json" => Ok(Self::Json),
            _ => Err("expected raw or json"),
        }
    }
}

pub(super) struct Lines {
    shape: Shape,
    clock: Writer,
    body: Vec<u8>,
    count: usize,
}

impl Lines {
    pub(super) fn new(shape: Shape) -> Self {
        Self { shape, clock: Writer::default(), body: Vec::new(), count: 0 }
    }
}

impl Encode for Lines {
    fn record(&mut self, record: &Record<'_>) {
        line(&self.shape, &mut self.clock, self.count, record, &mut self.body);
        self.count += 1;
    }

    fn size(&self) -> usize {
        self.body.len()
    }

    fn seal(&mut self) -> Vec<u8> {
        self.count = 0;
        std::mem::take(&mut self.body)
    }
}

/// `count` records of the body were before this one.
pub(super) fn line(shape: &Shape, clock: &mut Writer, count: usize, record: &Record<'_>, body: &mut Vec<u8>) {
    match shape {
        Shape::Raw => body.extend_from_slice(record.raw),
        Shape::Json => {
            body.extend_from_slice(b"{\"time\":\"");
            clock.millis(record.time, body);
            body.push(b'"');
            json::members(record, body);
            body.push(b'}');
        }
        Shape::Layout(pieces) => layout::write(pieces, count, record, body),
    }
    body.push(b'\n');
}
