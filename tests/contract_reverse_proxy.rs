//! `reverse-proxy` keeps the promises of every sidecar.

test_kit::contract! {
    name: "reverse-proxy",
    binary: env!("CARGO_BIN_EXE_reverse-proxy"),
    args: ["--listen", "127.0.0.1:0"],
    config: "listeners: [{listen: \"127.0.0.1:0\", routes: [{to: \"127.0.0.1:8080\"}]}]",
}
