//! Which files there are, and what is new in them: found by globs, known by identity, followed across renames.
//!
//! ```text
//! inotify, one watch per directory --> Follower --> Catalog (look: globs, identities, rotations) --> lanes
//! ```

mod catalog;
mod file;
mod follower;
mod identity;
mod rotation;
mod siblings;
mod watch;

pub use catalog::Catalog;
pub use file::{Followed, NOT_TAKEN, Read};
pub use follower::{Finish, Follower, QUIET, View};
pub use identity::{Head, Identity};
