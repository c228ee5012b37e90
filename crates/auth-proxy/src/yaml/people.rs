//! Of our own file: providers, where sessions are, signing out, and pages.

use std::{path::PathBuf, sync::Arc};

use common::config::Section;
use http_client::SecretSource;
use oidc::Endpoints;

use crate::{
    config::{ClaimNames, Logo, Pages, Provider, SignOut},
    known::{Known, More},
    store::{Place, RedisSettings, Server, Servers, place},
};

pub(super) fn provider(section: &mut Section) -> Provider {
    let known: Known = section.parsed("kind").unwrap_or(Known::OpenId);
    let issuer: Option<String> = section.parsed("issuer");
    if known.needs_issuer() && issuer.is_none() {
        section.problem("issuer: required");
    }
    let client: String = section.required("client_id").unwrap_or_default();
    let mut settings = oidc::Settings::new(issuer.unwrap_or_default(), client);
    settings.client_secret = section.parsed("client_secret_file").map(SecretSource::File);
    settings.tls = Arc::new(http_client::client_tls(section, tls::ClientTls::default()));
    let more = More {
        api: section.parsed("api"),
        tenant: section.parsed("tenant"),
        tenants: section.list("tenants"),
        repositories: section.list("repositories"),
        token: section.parsed("token_file").map(SecretSource::File),
        projects: section.list("projects"),
        groups: section.list("groups"),
        account: section.parsed("service_account_file").map(SecretSource::File),
        admin: section.parsed("admin"),
    };
    if let Some(mut section) = section.section("endpoints") {
        settings.endpoints = endpoints(&mut section);
        settings.discover = section.parsed("discover").unwrap_or(true);
        let needed = [&settings.endpoints.authorization, &settings.endpoints.token, &settings.endpoints.jwks];
        if !settings.discover && needed.iter().any(|endpoint| endpoint.is_none()) {
            section.problem("expected authorization, token and keys where nothing is looked up");
        }
    }
    let mut claims = ClaimNames::default();
    if let Err(why) = known.settle(&mut settings, &mut claims, &more) {
        section.problem(why);
    }
    let scopes = section.list("scopes");
    if !scopes.is_empty() {
        settings.scopes = scopes;
    }
    settings.algorithms = section.list("algorithms");
    for (claim, key) in
        [(&mut claims.user, "user_claim"), (&mut claims.email, "email_claim"), (&mut claims.groups, "groups_claim")]
    {
        if let Some(name) = section.parsed(key) {
            *claim = name;
        }
    }
    settings.parameters.extend(section.pairs("parameters"));
    settings.audiences = section.list("audiences");
    let name: Option<String> = section.parsed("name");
    let is_odd = |byte: u8| !byte.is_ascii_alphanumeric() && !b"-_.".contains(&byte);
    if name.as_ref().is_some_and(|name| name.is_empty() || name.bytes().any(is_odd)) {
        section.problem("name: expected letters, digits, - and _: it is part of an address");
    }
    let named = name.clone().filter(|_| known == Known::OpenId);
    let title = section.parsed("title").or(named).unwrap_or_else(|| known.title().to_owned());
    Provider {
        title,
        name: name.unwrap_or_else(|| "oidc".into()),
        settings,
        claims,
        unverified_email: section.parsed("unverified_email").unwrap_or(false),
        allow: section.section("allow").map(|mut section| super::rules(&mut section)),
        sign_out_url: section.parsed("sign_out_url"),
        by_form: false,
    }
}

/// Instead of what the provider says of itself.
fn endpoints(section: &mut Section) -> Endpoints {
    Endpoints {
        authorization: section.parsed("authorization"),
        token: section.parsed("token"),
        jwks: section.parsed("keys"),
        userinfo: section.parsed("userinfo"),
        end_session: section.parsed("end_session"),
    }
}

pub(super) fn store(section: &mut Section) -> Option<RedisSettings> {
    let url: Option<String> = section.parsed("redis");
    let sentinels: Vec<String> = section.list("sentinels");
    let read = |text: &str, key: &str| -> Option<Place> {
        place(text).map_err(|why| section.problem(format!("{key}: {why}"))).ok()
    };
    let one = url.as_deref().and_then(|text| read(text, "redis"));
    let several: Vec<Place> = sentinels.iter().filter_map(|text| read(text, "sentinels")).collect();
    if one.as_ref().into_iter().chain(&several).any(|place| place.password.is_some()) {
        section.problem("expected password_file and no password in an address, which is shown in logs");
    }
    let (is_tls, user, database) = match one.as_ref().or(several.first()) {
        Some(place) => (place.is_tls, place.user.clone(), place.database),
        None => (false, None, None),
    };
    let master: Option<String> = section.parsed("master");
    let servers = match (one, several.is_empty(), master) {
        (Some(place), true, None) => Some(Servers::One(place.server)),
        (None, false, Some(master)) => Some(Servers::Sentinels {
            sentinels: several.into_iter().map(|place| place.server).collect::<Vec<Server>>(),
            master,
            password: section.parsed("sentinel_password_file").map(SecretSource::File),
        }),
        _ => {
            section.problem("expected redis, or sentinels with the name of their master");
            None
        }
    };
    let tls = http_client::client_tls(section, tls::ClientTls::default());
    Some(RedisSettings {
        servers: servers?,
        user: section.parsed("user").or(user),
        password: section.parsed("password_file").map(SecretSource::File),
        database: section.parsed("database").or(database).unwrap_or(0),
        tls: is_tls.then(|| Arc::new(tls)),
        idle: None,
    })
}

pub(super) fn sign_out(section: &mut Section) -> SignOut {
    SignOut {
        at_provider: section.parsed("at_provider").unwrap_or(false),
        page: section.parsed("page").unwrap_or(true),
        redirect_url: section.parsed("redirect_url"),
    }
}

pub(super) fn pages(section: &mut Section) -> Pages {
    let logo: Option<PathBuf> = section.parsed("logo");
    let read = |file: PathBuf| Logo::read(&file).map_err(|why| section.problem(format!("logo: {why}"))).ok();
    let logo = logo.and_then(read);
    Pages {
        name: section.parsed("name"),
        text: section.parsed("text"),
        logo,
        banner: section.parsed("banner"),
        footer: section.parsed("footer"),
        skip_button: section.parsed("skip_button").unwrap_or(false),
        debug: false,
    }
}
