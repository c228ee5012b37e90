//! Any bytes as metrics in each format: read or refused, and what is read is written so that it is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| exposition::invariants::a_body_is_read_or_refused(bytes));
