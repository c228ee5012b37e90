//! Any text as a password file.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| reverse_proxy::invariants::passwords(text));
