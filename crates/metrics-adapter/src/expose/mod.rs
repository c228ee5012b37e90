//! The metrics endpoint: families as they are asked for, in the format and compression that the reader wants.
//!
//! ```text
//!  Accept, Accept-Encoding ──> Encoder, Compressor
//!  Scrape::more() ──> Encoder ──> 64 KiB at a time ──> Compressor ──> the connection, as fast as it takes them
//! ```
//!
//! The formats are the `exposition` crate's, which reads them too: what one sidecar of a pod exposes is another's input.

mod compress;
mod door;

pub use door::WebDoor;

use std::sync::Arc;

use common::{Asked, Streamed};
use exposition::{Encoder, Offer, Totals, coding, negotiate};

use compress::Compressor;

/// One scrape, written bit by bit.
pub trait Scrape: Send {
    /// Writes some more, about as much as fits in [`PART`]: a few families, or a part of a large one. False when there
    /// was nothing left to write. A family may go on in the next call: the encoder remembers which one it was.
    fn more(&mut self, encoder: &mut Encoder) -> bool;

    /// Called once, when the last byte was made.
    fn done(&mut self) {}
}

/// How many bytes are made at a time.
pub const PART: usize = 64 * 1024;

/// What readers are offered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exposing {
    pub offer: Offer,
    pub totals: Totals,
}

/// The handler for a path: `begin` is called for each scrape.
pub fn handler<S: Scrape + 'static>(
    exposing: Exposing,
    begin: impl Fn() -> S + Send + Sync + 'static,
) -> impl Fn(&Asked<'_>) -> Streamed + Send + Sync + 'static {
    let begin = Arc::new(begin);
    move |asked| scrape(exposing, asked, begin())
}

fn scrape(exposing: Exposing, asked: &Asked<'_>, mut scrape: impl Scrape + 'static) -> Streamed {
    let format = negotiate(&asked.header("accept"), exposing.offer);
    let mut compressor = Compressor::new(coding(&asked.header("accept-encoding")));
    let mut headers = vec![("content-type", format.content_type()), ("vary", "accept, accept-encoding".to_owned())];
    headers.extend(compressor.coding().name().map(|name| ("content-encoding", name.to_owned())));
    let mut encoder = Encoder::new(format).with_totals(exposing.totals);
    let mut left = true;
    let parts = Box::new(move || {
        while left {
            left = scrape.more(&mut encoder);
            if !left {
                encoder.finish();
            }
            let part = if encoder.ready() >= PART || !left { encoder.take(Vec::with_capacity(PART)) } else { continue };
            let part = if left { compressor.part(part) } else { compressor.last(part) };
            if !left {
                scrape.done();
            }
            if !part.is_empty() {
                return Some(part);
            }
        }
        None
    });
    Streamed { status: 200, headers, parts }
}
