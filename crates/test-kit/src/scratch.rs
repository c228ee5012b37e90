//! Places to write, ports to use, and patience.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    ops::Deref,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

/// A directory in memory where there is one (inotify and rename are the same there, fsync is free).
#[derive(Debug)]
pub struct TempDir(tempfile::TempDir);

impl TempDir {
    #[expect(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix("pillion-test-");
        Self(builder.tempdir_in(memory).or_else(|_| builder.tempdir()).unwrap())
    }

    /// Writes a file into it and returns its path.
    pub fn put(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Deref for TempDir {
    type Target = Path;

    fn deref(&self) -> &Path {
        self.0.path()
    }
}

/// A small disk to fill up. Needs root, so only tests behind the feature `privileged` can use it.
#[derive(Debug)]
pub struct TinyDisk(TempDir);

impl TinyDisk {
    pub fn mount() -> Option<Self> {
        Self::of(64)
    }

    pub fn of(kib: u64) -> Option<Self> {
        let dir = TempDir::new();
        let size = format!("size={kib}k");
        let mount = ["-t", "tmpfs", "-o", &size, "tmpfs"];
        let mounted = Command::new("mount").args(mount).arg(&*dir).stderr(Stdio::null()).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(dir))
    }
}

impl Deref for TinyDisk {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        // Lazily: a sidecar that is still being killed may hold a file.
        let _ = Command::new("umount").arg("-l").arg(&*self.0).status();
    }
}

/// Whether the condition came true in time.
pub fn eventually(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + timeout;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The quickest of three tries: what a promise in milliseconds is held to on a machine that is busy with other things.
pub fn best_of_3(mut attempt: impl FnMut()) -> Duration {
    let timed = |()| {
        let begun = Instant::now();
        attempt();
        begun.elapsed()
    };
    [(); 3].map(timed).into_iter().min().unwrap()
}

/// A port that nobody has. It is below the range from which the kernel gives out port 0, so it stays free until the test
/// takes it. Where the sidecar can be told port 0, do that instead.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test processes that run at the same time start far from each other.
    let start = std::process::id().wrapping_mul(97);
    loop {
        let port = 20_000 + (start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000) as u16;
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}

/// An address of this machine that is not loopback: calling through it looks like a call from elsewhere.
pub fn other_address() -> Option<IpAddr> {
    // Connecting a UDP socket sends nothing; it only makes the kernel choose the address to send from.
    let towards = |addr: &str| {
        let any: IpAddr = if addr.contains('[') { "::" } else { "0.0.0.0" }.parse().unwrap();
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
        socket.connect(addr).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    // Documentation addresses, for which there is no better route than the default one.
    let routed = ["192.0.2.1:9", "[2001:db8::1]:9"].into_iter().filter_map(towards);
    // Without a default route there may still be an interface; every address of ours ends with "/32 host LOCAL".
    let table = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let lines: Vec<&str> = table.lines().collect();
    let ours = lines.windows(2).filter(|pair| pair[1].contains("/32 host LOCAL"));
    let listed = ours.filter_map(|pair| pair[0].split_whitespace().last()?.parse().ok());
    let not_loopback = |ip: &IpAddr| !ip.is_loopback() && !ip.is_unspecified();
    routed.chain(listed).find(not_loopback)
}

#[cfg(all(test, feature = "privileged"))]
mod tests {
    use super::*;

    #[test]
    fn a_tiny_disk_is_soon_full() {
        let disk = TinyDisk::mount().expect("root");
        let error = fs::write(disk.join("file"), [b'x'; 128 * 1024]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }
}
