//! Who somebody is, asked of GitHub's API, or of one that has its shape.

use http_client::SecretSource;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::{Claims, Error, GithubRules, Settings, remote};

/// A hundred each: who is in more organisations or teams is somebody we need not know all about.
const PAGES: usize = 10;
/// In a path of which we know the segments.
const SEGMENT: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'/').add(b'?').add(b'\\');

pub(crate) async fn identity(rules: &GithubRules, token: &str, settings: &Settings) -> Result<Claims, Error> {
    let api = rules.api.trim_end_matches('/');
    let user = remote::get_as(&format!("{api}/user"), token, settings).await?;
    let emails = remote::pages_as(&format!("{api}/user/emails?per_page=100"), PAGES, token, settings).await?;
    let mut claims = Map::new();
    let id = user.get("id").and_then(Value::as_u64);
    let id = id.ok_or_else(|| Error::unavailable(format!("GET {api}/user: the answer has no id")))?;
    claims.insert("sub".into(), id.to_string().into());
    let login = user.get("login").and_then(Value::as_str).unwrap_or_default();
    claims.insert("preferred_username".into(), login.into());
    if let Some(name) = ["name", "full_name"].iter().find_map(|key| user.get(*key)?.as_str()) {
        claims.insert("name".into(), name.into());
    }
    // Anybody can claim an address; only one that was verified says who somebody is.
    let truth = |entry: &Value, name: &str| entry.get(name).and_then(Value::as_bool) == Some(true);
    let primary = emails.iter().find(|entry| truth(entry, "primary") && truth(entry, "verified"));
    if let Some(email) = primary.and_then(|entry| entry.get("email")).and_then(Value::as_str) {
        claims.insert("email".into(), email.into());
        claims.insert("email_verified".into(), true.into());
    }
    let mut groups = Vec::new();
    if rules.groups {
        for org in remote::pages_as(&format!("{api}/user/orgs?per_page=100"), PAGES, token, settings).await? {
            groups.extend(name_of(&org));
        }
        for team in remote::pages_as(&format!("{api}/user/teams?per_page=100"), PAGES, token, settings).await? {
            let slug = ["slug", "name"].iter().find_map(|key| team.get(*key)?.as_str());
            if let Some((org, slug)) = team.get("organization").and_then(name_of).zip(slug) {
                groups.push(format!("{org}:{}", slug.to_lowercase()));
            }
        }
    }
    for repository in &rules.repositories {
        if belongs(rules, api, repository, login, token, settings).await? {
            groups.push(format!("repo:{}", repository.to_lowercase()));
        }
    }
    claims.insert("groups".into(), groups.into());
    Ok(Claims(claims))
}

/// Of an organisation. An account of another name cannot have it: names are not told apart by case.
fn name_of(organisation: &Value) -> Option<String> {
    let name = ["login", "username"].iter().find_map(|key| organisation.get(*key)?.as_str());
    name.map(str::to_lowercase)
}

/// Everybody may read what is public: to belong is to write, or to read what is private.
async fn belongs(
    rules: &GithubRules,
    api: &str,
    repository: &str,
    login: &str,
    token: &str,
    settings: &Settings,
) -> Result<bool, Error> {
    let segments: Vec<_> =
        repository.split('/').map(|segment| utf8_percent_encode(segment, SEGMENT).to_string()).collect();
    let address = format!("{api}/repos/{}", segments.join("/"));
    if let Some(ours) = rules.token.as_ref().map(SecretSource::read).transpose().map_err(Error::unavailable)? {
        let address = format!("{address}/collaborators/{}", utf8_percent_encode(login, SEGMENT));
        return Ok(!login.is_empty() && remote::find_as(&address, ours.expose(), settings).await?.is_some());
    }
    let Some(found) = remote::find_as(&address, token, settings).await? else { return Ok(false) };
    let truth = |value: Option<&Value>| value.and_then(Value::as_bool) == Some(true);
    let may = |what: &str| truth(found.get("permissions").and_then(|permissions| permissions.get(what)));
    Ok(may("push") || (truth(found.get("private")) && may("pull")))
}
