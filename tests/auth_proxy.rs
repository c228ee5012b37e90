//! auth-proxy from outside: the contract of every sidecar, and its own promises.

#![allow(clippy::unwrap_used, reason = "tests: a surprise must fail loudly")]

#[path = "auth_proxy/attacks.rs"]
mod attacks;
#[path = "auth_proxy/browser.rs"]
mod browser;
#[path = "auth_proxy/dialect.rs"]
mod dialect;
#[path = "auth_proxy/login.rs"]
mod login;
#[cfg(feature = "real-servers")]
#[path = "auth_proxy/nginx.rs"]
mod nginx;
#[path = "auth_proxy/own.rs"]
mod own;
#[path = "auth_proxy/programs.rs"]
mod programs;

test_kit::contract! {
    name: "auth-proxy",
    binary: env!("CARGO_BIN_EXE_auth-proxy"),
    args: ["--listen", "127.0.0.1:0", "--passwords", "{dir}/users"],
    config: "listen: 127.0.0.1:0\npasswords: {file: '{dir}/users'}\nupstreams: [{to: 'http://127.0.0.1:8080'}]",
}
