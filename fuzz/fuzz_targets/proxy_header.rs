//! Any bytes as a PROXY header, of either version.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| http_proxy::invariants::proxy_header(bytes));
