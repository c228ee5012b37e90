//! Any text as the settings file of reverse-proxy.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| reverse_proxy::invariants::settings(text));
