//! Any text as an nginx.conf.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| reverse_proxy::invariants::nginx(text));
