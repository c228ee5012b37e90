//! The one crypto provider: ring, built once and handed to every configuration.

use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;

/// Ring, shared. Never installed as the process default: a library does not change its process, and a
/// configuration that is handed its provider cannot get another one by accident.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())))
}
