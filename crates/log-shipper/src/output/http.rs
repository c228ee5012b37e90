//! To anything that takes HTTP: lines as they were, JSON objects in lines, or an array of them.

mod body;
mod deliver;
mod encode;

use std::{str::FromStr, sync::Arc};

use common::{Failure, config::Section};
use http_client::Expect;

use self::{deliver::Sender, encode::Encoder};
use super::{DeadLetter, Encode, Ship, dead_letter, web::Web};

#[derive(Clone, Debug)]
pub struct Http {
    pub web: Web,
    pub method: Method,
    pub format: Format,
    /// The field that gets the time, where there is one.
    pub time_key: Option<String>,
    pub time_format: TimeFormat,
    /// The field that gets the tag.
    pub tag_key: Option<String>,
    /// The answers that mean that the receiver has the batch.
    pub success: Expect,
    /// Those that mean that it will never take it. After all others it is sent again.
    pub refused: Expect,
    pub dead_letter: Option<DeadLetter>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    #[default]
    Post,
    Put,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Byte for byte what the file has.
    Raw,
    /// An object for each record, in a line of its own.
    #[default]
    JsonLines,
    /// One array of objects.
    Json,
}

/// How the time is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeFormat {
    /// `"2026-11-21T05:13:16.154Z"`
    #[default]
    Rfc3339,
    /// Since 1970: `1795238396.154000`.
    Seconds,
    /// Since 1970: `1795238396154`.
    Millis,
}

const TIME: &str = "time";
/// What is wrong with these is in the batch itself. Whatever else a receiver says may be set right without it: a token,
/// a path, a proxy between.
const REFUSED: [u16; 3] = [400, 413, 422];

impl Http {
    pub fn new(web: Web) -> Self {
        Self {
            web,
            method: Method::default(),
            format: Format::default(),
            time_key: Some(TIME.into()),
            time_format: TimeFormat::default(),
            tag_key: None,
            success: Expect::default(),
            refused: Expect::codes(REFUSED),
            dead_letter: None,
        }
    }
}

pub fn read(section: &mut Section) -> Arc<dyn Ship> {
    let defaults = Http::new(Web::read(section));
    let time_key: Option<String> = section.parsed("time_key");
    let http = Http {
        method: section.parsed("method").unwrap_or_default(),
        format: section.parsed("format").unwrap_or_default(),
        time_key: time_key.map_or(defaults.time_key, |key| Some(key).filter(|key| !key.is_empty())),
        time_format: section.parsed("time_format").unwrap_or_default(),
        tag_key: section.parsed("tag_key"),
        success: section.parsed("success").unwrap_or(defaults.success),
        refused: section.parsed("refused").unwrap_or(defaults.refused),
        dead_letter: dead_letter::read(section),
        web: defaults.web,
    };
    if http.format == Format::Raw && http.tag_key.is_some() {
        section.problem("tag_key: only for the formats json_lines and json");
    }
    Arc::new(http)
}

impl Ship for Http {
    fn open(&self) -> Result<super::Halves, Failure> {
        let encode: Box<dyn Encode> = Box::new(Encoder::new(self.clone()));
        Ok((encode, Box::new(Sender::new(self.clone())?)))
    }
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

impl FromStr for Method {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_uppercase().as_str() {
            "POST" => Ok(Self::Post),
            "PUT" => Ok(Self::Put),
            _ => Err("expected POST or PUT"),
        }
    }
}

impl Format {
    fn content_type(self) -> &'static str {
        match self {
            Self::Raw => "text/plain; charset=utf-8",
            Self::JsonLines => "application/x-ndjson",
            Self::Json => "application/json",
        }
    }
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "raw" => Ok(Self::Raw),
            "json_lines" | "ndjson" => Ok(Self::JsonLines),
            "json" => Ok(Self::Json),
            _ => Err("expected raw, json_lines (the same as ndjson) or json"),
        }
    }
}

impl FromStr for TimeFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "rfc3339" => Ok(Self::Rfc3339),
            "seconds" => Ok(Self::Seconds),
            "millis" => Ok(Self::Millis),
            _ => Err("expected rfc3339, seconds or millis"),
        }
    }
}
