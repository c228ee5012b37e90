//! Any text as a path that a rule may let in.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| auth_proxy::invariants::path(text));
