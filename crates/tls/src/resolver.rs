//! Which certificate a client is shown: by the name it asks for, exact before wildcard before default.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Certificates under one name: an ECDSA one and an RSA one for old clients, for instance.
type Choices = Vec<Arc<CertifiedKey>>;

#[derive(Debug, Default)]
pub(crate) struct ByName {
    exact: HashMap<String, Choices>,
    /// `*.example.com` under `example.com`. It stands for one label, as browsers and RFC 9525 have it.
    wildcard: HashMap<String, Choices>,
    /// For clients that name nobody, or somebody unknown.
    default: Choices,
    /// A client that names somebody unknown is turned away.
    strict: bool,
}

impl ByName {
    pub(crate) fn new(strict: bool) -> Self {
        Self { strict, ..Self::default() }
    }

    /// The first certificate is the default, and so are others with the same names and another kind of key.
    pub(crate) fn add(&mut self, names: &[String], key: &Arc<CertifiedKey>, is_default: bool) {
        if is_default {
            self.default.push(Arc::clone(key));
        }
        for name in names {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let choices = match name.strip_prefix("*.") {
                Some(parent) => self.wildcard.entry(parent.to_owned()),
                None => self.exact.entry(name),
            };
            choices.or_default().push(Arc::clone(key));
        }
    }

    fn choices(&self, asked: Option<&str>) -> &[Arc<CertifiedKey>] {
        // rustls gives the name in lower case and without the final dot; an address is never a server name.
        let Some(name) = asked else { return &self.default };
        let parent = || name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
        match self.exact.get(name).or_else(parent) {
            Some(choices) => choices,
            None if self.strict => &[],
            None => &self.default,
        }
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let choices = self.choices(hello.server_name());
        let usable = choices.iter().find(|choice| choice.key.choose_scheme(hello.signature_schemes()).is_some());
        // If none fits, rustls says so better than we could.
        usable.or_else(|| choices.first()).cloned()
    }
}
