//! The directories of this machine as the lower layer of a container: what is written to them stays in the container.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use nix::mount::{MsFlags, mount};

use super::{Bind, mounts};

/// Made anew for every container, or of no use there.
const NOT_SHOWN: [&str; 9] = ["proc", "sys", "dev", "tmp", "run", "boot", "lost+found", "media", "mnt"];

/// Where what is written goes: on the container's own memory file system.
const LAYERS: &str = ".layers";

/// `wanted`: what will be put there. Their directories are made in the upper layers, so that they belong to whoever plays:
/// who is not root may not write to those of root, not even in a layer above them.
pub fn layers(root: &Path, wanted: &[&str]) -> Result<(), String> {
    let entries = fs::read_dir("/").map_err(|error| format!("/: {error}"))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let (from, to) = (entry.path(), root.join(&*name));
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_symlink() {
            let target = fs::read_link(&from).map_err(|error| format!("{}: {error}", from.display()))?;
            symlink(target, &to).map_err(|error| format!("{}: {error}", to.display()))?;
        } else if kind.is_dir() && !NOT_SHOWN.contains(&&*name) && !name.starts_with('.') {
            fs::create_dir(&to).map_err(|error| format!("{}: {error}", to.display()))?;
            if !covered(root, &name, wanted, &from, &to)? {
                // A directory with mounts of others in it cannot be a layer, but it can be looked at.
                mounts::bind_as_it_is(&from, &to)?;
                let _ = mounts::make_read_only(&to.display().to_string());
            }
        }
    }
    Ok(())
}

/// From here on nothing is written to them, but to what was mounted over one of them.
pub fn freeze(binds: &[Bind]) -> Result<(), String> {
    let Ok(entries) = fs::read_dir(Path::new("/").join(LAYERS)) else { return Ok(()) };
    let paths = entries.flatten().map(|entry| format!("/{}", entry.file_name().to_string_lossy()));
    let mut bare = paths.filter(|path| binds.iter().all(|bind| bind.to != *path));
    bare.try_for_each(|path| mounts::make_read_only(&path))
}

/// Whether the kernel lets us lay something over it.
fn covered(root: &Path, name: &str, wanted: &[&str], from: &Path, to: &Path) -> Result<bool, String> {
    let layer = root.join(LAYERS).join(name);
    let (upper, work) = (layer.join("upper"), layer.join("work"));
    for dir in [&upper, &work] {
        fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    }
    if let Ok(there) = fs::metadata(from) {
        let _ = fs::set_permissions(&upper, PermissionsExt::from_mode(there.permissions().mode()));
    }
    for path in wanted.iter().filter_map(|path| Path::new(path).strip_prefix(Path::new("/").join(name)).ok()) {
        make_room(&upper, from, path.parent().unwrap_or(path));
    }
    let of = |more: &str| {
        format!("lowerdir={},upperdir={},workdir={}{more}", from.display(), upper.display(), work.display())
    };
    // The first is for those who are not root, and older kernels know only the second.
    let options = [of(",userxattr"), of("")];
    let overlay = Some("overlay");
    Ok(options.iter().any(|options| mount(overlay, to, overlay, MsFlags::empty(), Some(&**options)).is_ok()))
}

/// The directories of a path, as far as no link leads elsewhere.
fn make_room(upper: &Path, lower: &Path, dirs: &Path) {
    let (mut upper, mut lower) = (upper.to_owned(), lower.to_owned());
    for part in dirs.components() {
        (upper, lower) = (upper.join(part), lower.join(part));
        let there = fs::symlink_metadata(&lower).ok();
        if there.as_ref().is_some_and(|there| !there.is_dir()) {
            return;
        }
        // It may be there from another path; what cannot be made is said when something is put there.
        let _ = fs::create_dir(&upper);
        let mode = there.map_or(0o755, |there| there.permissions().mode());
        let _ = fs::set_permissions(&upper, PermissionsExt::from_mode(mode));
    }
}

/// A directory of libraries, wherever this machine keeps it.
pub fn library(root: &Path, name: &str) -> Result<(), String> {
    let (from, to) = (Path::new("/").join(name), root.join(name));
    let Ok(there) = fs::symlink_metadata(&from) else { return Ok(()) };
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(|error| format!("{}: {error}", parent.display()))?;
    }
    if there.is_symlink() {
        let target = fs::read_link(&from).map_err(|error| format!("{}: {error}", from.display()))?;
        return symlink(target, &to).map_err(|error| format!("{}: {error}", to.display()));
    }
    fs::create_dir(&to).map_err(|error| format!("{}: {error}", to.display()))?;
    mounts::bind_as_it_is(&from, &to)?;
    let _ = mounts::make_read_only(&to.display().to_string());
    Ok(())
}
