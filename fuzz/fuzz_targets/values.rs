//! Durations, sizes and addresses.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    values::invariants::duration(text);
    values::invariants::size(text);
    values::invariants::address(text);
});
