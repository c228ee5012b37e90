//! Where records go. An output is one file: how it writes records down ([`Encode`]), and how it sends them ([`Deliver`]).

mod dead_letter;
mod discard;
pub mod elasticsearch;
pub mod file;
pub mod forward;
pub mod gzip;
pub mod http;
pub mod layout;
mod lines;
pub mod loki;
mod parts;
mod reports;
mod stdout;
mod template;
pub mod web;

use std::{fmt::Debug, future::Future, io, pin::Pin, sync::Arc, time::Duration};

use common::{Failure, config::Section};

use crate::{fill::Batch, record::Record};

pub use {dead_letter::DeadLetter, discard::Discard, lines::Shape, reports::Reports, stdout::Stdout};

/// Every output: its key in the config file, and how its settings are read there. A new one is a file and a line here.
pub const KINDS: [(&str, Read); 7] = [
    ("elasticsearch", elasticsearch::read),
    ("file", file::read),
    ("forward", forward::read),
    ("http", http::read),
    ("loki", loki::read),
    ("opensearch", elasticsearch::read),
    ("stdout", stdout::read),
];

type Read = fn(&mut Section) -> Arc<dyn Ship>;

/// An output, as configured.
pub trait Ship: Debug + Send + Sync {
    /// The two halves. What is wrong with the settings and can be known without a connection is found here.
    fn open(&self) -> Result<Halves, Failure>;
}

/// The half that writes records down, and the one that sends them.
pub type Halves = (Box<dyn Encode>, Box<dyn Deliver>);

/// Writes records into a body, on the reading thread.
pub trait Encode: Send {
    fn record(&mut self, record: &Record<'_>);

    /// How large the body would be. Batches are sent when this reaches their limit.
    fn size(&self) -> usize;

    /// The body, ready to be sent; the next record begins a new one.
    fn seal(&mut self) -> Vec<u8>;
}

/// Sends bodies, on the main thread: it may wait, not block.
pub trait Deliver: Send {
    /// Called once, before the first batch.
    fn report_to(&mut self, _reports: Reports) {}

    /// One attempt. It may take out of the batch what has arrived, and say [`Outcome::Again`] for the rest.
    fn deliver<'a>(&'a mut self, batch: &'a mut Batch) -> Delivery<'a>;
}

/// An attempt under way.
pub type Delivery<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// What became of one attempt.
#[derive(Debug)]
pub enum Outcome {
    Delivered,
    /// Not now. The server may have said when.
    Again {
        why: String,
        after: Option<Duration>,
    },
    /// Never: trying again would be refused again. The reason is one of few words.
    Refused {
        reason: &'static str,
        why: String,
    },
    /// There is nobody any more who could take it.
    Ended(String),
}

/// What takes long enough to keep probes waiting. A panic there is one here.
async fn on_a_thread<A, B>(input: A, work: impl FnOnce(A) -> B + Send + 'static) -> B
where
    A: Send + 'static,
    B: Send + 'static,
{
    match tokio::task::spawn_blocking(move || work(input)).await {
        Ok(output) => output,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// What went wrong, without what only programmers want to know.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split_once(" (os error").map_or(text.as_str(), |(text, _)| text);
    let mut chars = text.chars();
    // A name such as DNS stays as it is.
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}
