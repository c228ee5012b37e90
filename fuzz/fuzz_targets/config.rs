//! Any text as a config file.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| common::invariants::config(text));
