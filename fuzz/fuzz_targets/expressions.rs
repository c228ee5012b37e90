//! Any text as an expression of a peer's parser.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| log_shipper::invariants::expression(text));
