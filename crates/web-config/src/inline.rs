//! PEM texts that stand in a configuration where others have files.

use std::{
    fs::File,
    io::Write,
    os::fd::{AsRawFd, OwnedFd},
    path::PathBuf,
    sync::Arc,
};

/// A text under a path that exists as long as this does. It is in memory, and no other user can open it.
#[derive(Clone, Debug)]
pub struct Inline(Arc<OwnedFd>);

impl Inline {
    pub fn new(text: &str) -> std::io::Result<Self> {
        let file = rustix::fs::memfd_create("inline", rustix::fs::MemfdFlags::CLOEXEC)?;
        let mut file = File::from(file);
        file.write_all(text.as_bytes())?;
        Ok(Self(Arc::new(file.into())))
    }

    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}
