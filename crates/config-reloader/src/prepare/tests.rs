//! Staging, publishing and going back, on real files.

use std::{io::Write as _, os::unix::fs::MetadataExt};

use super::*;

fn output(from: PathBuf, to: PathBuf) -> Output {
    Output { from, to, gunzip: true, text: Text::Verbatim, permissions: None, largest: 1 << 20 }
}

fn read(path: &Path) -> String {
    values::read_text(path, 1 << 20).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn publishing_replaces_in_one_step_and_rolling_back_restores() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("in"), dir.path().join("out/app.conf"));
    let outputs = [output(from.clone(), to.clone())];
    fs::write(&from, "one").unwrap();
    fs::set_permissions(&from, Permissions::from_mode(0o640)).unwrap();
    let staged = stage(&outputs).unwrap();
    assert!(!staged.replaces(), "there is nothing to replace yet");
    staged.publish().unwrap();
    assert_eq!((read(&to), fs::metadata(&to).unwrap().mode() & 0o777), ("one".into(), 0o640));

    fs::write(&from, "two").unwrap();
    let staged = stage(&outputs).unwrap();
    assert!(staged.replaces());
    let published = staged.publish().unwrap();
    assert_eq!(read(&to), "two");
    assert_eq!(published.roll_back(), 1);
    assert_eq!(read(&to), "one");
    assert_eq!(names(&dir.path().join("out")), ["app.conf"], "nothing is left behind");
}

#[test]
fn equal_bytes_are_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("in"), dir.path().join("out"));
    let outputs = [output(from.clone(), to.clone())];
    fs::write(&from, "same").unwrap();
    stage(&outputs).unwrap().publish().unwrap();
    let inode = fs::metadata(&to).unwrap().ino();
    assert_eq!(stage(&outputs).unwrap().publish().unwrap().paths().count(), 0);
    assert_eq!(fs::metadata(&to).unwrap().ino(), inode);
}

#[test]
fn gzip_is_unpacked_and_a_bomb_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("in"), dir.path().join("out"));
    let packed = |bytes: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    };
    let outputs = [output(from.clone(), to.clone())];
    fs::write(&from, packed(b"unpacked")).unwrap();
    stage(&outputs).unwrap().publish().unwrap();
    assert_eq!(read(&to), "unpacked");
    fs::write(&from, packed(&vec![0; 2 << 20])).unwrap();
    assert!(stage(&outputs).unwrap_err().ends_with("larger than 1Mi; see `largest`"));
    fs::write(&from, &packed(b"cut off in the middle of it")[..20]).unwrap();
    assert!(stage(&outputs).is_err());
    assert_eq!(read(&to), "unpacked", "the last good one stays");
    assert_eq!(names(dir.path()), ["in", "out"]);
}

#[test]
fn a_directory_becomes_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("in")).unwrap();
    fs::write(dir.path().join("in/a"), "A").unwrap();
    fs::write(dir.path().join("in/b"), "B").unwrap();
    let outputs = [output(dir.path().join("in"), dir.path().join("out"))];
    assert_eq!(stage(&outputs).unwrap().publish().unwrap().paths().count(), 2);
    assert_eq!(names(&dir.path().join("out")), ["a", "b"]);
}

#[test]
fn leftovers_of_a_crash_are_cleared() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(format!(".out.abc{STAGED}")), "half").unwrap();
    clear_leftovers(&[output(dir.path().join("in"), dir.path().join("out"))]);
    assert!(names(dir.path()).is_empty());
}
