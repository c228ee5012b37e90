//! A guarded HTTP port: TLS, client certificates, passwords, headers and a rate limit, changed without a restart.
//!
//! ```text
//!  connection ── Guard::open() ──> files changed? load again ──> TLS, if there is any ──> a stream to speak HTTP on
//!  request    ── Guard::admit() ──> rate limit ──> password ──> let in, or refused with a status
//! ```
//!
//! Whoever has the port brings the [`Settings`], and a way to read them again: how they are written is not known here.
//! Files are looked at when somebody connects, and at no other time.

mod guard;
mod inline;
mod limit;
mod settings;
mod stamp;
mod stream;
#[cfg(test)]
mod tests;
mod users;
mod visit;

pub use guard::{Admission, Event, Guard};
pub use inline::Inline;
pub use limit::Rate;
pub use settings::{Settings, Tls};
pub use stream::Stream;
pub use users::{BadHash, Users};
pub use visit::{basic, visit};
