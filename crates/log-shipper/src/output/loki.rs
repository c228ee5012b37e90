//! To Loki, by its push API.
//!
//! ```text
//! encode: records -> streams by their labels (labels, line, entries)
//! deliver: streams -> requests (push) -> what the answer means (answer)
//! ```

mod answer;
mod deliver;
mod encode;
mod entries;
mod labels;
mod line;
mod push;
mod streams;

use std::{num::NonZeroUsize, str::FromStr, sync::Arc};

use common::{Failure, config::Section};

pub use self::labels::Labels;
use self::{deliver::Sender, encode::Encoder};
pub use super::template::Template;
use super::{
    Deliver, Encode, Ship,
    gzip::Compression,
    web::{Web, below},
};

#[derive(Clone, Debug)]
pub struct Loki {
    pub web: Web,
    /// What makes a stream. Few different ones: each costs Loki memory.
    pub labels: Labels,
    /// What goes beside each line: since Loki 3 as many different ones as one likes.
    pub metadata: Labels,
    pub line: Line,
    pub form: Form,
    /// So many streams in one request. Loki answers for the last of them only: when it has no room for an earlier one
    /// for now (429), it drops that and says that all is well.
    pub streams: usize,
    /// When there are so many different streams within an hour, further ones go without the labels that differ from
    /// line to line.
    pub most_streams: usize,
}

/// What a record is to Loki.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// As it is in the file.
    Raw,
    /// An object of all fields.
    Json,
    /// `key=value` pairs.
    Logfmt,
}

/// How a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With snappy, as Loki's own clients do.
    Protobuf,
    Json,
}

impl FromStr for Line {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "raw" => Ok(Self::Raw),
            "json" => Ok(Self::Json),
            "logfmt" => Ok(Self::Logfmt),
            _ => Err("expected raw, json or logfmt"),
        }
    }
}

impl FromStr for Form {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "protobuf" => Ok(Self::Protobuf),
            "json" => Ok(Self::Json),
            _ => Err("expected protobuf or json"),
        }
    }
}

const TENANT: &str = "X-Scope-OrgID";

impl Loki {
    pub fn new(web: Web) -> Self {
        let from = |name: &str, template: Template| (name.to_owned(), template);
        Self {
            web,
            labels: Labels(vec![from("job", Template::tag()), from("filename", Template::path())]),
            metadata: Labels::default(),
            line: Line::Raw,
            form: Form::Protobuf,
            streams: 1,
            most_streams: 1000,
        }
    }

    /// Loki keeps the logs of each tenant apart.
    pub fn of_tenant(&mut self, tenant: String) {
        self.web.headers.push((TENANT.into(), tenant));
    }
}

pub fn read(section: &mut Section) -> Arc<dyn Ship> {
    let defaults = Loki::new(Web::read(section));
    let compresses = defaults.web.compression != Compression::None;
    let labels = read_labels(section, "labels");
    let mut loki = Loki {
        labels: if labels.0.is_empty() { defaults.labels.clone() } else { labels },
        metadata: read_labels(section, "structured_metadata"),
        line: section.parsed("line").unwrap_or(defaults.line),
        form: section.parsed("format").unwrap_or(defaults.form),
        streams: section.parsed("streams_per_push").map_or(defaults.streams, NonZeroUsize::get),
        most_streams: section.parsed("most_streams").map_or(defaults.most_streams, NonZeroUsize::get),
        ..defaults
    };
    if compresses && loki.form == Form::Protobuf {
        section.problem("compress: for format: json only; protobuf is compressed with snappy already");
    }
    if let Some(tenant) = section.parsed("tenant") {
        loki.of_tenant(tenant);
    }
    Arc::new(loki)
}

fn read_labels(section: &mut Section, key: &str) -> Labels {
    let pairs = section.pairs(key);
    let read = |(name, text): (String, String)| {
        let template = text.parse::<Template>().and_then(|template| labels::check(&name).map(|()| template));
        template
            .map_err(|expected| section.problem(format_args!("{key}: {name}: \"{text}\": {expected}")))
            .ok()
            .map(|template| (name, template))
    };
    Labels(pairs.into_iter().filter_map(read).collect())
}

/// Where to push; a URL that says so itself is left as it is.
fn endpoint(base: &str) -> String {
    let (path, _) = base.split_once('?').unwrap_or((base, ""));
    if path.ends_with("/push") { base.to_owned() } else { below(base, "/loki/api/v1/push", &[]) }
}

impl Ship for Loki {
    fn open(&self) -> Result<(Box<dyn Encode>, Box<dyn Deliver>), Failure> {
        let is_crowded = Arc::default();
        let encoder = Encoder::new(self.clone(), Arc::clone(&is_crowded));
        Ok((Box::new(encoder), Box::new(Sender::new(self.clone(), is_crowded)?)))
    }
}

#[cfg(test)]
mod tests;
