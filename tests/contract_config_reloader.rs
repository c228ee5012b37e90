//! The contract on `config-reloader`.

test_kit::contract! {
    name: "config-reloader",
    binary: env!("CARGO_BIN_EXE_config-reloader"),
    args: ["--watch", "{dir}/watched", "--touch", "{dir}/told"],
    config: "watch: ['{dir}/watched']\ntell: {touch: '{dir}/told'}",
}
