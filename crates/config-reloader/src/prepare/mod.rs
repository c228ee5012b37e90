//! Making files from files: staged beside their place, checked there, and put in place in one step each.

pub(crate) mod substitute;
pub(crate) mod template;

use std::{
    fs::{self, File, Permissions},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use tempfile::NamedTempFile;
use values::ByteSize;

use crate::{
    config::{Output, Text},
    snapshot::{Hash, hash_all, hash_of},
};

/// Marks what a crash may leave behind, so that the next start can clear it away.
const STAGED: &str = ".config-reloader-staged";
/// The version before, for going back to.
const LAST_GOOD: &str = ".last-good";

/// Files that are complete, and not yet in place.
#[derive(Debug)]
pub struct Staged(Vec<StagedFile>);

#[derive(Debug)]
struct StagedFile {
    file: NamedTempFile,
    to: PathBuf,
    hash: Hash,
    /// What is in place already, if anything is.
    in_place: Option<Hash>,
    /// Variables that were left as they stand.
    unexpanded: usize,
}

/// Makes every output. Blocks. An error leaves nothing behind.
pub fn stage(outputs: &[Output]) -> Result<Staged, String> {
    let mut staged = Vec::new();
    for output in outputs {
        for (from, to) in pairs(output)? {
            let problem = |problem: String| format!("{} -> {}: {problem}", from.display(), to.display());
            staged.push(stage_one(output, &from, &to).map_err(problem)?);
        }
    }
    Ok(Staged(staged))
}

/// One file to one file, or every file of a directory to one of the same name.
fn pairs(output: &Output) -> Result<Vec<(PathBuf, PathBuf)>, String> {
    if !output.from.is_dir() {
        return Ok(vec![(output.from.clone(), output.to.clone())]);
    }
    let files = file_watch::expand(&file_watch::Target { path: output.from.clone(), recursive: true });
    let pair = |from: PathBuf| {
        let name = from.strip_prefix(&output.from).map_err(|error| error.to_string())?;
        let to = output.to.join(name);
        Ok((from, to))
    };
    files.into_iter().map(pair).collect()
}

fn stage_one(output: &Output, from: &Path, to: &Path) -> Result<StagedFile, String> {
    let spoken = |error: io::Error| error.to_string();
    let source = File::open(from).map_err(spoken)?;
    let metadata = source.metadata().map_err(spoken)?;
    if !metadata.is_file() {
        return Err("the source is not a regular file".into());
    }
    let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let name = to.file_name().ok_or("expected a file name to write to")?.to_string_lossy().into_owned();
    let mut file = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .suffix(STAGED)
        .tempfile_in(directory)
        .map_err(|error| format!("{}: {error}", directory.display()))?;
    let unpacked = unpack(source, output.gunzip).map_err(spoken)?;
    let unexpanded = write(output, unpacked, file.as_file_mut())?;
    let permissions = output.permissions.unwrap_or(metadata.permissions().mode() & 0o777);
    file.as_file().set_permissions(Permissions::from_mode(permissions)).map_err(spoken)?;
    file.as_file().sync_all().map_err(spoken)?;
    let hash = File::open(file.path()).and_then(hash_of).map_err(spoken)?;
    let in_place = File::open(to).and_then(hash_of).ok();
    Ok(StagedFile { file, to: to.into(), hash, in_place, unexpanded })
}

/// Unpacks what is gzip by its first bytes, if that is wanted; the rest passes as it is.
fn unpack(mut source: File, gunzip: bool) -> io::Result<Box<dyn Read>> {
    if !gunzip {
        return Ok(Box::new(source));
    }
    let mut magic = Vec::with_capacity(2);
    #[expect(clippy::disallowed_methods, reason = "capped at two bytes")]
    Read::by_ref(&mut source).take(2).read_to_end(&mut magic)?;
    let is_gzip = magic == [0x1f, 0x8b];
    let whole = io::Cursor::new(magic).chain(source);
    Ok(if is_gzip { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) })
}

/// Writes what the source becomes. Says how many variables were left as they stand.
fn write(output: &Output, source: Box<dyn Read>, target: &mut File) -> Result<usize, String> {
    let largest = output.largest;
    // One byte more than allowed, to tell "exactly at the limit" from "over it".
    let mut source = source.take(largest.saturating_add(1));
    let too_large = || format!("larger than {}; see `largest`", ByteSize(largest));
    let text = match &output.text {
        Text::Verbatim => {
            let written = io::copy(&mut source, target).map_err(|error| error.to_string())?;
            return if written > largest { Err(too_large()) } else { Ok(0) };
        }
        changed => changed,
    };
    let mut bytes = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "capped by `largest`")]
    source.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > largest {
        return Err(too_large());
    }
    let (made, unexpanded) = match text {
        Text::Verbatim => (bytes, 0),
        Text::Substitute { variables, undefined } => substitute::substitute(&bytes, variables, *undefined, largest)?,
        Text::Template { variables, files, undefined } => {
            let text = String::from_utf8(bytes).map_err(|_| "a template must be UTF-8 text")?;
            (template::render(&text, variables, files, *undefined, largest)?, 0)
        }
    };
    target.write_all(&made).map_err(|error| error.to_string())?;
    Ok(unexpanded)
}

impl Staged {
    /// One hash for all that will be in place.
    pub fn digest(&self) -> Hash {
        hash_all(self.0.iter().flat_map(|staged| [staged.to.as_os_str().as_encoded_bytes(), &staged.hash]))
    }

    /// Whether some file that is in place already will become another.
    pub fn replaces(&self) -> bool {
        self.0.iter().any(|staged| staged.in_place.is_some_and(|old| old != staged.hash))
    }

    /// Whether publishing would change nothing.
    pub fn is_in_place(&self) -> bool {
        self.0.iter().all(|staged| staged.in_place == Some(staged.hash))
    }

    /// How many variables had no value and were left as they stand.
    pub fn unexpanded(&self) -> usize {
        self.0.iter().map(|staged| staged.unexpanded).sum()
    }

    /// Where the first file lies for now, for a check to look at, and where it will be.
    pub fn first(&self) -> Option<(&Path, &Path)> {
        self.0.first().map(|staged| (staged.file.path(), staged.to.as_path()))
    }

    /// Puts every file that differs in place. On an error, what has been replaced is put back.
    pub fn publish(self) -> Result<Published, String> {
        let mut published = Published::default();
        for staged in self.0 {
            if staged.in_place == Some(staged.hash) {
                continue;
            }
            let to = staged.to;
            let put = || -> io::Result<()> {
                if staged.in_place.is_some() {
                    keep(&to)?;
                }
                staged.file.persist(&to)?;
                sync_directory(&to)
            };
            if let Err(error) = put() {
                published.roll_back();
                return Err(format!("{}: {error}", to.display()));
            }
            published.replaced.push((to, staged.in_place.is_some()));
        }
        Ok(published)
    }
}

/// What was put in place, and so can be taken back.
#[derive(Debug, Default)]
pub struct Published {
    /// The file, and whether there was one before.
    replaced: Vec<(PathBuf, bool)>,
}

impl Published {
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.replaced.iter().map(|(path, _)| path.as_path())
    }

    /// Puts the versions before in place again. Says how many files that were.
    pub fn roll_back(&self) -> usize {
        let back = |path: &Path| fs::rename(last_good(path), path).and_then(|()| sync_directory(path)).is_ok();
        self.replaced.iter().filter(|(path, was_there)| *was_there && back(path)).count()
    }
}

/// `/etc/app/.app.conf.last-good`: hidden, so that nothing that reads `*.conf` finds it.
fn last_good(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}{LAST_GOOD}"))
}

fn keep(path: &Path) -> io::Result<()> {
    let kept = last_good(path);
    let _ = fs::remove_file(&kept);
    // A link costs nothing; not every file system has them.
    fs::hard_link(path, &kept).or_else(|_| fs::copy(path, &kept).map(drop))
}

/// A rename is only safe from a power cut once its directory is.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

/// Removes what a crash has left behind.
pub fn clear_leftovers(outputs: &[Output]) {
    for output in outputs {
        let directory = if output.from.is_dir() { Some(output.to.as_path()) } else { output.to.parent() };
        for entry in directory.and_then(|dir| fs::read_dir(dir).ok()).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().ends_with(STAGED) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests;
