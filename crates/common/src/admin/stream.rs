//! Answers that are made while they are sent, so that a large one needs no more memory than a small one.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::{
    HeaderMap,
    body::{Body, Frame, SizeHint},
};

/// What a handler may look at.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
}

impl Asked<'_> {
    /// All values of a header as one list; empty if it is not there.
    pub fn header(&self, name: &str) -> String {
        let values: Vec<_> = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        values.join(", ")
    }
}

/// Called for the next part of a body when there is room for it, until there is none. A part is not empty.
pub type Parts = Box<dyn FnMut() -> Option<Vec<u8>> + Send>;

/// An answer that is made while it is sent.
pub struct Streamed {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub parts: Parts,
}

/// So many parts may follow each other before somebody else has a turn: signals and probes share the thread.
const MOST_IN_A_ROW: u32 = 4;

pub(super) enum Content {
    Whole(Option<Bytes>),
    Made { parts: Parts, in_a_row: u32 },
}

impl Content {
    pub(super) fn made(parts: Parts) -> Self {
        Self::Made { parts, in_a_row: 0 }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = match &mut *self {
            Self::Whole(bytes) => bytes.take().filter(|bytes| !bytes.is_empty()),
            Self::Made { in_a_row, .. } if *in_a_row >= MOST_IN_A_ROW => {
                *in_a_row = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Self::Made { parts, in_a_row } => {
                *in_a_row += 1;
                parts().map(Bytes::from)
            }
        };
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Made { .. } => SizeHint::default(),
        }
    }
}
