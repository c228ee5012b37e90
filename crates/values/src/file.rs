//! Reading a file that may be anything: the size is capped and the error names the path.

use std::{fs::File, io::Read, path::Path};

use crate::ByteSize;

/// The bytes of a regular file of at most `cap` bytes.
pub fn read_capped(path: &Path, cap: u64) -> Result<Vec<u8>, String> {
    let place = path.display();
    let file = File::open(path).map_err(|error| format!("{place}: {}", spoken(&error)))?;
    let metadata = file.metadata().map_err(|error| format!("{place}: {}", spoken(&error)))?;
    if metadata.is_dir() {
        return Err(format!("{place}: is a directory, expected a file"));
    }
    let mut bytes = Vec::with_capacity(metadata.len().min(cap) as usize);
    // One byte more than allowed tells "exactly at the cap" from "over it", also for files that grow while read.
    #[expect(clippy::disallowed_methods, reason = "this is the capped read the ban points to")]
    file.take(cap + 1).read_to_end(&mut bytes).map_err(|error| format!("{place}: {}", spoken(&error)))?;
    if bytes.len() as u64 > cap {
        return Err(format!("{place}: larger than {}, the most this file may have", ByteSize(cap)));
    }
    Ok(bytes)
}

/// The text of a UTF-8 file of at most `cap` bytes.
pub fn read_text(path: &Path, cap: u64) -> Result<String, String> {
    String::from_utf8(read_capped(path, cap)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("{}: not UTF-8 text (byte {at})", path.display())
    })
}

/// An IO error as a person says it: without "(os error 2)".
fn spoken(error: &std::io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    let mut text = text[..end].to_owned();
    // "No such file" in the middle of a sentence.
    if let Some(first) = text.get_mut(0..1) {
        first.make_ascii_lowercase();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_which_file_and_why() {
        let missing = read_capped(Path::new("/nowhere/at/all"), 10).unwrap_err();
        assert_eq!(missing, "/nowhere/at/all: no such file or directory");
        assert!(read_capped(Path::new("/"), 10).unwrap_err().ends_with("is a directory, expected a file"));
    }

    #[test]
    fn stops_at_the_cap_even_when_the_file_has_no_size() {
        let endless = read_capped(Path::new("/dev/zero"), 1024).unwrap_err();
        assert_eq!(endless, "/dev/zero: larger than 1Ki, the most this file may have");
    }
}
