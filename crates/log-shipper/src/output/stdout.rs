//! To our own standard output, which a container runtime keeps as the log of this container.

use std::{
    io::{self, Write},
    sync::Arc,
};

use common::{Failure, config::Section};

use super::{Deliver, Delivery, Encode, Outcome, Shape, Ship, lines::Lines};
use crate::fill::Batch;

#[derive(Clone, Debug)]
pub struct Stdout {
    pub shape: Shape,
}

pub(super) fn read(section: &mut Section) -> Arc<dyn Ship> {
    Arc::new(Stdout { shape: section.parsed("format").unwrap_or(Shape::Raw) })
}

impl Ship for Stdout {
    fn open(&self) -> Result<(Box<dyn Encode>, Box<dyn Deliver>), Failure> {
        Ok((Box::new(Lines::new(self.shape)), Box::new(Writer)))
    }
}

struct Writer;

impl Deliver for Writer {
    fn deliver<'a>(&'a mut self, batch: &'a mut Batch) -> Delivery<'a> {
        Box::pin(async move {
            let body = std::mem::take(&mut batch.body);
            // A pipe that nobody reads blocks: not this thread.
            match tokio::task::spawn_blocking(move || write(&body)).await {
                Ok(Ok(())) => Outcome::Delivered,
                Ok(Err(error)) => Outcome::Ended(format!("cannot write: {error}")),
                Err(error) => Outcome::Ended(error.to_string()),
            }
        })
    }
}

fn write(body: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(body)?;
    stdout.flush()
}
