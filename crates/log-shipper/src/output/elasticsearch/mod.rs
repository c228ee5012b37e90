//! Elasticsearch and OpenSearch, by bulk requests. Every document has an id made of where its line is, so that what is
//! sent twice is there once.

mod answer;
mod body;
mod cloud_id;
mod deliver;
mod encode;
mod id;
mod index;
mod refused;
mod types;
mod verdict;

use std::{str::FromStr, sync::Arc};

use common::{Failure, config::Section};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use self::{deliver::Sender, encode::Bulk, types::Types};
use super::{Deliver, Encode, Ship, dead_letter, web::Web};

pub use self::{cloud_id::CloudId, index::Index};
pub use super::DeadLetter;

/// Where the server looks for the time, and what a data stream must have.
pub const TIMESTAMP: &str = "@timestamp";

#[derive(Clone, Debug)]
pub struct Elasticsearch {
    pub web: Web,
    /// Before `/_bulk`, after the path of the URL.
    pub path: String,
    pub index: Index,
    pub op: Op,
    pub pipeline: Option<String>,
    /// Sent with each document until the server refuses it, as all since version 8 do. Where it is not given, none is
    /// sent until the server demands one, as all before version 7 do.
    pub type_name: Option<String>,
    /// Whether documents get ids of ours. Without them what is sent twice is there twice.
    pub ids: bool,
    pub time_key: String,
    /// The field that gets the tag.
    pub tag_key: Option<String>,
    pub dead_letter: Option<DeadLetter>,
}

/// What is done with a document that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Op {
    /// It stays, and that is success. The only way into data streams.
    #[default]
    Create,
    /// It is written anew.
    Index,
}

impl Op {
    fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Index => "index",
        }
    }
}

impl FromStr for Op {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "create" => Ok(Self::Create),
            "index" => Ok(Self::Index),
            _ => Err("expected create or index"),
        }
    }
}

impl Elasticsearch {
    pub fn new(web: Web, index: Index) -> Self {
        Self {
            web,
            path: String::new(),
            index,
            op: Op::Create,
            pipeline: None,
            type_name: None,
            ids: true,
            time_key: TIMESTAMP.into(),
            tag_key: None,
            dead_letter: None,
        }
    }

    fn bulk_path(&self) -> String {
        format!("{}/_bulk", self.path.trim_matches('/'))
    }
}

pub fn read(section: &mut Section) -> Arc<dyn Ship> {
    let web = match section.parsed::<CloudId>("cloud_id") {
        Some(CloudId { url }) => Web::read_at(section, vec![url]),
        None => Web::read(section),
    };
    // Where there is none it is reported, and nothing is done with what stands for it.
    let index: Option<Index> = section.required("index");
    let is_data_stream = section.parsed("data_stream").unwrap_or(false);
    let op: Option<Op> = section.parsed("op");
    let time_key: Option<String> = section.parsed("time_key");
    if is_data_stream && op == Some(Op::Index) {
        section.problem("a data stream takes op: create only");
    }
    if is_data_stream && time_key.as_deref().is_some_and(|key| key != TIMESTAMP) {
        section.problem(format_args!("a data stream has its time in {TIMESTAMP}: expected no time_key"));
    }
    Arc::new(Elasticsearch {
        web,
        path: section.parsed("path").unwrap_or_default(),
        index: index.unwrap_or_default(),
        op: op.unwrap_or_default(),
        pipeline: section.parsed("pipeline"),
        type_name: section.parsed("type"),
        ids: section.parsed("ids").unwrap_or(true),
        time_key: time_key.unwrap_or_else(|| TIMESTAMP.into()),
        tag_key: section.parsed("tag_key"),
        dead_letter: dead_letter::read(section),
    })
}

impl Ship for Elasticsearch {
    fn open(&self) -> Result<(Box<dyn Encode>, Box<dyn Deliver>), Failure> {
        let types = Types::new(self.type_name.as_deref());
        let encode = Bulk::new(self.clone(), types.clone());
        let deliver = Sender::new(self.clone(), types)?;
        Ok((Box::new(encode), Box::new(deliver)))
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
