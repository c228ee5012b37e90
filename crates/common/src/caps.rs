//! The first thing a process does for itself: less memory than the node's defaults, and the rights its file was given.

use rustix::thread::{capabilities, disable_transparent_huge_pages, set_capabilities};

/// Called before anything is allocated or any thread is started.
pub(crate) fn settle_in() {
    // Huge pages turn a burst of small allocations into memory that never comes back (measured: 1.2 MiB against 16.7).
    // A kernel that refuses leaves things as they were.
    let _ = disable_transparent_huge_pages(true);
    heap::cap_arenas(1);
    raise_file_capabilities();
}

/// A binary with file capabilities `=p` (permitted, not effective) starts everywhere, also where everything is dropped,
/// and takes what it was really given. With `=ep` exec itself would fail under `drop: [ALL]`.
fn raise_file_capabilities() {
    if let Ok(mut sets) = capabilities(None)
        && sets.effective != sets.permitted
    {
        sets.effective = sets.permitted;
        let _ = set_capabilities(None, sets);
    }
}
