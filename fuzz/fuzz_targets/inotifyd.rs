//! `FILE[:MASK]` of inotifyd.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| config_reloader::invariants::inotifyd_file(text));
