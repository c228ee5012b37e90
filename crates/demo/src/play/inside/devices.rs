//! What every container has without asking: /dev, /proc, /sys.

use std::{fs, os::unix::fs::symlink, path::Path};

use nix::mount::{MsFlags, mount};

use super::{Launch, become_program::OUTSIDE, mounts};

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
const LINKS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

pub fn mount_all(launch: &Launch) -> Result<(), String> {
    let nothing = None::<&str>;
    for name in DEVICES {
        let (from, to) = (format!("{OUTSIDE}/dev/{name}"), format!("/dev/{name}"));
        if Path::new(&from).exists() {
            fs::File::create(&to).map_err(|error| format!("{to}: {error}"))?;
            mounts::bind_as_it_is(Path::new(&from), Path::new(&to))?;
        }
    }
    for (path, target) in LINKS {
        symlink(target, path).map_err(|error| format!("{path}: {error}"))?;
    }
    fs::create_dir("/dev/shm").map_err(|error| format!("/dev/shm: {error}"))?;
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), "/dev/shm", Some("tmpfs"), plain, Some("mode=1777"))
        .map_err(|error| format!("/dev/shm: {error}"))?;
    let none = plain | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), none, nothing)
        .map_err(|error| format!("/proc: {error} (in a container itself? It hides parts of /proc)"))?;
    // Some programs look for their limits there; without it they have none.
    let sys = format!("{OUTSIDE}/sys");
    if mounts::bind_as_it_is(Path::new(&sys), Path::new("/sys")).is_ok() && launch.spaces.user {
        let _ = mounts::make_read_only("/sys");
    }
    Ok(())
}
