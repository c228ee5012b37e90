//! What the mount table knows: files that can never change, and file systems that change without telling.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A node with thousands of mounts has a table of about 1 MiB.
const MOST_BYTES: u64 = 16 << 20;

/// One line of `/proc/self/mountinfo`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// The part of the mounted file system that is visible here.
    root: PathBuf,
    pub(crate) point: PathBuf,
}

/// The mounts of this process; none where there is no `/proc`.
pub(crate) fn mounts() -> Vec<Mount> {
    let Ok(file) = File::open("/proc/self/mountinfo") else {
        return Vec::new();
    };
    parse(BufReader::new(file.take(MOST_BYTES)))
}

fn parse(table: impl BufRead) -> Vec<Mount> {
    let lines = table.split(b'\n').map_while(Result::ok);
    lines
        .filter_map(|line| {
            let mut fields = line.split(|byte| *byte == b' ').skip(3);
            Some(Mount { root: unescape(fields.next()?), point: unescape(fields.next()?) })
        })
        .collect()
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|digits| *first == b'\\' && digits.iter().all(|d| (b'0'..b'8').contains(d)));
        if let Some(digits) = octal {
            bytes.push(digits.iter().fold(0u8, |sum, digit| (sum << 3) | (digit - b'0')));
            rest = &after[3..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// Says why the file at `path` can never change, if that is so.
///
/// A Kubernetes `subPath` mount shows the file of the day the container started: an update replaces the file at its
/// source, and the mount keeps the old one. So does any single file that was mounted and then replaced at its source.
pub fn never_updates(path: &Path) -> Option<String> {
    let real = fs::canonicalize(path).ok()?;
    let links = fs::metadata(&real).ok()?.nlink();
    reason(path, &real, links, &mounts())
}

fn reason(path: &Path, real: &Path, links: u64, mounts: &[Mount]) -> Option<String> {
    // Of the mounts above a path the deepest counts, and of several on one point the last.
    let above = mounts.iter().filter(|mount| real.starts_with(&mount.point));
    let mount = above.max_by_key(|mount| mount.point.components().count())?;
    let path = path.display();
    let root = mount.root.to_string_lossy();
    if is_subpath(&root) {
        return Some(format!(
            "{path} is a Kubernetes subPath mount: it keeps the content from the start of the container; \
             mount the whole volume as a directory instead"
        ));
    }
    // Only a mount can show something that has no name left; some FUSE file systems report 0 links for every file.
    if mount.point == real && (links == 0 || root.ends_with("//deleted")) {
        return Some(format!(
            "{path} was mounted by itself and then replaced or removed at its source: this mount keeps the old \
             content for ever; mount its directory instead"
        ));
    }
    None
}

/// A bind mount of a bind mount names the first source: for a ConfigMap's or Secret's subPath that is a file inside one
/// of the volume's timestamped directories (`..2026_11_21_04_00_02.1002/app.yaml`).
fn is_subpath(root: &str) -> bool {
    root.split('/').any(|part| {
        let stamp = part.strip_prefix("..").unwrap_or_default().as_bytes();
        part == "volume-subpaths" || (stamp.len() > 5 && stamp[..4].iter().all(u8::is_ascii_digit) && stamp[4] == b'_')
    })
}

/// The file system of `path`, when it can change without an inotify event here.
pub(crate) fn blind_file_system(path: &Path) -> Option<&'static str> {
    // Only the low 32 bits are the magic; the type's width and sign differ between platforms.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::unnecessary_cast)]
    rustix::fs::statfs(path).ok().and_then(|about| blind(about.f_type as u32))
}

/// Magic numbers of linux/magic.h and of the file systems' own sources.
fn blind(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x0102_1997 => "9p",
        0x6573_5546 => "FUSE or virtiofs",
        0x517b | 0xfe53_4d42 | 0xff53_4d42 => "SMB",
        0x00c3_6400 => "CephFS",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x7375_7245 => "Coda",
        0x0bd0_0bd0 => "Lustre",
        0x0116_1970 => "GFS2",
        0x7461_636f => "OCFS2",
        0x4750_4653 => "GPFS",
        0x1983_0326 => "BeeGFS",
        0x786f_4256 => "a VirtualBox shared folder",
        0x9fa0 => "procfs",
        0x6265_6572 => "sysfs",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 0:21 / / rw,relatime - overlay overlay rw\n\
30 22 0:40 / /etc/config ro,relatime - tmpfs tmpfs rw\n\
31 22 0:41 /..2026_11_21_04_00_02.1002/tls.crt /etc/tls/tls.crt ro - tmpfs tmpfs rw\n\
32 22 8:1 /var/lib/kubelet/pods/u/volume-subpaths/cfg/app/0 /etc/app ro - ext4 /dev/sda1 rw\n\
33 22 8:1 /home/me/my\\040app/app.conf /srv/my\\040app.conf rw - ext4 /dev/sda1 rw\n\
34 22 8:1 /home/me/old.conf//deleted /srv/old.conf rw - ext4 /dev/sda1 rw\n\
35 22 8:1 /data/..hidden/x /srv/hidden rw - ext4 /dev/sda1 rw\n\
damaged line\n";

    #[test]
    fn a_mount_table_is_read_with_its_escapes() {
        let mounts = parse(TABLE.as_bytes());
        assert_eq!(mounts.len(), 7);
        assert_eq!(mounts[4].root, Path::new("/home/me/my app/app.conf"));
        assert_eq!(mounts[4].point, Path::new("/srv/my app.conf"));
        assert_eq!(unescape(br"tail\04"), Path::new(r"tail\04"));
    }

    #[test]
    fn subpath_mounts_and_orphaned_files_never_update_and_others_do() {
        let mounts = parse(TABLE.as_bytes());
        let table = [
            ("/etc/config/app.yaml", 1, None),
            ("/etc/tls/tls.crt", 1, Some("Kubernetes subPath")),
            ("/etc/tls/other.crt", 1, None),
            ("/etc/app/app.yaml", 1, Some("Kubernetes subPath")),
            ("/etc/application.yaml", 1, None),
            ("/srv/my app.conf", 1, None),
            ("/srv/my app.conf", 0, Some("mounted by itself")),
            ("/srv/old.conf", 1, Some("mounted by itself")),
            ("/srv/hidden", 1, None),
            ("/tmp/fuse-says-zero", 0, None),
        ];
        for (path, links, expected) in table {
            let found = reason(Path::new(path), Path::new(path), links, &mounts);
            match (expected, &found) {
                (None, None) => {}
                (Some(part), Some(text)) if text.contains(part) && text.starts_with(path) => {}
                _ => panic!("{path} with {links} links: expected {expected:?}, found {found:?}"),
            }
        }
    }

    #[test]
    fn ordinary_and_missing_files_are_not_said_to_be_frozen() {
        assert_eq!(never_updates(Path::new("/proc/self/exe")), None);
        assert_eq!(never_updates(Path::new("/no/such/file")), None);
    }

    #[test]
    fn remote_and_invented_file_systems_are_blind_and_local_ones_are_not() {
        assert_eq!(blind(0x6969), Some("NFS"));
        assert_eq!(blind(0x0102_1994), None, "tmpfs");
        assert_eq!(blind(0x794c_7630), None, "overlay: what is written through it gives events");
        assert_eq!(blind(0xef53), None, "ext4");
        assert_eq!(blind_file_system(Path::new("/proc/self")), Some("procfs"));
    }
}
