//! How much there may be: series, and the memory that they take.

use std::path::Path;

/// What the store may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub series: Option<usize>,
    pub series_per_name: Option<usize>,
    /// Different values of one label of one name. Those that come later are replaced.
    pub label_values: Option<usize>,
    /// What all series together may take, in bytes.
    pub memory: usize,
}

/// What a label says whose own value is one too many.
pub const REPLACED: &str = "__other__";

/// What is assumed where nobody limits the container: what most people give a sidecar.
const USUAL: u64 = 64 << 20;
/// The program itself, its stacks, receive buffers, and an answer on its way.
const OURS: u64 = 14 << 20;

impl Limits {
    /// From what the container may use.
    pub fn of_container(limit: Option<u64>) -> Self {
        let limit = limit.unwrap_or(USUAL);
        // The allocator's own losses come on top of what is counted.
        let memory = (limit.saturating_sub(OURS) / 4 * 3).max(limit / 4);
        Self { series: None, series_per_name: None, label_values: None, memory: memory as usize }
    }
}

/// The memory limit of this container, if it has one.
pub fn container_memory() -> Option<u64> {
    let number = |path: &str| {
        let text = values::read_text(Path::new(path), 4096).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let limit = number("/sys/fs/cgroup/memory.max").or_else(|| number("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
    // Version 1 says "no limit" with a number that no machine has.
    limit.filter(|limit| *limit < 1 << 50)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_container_leaves_room_for_the_program() {
        assert_eq!(Limits::of_container(None), Limits::of_container(Some(64 << 20)));
        assert_eq!(Limits::of_container(Some(64 << 20)).memory, (50 << 20) / 4 * 3);
        assert_eq!(Limits::of_container(Some(16 << 20)).memory, 4 << 20);
    }
}
