//! To our own standard output, which a container runtime keeps as the log of this container.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::Arc,
};

use common::{Failure, config::Section};

use super::{Deliver, Delivery, Encode, Outcome, Shape, Ship, lines::Lines};
use crate::{fill::Batch, record::Record};

#[derive(Clone, Debug)]
pub struct Stdout {
    pub shape: Shape,
    /// What files are called, by their paths. Where it is given, it is said which file the lines are from, each time it
    /// is another.
    pub names: Option<Arc<BTreeMap<String, String>>>,
}

pub(super) fn read(section: &mut Section) -> Arc<dyn Ship> {
    Arc::new(Stdout { shape: section.parsed("format").unwrap_or(Shape::Raw), names: None })
}

impl Ship for Stdout {
    fn open(&self) -> Result<(Box<dyn Encode>, Box<dyn Deliver>), Failure> {
        let lines = Lines::new(self.shape.clone());
        let encode: Box<dyn Encode> = match &self.names {
            Some(names) => Box::new(Named { lines, names: Arc::clone(names), body: Vec::new(), last: None }),
            None => Box::new(lines),
        };
        Ok((encode, Box::new(Writer)))
    }
}

/// Lines under the name of their file.
struct Named {
    lines: Lines,
    names: Arc<BTreeMap<String, String>>,
    /// What is done; the lines of the last file come after it.
    body: Vec<u8>,
    last: Option<String>,
}

impl Encode for Named {
    fn record(&mut self, record: &Record<'_>) {
        let path = &record.origin.path;
        if self.last.as_ref() != Some(path) {
            self.body.append(&mut self.lines.seal());
            let gap = if self.last.is_some() { "\n" } else { "" };
            self.body.extend_from_slice(format!("{gap}==> {} <==\n", self.names.get(path).unwrap_or(path)).as_bytes());
            self.last = Some(path.clone());
        }
        self.lines.record(record);
    }

    fn size(&self) -> usize {
        self.body.len() + self.lines.size()
    }

    fn seal(&mut self) -> Vec<u8> {
        self.body.append(&mut self.lines.seal());
        std::mem::take(&mut self.body)
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
