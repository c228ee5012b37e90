//! The providers by their names: where each is, and what is particular to it.

use std::{path::PathBuf, sync::Arc};

use http_client::SecretSource;
use oidc::{Endpoints, Pkce, Settings};
use tls::{ClientTls, Roots};
use values::Secret;

use super::spoken::Spoken;
use crate::{
    config::{ClaimNames, Provider},
    known::{Known, More},
};

const KNOWN: &str = "expected adfs, azure, entra-id, gitea, github, gitlab, google, keycloak-oidc or oidc";

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
            end_session: None,
        },
        algorithms: said.list("oidc-enabled-signing-alg"),
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
    for (flag, parameter) in [("prompt", "prompt"), ("acr-values", "acr_values"), ("resource", "resource")] {
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
    let by_form = match said.text("auth-request-response-mode") {
        "" | "query" => false,
        "form_post" => {
            settings.parameters.push(("response_mode".into(), "form_post".into()));
            true
        }
        other => {
            let place = said.place("auth-request-response-mode");
            problems.push(format!("{place} \"{other}\": expected query or form_post"));
            false
        }
    };
    let known = known(&name, said, problems)?;
    settle(known, said, &mut settings, &mut claims, problems);
    let title = known.title();
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
        allow: None,
        sign_out_url: said.said("backend-logout-url"),
        by_form,
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

/// Providers that the peer knows and that are none here, and what to do instead.
const OTHERS: [(&str, &str); 10] = [
    ("bitbucket", "its API for teams is gone"),
    ("cidaas", "use --provider=oidc with its issuer"),
    ("digitalocean", "it says of nobody whether the address was verified in a way that can be checked"),
    ("facebook", "its addresses are not verified"),
    ("keycloak", "use --provider=keycloak-oidc with the issuer of the realm"),
    ("linkedin", "use --provider=oidc with --oidc-issuer-url=https://www.linkedin.com/oauth"),
    ("login.gov", "it asks for a proof by a key of one's own, which is not there"),
    ("nextcloud", "use --provider=oidc with its app for OpenID Connect"),
    ("oauth2", "use --provider=oidc"),
    ("srht", "its API speaks GraphQL, which nobody does here"),
];

fn known(name: &str, said: &Spoken, problems: &mut Vec<String>) -> Option<Known> {
    let place = || format!("{} \"{name}\"", said.place("provider"));
    if let Some((_, why)) = OTHERS.iter().find(|(known, _)| *known == name) {
        problems.push(format!("{}: not supported by auth-proxy: {why}", place()));
        return None;
    }
    // The peer has fewer names for them than we have.
    let known = name.parse().ok().filter(|_| !matches!(name, "openid" | "keycloak"));
    if known.is_none() {
        problems.push(format!("{}: {KNOWN}", place()));
    }
    known
}

fn settle(known: Known, said: &Spoken, settings: &mut Settings, claims: &mut ClaimNames, problems: &mut Vec<String>) {
    let name = said.text("provider");
    if known.needs_issuer() && !said.is_said("oidc-issuer-url") {
        problems.push(format!("--oidc-issuer-url: required by --provider={name}"));
    }
    let is_hub = matches!(known, Known::Github | Known::Gitea);
    let only = |flags: &[&str], provider: &str, fits: bool, problems: &mut Vec<String>| {
        for flag in flags.iter().filter(|flag| !fits && said.is_said(flag)) {
            problems.push(format!("{}: expected --provider={provider}", said.place(flag)));
        }
    };
    only(&["github-repo", "github-token"], "github", is_hub, problems);
    let google = ["google-group", "google-admin-email", "google-service-account-json"];
    only(&google, "google", known == Known::Google, problems);
    only(&["gitlab-project"], "gitlab", known == Known::Gitlab, problems);
    only(&["entra-id-allowed-tenant"], "entra-id", known == Known::Entra, problems);
    if said.is_said("github-token") && !said.is_said("github-repo") {
        problems.push("--github-token: expected --github-repo with it".into());
    }
    // Theirs is the address of one question; what we need is the beginning of all.
    let api = said.said("validate-url").filter(|_| is_hub).map(|address| {
        let address = address.trim_end_matches('/');
        address.strip_suffix("/user/emails").or_else(|| address.strip_suffix("/user")).unwrap_or(address).to_owned()
    });
    if is_hub {
        settings.issuer = String::new();
    }
    let more = More {
        api,
        tenant: said.said("azure-tenant"),
        tenants: said.list("entra-id-allowed-tenant"),
        repositories: said.said("github-repo").into_iter().collect(),
        token: said.said("github-token").map(|token| SecretSource::Value(Secret::new(token))),
        projects: said.list("gitlab-project"),
        groups: said.list("google-group"),
        account: said.said("google-service-account-json").map(|file| SecretSource::File(file.into())),
        admin: said.said("google-admin-email"),
    };
    if let Err(why) = known.settle(settings, claims, &more) {
        let hint = match known {
            Known::Github | Known::Gitea => ": --login-url, --redeem-url and --validate-url",
            Known::Google => ": --google-service-account-json and --google-admin-email",
            _ => "",
        };
        problems.push(format!("--provider={name}: {why}{hint}"));
    }
    if known == Known::Google && !said.is_said("prompt") {
        settings.parameters.push(("approval_prompt".into(), said.text("approval-prompt").into()));
    }
}
