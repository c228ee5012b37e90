//! Any bytes as lines of statsd: what is exposed can be read, and a known line means what a new one does.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| metrics_adapter::invariants::lines(bytes));
