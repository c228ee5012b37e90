//! Any text as the file of auth-proxy, or as flags of the peer, a word a line.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    auth_proxy::invariants::file(text);
    auth_proxy::invariants::flags(text);
});
