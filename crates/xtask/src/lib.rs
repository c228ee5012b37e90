//! What the chores are made of. A library only so that its tests can reach it.
//!
//! ```text
//!  images/NAME.toml --> recipe --+
//!  cargo build ------> binary ---+--> rootfs --> layer --> archive --> target/images/NAME.tar
//!  cargo metadata ---> workspace-+--> sbom ----------------------> target/images/NAME.cdx.json
//!  template/ ---------> new ------------------------------------> crates/NAME, tests/, images/, manifests/, docs/
//!  NAME --help ------> docs -----------------------------------> docs/reference/NAME.md
//! ```
#![allow(clippy::disallowed_methods, reason = "a developer's tool: it reads the workspace's own files, to their end")]

pub mod archive;
pub mod binary;
pub mod capability;
pub mod docs;
pub mod image;
pub mod layer;
pub mod new;
pub mod recipe;
pub mod rootfs;
pub mod sbom;
pub mod shell;
pub mod stamp;
pub mod tidy;
pub mod workspace;
