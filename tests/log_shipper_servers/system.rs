//! What only root can do to a machine: full disks, rights that are missing.

use std::{fs, os::unix::fs::PermissionsExt};

use test_kit::{PATIENCE, TempDir, TinyDisk, eventually};

use crate::{numbered, ready, start, text};

fn output(path: &std::path::Path) -> String {
    format!("- file: {{path: '{}'}}\n  retry: {{first: 20ms, most: 100ms}}\n  batch_bytes: 4KiB", path.display())
}

#[test]
fn a_full_disk_is_waited_for_and_no_line_is_lost_torn_or_doubled() {
    let dir = TempDir::new();
    let disk = TinyDisk::mount().expect("a small disk needs root");
    let out = disk.join("out.log");
    // More than the disk has room for, and less than twice as much.
    let wanted = numbered(10_000);
    dir.put("app.log", &wanted);
    let sidecar = ready(start(&dir, "", &output(&out)));
    let line = sidecar.wait_log(|line| line.message() == "not delivered");
    assert!(line.field("why").contains("no space left on device"), "{}", line.raw);
    let first = text(&out);
    assert!(wanted.starts_with(&first) && first.ends_with('\n'), "{} bytes", first.len());
    // Somebody makes room, as logrotate does.
    fs::remove_file(&out).unwrap();
    assert!(eventually(PATIENCE, || first.len() + text(&out).len() == wanted.len()));
    assert!([first, text(&out)].concat() == wanted);
}

#[test]
fn a_directory_that_may_not_be_written_is_named_with_what_to_do() {
    let dir = TempDir::new();
    fs::create_dir(dir.join("out")).unwrap();
    for (path, mode) in [(dir.to_path_buf(), 0o777), (dir.join("out"), 0o755)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let out = dir.join("out/all.log");
    dir.put("app.log", "one\n");
    let other = ["setpriv", "--reuid=65532", "--regid=65532", "--clear-groups"];
    let sidecar = ready(start(&dir, "", &output(&out)).under(other));
    let line = sidecar.wait_log(|line| line.message() == "not delivered");
    let wanted = format!("{}: permission denied: is its directory writable", out.display());
    assert!(line.field("why").starts_with(&wanted), "{}", line.raw);
    fs::set_permissions(dir.join("out"), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(eventually(PATIENCE, || text(&out) == "one\n"));
}
