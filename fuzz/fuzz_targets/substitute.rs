//! `$(VAR)` in any bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| config_reloader::invariants::substitution(bytes));
