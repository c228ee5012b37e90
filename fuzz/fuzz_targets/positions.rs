//! Any bytes as a journal of positions.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| log_shipper::invariants::positions(bytes));
