//! Any bytes as log lines: in every format, and joined.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    log_shipper::invariants::joined(bytes);
    for line in String::from_utf8_lossy(bytes).lines() {
        log_shipper::invariants::line(line);
    }
});
