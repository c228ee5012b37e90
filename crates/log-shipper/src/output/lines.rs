//! One line per record: as it was, or as a JSON object.

use std::str::FromStr;

use super::Encode;
use crate::{json, parse::time::Writer, record::Record};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Byte for byte what the file has.
    Raw,
    /// An object with the time and all fields.
    Json,
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
}

impl Lines {
    pub(super) fn new(shape: Shape) -> Self {
        Self { shape, clock: Writer::default(), body: Vec::new() }
    }
}

impl Encode for Lines {
    fn record(&mut self, record: &Record<'_>) {
        line(self.shape, &mut self.clock, record, &mut self.body);
    }

    fn size(&self) -> usize {
        self.body.len()
    }

    fn seal(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.body)
    }
}

pub(super) fn line(shape: Shape, clock: &mut Writer, record: &Record<'_>, body: &mut Vec<u8>) {
    match shape {
        Shape::Raw => body.extend_from_slice(record.raw),
        Shape::Json => {
            body.extend_from_slice(b"{\"time\":\"");
            clock.millis(record.time, body);
            body.push(b'"');
            json::members(record, body);
            body.push(b'}');
        }
    }
    body.push(b'\n');
}
