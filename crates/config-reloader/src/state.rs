//! What the app was told last, kept across restarts.

use std::{io::Write, path::Path};

use crate::snapshot::{Hash, hex};

/// The file holds a few lines at most.
const LARGEST: u64 = 4096;

/// The hash of what was told, as the last process left it. None if there is none, or nothing readable.
pub fn load(path: &Path) -> Result<Option<Hash>, String> {
    if !path.exists() {
        return Ok(None);
    }
    let text = values::read_text(path, LARGEST)?;
    parse(&text).map(Some).ok_or_else(|| format!("{}: not a state file of config-reloader", path.display()))
}

pub(crate) fn parse(text: &str) -> Option<Hash> {
    let text = text.trim().strip_prefix("told ")?;
    let mut hash = Hash::default();
    // Every digit, because `+f` is a number as well.
    if text.len() != 2 * hash.len() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(hash)
}

/// Replaces the file in one step: a crash leaves the old one or the new one.
pub fn save(path: &Path, told: &Hash) -> Result<(), String> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        writeln!(file, "told {}", hex(told))?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error: std::io::Error| format!("{}: cannot remember what was told: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded_and_garbage_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        assert_eq!(load(&path), Ok(None));
        let told = [7; 32];
        save(&path, &told).unwrap();
        assert_eq!(load(&path), Ok(Some(told)));
        let signs = format!("told {}", "+f".repeat(32));
        for garbage in
            ["", "told", "told zz", &signs, "told éé00000000000000000000000000000000000000000000000000000000000000"]
        {
            std::fs::write(&path, garbage).unwrap();
            assert!(load(&path).is_err(), "{garbage}");
        }
    }
}
