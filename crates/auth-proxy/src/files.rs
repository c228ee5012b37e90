//! Files of a folder as an upstream: what a browser asks for, and nothing above it or hidden in it.

use std::{
    fs::{File, Metadata},
    io::{self, Read, Seek, SeekFrom},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http_client::Bytes;
use http_proxy::Answer;
use http1::{Headers, Method, RequestHead};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::canonical::canonical;

/// An answer is made in memory. Whoever has larger files has a web server for them, or asks for ranges.
const LARGEST: u64 = 16 << 20;
/// For all answers that are under way, in units of [`UNIT`]: clients that read slowly must not cost more.
const MEMORY: u32 = 32 << 10;
const UNIT: u64 = 1 << 10;
/// For others to be done.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is held of it, until the last byte is gone.
struct Held {
    bytes: Vec<u8>,
    _share: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The same for all folders of the process.
fn memory() -> Arc<Semaphore> {
    static ALL: OnceLock<Arc<Semaphore>> = OnceLock::new();
    Arc::clone(ALL.get_or_init(|| Arc::new(Semaphore::new(MEMORY as usize))))
}

/// A folder, at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    pub root: PathBuf,
    /// Names that begin with a dot are shown as well.
    pub dot_files: bool,
}

/// Part of a file that is still to be read.
struct Part {
    file: File,
    start: u64,
    size: u64,
}

impl Part {
    fn read(mut self, share: OwnedSemaphorePermit) -> io::Result<Held> {
        let mut bytes = Vec::with_capacity(self.size as usize);
        self.file.seek(SeekFrom::Start(self.start))?;
        #[expect(clippy::disallowed_methods, reason = "capped by `take`")]
        self.file.take(self.size).read_to_end(&mut bytes)?;
        Ok(Held { bytes, _share: share })
    }
}

/// What of a request counts here.
struct Asked {
    only_head: bool,
    range: Option<String>,
    if_range: Option<String>,
    if_none_match: Option<String>,
    if_modified_since: Option<String>,
    /// With a slash at its end, as seen from outside: for the way to a folder.
    as_folder: String,
}

impl Files {
    /// `at` is the path of the upstream.
    pub async fn answer(&self, head: &RequestHead, at: &str) -> Answer {
        let only_head = match head.method {
            Method::Get => false,
            Method::Head => true,
            _ => {
                let mut answer = Answer::text(405, "method not allowed\n");
                answer.head.headers.set("Allow", "GET, HEAD");
                return answer;
            }
        };
        // What can be read in two ways is no file of ours.
        let Some(path) = canonical(head.path()).and_then(|path| self.inside(&path, at)) else { return not_found() };
        let text = |name: &str| header(&head.headers, name);
        let query = head.query().map(|query| format!("?{query}")).unwrap_or_default();
        let asked = Asked {
            only_head,
            range: text("range"),
            if_range: text("if-range"),
            if_none_match: text("if-none-match"),
            if_modified_since: text("if-modified-since"),
            as_folder: format!("{}/{query}", head.path()),
        };
        let (root, is_folder) = (self.root.clone(), head.path().ends_with('/'));
        // A disk may take its time.
        let looked = tokio::task::spawn_blocking(move || look(&root, &path, is_folder, &asked)).await;
        let Ok((mut answer, part)) = looked else { return Answer::text(500, "internal error\n") };
        let Some(part) = part else { return answer };
        let units = u32::try_from(part.size.div_ceil(UNIT)).unwrap_or(MEMORY);
        let Ok(Ok(share)) = timeout(PATIENCE, memory().acquire_many_owned(units)).await else {
            return Answer::text(503, "too many files at once\n");
        };
        match tokio::task::spawn_blocking(move || part.read(share)).await {
            Ok(Ok(held)) => answer.body = Bytes::from_owner(held),
            _ => return Answer::text(500, "internal error\n"),
        }
        answer
    }

    /// The file that a canonical path means, not yet followed through links.
    fn inside(&self, path: &str, at: &str) -> Option<PathBuf> {
        let rest = path.strip_prefix(at.trim_end_matches('/'))?;
        let mut file = self.root.clone();
        for part in rest.split('/').filter(|part| !part.is_empty()) {
            let is_hidden = part.starts_with('.') && !self.dot_files;
            if is_hidden || matches!(part, "." | "..") || part.contains(['\0', '\\']) {
                return None;
            }
            file.push(part);
        }
        Some(file)
    }
}

fn header(headers: &Headers, name: &str) -> Option<String> {
    headers.get_str(name).map(str::to_owned)
}

fn not_found() -> Answer {
    Answer::text(404, "not found\n")
}

fn look(root: &Path, path: &Path, is_folder: bool, asked: &Asked) -> (Answer, Option<Part>) {
    // A link may lead elsewhere in the folder (a mounted ConfigMap is made of such), and not out of it.
    let Some(mut path) = real(root, path) else { return (not_found(), None) };
    if path.is_dir() {
        if !is_folder {
            let mut answer = Answer::text(301, "");
            // A path that begins with two slashes is another host to a browser, and none of ours does.
            answer.head.headers.set("Location", &asked.as_folder);
            return (answer, None);
        }
        match real(root, &path.join("index.html")) {
            Some(index) => path = index,
            None => return (not_found(), None),
        }
    } else if is_folder {
        return (not_found(), None);
    }
    opened(&path, asked).unwrap_or_else(|| (not_found(), None))
}

fn real(root: &Path, path: &Path) -> Option<PathBuf> {
    let (root, path) = (root.canonicalize().ok()?, path.canonicalize().ok()?);
    path.starts_with(root).then_some(path)
}

fn opened(path: &Path, asked: &Asked) -> Option<(Answer, Option<Part>)> {
    // Before it is opened: a pipe would wait for somebody at its other end.
    path.metadata().ok().filter(Metadata::is_file)?;
    let file = File::open(path).ok()?;
    let metadata = file.metadata().ok().filter(Metadata::is_file)?;
    let (length, changed) = (metadata.len(), metadata.modified().ok()?);
    let since = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
    let tag = format!("\"{:x}-{:x}-{length:x}\"", since.as_secs(), since.subsec_nanos());
    let mut answer = Answer::text(200, "");
    let headers = &mut answer.head.headers;
    headers.set("ETag", &tag);
    headers.set("Last-Modified", httpdate::fmt_http_date(changed));
    headers.set("Accept-Ranges", "bytes");
    headers.set("X-Content-Type-Options", "nosniff");
    headers.set("Content-Type", kind(path));
    if is_known(asked, &tag, changed) {
        headers.remove("Content-Type");
        answer.head.status = 304;
        return Some((answer, None));
    }
    let same = asked.if_range.as_ref().is_none_or(|known| *known == tag || same_time(known, changed));
    let part = match asked.range.as_deref().filter(|_| same && length > 0).map(|text| range(text, length)) {
        Some(Some(Some(part))) => {
            headers.set("Content-Range", format!("bytes {}-{}/{length}", part.start(), part.end()));
            answer.head.status = 206;
            part
        }
        Some(Some(None)) => {
            headers.set("Content-Range", format!("bytes */{length}"));
            headers.set("Content-Type", "text/plain");
            answer.head.status = 416;
            return Some((answer, None));
        }
        _ if length == 0 => return Some((answer, None)),
        // Not asked for, or in a way that is not known: all of it.
        _ => 0..=length - 1,
    };
    let size = part.end() - part.start() + 1;
    if asked.only_head {
        // The engine leaves the body out; this says how long it would be.
        answer.head.announced = Some(size);
        return Some((answer, None));
    }
    if size > LARGEST {
        let text = format!("files larger than {LARGEST} bytes are served in ranges only\n");
        return Some((Answer::text(507, text), None));
    }
    Some((answer, Some(Part { file, start: *part.start(), size })))
}

/// The client has it already, as it is.
fn is_known(asked: &Asked, tag: &str, changed: SystemTime) -> bool {
    if let Some(known) = &asked.if_none_match {
        let bare = |tag: &str| tag.trim().strip_prefix("W/").unwrap_or(tag.trim()).to_owned();
        return known.split(',').any(|known| known.trim() == "*" || bare(known) == tag);
    }
    let since = asked.if_modified_since.as_deref().and_then(|text| httpdate::parse_http_date(text).ok());
    // Seconds are all that the header has.
    since.is_some_and(|since| changed < since + Duration::from_secs(1))
}

fn same_time(text: &str, changed: SystemTime) -> bool {
    httpdate::parse_http_date(text).is_ok() && text == httpdate::fmt_http_date(changed)
}

/// One range. None: several, or none that is known: then all is served. Some(None): outside of the file.
fn range(text: &str, length: u64) -> Option<Option<RangeInclusive<u64>>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok())?;
    if first.is_empty() {
        let suffix = number(last)?;
        return Some((suffix > 0).then(|| length.saturating_sub(suffix)..=length - 1));
    }
    let first = number(first)?;
    let last = if last.is_empty() { length - 1 } else { number(last)?.min(length - 1) };
    if first >= length {
        return Some(None);
    }
    (first <= last).then_some(Some(first..=last))
}

/// By the end of the name. What is not known is bytes, and a browser does not guess.
fn kind(path: &Path) -> &'static str {
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default().to_ascii_lowercase();
    match &*end {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" | "md" | "log" => "text/plain; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "xml" => "text/xml; charset=utf-8",
        "yaml" | "yml" => "application/yaml",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "pdf" => "application/pdf",
        "wasm" => "application/wasm",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mp3" => "audio/mpeg",
        "zip" => "application/zip",
        "gz" | "tgz" => "application/gzip",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_served_and_odd_ones_are_not_guessed_at() {
        for (text, part) in [
            ("bytes=0-0", Some(Some(0..=0))),
            ("bytes=5-", Some(Some(5..=9))),
            ("bytes=-3", Some(Some(7..=9))),
            ("bytes=-30", Some(Some(0..=9))),
            ("bytes=2-100", Some(Some(2..=9))),
            ("bytes=10-", Some(None)),
            ("bytes=-0", Some(None)),
            ("bytes=5-2", None),
            ("bytes=0-1,3-4", None),
            ("bytes=+1-2", None),
            ("lines=0-1", None),
            ("bytes=", None),
            ("bytes=99999999999999999999999-", None),
        ] {
            assert_eq!(range(text, 10), part, "{text}");
        }
    }
}
