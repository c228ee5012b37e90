//! What is in /proc, and names that are looked for there.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|texts: (&str, &str)| config_reloader::invariants::process(texts.0, texts.1));
