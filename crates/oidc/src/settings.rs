//! A provider as configured: plain values.

use std::sync::Arc;
use std::time::Duration;

use http_client::SecretSource;
use tls::ClientTls;

use crate::GoogleGroups;

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
    pub check_issuer: bool,
    /// Where each tenant of the provider is an issuer of its own.
    pub tenants: Option<Tenants>,
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
    /// What else has to be asked for, and where.
    pub questions: Vec<Question>,
    /// Signatures that are taken, by the names of RFC 7518; empty: all of public keys.
    pub algorithms: Vec<String>,
    pub tls: Arc<ClientTls>,
    pub timeout: Duration,
}

impl Kind {
    pub fn is_openid(&self) -> bool {
        matches!(self, Self::OpenId)
    }
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
            tenants: None,
            check_nonce: true,
            audience_claims: vec!["aud".into()],
            audiences: Vec::new(),
            parameters: Vec::new(),
            userinfo: true,
            questions: Vec::new(),
            algorithms: Vec::new(),
            tls: Arc::default(),
            timeout: Duration::from_secs(10),
        }
    }
}

/// How a login ends in an identity.
#[derive(Clone, Debug)]
pub enum Kind {
    /// With an ID token.
    OpenId,
    /// With questions to an API of GitHub's: OAuth 2.0 alone says nothing of who somebody is.
    Github(GithubRules),
}

/// Whom the API of GitHub's is asked about. Groups are `org`, `org:team`, and `repo:owner/name` for whoever may write there.
#[derive(Clone, Debug, Default)]
pub struct GithubRules {
    /// `https://api.github.com`, or that of an installation of one's own.
    pub api: String,
    /// Ask for organisations and teams.
    pub groups: bool,
    pub repositories: Vec<String>,
    /// With a token of ours that may ask who collaborates: whoever does is in the group of the repository.
    pub token: Option<SecretSource>,
}

/// An issuer that has the tenant's id in its name, which the token names as `tid`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenants {
    /// `https://login.microsoftonline.com/{tenantid}/v2.0`
    pub pattern: String,
    /// Empty: any.
    pub allowed: Vec<String>,
}

/// What neither the ID token nor the userinfo says. The answers are more groups.
#[derive(Clone, Debug)]
pub enum Question {
    /// Groups `project:PATH`, for members of at least this level.
    GitlabProjects { api: String, projects: Vec<(String, u64)> },
    /// The groups of somebody who has more of them than fit into a token.
    EntraGroups { graph: String },
    /// Groups that are asked for by name.
    GoogleGroups(GoogleGroups),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    pub authorization: Option<String>,
    pub token: Option<String>,
    pub jwks: Option<String>,
    pub userinfo: Option<String>,
    /// Where a session of the provider ends, for the browser to go to.
    pub end_session: Option<String>,
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
