//! What a person types into a flag, a variable or a config file: durations, addresses, sizes, secrets.
//!
//! Every type parses the spellings that the peers' users already have in their manifests (`:9125`, `1m30s`, `64Mi`),
//! prints itself back in the same spelling, and says what it expected when it cannot.

mod addr;
mod duration;
mod file;
#[cfg(any(test, fuzzing))]
pub mod invariants;
mod number;
mod path;
mod secret;
mod settings;
mod size;
mod suggest;

pub use addr::ListenAddr;
pub use duration::Span;
pub use file::{read_capped, read_text};
pub use path::{path_after, socket_path};
pub use secret::Secret;
pub use settings::Settings;
pub use size::ByteSize;
pub use suggest::nearest;
