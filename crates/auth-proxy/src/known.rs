//! The providers that have a name: where each of them is, and what is particular to it.

use std::str::FromStr;

use http_client::SecretSource;
use oidc::{GithubRules, GoogleGroups, Kind, Question, Settings, Tenants};

use crate::config::{ClaimNames, RoleClaims};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    OpenId,
    Adfs,
    Entra,
    Gitea,
    Github,
    Gitlab,
    Google,
    Keycloak,
}

/// What was said beside what every provider needs.
#[derive(Clone, Debug, Default)]
pub struct More {
    /// Of GitHub's shape, GitLab's or Microsoft Graph.
    pub api: Option<String>,
    pub tenant: Option<String>,
    pub tenants: Vec<String>,
    pub repositories: Vec<String>,
    pub token: Option<SecretSource>,
    /// `PATH`, `PATH=LEVEL`
    pub projects: Vec<String>,
    /// Of Google, with who may ask about them: a service account, for somebody.
    pub groups: Vec<String>,
    pub account: Option<SecretSource>,
    pub admin: Option<String>,
}

impl FromStr for Known {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "openid" | "oidc" => Self::OpenId,
            "adfs" => Self::Adfs,
            "entra-id" | "azure" => Self::Entra,
            "gitea" => Self::Gitea,
            "github" => Self::Github,
            "gitlab" => Self::Gitlab,
            "google" => Self::Google,
            "keycloak" | "keycloak-oidc" => Self::Keycloak,
            _ => return Err("expected openid, adfs, entra-id, gitea, github, gitlab, google or keycloak"),
        })
    }
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

impl Known {
    pub fn title(self) -> &'static str {
        match self {
            Self::OpenId => "OpenID Connect",
            Self::Adfs => "ADFS",
            Self::Entra => "Microsoft Entra ID",
            Self::Gitea => "Gitea",
            Self::Github => "GitHub",
            Self::Gitlab => "GitLab",
            Self::Google => "Google",
            Self::Keycloak => "Keycloak",
        }
    }

    pub fn needs_issuer(self) -> bool {
        matches!(self, Self::OpenId | Self::Adfs | Self::Keycloak)
    }

    /// Fills in what nobody has said. An issuer that nobody has said is empty; scopes are for the caller to replace.
    pub fn settle(self, settings: &mut Settings, claims: &mut ClaimNames, more: &More) -> Result<(), String> {
        let fill = |place: &mut Option<String>, address: &str| {
            place.get_or_insert_with(|| address.to_owned());
        };
        match self {
            Self::OpenId => {}
            Self::Keycloak => {
                claims.roles =
                    Some(RoleClaims { realm: "realm_access.roles".into(), clients: "resource_access".into() });
            }
            // Who has no address in the directory has a name of that shape.
            Self::Adfs => claims.email_else = Some("upn".into()),
            Self::Google => {
                // All that discovery would say has not changed in years: nobody has to be asked.
                if settings.issuer.is_empty() {
                    settings.issuer = "https://accounts.google.com".into();
                    settings.discover = false;
                    fill(&mut settings.endpoints.authorization, "https://accounts.google.com/o/oauth2/v2/auth");
                    fill(&mut settings.endpoints.token, "https://oauth2.googleapis.com/token");
                    fill(&mut settings.endpoints.jwks, "https://www.googleapis.com/oauth2/v3/certs");
                    fill(&mut settings.endpoints.userinfo, "https://openidconnect.googleapis.com/v1/userinfo");
                }
                settings.parameters.push(("access_type".into(), "offline".into()));
                settings.questions.extend(google(more)?.map(Question::GoogleGroups));
            }
            Self::Gitlab => {
                if settings.issuer.is_empty() {
                    settings.issuer = "https://gitlab.com".into();
                }
                settings.scopes = words(&["openid", "email"]);
                let projects = more.projects.iter().map(|text| project(text)).collect::<Result<Vec<_>, _>>()?;
                if !projects.is_empty() {
                    settings.scopes.push("read_api".into());
                    let own = format!("{}/api/v4", settings.issuer.trim_end_matches('/'));
                    let api = more.api.clone().unwrap_or(own);
                    settings.questions.push(Question::GitlabProjects { api, projects });
                }
            }
            Self::Entra => entra(settings, claims, more),
            Self::Github | Self::Gitea => hub(self, settings, claims, more)?,
        }
        Ok(())
    }
}

/// Nobody's token says in which groups of a workspace they are.
fn google(more: &More) -> Result<Option<GoogleGroups>, String> {
    if more.groups.is_empty() {
        return Ok(None);
    }
    let (Some(key), Some(admin)) = (more.account.clone(), more.admin.clone()) else {
        return Err("groups of Google: expected the key of a service account and the address of an admin".into());
    };
    let api = more.api.clone().unwrap_or_else(|| "https://admin.googleapis.com".into());
    Ok(Some(GoogleGroups { api, key, admin, groups: more.groups.clone() }))
}

/// `group/name=30`: members of this level at least; 20 may report.
fn project(text: &str) -> Result<(String, u64), String> {
    let (name, level) = text.split_once('=').unwrap_or((text, "20"));
    let level =
        level.parse().map_err(|_| format!("project \"{text}\": expected PATH or PATH=LEVEL, such as a/b=30"))?;
    Ok((name.to_owned(), level))
}

const ANY_TENANT: [&str; 3] = ["common", "organizations", "consumers"];

fn entra(settings: &mut Settings, claims: &mut ClaimNames, more: &More) {
    if settings.issuer.is_empty() {
        let tenant = more.tenant.as_deref().unwrap_or("common");
        settings.issuer = format!("https://login.microsoftonline.com/{tenant}/v2.0");
    }
    let is_any = |segment: &str| ANY_TENANT.contains(&segment);
    let pattern: Vec<_> =
        settings.issuer.split('/').map(|segment| if is_any(segment) { "{tenantid}" } else { segment }).collect();
    let pattern = pattern.join("/");
    if pattern != settings.issuer || !more.tenants.is_empty() {
        settings.tenants = Some(Tenants { pattern, allowed: more.tenants.clone() });
    }
    // Who has no mailbox has a name of that shape, which the tenant gives.
    claims.email_else = Some("preferred_username".into());
    let graph = more.api.clone().unwrap_or_else(|| "https://graph.microsoft.com/v1.0".into());
    settings.questions.push(Question::EntraGroups { graph });
}

/// OAuth 2.0 with an API of GitHub's shape behind it.
fn hub(known: Known, settings: &mut Settings, claims: &mut ClaimNames, more: &More) -> Result<(), String> {
    let (base, api, scopes) = match known {
        Known::Gitea => (None, "/api/v1", ["read:user", "read:organization"]),
        _ => (Some("https://github.com"), "/api/v3", ["user:email", "read:org"]),
    };
    let is_own = !settings.issuer.is_empty();
    let base = if is_own { Some(settings.issuer.trim_end_matches('/').to_owned()) } else { base.map(str::to_owned) };
    let endpoints = &mut settings.endpoints;
    let own_api = base.as_ref().filter(|_| is_own).map(|base| format!("{base}{api}"));
    let public = || (known == Known::Github).then(|| "https://api.github.com".to_owned());
    let api = more.api.clone().or(own_api).or_else(public);
    if let Some(base) = &base {
        endpoints.authorization.get_or_insert_with(|| format!("{base}/login/oauth/authorize"));
        endpoints.token.get_or_insert_with(|| format!("{base}/login/oauth/access_token"));
    }
    let (Some(api), Some(_), Some(_)) = (api, &endpoints.authorization, &endpoints.token) else {
        return Err("expected the address of the server".into());
    };
    settings.issuer = base.unwrap_or_else(|| api.clone());
    settings.discover = false;
    settings.scopes = words(&scopes);
    if !more.repositories.is_empty() && more.token.is_none() && known == Known::Github {
        // Without it private repositories are not seen, and nobody's rights are.
        settings.scopes.push("repo".into());
    }
    claims.user = "preferred_username".into();
    settings.kind = Kind::Github(GithubRules {
        api,
        groups: true,
        repositories: more.repositories.clone(),
        token: more.token.clone(),
    });
    Ok(())
}
