//! When and from which commit: the only two facts of an image that its contents do not determine.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, UNIX_EPOCH},
};

#[derive(Clone, Debug, Default)]
pub struct Stamp {
    /// RFC 3339: `SOURCE_DATE_EPOCH`, or the time of the commit, or 1970. Never the time of the build.
    pub created: String,
    /// None outside a repository, or before the first commit.
    pub revision: Option<String>,
}

impl Stamp {
    pub fn of(root: &Path, source_date_epoch: Option<u64>) -> Self {
        let committed = || git(root, &["log", "-1", "--format=%ct"])?.parse().ok();
        let seconds = source_date_epoch.or_else(committed).unwrap_or(0);
        let created = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
        let changed = git(root, &["status", "--porcelain"]).is_some_and(|files| !files.is_empty());
        let suffix = if changed { "-dirty" } else { "" };
        let revision = git(root, &["rev-parse", "--verify", "HEAD"]).map(|commit| format!("{commit}{suffix}"));
        Self { created, revision }
    }
}

/// None whatever the reason: an archive of the sources without git must build too.
fn git(root: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(root).args(args).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
