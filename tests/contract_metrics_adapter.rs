//! metrics-adapter from outside: the contract of every sidecar.

test_kit::contract! {
    name: "metrics-adapter",
    binary: env!("CARGO_BIN_EXE_metrics-adapter"),
    args: ["--listen", "udp://127.0.0.1:0"],
    config: "listen: ['udp://127.0.0.1:0']",
}
