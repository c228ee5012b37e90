//! What `healthcheck` is answered and what `wait` is asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    common::invariants::answer(bytes);
    common::invariants::wait_target(&String::from_utf8_lossy(bytes));
});
