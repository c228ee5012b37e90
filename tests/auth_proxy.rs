//! auth-proxy from outside: the contract of every sidecar, and its own promises.

#![allow(clippy::unwrap_used, reason = "tests: a surprise must fail loudly")]

#[cfg(feature = "real-servers")]
#[path = "auth_proxy/asks.rs"]
mod asks;
#[path = "auth_proxy/attacks.rs"]
mod attacks;
#[path = "auth_proxy/browser.rs"]
mod browser;
#[path = "auth_proxy/cluster.rs"]
mod cluster;
#[path = "auth_proxy/dialect.rs"]
mod dialect;
#[path = "auth_proxy/form.rs"]
mod form;
#[path = "auth_proxy/keys.rs"]
mod keys;
#[path = "auth_proxy/login.rs"]
mod login;
#[path = "auth_proxy/logout.rs"]
mod logout;
#[path = "auth_proxy/own.rs"]
mod own;
#[path = "auth_proxy/policy.rs"]
mod policy;
#[path = "auth_proxy/programs.rs"]
mod programs;
#[path = "auth_proxy/providers.rs"]
mod providers;
#[path = "auth_proxy/redis.rs"]
mod redis;
#[cfg(feature = "real-servers")]
#[path = "auth_proxy/redis_real.rs"]
mod redis_real;
#[path = "auth_proxy/secure.rs"]
mod secure;
#[path = "auth_proxy/signed.rs"]
mod signed;
#[path = "auth_proxy/upstreams.rs"]
mod upstreams;

test_kit::contract! {
    name: "auth-proxy",
    binary: env!("CARGO_BIN_EXE_auth-proxy"),
    args: ["--listen", "127.0.0.1:0", "--passwords", "{dir}/users"],
    config: "listen: 127.0.0.1:0\npasswords: {file: '{dir}/users'}\nupstreams: [{to: 'http://127.0.0.1:8080'}]",
}
