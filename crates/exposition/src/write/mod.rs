//! Writing: one encoder for all formats, filled family by family and emptied as it fills.

mod open;
mod proto;
mod text;

use crate::{Escaping, Format, Head, Kind, Labels, Sample, Shape, name::is_plain_name};

/// What becomes in OpenMetrics of a counter whose name does not end in `_total`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Totals {
    /// It keeps its name, and its type is unknown: a name must not depend on the format that was negotiated.
    #[default]
    Keep,
    /// It gets the suffix.
    Append,
}

/// Begin with [`family`](Self::family), go on with [`sample`](Self::sample), end with [`finish`](Self::finish), and
/// [`take`](Self::take) what is ready whenever it is enough.
#[derive(Debug)]
pub struct Encoder {
    format: Format,
    totals: Totals,
    out: Vec<u8>,
    family: Current,
    /// Of a family in protobuf that is not complete: where it begins. All before is ready.
    open: Option<usize>,
    series: Box<proto::Series>,
    escaped: Labels,
    /// When the last series of OpenMetrics began, as it was written: most began together with the one before.
    created: (Option<f64>, Vec<u8>),
}

/// The family that was begun last.
#[derive(Debug, Default)]
struct Current {
    /// Escaped, without the suffixes that samples get.
    name: String,
    is_plain: bool,
    kind: Kind,
    /// What a sample of one number is called after the name.
    suffix: &'static str,
}

impl Encoder {
    pub fn new(format: Format) -> Self {
        Self {
            format,
            totals: Totals::default(),
            out: Vec::new(),
            family: Current::default(),
            open: None,
            series: Box::default(),
            escaped: Labels::default(),
            created: (None, Vec::new()),
        }
    }

    pub fn with_totals(mut self, totals: Totals) -> Self {
        self.totals = totals;
        self
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// Begins a family. Each name comes once, and the series follow at once.
    pub fn family(&mut self, head: &Head<'_>) {
        self.close();
        let name = self.format.escaping.apply(head.name);
        self.family.name.clear();
        self.family.kind = head.kind;
        self.family.suffix = "";
        self.family.name.push_str(&name);
        self.family.is_plain = is_plain_name(&self.family.name);
        match self.format.shape {
            Shape::Text => self.text_head(head),
            Shape::OpenMetrics => self.open_head(head),
            Shape::Protobuf => self.proto_head(head),
        }
    }

    /// Writes a series of the family that was begun last.
    pub fn sample(&mut self, sample: &Sample<'_>) {
        if self.format.escaping == Escaping::AllowUtf8 || !self.needs_escaping(sample.labels) {
            return self.write(sample);
        }
        let escaped = sample.labels.pairs().map(|(name, value)| {
            let name = self.format.escaping.apply(&name).into_owned();
            (name, value)
        });
        self.escaped = Labels::new(escaped);
        let labels = std::mem::take(&mut self.escaped);
        self.write(&Sample { labels: &labels, ..*sample });
    }

    fn needs_escaping(&self, labels: &Labels) -> bool {
        labels.has_quoted_name() || self.format.escaping == Escaping::Dots && labels.text().contains('_')
    }

    fn write(&mut self, sample: &Sample<'_>) {
        match self.format.shape {
            Shape::Text => self.text_sample(sample),
            Shape::OpenMetrics => self.open_sample(sample),
            Shape::Protobuf => self.proto_sample(sample),
        }
    }

    /// Writes what comes last. Nothing may follow.
    pub fn finish(&mut self) {
        self.close();
        if self.format.shape == Shape::OpenMetrics {
            self.out.extend_from_slice(b"# EOF\n");
        }
    }

    /// How many bytes are complete, and can be taken.
    pub fn ready(&self) -> usize {
        self.open.unwrap_or(self.out.len())
    }

    /// What is complete. The buffer that is given becomes the next one, emptied.
    pub fn take(&mut self, mut next: Vec<u8>) -> Vec<u8> {
        next.clear();
        let ready = self.ready();
        next.extend_from_slice(&self.out[ready..]);
        self.open = self.open.map(|_| 0);
        self.out.truncate(ready);
        std::mem::replace(&mut self.out, next)
    }

    /// Ends the family that was begun last, if its format needs that.
    fn close(&mut self) {
        if let Some(start) = self.open.take() {
            self.proto_close(start);
        }
    }

    /// `what` is a word between two spaces. In `text` quotes may have to be escaped.
    fn comment(&mut self, what: &str, suffix: &str, text: &str, quotes: bool) {
        let out = &mut self.out;
        out.push(b'#');
        out.extend_from_slice(what.as_bytes());
        let Current { name, is_plain, .. } = &self.family;
        if *is_plain {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(suffix.as_bytes());
        } else {
            out.push(b'"');
            push_escaped(out, name, true);
            out.extend_from_slice(suffix.as_bytes());
            out.push(b'"');
        }
        out.push(b' ');
        push_escaped(out, text, quotes);
        out.push(b'\n');
    }

    /// Name, suffix and labels of a sample, up to the space before the value.
    fn opening(&mut self, suffix: &str, labels: &str, extra: Option<(&str, f64)>) {
        let out = &mut self.out;
        let Current { name, is_plain, .. } = &self.family;
        let mut separator: &[u8] = b"{";
        if *is_plain {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(suffix.as_bytes());
        } else {
            out.extend_from_slice(b"{\"");
            push_escaped(out, name, true);
            out.extend_from_slice(suffix.as_bytes());
            out.push(b'"');
            separator = b",";
        }
        if !labels.is_empty() {
            out.extend_from_slice(separator);
            out.extend_from_slice(labels.as_bytes());
            separator = b",";
        }
        if let Some((name, bound)) = extra {
            out.extend_from_slice(separator);
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"=\"");
            match self.format.shape {
                Shape::OpenMetrics => crate::number::push_with_point(out, bound),
                _ => crate::number::push(out, bound),
            }
            out.push(b'"');
            separator = b",";
        }
        if separator == b"," {
            out.push(b'}');
        }
        out.push(b' ');
    }
}

/// Text as it stands in a line, with or without quotes around it.
fn push_escaped(out: &mut Vec<u8>, text: &str, quotes: bool) {
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr3(b'\\', b'\n', b'"', rest) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            quote if quotes => out.extend_from_slice(&[b'\\', quote]),
            quote => out.push(quote),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}
