//! A share of one processor, as a container's limit gives it. Needs root and control groups; where there are none, what would
//! be measured with it is left out.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    thread::sleep,
    time::Duration,
};

pub(crate) struct Quota(PathBuf);

/// Several may be there at one time.
static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Quota {
    /// `milli` thousandths of a processor, in periods of 100 ms.
    pub(crate) fn of(milli: u32) -> Result<Self, String> {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default().to_owned();
        let modern = Path::new("/sys/fs/cgroup").join(own);
        let quota = u64::from(milli) * 100;
        let (parent, settings) = match modern.join("cgroup.controllers").exists() {
            true => (modern, vec![("cpu.max", format!("{quota} 100000"))]),
            false => (
                "/sys/fs/cgroup/cpu".into(),
                vec![("cpu.cfs_period_us", "100000".to_owned()), ("cpu.cfs_quota_us", quota.to_string())],
            ),
        };
        if !parent.join("cgroup.procs").exists() {
            return Err(format!("{}: there are no control groups", parent.display()));
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let group = Self(parent.join(format!("pillion-bench-{}-{number}", std::process::id())));
        let problem = |error: std::io::Error| format!("{}: {error}", group.0.display());
        fs::create_dir(&group.0).map_err(problem)?;
        for (setting, value) in settings {
            fs::write(group.0.join(setting), value).map_err(problem)?;
        }
        Ok(group)
    }

    pub(crate) fn hold(&self, pid: u32) -> Result<(), String> {
        fs::write(self.0.join("cgroup.procs"), pid.to_string())
            .map_err(|error| format!("{}: {error}", self.0.display()))
    }
}

impl Drop for Quota {
    /// Whoever was in it has ended by now; the kernel needs a moment to see it.
    fn drop(&mut self) {
        while self.0.exists() && fs::remove_dir(&self.0).is_err() {
            sleep(Duration::from_millis(10));
        }
    }
}
