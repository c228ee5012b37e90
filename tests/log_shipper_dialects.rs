//! `log-shipper` in the place of its peers, from outside: their flags, their files, what they put on the wire.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests: the files are our own, and a surprise must fail loudly"
)]

#[path = "log_shipper_dialects/called.rs"]
mod called;
#[path = "log_shipper_dialects/fluent_bit.rs"]
mod fluent_bit;
#[path = "log_shipper_dialects/fluent_bit_errors.rs"]
mod fluent_bit_errors;
#[path = "log_shipper_dialects/fluentd.rs"]
mod fluentd;
#[path = "log_shipper_dialects/tail.rs"]
mod tail;

use std::{
    fs::{self, OpenOptions},
    io::Write,
    time::Duration,
};

use test_kit::{Sidecar, Start, TempDir, eventually};

/// Long enough for a machine that compiles something else at the same time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory with logs, configuration and positions.
struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { dir: TempDir::new() }
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file in which `DIR` stands for the directory, and gives its path.
    fn put(&self, name: &str, text: &str) -> String {
        self.dir.put(name, text.replace("DIR", self.dir.to_str().unwrap()))
    }

    fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.dir.join(name)).unwrap();
        file.write_all(bytes.as_ref()).unwrap();
    }

    /// Called by the name of the peer; what that has no flag for comes from the environment.
    fn called(&self, name: &str) -> Start {
        let start = Sidecar::start(env!("CARGO_BIN_EXE_log-shipper")).own_admin().argv0(format!("/usr/bin/{name}"));
        start.env("SIDECAR_ADMIN_ADDR", "127.0.0.1:0").env("LOG_SHIPPER_STATE_FILE", self.path("positions"))
    }

    /// With this configuration, and past its first look.
    #[track_caller]
    fn running(&self, name: &str, config: &str) -> Sidecar {
        let file = self.put("peer.conf", config);
        let sidecar = self.called(name).args(["-c", &file]).spawn();
        sidecar.wait_log(|line| line.message().starts_with("watching"));
        sidecar
    }

    #[track_caller]
    fn wait_file(&self, name: &str, wanted: &str) {
        let read = || fs::read_to_string(self.dir.join(name)).unwrap_or_default();
        assert!(eventually(PATIENCE, || read() == wanted), "expected {wanted:?}, found {:?}", read());
    }
}

#[track_caller]
fn wait_stdout(sidecar: &Sidecar, wanted: &str) {
    let arrived = eventually(PATIENCE, || sidecar.stdout() == wanted);
    assert!(arrived, "expected {wanted:?}, found {:?}; the log:\n{}", sidecar.stdout(), sidecar.stderr());
}
