//! To files: as they were read or as JSON, in one file or in many, by date and by what records say.
//!
//! A batch counts as delivered when it is on the disk, all of it. A file is opened for each batch anew: whoever moves it
//! away meanwhile may, and a full disk or a directory that is not writable is a matter of this batch alone.

mod append;
mod path;
mod rotate;

use std::{num::NonZeroU32, str::FromStr, sync::Arc};

use common::{Failure, config::Section};
use values::ByteSize;

use self::append::append;
pub use self::path::Path;
use super::{
    Deliver, Delivery, Encode, Outcome, Reports, Shape, Ship,
    gzip::Compression,
    lines,
    parts::{self, Parts},
};
use crate::{fill::Batch, parse::time::Writer, record::Record};

#[derive(Clone, Debug)]
pub struct File {
    pub path: Path,
    pub shape: Shape,
    /// Whether a batch has to be on the disk before it counts as delivered, not just on its way there.
    pub sync: bool,
    pub rotate: Option<Rotate>,
}

/// When a file is moved away to `FILE.1`, the one that was there before to `FILE.2`, and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotate {
    /// Before it becomes larger.
    pub size: Option<u64>,
    /// When what is in it is of the hour or the day before.
    pub every: Option<Every>,
    /// So many are kept beside the file itself.
    pub keep: u32,
    /// Whether those that are kept are made smaller: `FILE.1.gz`.
    pub compress: Compression,
}

/// In UTC, as everything here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    Hour,
    Day,
}

impl FromStr for Every {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "hour" => Ok(Self::Hour),
            "day" => Ok(Self::Day),
            _ => Err("expected hour or day"),
        }
    }
}

const KEEP: u32 = 5;

pub fn read(section: &mut Section) -> Arc<dyn Ship> {
    // Where there is none it is reported, and nothing is done with what stands for it.
    let path = section.required("path").unwrap_or_default();
    let rotate = section.section("rotate").map(|mut section| {
        let size = section.parsed("size").map(|ByteSize(bytes)| bytes);
        let every = section.parsed("every");
        if size.is_none() && every.is_none() {
            section.problem("expected size, every, or both");
        }
        let keep = section.parsed("keep").map_or(KEEP, NonZeroU32::get);
        Rotate { size, every, keep, compress: section.parsed("compress").unwrap_or_default() }
    });
    Arc::new(File {
        path,
        shape: section.parsed("format").unwrap_or(Shape::Raw),
        sync: section.parsed("sync").unwrap_or(true),
        rotate,
    })
}

impl Ship for File {
    fn open(&self) -> Result<(Box<dyn Encode>, Box<dyn Deliver>), Failure> {
        let encoder = Lines {
            path: self.path.clone(),
            shape: self.shape.clone(),
            clock: Writer::default(),
            parts: Parts::default(),
            last: None,
            name: String::new(),
            scratch: String::new(),
        };
        Ok((Box::new(encoder), Box::new(Files { file: self.clone(), reports: Reports::default() })))
    }
}

/// Lines, for each file those that belong into it.
struct Lines {
    path: Path,
    shape: Shape,
    clock: Writer,
    parts: Parts,
    name: String,
    /// For which tag, path and second `name` is.
    last: Option<(String, String, i64)>,
    scratch: String,
}

impl Encode for Lines {
    fn record(&mut self, record: &Record<'_>) {
        let Self { path, shape, clock, parts, name, last, scratch } = self;
        let (tag, from) = (&record.origin.tag, &record.origin.path);
        let second = path.second(record);
        let is_same = |(known, at, then): &(String, String, i64)| known == tag && at == from && Some(*then) == second;
        if !last.as_ref().is_some_and(is_same) {
            name.clear();
            path.write(record, scratch, name);
            *last = second.map(|second| (tag.clone(), from.clone(), second));
        }
        parts.add(name, |_| {}, |body| lines::line(shape, clock, 0, record, body));
    }

    fn size(&self) -> usize {
        self.parts.size()
    }

    fn seal(&mut self) -> Vec<u8> {
        parts::join(self.parts.take())
    }
}

struct Files {
    file: File,
    reports: Reports,
}

impl Deliver for Files {
    fn report_to(&mut self, reports: Reports) {
        self.reports = reports;
    }

    fn deliver<'a>(&'a mut self, batch: &'a mut Batch) -> Delivery<'a> {
        Box::pin(async move {
            let (file, reports) = (self.file.clone(), self.reports.clone());
            let body = std::mem::take(&mut batch.body);
            let records = batch.records;
            // A disk may take its time: not this thread's.
            let written = tokio::task::spawn_blocking(move || write(&file, body, records, &reports)).await;
            match written {
                Ok(Ok(())) => Outcome::Delivered,
                Ok(Err((left, records, why))) => {
                    (batch.body, batch.records) = (left, records);
                    Outcome::Again { why, after: None }
                }
                Err(error) => Outcome::Ended(error.to_string()),
            }
        })
    }
}

/// Every part into its file. What could not be written comes back, with the number of its records and the reason.
fn write(file: &File, body: Vec<u8>, records: u64, reports: &Reports) -> Result<(), (Vec<u8>, u64, String)> {
    let places = parts::split(&body);
    let mut arrived = 0;
    for (at, place) in places.iter().enumerate() {
        let bytes = &body[place.range.clone()];
        reports.tell(|events, output| events.sent(output, bytes.len()));
        match append(file, place.name.as_ref(), bytes, reports) {
            Ok(()) => arrived += place.records as u64,
            Err(why) if at == 0 => return Err((body, records, why)),
            Err(why) => {
                reports.tell(|events, output| events.arrived(output, arrived));
                let left = parts::keep(&body, &places, |other| other >= at);
                return Err((left, records.saturating_sub(arrived), why));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
