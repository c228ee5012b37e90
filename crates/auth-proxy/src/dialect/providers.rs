//! The providers by their names: where each is, and what is particular to it.

use std::{path::PathBuf, sync::Arc};

use http_client::SecretSource;
use oidc::{Endpoints, GithubRules, Kind, Pkce, Settings};
use tls::{ClientTls, Roots};
use values::Secret;

use super::spoken::Spoken;
use crate::config::{ClaimNames, Provider, RoleClaims};

const KNOWN: &str = "expected google, oidc, keycloak-oidc, github, gitlab, azure, entra-id or adfs";

pub(super) fn tls(said: &Spoken, problems: &mut Vec<String>) -> Arc<ClientTls> {
    let files = said.list("provider-ca-file");
    if files.len() > 1 {
        problems.push(format!("{}: expected one file with all certificates in it", said.place("provider-ca-file")));
    }
    let with_system = said.truth("use-system-trust-store");
    let roots = match files.first().map(PathBuf::from) {
        None => Roots::System,
        Some(file) if with_system => Roots::SystemAnd(file),
        Some(file) => Roots::File(file),
    };
    Arc::new(ClientTls {
        roots,
        dangerously_skip_verification: said.truth("ssl-insecure-skip-verify"),
        ca_setting: "--provider-ca-file".into(),
        ..ClientTls::default()
    })
}

pub(super) fn provider(said: &Spoken, problems: &mut Vec<String>) -> Option<Provider> {
    let name = said.text("provider").to_owned();
    let issuer = said.said("oidc-issuer-url");
    let client_id = said.text("client-id");
    if client_id.is_empty() {
        problems.push("--client-id: required".into());
    }
    let mut settings = Settings {
        client_secret: secret(said, problems),
        tls: tls(said, problems),
        check_issuer: !said.truth("insecure-oidc-skip-issuer-verification"),
        // Theirs is not checked unless one asks for it; ours is unless one asks for that.
        check_nonce: !(said.is_said("insecure-oidc-skip-nonce") && said.truth("insecure-oidc-skip-nonce")),
        audiences: said.list("oidc-extra-audience"),
        userinfo: !said.truth("skip-claims-from-profile-url"),
        discover: !said.truth("skip-oidc-discovery"),
        endpoints: Endpoints {
            authorization: said.said("login-url"),
            token: said.said("redeem-url"),
            jwks: said.said("oidc-jwks-url"),
            userinfo: said.said("profile-url"),
        },
        ..Settings::new(issuer.clone().unwrap_or_default(), client_id)
    };
    if said.is_said("oidc-audience-claim") {
        settings.audience_claims = said.list("oidc-audience-claim");
    }
    let method = [said.text("code-challenge-method"), said.text("force-code-challenge-method")].concat();
    settings.pkce = match &*method {
        "" => Pkce::WhereKnown,
        "S256" => Pkce::Always,
        _ => {
            problems.push(format!("{} \"{method}\": expected S256", said.place("code-challenge-method")));
            Pkce::Always
        }
    };
    for (flag, parameter) in [("prompt", "prompt"), ("acr-values", "acr_values")] {
        settings.parameters.extend(said.said(flag).map(|value| (parameter.to_owned(), value)));
    }
    let mut claims = ClaimNames {
        email: said.said("oidc-email-claim").unwrap_or_default(),
        groups: said.text("oidc-groups-claim").to_owned(),
        ..ClaimNames::default()
    };
    if !said.is_said("oidc-email-claim") && said.is_said("user-id-claim") {
        claims.email = said.text("user-id-claim").to_owned();
    }
    for (claim, name) in [(&mut claims.email, "email"), (&mut claims.groups, "groups")] {
        if claim.is_empty() {
            *claim = name.into();
        }
    }
    let title = particulars(&name, said, &mut settings, &mut claims, problems)?;
    if let Some(scope) = said.said("scope") {
        settings.scopes = scope.split_whitespace().map(str::to_owned).collect();
    }
    let needs_endpoints =
        !settings.discover && (settings.endpoints.authorization.is_none() || settings.endpoints.token.is_none());
    if needs_endpoints {
        problems.push("--skip-oidc-discovery: expected --login-url, --redeem-url and --oidc-jwks-url with it".into());
    }
    let title = said.said("provider-display-name").unwrap_or_else(|| title.to_owned());
    Some(Provider {
        name,
        title,
        settings,
        claims,
        unverified_email: said.truth("insecure-oidc-allow-unverified-email"),
    })
}

fn secret(said: &Spoken, problems: &mut Vec<String>) -> Option<SecretSource> {
    match (said.said("client-secret"), said.said("client-secret-file")) {
        (Some(_), Some(_)) => {
            problems.push("--client-secret and --client-secret-file: expected one of them".into());
            None
        }
        (Some(text), None) => Some(SecretSource::Value(Secret::new(text))),
        (None, Some(file)) => Some(SecretSource::File(file.into())),
        // A public client, which needs proof of another kind.
        (None, None) if said.is_said("code-challenge-method") => None,
        (None, None) => {
            problems.push("--client-secret: required (or --client-secret-file)".into());
            None
        }
    }
}

/// What a provider's name says beside what was said. The title of its button.
fn particulars(
    name: &str,
    said: &Spoken,
    settings: &mut Settings,
    claims: &mut ClaimNames,
    problems: &mut Vec<String>,
) -> Option<&'static str> {
    let fill = |place: &mut Option<String>, address: &str| {
        place.get_or_insert_with(|| address.to_owned());
    };
    let issuer_is_said = said.is_said("oidc-issuer-url");
    let mut needs_issuer = || {
        if !issuer_is_said {
            problems.push(format!("--oidc-issuer-url: required by --provider={name}"));
        }
    };
    Some(match name {
        "oidc" => {
            needs_issuer();
            "OpenID Connect"
        }
        "keycloak-oidc" => {
            needs_issuer();
            claims.roles = Some(RoleClaims { realm: "realm_access.roles".into(), clients: "resource_access".into() });
            "Keycloak"
        }
        "adfs" => {
            needs_issuer();
            "ADFS"
        }
        "google" => {
            // All that discovery would say has not changed in years: nobody has to be asked.
            settings.issuer = "https://accounts.google.com".into();
            settings.discover = false;
            fill(&mut settings.endpoints.authorization, "https://accounts.google.com/o/oauth2/v2/auth");
            fill(&mut settings.endpoints.token, "https://oauth2.googleapis.com/token");
            fill(&mut settings.endpoints.jwks, "https://www.googleapis.com/oauth2/v3/certs");
            fill(&mut settings.endpoints.userinfo, "https://openidconnect.googleapis.com/v1/userinfo");
            settings.parameters.push(("access_type".into(), "offline".into()));
            if !said.is_said("prompt") {
                settings.parameters.push(("approval_prompt".into(), said.text("approval-prompt").into()));
            }
            "Google"
        }
        "gitlab" => {
            if !issuer_is_said {
                settings.issuer = "https://gitlab.com".into();
            }
            settings.scopes = ["openid", "email"].map(str::to_owned).to_vec();
            "GitLab"
        }
        "azure" | "entra-id" => {
            let tenant = said.text("azure-tenant");
            match tenant {
                _ if issuer_is_said => {}
                "common" | "organizations" | "consumers" => problems.push(format!(
                    "--oidc-issuer-url: required by --provider={name} (or the id of one tenant in --azure-tenant)"
                )),
                tenant => settings.issuer = format!("https://login.microsoftonline.com/{tenant}/v2.0"),
            }
            "Microsoft Entra ID"
        }
        "github" => {
            let api = said.said("validate-url").unwrap_or_else(|| "https://api.github.com".into());
            settings.kind = Kind::Github(GithubRules { api, groups: true });
            settings.issuer = "https://github.com/login/oauth".into();
            settings.discover = false;
            settings.scopes = ["user:email", "read:org"].map(str::to_owned).to_vec();
            fill(&mut settings.endpoints.authorization, "https://github.com/login/oauth/authorize");
            fill(&mut settings.endpoints.token, "https://github.com/login/oauth/access_token");
            claims.user = "preferred_username".into();
            "GitHub"
        }
        _ => {
            problems.push(format!("{} \"{name}\": {KNOWN}", said.place("provider")));
            return None;
        }
    })
}
