//! The formats in which metrics travel from a process to Prometheus, written and read.
//!
//! ```text
//!  Accept ── negotiate() ──> Format ──> Encoder ── family(), sample(), ... ──> bytes, taken as they come
//!  bytes ── read_text(), read_openmetrics(), read_protobuf() ──> families ── write_to() ──> Encoder
//! ```
//!
//! Nothing is collected before it is written: whoever has the metrics hands them in one by one, borrowed, and takes
//! the bytes away when there are enough of them. A hundred thousand series cost no more memory than one.
//!
//! No sockets, no files, no clock: a text goes in, a text comes out.

mod families;
#[cfg(any(test, fuzzing))]
pub mod invariants;
mod labels;
mod model;
mod name;
mod negotiate;
mod number;
mod proto;
mod read;
mod write;

pub use families::{Family, NativeBuckets, Series, Value};
pub use labels::{Labels, Pairs};
pub use model::{Bucket, Exemplar, Head, Histogram, Kind, Native, Point, Sample};
pub use name::{Escaping, is_plain_label, is_plain_name};
pub use negotiate::{Coding, Format, Offer, OpenMetrics, Shape, coding, negotiate};
pub use read::{Unreadable, read_openmetrics, read_protobuf, read_text};
pub use write::{Encoder, Totals};
