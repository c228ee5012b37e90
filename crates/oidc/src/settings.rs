//! A provider as configured: plain values.

use std::sync::Arc;
use std::time::Duration;

use http_client::SecretSource;
use tls::ClientTls;

#[derive(Clone, Debug)]
pub struct Settings {
    pub kind: Kind,
    /// Exactly as it names itself in its tokens.
    pub issuer: String,
    pub client_id: String,
    pub client_secret: Option<SecretSource>,
    pub scopes: Vec<String>,
    /// What is given here is not looked up.
    pub endpoints: Endpoints,
    pub discover: bool,
    pub pkce: Pkce,
    /// Off only for providers whose tokens name an issuer that differs by tenant.
    pub check_issuer: bool,
    /// Off only for providers that do not repeat it.
    pub check_nonce: bool,
    /// Claims in which we have to be named.
    pub audience_claims: Vec<String>,
    /// Others than ourselves that a token may be meant for.
    pub audiences: Vec<String>,
    /// More parameters of the authorisation request.
    pub parameters: Vec<(String, String)>,
    /// Ask the userinfo endpoint for what the ID token does not say.
    pub userinfo: bool,
    pub tls: Arc<ClientTls>,
    pub timeout: Duration,
}

impl Settings {
    pub fn new(issuer: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self {
            kind: Kind::OpenId,
            issuer: issuer.into(),
            client_id: client_id.into(),
            client_secret: None,
            scopes: ["openid", "email", "profile"].map(str::to_owned).to_vec(),
            endpoints: Endpoints::default(),
            discover: true,
            pkce: Pkce::WhereKnown,
            check_issuer: true,
            check_nonce: true,
            audience_claims: vec!["aud".into()],
            audiences: Vec::new(),
            parameters: Vec::new(),
            userinfo: true,
            tls: Arc::default(),
            timeout: Duration::from_secs(10),
        }
    }
}

/// How a login ends in an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// With an ID token.
    OpenId,
    /// With questions to an API of GitHub's: OAuth 2.0 alone says nothing of who somebody is.
    Github(GithubRules),
}

/// Whom the API of GitHub's is asked about. Groups are `org` and `org:team`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GithubRules {
    /// `https://api.github.com`, or that of an installation of one's own.
    pub api: String,
    /// Ask for organisations and teams.
    pub groups: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    pub authorization: Option<String>,
    pub token: Option<String>,
    pub jwks: Option<String>,
    pub userinfo: Option<String>,
}

/// Proof key for code exchange, always with SHA-256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pkce {
    /// Unless the provider lists methods and S256 is not among them.
    #[default]
    WhereKnown,
    Always,
    Never,
}
