//! What the app writes: app.log in JSON, access.log as web servers do, and stderr for what matters.

use std::{
    fs::{File, OpenOptions, create_dir_all},
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use bytes::Bytes;
use hyper::{Request, body::Body, header};
use serde_json::{Value, json};

use crate::http::Answer;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

pub struct Log(Option<Mutex<Files>>);

struct Files {
    app: (PathBuf, File),
    access: (PathBuf, File),
    /// Lines in both of them, since the start.
    written: u64,
}

impl Log {
    pub fn open(path: Option<&Path>) -> Result<Self, String> {
        let Some(path) = path else { return Ok(Self(None)) };
        let is_file = path.extension().is_some_and(|extension| extension == "log") && !path.is_dir();
        let app = if is_file { path.to_owned() } else { path.join("app.log") };
        let access = app.with_file_name("access.log");
        let files = Files { app: opened(app)?, access: opened(access)?, written: 0 };
        Ok(Self(Some(Mutex::new(files))))
    }

    /// A line for app.log and stderr.
    pub fn say(&self, level: &str, message: &str, fields: &[(&str, &str)]) {
        eprintln!("{}", line(level, message, fields));
        self.keep(level, message, fields);
    }

    /// A line for app.log only. It has a number, so that each is a different one.
    pub fn keep(&self, level: &str, message: &str, fields: &[(&str, &str)]) {
        if let Some(mut files) = self.files() {
            let mut line = line(level, message, fields);
            line["n"] = (files.written + 1).into();
            let written = writeln!(files.app.1, "{line}");
            files.count(&written);
        }
    }

    /// A line for access.log, in the combined format.
    pub fn access(&self, request: &Request<Bytes>, answer: &Answer) {
        if let Some(mut files) = self.files() {
            let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("-");
            let from = request.extensions().get::<SocketAddr>().map_or("-".into(), |from| from.ip().to_string());
            let line = format!(
                "{from} - - [{}] \"{} {} {:?}\" {} {} \"{}\" \"{}\"",
                clock(&now()),
                request.method(),
                request.uri(),
                request.version(),
                answer.status().as_u16(),
                answer.body().size_hint().lower(),
                header(header::REFERER),
                header(header::USER_AGENT),
            );
            let written = writeln!(files.access.1, "{line}");
            files.count(&written);
        }
    }

    pub fn written(&self) -> u64 {
        self.files().map_or(0, |files| files.written)
    }

    /// Somebody has moved the files away.
    pub fn open_again(&self) {
        let again = self.files().map_or(Ok(()), |mut files| {
            files.app = opened(files.app.0.clone())?;
            files.access = opened(files.access.0.clone())?;
            Ok::<_, String>(())
        });
        match again {
            Ok(()) => self.say("INFO", "logs opened again", &[]),
            Err(problem) => self.say("ERROR", "logs not opened again", &[("reason", &problem)]),
        }
    }

    /// The goodbye, which says how many lines there are with it.
    pub fn end(&self, requests: &str) {
        let lines = (self.written() + 1).to_string();
        self.say("INFO", "stopped", &[("requests", requests), ("lines", &lines)]);
        if let Some(files) = self.files() {
            // A full disk is no reason to stop otherwise.
            let _ = files.app.1.sync_all().and(files.access.1.sync_all());
        }
    }

    fn files(&self) -> Option<MutexGuard<'_, Files>> {
        self.0.as_ref().map(|files| files.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Files {
    /// A full disk is no reason not to greet: a line that could not be written is none.
    fn count(&mut self, written: &io::Result<()>) {
        self.written += u64::from(written.is_ok());
    }
}

fn opened(path: PathBuf) -> Result<(PathBuf, File), String> {
    let open = || {
        path.parent().map_or(Ok(()), create_dir_all)?;
        OpenOptions::new().create(true).append(true).open(&path)
    };
    let file: io::Result<File> = open();
    match file {
        Ok(file) => Ok((path, file)),
        Err(error) => Err(format!("{}: cannot write: {error}; see LOG_DIR and LOG_PATH", path.display())),
    }
}

fn line(level: &str, message: &str, fields: &[(&str, &str)]) -> Value {
    let mut line = json!({ "timestamp": now(), "level": level, "message": message });
    for (name, value) in fields {
        line[*name] = (*value).into();
    }
    line
}

fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

/// `2026-11-21T13:36:21.154Z` as web servers write it: `21/Nov/2026:13:36:21 +0000`.
fn clock(time: &str) -> String {
    let part = |from: usize, to: usize| time.get(from..to).unwrap_or_default();
    let month = part(5, 7).parse::<usize>().ok().and_then(|month| MONTHS.get(month.checked_sub(1)?));
    format!("{}/{}/{}:{} +0000", part(8, 10), month.copied().unwrap_or_default(), part(0, 4), part(11, 19))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_that_of_web_servers() {
        assert_eq!(clock("2026-11-21T13:36:21.154Z"), "21/Nov/2026:13:36:21 +0000");
    }
}
