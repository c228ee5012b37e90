//! Any bytes as a request, a response, and a chunked body.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    http1::invariants::request(bytes);
    http1::invariants::response(bytes);
    if let [cut, rest @ ..] = bytes {
        http1::invariants::chunked(rest, usize::from(*cut));
    }
});
