//! Any text as a mapping, as rules for labels, as a web configuration: read, or refused with a place.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    metrics_adapter::invariants::mapping_file(text);
    metrics_adapter::invariants::relabeling(text);
    metrics_adapter::invariants::web_configuration(text);
});
