//! Any text as the settings file of config-reloader.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| config_reloader::invariants::settings(text));
