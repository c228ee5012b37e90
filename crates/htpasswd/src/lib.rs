//! Users of a password file, as Apache's htpasswd makes it.
//!
//! ```text
//! Authorization: Basic --> credentials --> remembered? --> locked out? --> a turn --> verify (blocking thread)
//! ```
//!
//! A hash takes long by design: it is computed off the data path, a few at a time, and whoever was let in is remembered by
//! a keyed sum for a while.

mod lockout;
mod md5_crypt;
mod passwords;
mod users;

pub use passwords::Passwords;
pub use users::{News, Proof, Users, credentials};
