//! A share of one processor, as a container's limit gives it. Needs root and control groups; where there are none, what would
//! be measured with it is left out.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

pub(crate) struct Quota(PathBuf);

impl Quota {
    /// `milli` thousandths of a processor, in periods of 100 ms.
    pub(crate) fn of(milli: u32) -> io::Result<Self> {
        let name = format!("pillion-bench-{}", std::process::id());
        let quota = (u64::from(milli) * 100).to_string();
        let first = Path::new("/sys/fs/cgroup");
        if first.join("cpu/cpu.cfs_quota_us").exists() {
            let group = Self::made(first.join("cpu").join(name))?;
            fs::write(group.0.join("cpu.cfs_period_us"), "100000")?;
            fs::write(group.0.join("cpu.cfs_quota_us"), quota)?;
            return Ok(group);
        }
        let group = Self::made(first.join(name))?;
        fs::write(group.0.join("cpu.max"), format!("{quota} 100000"))?;
        Ok(group)
    }

    fn made(path: PathBuf) -> io::Result<Self> {
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn hold(&self, pid: u32) -> io::Result<()> {
        fs::write(self.0.join("cgroup.procs"), pid.to_string())
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // Only an empty one can be removed: whoever was in it has ended by now.
        let _ = fs::remove_dir(&self.0);
    }
}
