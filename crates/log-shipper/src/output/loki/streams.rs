//! Which stream a record belongs to, and that there are not too many of them.
//!
//! Each costs Loki memory and small files, so a label that turns out to be different in every line is worse than none.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use super::{Labels, Template};
use crate::record::Record;

/// Loki has forgotten a stream that got nothing for so long.
const MEMORY: Duration = Duration::from_secs(3600);

pub(super) struct Streams {
    labels: Labels,
    /// Those that no single line can change: for records of streams that would be too many.
    plain: Labels,
    most: usize,
    known: HashSet<String>,
    since: Instant,
    were_too_many: bool,
    /// The stream of the record before this one, and where that came from, if that is all that matters.
    stream: String,
    origin: Option<(String, String)>,
    scratch: String,
}

impl Streams {
    pub(super) fn new(labels: Labels, most: usize) -> Self {
        let plain = labels.0.iter().filter(|(_, template)| !template.is_of_the_record()).cloned().collect();
        Self {
            labels,
            plain: Labels(plain),
            most,
            known: HashSet::new(),
            since: Instant::now(),
            were_too_many: false,
            stream: String::new(),
            origin: None,
            scratch: String::new(),
        }
    }

    /// As Loki writes it: `{job="app",level="info"}`.
    pub(super) fn of(&mut self, record: &Record<'_>) -> &str {
        let (tag, path) = (&record.origin.tag, &record.origin.path);
        if self.origin.as_ref().is_some_and(|(known, at)| known == tag && at == path) {
            return &self.stream;
        }
        write(&self.labels, record, &mut self.scratch, &mut self.stream);
        if !self.labels.are_of_the_record() {
            self.origin = Some((tag.clone(), path.clone()));
        } else if !self.has_room() {
            self.were_too_many = true;
            write(&self.plain, record, &mut self.scratch, &mut self.stream);
        }
        &self.stream
    }

    /// Whether it has happened since somebody asked.
    pub(super) fn were_too_many(&mut self) -> bool {
        std::mem::take(&mut self.were_too_many)
    }

    fn has_room(&mut self) -> bool {
        if self.known.contains(&self.stream) {
            return true;
        }
        if self.since.elapsed() > MEMORY {
            self.known.clear();
            self.since = Instant::now();
        }
        self.known.len() < self.most && self.known.insert(self.stream.clone())
    }
}

/// Loki takes no stream without a label: the tag, where there is nothing else.
fn write(labels: &Labels, record: &Record<'_>, scratch: &mut String, stream: &mut String) {
    stream.clear();
    labels.write(record, scratch, stream);
    if stream == "{}" {
        stream.clear();
        Labels(vec![("job".into(), Template::tag())]).write(record, scratch, stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Body, Field, Origin, Time, Value};

    #[test]
    fn streams_that_would_be_too_many_share_the_labels_of_their_file() {
        let label = |name: &str, text: &str| (name.to_owned(), text.parse().unwrap());
        let labels = [label("job", "x"), label("id", "{id}")];
        let mut streams = Streams::new(Labels(labels.into()), 2);
        let of = |streams: &mut Streams, id| {
            let fields = [Field { name: "id", value: Value::Integer(id) }];
            let (tag, path, line_key) = Default::default();
            let origin = Origin { tag, path, fields: Vec::new(), line_key };
            let record =
                Record { origin: &origin, file: 0, offset: 0, raw: b"", time: Time(0), body: Body::Fields(&fields) };
            streams.of(&record).to_owned()
        };
        let found = [1, 2, 1, 3, 2].map(|id| of(&mut streams, id));
        let [one, two, none] = [r#"{job="x",id="1"}"#, r#"{job="x",id="2"}"#, r#"{job="x"}"#];
        assert_eq!(found, [one, two, one, none, two]);
        assert!(streams.were_too_many() && !streams.were_too_many());
    }

    #[test]
    fn no_stream_is_without_a_label() {
        let mut streams = Streams::new(Labels(vec![("level".into(), Template::field("level"))]), 9);
        let (path, line_key) = Default::default();
        let origin = Origin { tag: "app".into(), path, fields: Vec::new(), line_key };
        let body = Body::Line(b"");
        let record = Record { origin: &origin, file: 0, offset: 0, raw: b"", time: Time(0), body };
        assert_eq!(streams.of(&record), r#"{job="app"}"#);
    }
}
