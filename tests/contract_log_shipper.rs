//! The contract of every sidecar, held against log-shipper.

test_kit::contract! {
    name: "log-shipper",
    binary: env!("CARGO_BIN_EXE_log-shipper"),
    args: ["--path", "/nonexistent/*.log", "--state-file", "/dev/null/positions"],
    config: "inputs: [{paths: [/nonexistent/app.log]}]\noutputs: [{stdout: {format: raw}}]\nstate_file: /dev/null/positions",
}
