//! Any text as cookies.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| auth_proxy::invariants::cookies(text));
