//! Who belongs beside those who sign in: keys, certificates, and what a policy service says.

use std::{path::PathBuf, sync::Arc, time::Duration};

use common::config::Section;
use tls::ClientTls;
use values::Span;

use crate::{
    certificate,
    config::Bearer,
    keys::Keys,
    kubernetes::{self, Access},
    policy_service::{OnError, Place, Settings, Shape},
};

pub(super) fn keys(root: &mut Section, files: &mut Vec<PathBuf>) -> Option<Arc<Keys>> {
    let mut section = root.section_or("keys", "file")?;
    let file: PathBuf = section.required("file")?;
    let header = section.parsed("header").unwrap_or_else(|| "X-API-Key".to_owned());
    files.push(file.clone());
    match Keys::read(&file, header) {
        Ok(keys) => Some(Arc::new(keys)),
        Err(problems) => {
            problems.iter().for_each(|problem| section.problem(problem));
            None
        }
    }
}

pub(super) fn certificates(section: &mut Section) -> Vec<certificate::Rule> {
    let rule = |section: &mut Section| {
        let name: String = section.required("name")?;
        Some(certificate::Rule { name, groups: section.list("groups") })
    };
    section.sections_or_text("certificates", "name").iter_mut().filter_map(rule).collect()
}

pub(super) fn policy(root: &mut Section) -> Option<Settings> {
    let mut section = root.section_or("policy", "url")?;
    let place: Option<Place> = section.required("url");
    let on_error: OnError = section.parsed("on_error").unwrap_or_default();
    let headers: Vec<String> = section.list("headers");
    let auth = http_client::auth(&mut section);
    let tls = http_client::client_tls(&mut section, ClientTls::default());
    let shape: Option<Shape> = section.parsed("shape");
    let timeout = section.parsed("timeout").map_or(Duration::from_secs(1), |Span(time)| time);
    let is_secret = |name: &&String| matches!(&*name.to_ascii_lowercase(), "authorization" | "cookie");
    if let Some(name) = headers.iter().find(is_secret) {
        section.problem(format!("headers: {name}: it is a secret of the caller's, expected others"));
    }
    let Place { mut target, shape: usual } = place?;
    (target.auth, target.tls, target.timeout) = (auth, Arc::new(tls), timeout);
    Some(Settings { target, shape: shape.unwrap_or(usual), on_error, headers })
}

/// Where a pod has what it needs for the API server.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

pub(super) fn kubernetes(root: &mut Section) -> Option<kubernetes::Settings> {
    let mut section = root.section("kubernetes")?;
    let pod_ca = PathBuf::from(format!("{ACCOUNT}/ca.crt"));
    let base = ClientTls { roots: tls::Roots::File(pod_ca), ..ClientTls::default() };
    let tls = match section.parsed::<PathBuf>("ca_file") {
        Some(file) => ClientTls { roots: tls::Roots::File(file), ..base },
        None => base,
    };
    let accounts: Vec<String> = section.list("accounts");
    let access = section.section("access").and_then(|mut section| access(&mut section));
    if accounts.is_empty() && access.is_none() {
        section.problem("expected accounts or access: without them everybody in the cluster would belong");
    }
    let span = |section: &mut Section, key: &str, seconds: u64| {
        section.parsed(key).map_or(Duration::from_secs(seconds), |Span(time)| time)
    };
    let token = section.parsed("token_file").unwrap_or_else(|| PathBuf::from(format!("{ACCOUNT}/token")));
    Some(kubernetes::Settings {
        server: section.parsed("server").unwrap_or_else(|| "https://kubernetes.default.svc".into()),
        token: http_client::SecretSource::File(token),
        tls: Arc::new(tls),
        audiences: section.list("audiences"),
        accounts,
        access,
        cache: span(&mut section, "cache", 10),
        timeout: span(&mut section, "timeout", 3),
    })
}

/// `path: true`, or a resource.
fn access(section: &mut Section) -> Option<Access> {
    const WORDS: [(&str, &str); 7] = [
        ("verb", "verb"),
        ("namespace", "namespace"),
        ("group", "group"),
        ("version", "version"),
        ("resource", "resource"),
        ("subresource", "subresource"),
        ("name", "name"),
    ];
    let by_path = section.parsed("path").unwrap_or(false);
    let words: Vec<(&'static str, String)> =
        WORDS.iter().filter_map(|(word, key)| Some((*key, section.parsed(word)?))).collect();
    let has = |wanted: &str| words.iter().any(|(word, _)| *word == wanted);
    match (by_path, words.is_empty()) {
        (true, true) => Some(Access::Path),
        (false, _) if has("verb") && has("resource") => Some(Access::Resource(words)),
        _ => {
            section.problem("expected path: true, or verb and resource");
            None
        }
    }
}

/// `true`, or issuers beside the providers.
pub(super) fn bearer(root: &mut Section) -> Option<Bearer> {
    let mut section = root.section_or("bearer", "on")?;
    let is_on = section.parsed("on").unwrap_or(true);
    let issuers: Vec<oidc::Settings> = section.sections("issuers").iter_mut().filter_map(issuer).collect();
    let fall_back = section.parsed("fall_back").unwrap_or(false);
    is_on.then_some(Bearer { issuers, fall_back })
}

fn issuer(section: &mut Section) -> Option<oidc::Settings> {
    let (issuer, audience): (Option<String>, Option<String>) =
        (section.required("issuer"), section.required("audience"));
    let mut settings = oidc::Settings::new(issuer?, audience?);
    settings.audiences = section.list("audiences");
    settings.endpoints.jwks = section.parsed("jwks");
    settings.discover = settings.endpoints.jwks.is_none();
    settings.tls = Arc::new(http_client::client_tls(section, ClientTls::default()));
    Some(settings)
}
