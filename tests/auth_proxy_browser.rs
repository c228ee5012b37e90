//! auth-proxy between a real Chromium and a certified OpenID provider.
#![cfg(feature = "real-servers")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests: a surprise must fail loudly")]

#[path = "auth_proxy_browser/goodbye.rs"]
mod goodbye;
#[path = "auth_proxy_browser/hand.rs"]
mod hand;
#[path = "auth_proxy_browser/pages.rs"]
mod pages;
#[path = "auth_proxy_browser/people.rs"]
mod people;
#[path = "auth_proxy_browser/sessions.rs"]
mod sessions;
#[path = "auth_proxy_browser/trouble.rs"]
mod trouble;
