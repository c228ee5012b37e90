//! Any text as the end of a login.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| auth_proxy::invariants::target(text));
