//! Any text as a bootstrap of Envoy.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| reverse_proxy::invariants::envoy(text));
