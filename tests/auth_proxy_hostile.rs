//! Everything that somebody might try at the door, as one table. It runs against ours always, and against the real
//! oauth2-proxy where that is installed; `docs/auth-proxy-hostile.md` shows what came of it.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests: a surprise must fail loudly")]

#[path = "auth_proxy_hostile/addresses.rs"]
mod addresses;
#[path = "auth_proxy_hostile/bypass.rs"]
mod bypass;
#[path = "auth_proxy_hostile/case.rs"]
mod case;
#[path = "auth_proxy_hostile/cookies.rs"]
mod cookies;
#[path = "auth_proxy_hostile/identities.rs"]
mod identities;
#[path = "auth_proxy_hostile/logins.rs"]
mod logins;
#[path = "auth_proxy_hostile/messages.rs"]
mod messages;
#[path = "auth_proxy_hostile/passwords.rs"]
mod passwords;
#[cfg(feature = "real-servers")]
#[path = "auth_proxy_hostile/peers.rs"]
mod peers;
#[path = "auth_proxy_hostile/rig.rs"]
mod rig;
#[path = "auth_proxy_hostile/table.rs"]
mod table;
#[path = "auth_proxy_hostile/tokens.rs"]
mod tokens;
