//! Who somebody is, asked of GitHub's API.

use serde_json::{Map, Value};

use crate::{Claims, Error, GithubRules, Settings, remote};

/// A hundred each: who is in more organisations or teams is somebody we need not know all about.
const PAGES: usize = 5;

pub(crate) async fn identity(rules: &GithubRules, token: &str, settings: &Settings) -> Result<Claims, Error> {
    let api = rules.api.trim_end_matches('/');
    let user = remote::get_as(&format!("{api}/user"), token, settings).await?;
    let emails = remote::get_as(&format!("{api}/user/emails?per_page=100"), token, settings).await?;
    let mut claims = Map::new();
    if let Some(id) = user.get("id").and_then(Value::as_u64) {
        claims.insert("sub".into(), id.to_string().into());
    }
    for (from, to) in [("login", "preferred_username"), ("name", "name")] {
        if let Some(text) = user.get(from).and_then(Value::as_str) {
            claims.insert(to.into(), text.into());
        }
    }
    // Anybody can claim an address; only one that was verified says who somebody is.
    let truth = |entry: &Value, name: &str| entry.get(name).and_then(Value::as_bool) == Some(true);
    let verified = |entry: &&Value| truth(entry, "primary") && truth(entry, "verified");
    let primary = emails.as_array().and_then(|list| list.iter().find(verified));
    if let Some(email) = primary.and_then(|entry| entry.get("email")).and_then(Value::as_str) {
        claims.insert("email".into(), email.into());
        claims.insert("email_verified".into(), true.into());
    }
    if rules.groups {
        let mut groups: Vec<Value> = Vec::new();
        for org in pages(&format!("{api}/user/orgs"), token, settings).await? {
            groups.extend(org.get("login").and_then(Value::as_str).map(|name| name.to_lowercase().into()));
        }
        for team in pages(&format!("{api}/user/teams"), token, settings).await? {
            let org = team.get("organization").and_then(|org| org.get("login")).and_then(Value::as_str);
            if let Some((org, slug)) = org.zip(team.get("slug").and_then(Value::as_str)) {
                groups.push(format!("{}:{}", org.to_lowercase(), slug.to_lowercase()).into());
            }
        }
        claims.insert("groups".into(), groups.into());
    }
    if !claims.contains_key("sub") {
        return Err(Error::unavailable(format!("GET {api}/user: the answer has no id")));
    }
    Ok(Claims(claims))
}

async fn pages(address: &str, token: &str, settings: &Settings) -> Result<Vec<Value>, Error> {
    let mut all = Vec::new();
    for page in 1..=PAGES {
        let said = remote::get_as(&format!("{address}?per_page=100&page={page}"), token, settings).await?;
        let Value::Array(mut list) = said else {
            return Err(Error::unavailable(format!("GET {address}: expected a list")));
        };
        let is_last = list.len() < 100;
        all.append(&mut list);
        if is_last {
            break;
        }
    }
    Ok(all)
}
