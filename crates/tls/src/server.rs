//! The server half: what to show clients and what to ask of them, and the rustls configuration it makes.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use ring::digest::{Context, SHA256};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::Ticketer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    NoServerSessionStorage, ParsedCertificate, ProducesTickets, ServerSessionMemoryCache, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;

use crate::any_client::AnyClient;
use crate::resolver::ByName;
use crate::version1;
use crate::versions::{between, with_suites};
use crate::{Error, Identity, TlsVersion, pem};

/// What a server needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// The first one is the default, for clients that name no server or an unknown one.
    pub certificates: Vec<Certificate>,
    /// A client that names an unknown server is turned away and not shown the default certificate.
    pub strict_names: bool,
    pub clients: ClientCertificates,
    pub min_version: TlsVersion,
    pub max_version: TlsVersion,
    /// By their IANA names; none means all that rustls has.
    pub cipher_suites: Vec<String>,
    /// Protocols offered by ALPN, the best one first: `h2`, `http/1.1`.
    pub alpn: Vec<Vec<u8>>,
    /// Sessions are resumed from tickets that only the client stores. Their keys change every six hours.
    pub tickets: bool,
    /// Sessions that are remembered here, for clients without tickets. 0 for none.
    pub session_cache: usize,
}

impl Default for ServerTls {
    fn default() -> Self {
        Self {
            certificates: Vec::new(),
            strict_names: false,
            clients: ClientCertificates::Ignored,
            min_version: TlsVersion::V1_2,
            max_version: TlsVersion::V1_3,
            cipher_suites: Vec::new(),
            alpn: Vec::new(),
            tickets: true,
            session_cache: 64,
        }
    }
}

/// A certificate and the server names it is shown for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub identity: Identity,
    /// `www.example.com`, `*.example.com`. None means those in the certificate.
    pub names: Vec<String>,
}

impl From<Identity> for Certificate {
    fn from(identity: Identity) -> Self {
        Self { identity, names: Vec::new() }
    }
}

/// Whether clients have to say who they are. Who shows a certificate must show one that a CA in `roots` has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Clients are not asked.
    Ignored,
    /// Asked, and let in without.
    Optional {
        roots: PathBuf,
    },
    Required {
        roots: PathBuf,
    },
    /// Required, and not checked but for being the client's own: for whoever looks at it later.
    Unverified,
}

impl ClientCertificates {
    /// What `client_certificates` and `client_ca_file` of a config file mean together.
    pub fn asked(how: Option<&str>, roots: Option<PathBuf>) -> Result<Self, String> {
        match (how, roots) {
            (None | Some("off"), None) => Ok(Self::Ignored),
            (None | Some("required"), Some(roots)) => Ok(Self::Required { roots }),
            (Some("optional"), Some(roots)) => Ok(Self::Optional { roots }),
            (Some("required" | "optional"), None) => Err("client_certificates: expected client_ca_file too".into()),
            (Some("off"), Some(_)) => Err("client_ca_file: not used, because client_certificates is off".into()),
            (Some(other), _) => Err(format!("client_certificates \"{other}\": expected required, optional or off")),
        }
    }

    fn roots(&self) -> Option<&PathBuf> {
        match self {
            Self::Ignored | Self::Unverified => None,
            Self::Optional { roots } | Self::Required { roots } => Some(roots),
        }
    }
}

impl ServerTls {
    /// Reads the files. What is wrong with any of them is an error.
    pub fn load(&self) -> Result<Server, Error> {
        let (config, trust) = self.build(None)?;
        Ok(Server { settings: self.clone(), current: RwLock::new(Current { config, trust }) })
    }

    fn build(&self, before: Option<&Current>) -> Result<(Arc<ServerConfig>, Trust), Error> {
        let provider = with_suites(&self.cipher_suites)?;
        let names = self.by_name(&provider)?;
        let (verifier, fingerprint) = self.verifier(&provider)?;
        let versions = between(self.min_version, self.max_version)?;
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| Error::text(format!("these cipher suites and TLS versions do not go together: {error}")))?
            .with_client_cert_verifier(verifier);
        let mut config = builder.with_cert_resolver(Arc::new(names));
        config.alpn_protocols.clone_from(&self.alpn);
        config.ignore_client_order = true;
        config.session_storage = match self.session_cache {
            0 => Arc::new(NoServerSessionStorage {}),
            sessions => ServerSessionMemoryCache::new(sessions),
        };
        // A ticket holds the client's certificate as it was checked then: with other roots it must not be good any more.
        let kept = before.filter(|old| old.trust.roots == fingerprint).and_then(|old| old.trust.tickets.clone());
        let tickets = match (self.tickets, kept) {
            (false, _) => None,
            (true, Some(kept)) => Some(kept),
            (true, None) => Some(Ticketer::new().map_err(|error| Error::text(format!("no ticket keys: {error}")))?),
        };
        if let Some(tickets) = &tickets {
            config.ticketer = Arc::clone(tickets);
        }
        if !self.tickets && self.session_cache == 0 {
            config.send_tls13_tickets = 0;
        }
        Ok((Arc::new(config), Trust { roots: fingerprint, tickets }))
    }

    fn by_name(&self, provider: &CryptoProvider) -> Result<ByName, Error> {
        let mut all = ByName::new(self.strict_names);
        let Some(first) = self.certificates.first() else {
            return Err(Error::text("no certificate: a TLS server needs at least one"));
        };
        for certificate in &self.certificates {
            let (chain, key) = certificate.identity.load()?;
            let names = match certificate.names.is_empty() {
                true => names_in(&certificate.identity, &chain)?,
                false => certificate.names.clone(),
            };
            let pair = match CertifiedKey::from_der(chain.clone(), key.clone_key(), provider) {
                Ok(pair) => pair,
                Err(error) => {
                    version1::pair(&chain, key, provider).ok_or_else(|| certificate.identity.refused(&error))?
                }
            };
            let is_default = certificate == first || (!first.names.is_empty() && certificate.names == first.names);
            all.add(&names, &Arc::new(pair), is_default);
        }
        Ok(all)
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<(Arc<dyn ClientCertVerifier>, Vec<u8>), Error> {
        if self.clients == ClientCertificates::Unverified {
            return Ok((Arc::new(AnyClient::new(provider)), Vec::new()));
        }
        let Some(path) = self.clients.roots() else {
            return Ok((WebPkiClientVerifier::no_client_auth(), Vec::new()));
        };
        let mut store = RootCertStore::empty();
        let mut fingerprint = Context::new(&SHA256);
        for (index, root) in pem::certificates(path)?.into_iter().enumerate() {
            fingerprint.update(&root);
            store
                .add(root)
                .map_err(|_| Error::file(path, format!("certificate {} is not an X.509 certificate", index + 1)))?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider));
        let builder = match self.clients {
            ClientCertificates::Optional { .. } => builder.allow_unauthenticated(),
            _ => builder,
        };
        let verifier = builder.build().map_err(|error| Error::file(path, error))?;
        Ok((verifier, fingerprint.finish().as_ref().to_vec()))
    }
}

/// The DNS names that a certificate says of itself.
fn names_in(identity: &Identity, chain: &[CertificateDer<'static>]) -> Result<Vec<String>, Error> {
    let not_x509 = || Error::file(&identity.certificate, "the first certificate is not an X.509 certificate");
    let leaf = chain.first().ok_or_else(not_x509)?;
    if let Some(names) = version1::names(leaf) {
        return Ok(names);
    }
    // rustls' own reading first: what it cannot use must be an error now, not at the first handshake.
    ParsedCertificate::try_from(leaf).map_err(|_| not_x509())?;
    let parsed = webpki::EndEntityCert::try_from(leaf).map_err(|_| not_x509())?;
    Ok(parsed.valid_dns_names().map(str::to_owned).collect())
}

/// A server's configuration, which can be read from its files again at any time.
#[derive(Debug)]
pub struct Server {
    settings: ServerTls,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    trust: Trust,
}

/// What outlives a reload.
#[derive(Debug)]
struct Trust {
    /// SHA-256 of the CA certificates for clients.
    roots: Vec<u8>,
    tickets: Option<Arc<dyn ProducesTickets>>,
}

impl Server {
    /// For the next connection: ask for it at each accept. Connections that are open keep what they began with.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).config)
    }

    pub fn settings(&self) -> &ServerTls {
        &self.settings
    }

    /// Reads the files again. If anything is wrong with them, what there was stays, and the error says what is wrong.
    pub fn reload(&self) -> Result<(), Error> {
        let built = {
            let before = self.current.read().unwrap_or_else(PoisonError::into_inner);
            self.settings.build(Some(&before))?
        };
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Current { config: built.0, trust: built.1 };
        Ok(())
    }

    /// Every file that a reload reads, for whoever watches them.
    pub fn files(&self) -> Vec<PathBuf> {
        let pairs = self.settings.certificates.iter();
        let mut files: Vec<PathBuf> =
            pairs.flat_map(|pair| [pair.identity.certificate.clone(), pair.identity.key.clone()]).collect();
        files.extend(self.settings.clients.roots().cloned());
        files.sort();
        files.dedup();
        files
    }
}
