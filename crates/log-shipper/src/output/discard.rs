//! To nowhere: for what should not go anywhere, and for measuring the rest.

use common::Failure;

use super::{Deliver, Delivery, Encode, Halves, Outcome, Ship};
use crate::{fill::Batch, record::Record};

#[derive(Clone, Debug)]
pub struct Discard;

impl Ship for Discard {
    fn open(&self) -> Result<Halves, Failure> {
        Ok((Box::new(Counter(0)), Box::new(Discard)))
    }
}

/// Bodies end somewhere, so that positions are remembered now and then.
struct Counter(usize);

impl Encode for Counter {
    fn record(&mut self, record: &Record<'_>) {
        self.0 += record.raw.len();
    }

    fn size(&self) -> usize {
        self.0
    }

    fn seal(&mut self) -> Vec<u8> {
        self.0 = 0;
        Vec::new()
    }
}

impl Deliver for Discard {
    fn deliver<'a>(&'a mut self, _batch: &'a mut Batch) -> Delivery<'a> {
        Box::pin(async { Outcome::Delivered })
    }
}
