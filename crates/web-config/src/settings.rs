//! What a guarded port is told: plain data.

use std::path::PathBuf;

use crate::{Inline, Rate, Users};

#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub tls: Option<Tls>,
    /// Said with each answer.
    pub headers: Vec<(String, String)>,
    /// Nobody means that no password is asked for.
    pub users: Users,
    pub rate: Option<Rate>,
    /// Where all this was read from, to see when it changes. Certificates need not be named again.
    pub files: Vec<PathBuf>,
}

impl Settings {
    /// Whether the certificates can be read and used.
    pub fn check(&self) -> Result<(), String> {
        let Some(tls) = &self.tls else { return Ok(()) };
        tls.server.load().map(drop).map_err(|error| error.to_string())
    }
}

#[derive(Clone, Debug)]
pub struct Tls {
    pub server: tls::ServerTls,
    /// Clients that show a certificate need one of these names in it. Empty allows all.
    pub allowed_names: Vec<String>,
    /// What `server` names as files and is none.
    pub inline: Vec<Inline>,
}
