//! Any text as a path.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| reverse_proxy::invariants::paths(text));
