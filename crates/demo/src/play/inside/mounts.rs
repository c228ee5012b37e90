//! What is mounted in a container: its volumes, and the programs of its image.

use std::{fs, path::Path};

use nix::{
    mount::{MsFlags, mount},
    sys::statvfs::{FsFlags, statvfs},
};

use super::{
    Bind,
    become_program::{OUTSIDE, make_parent},
};

/// After the root has changed: links in `to` are those of the container.
pub fn bind(bind: &Bind) -> Result<(), String> {
    let from = Path::new(OUTSIDE).join(bind.from.strip_prefix("/").unwrap_or(&bind.from));
    let to = &bind.to;
    let say = |error: std::io::Error| format!("{to}: {error}");
    let is_dir = fs::metadata(&from).map_err(|error| format!("{to}: nothing to mount: {error}"))?.is_dir();
    if is_dir {
        make_parent(&format!("{to}/x"))?;
    } else if fs::symlink_metadata(to).is_err() {
        make_parent(to)?;
        fs::File::create(to).map_err(say)?;
    }
    bind_as_it_is(&from, Path::new(to))?;
    if bind.read_only { make_read_only(to) } else { Ok(()) }
}

pub fn bind_as_it_is(from: &Path, to: &Path) -> Result<(), String> {
    let nothing = None::<&str>;
    mount(Some(from), to, nothing, MsFlags::MS_BIND | MsFlags::MS_REC, nothing)
        .map_err(|error| format!("cannot mount {}: {error}", to.display()))
}

pub fn make_read_only(path: &str) -> Result<(), String> {
    let nothing = None::<&str>;
    let kept = statvfs(path).map_or(MsFlags::empty(), |there| kept(there.flags()));
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | kept;
    mount(nothing, path, nothing, flags, nothing).map_err(|error| format!("cannot make {path} read-only: {error}"))
}

/// What a mount was given outside may not be taken from it in here.
fn kept(flags: FsFlags) -> MsFlags {
    let pairs = [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ];
    pairs.into_iter().filter(|(there, _)| flags.contains(*there)).map(|(_, keep)| keep).collect()
}
