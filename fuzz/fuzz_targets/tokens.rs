//! Any text as a token, any bytes as keys, any query as an answer.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    oidc::invariants::keys(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        oidc::invariants::token(text);
        oidc::invariants::answer(text);
    }
});
