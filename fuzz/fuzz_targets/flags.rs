//! Command lines, one word a line, as Go reads them and as clap does.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| common::invariants::go_flags(&text.split('\n').collect::<Vec<_>>()));
