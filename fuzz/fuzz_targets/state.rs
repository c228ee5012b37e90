//! What the state file may have become.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| config_reloader::invariants::state_file(text));
