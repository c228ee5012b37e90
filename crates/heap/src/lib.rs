//! Gives memory back to the node: the two glibc calls that no safe crate offers.
//!
//! This is the only crate of the workspace that may say `unsafe`.
#![allow(unsafe_code)]

use libc::c_int;

/// Caps the number of malloc arenas. glibc makes up to eight per core of the *node*, each of which keeps its own
/// freed memory: on a 64-core node a small process can hold hundreds of MiB that way.
pub fn cap_arenas(arenas: u8) {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes two integers and touches no memory of ours.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, c_int::from(arenas));
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = arenas;
}

/// Returns freed heap pages to the kernel. Call it once after a burst, never on a timer.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim is thread safe and only releases pages that hold no live allocation.
    unsafe {
        libc::malloc_trim(0);
    }
}
