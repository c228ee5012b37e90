//! Any bytes as the beginning of a TLS connection.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| tls::invariants::hello(bytes));
