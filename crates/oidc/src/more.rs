//! What neither the ID token nor the userinfo says, asked of the provider's own API.

use serde_json::Value;

use crate::{Claims, Error, Question, Settings, form, google, remote};

/// A hundred groups each.
const PAGES: usize = 20;

pub(crate) async fn ask(
    question: &Question,
    claims: &Claims,
    token: &str,
    settings: &Settings,
) -> Result<Vec<String>, Error> {
    match question {
        Question::GitlabProjects { api, projects } => {
            let mut groups = Vec::new();
            for (project, level) in projects {
                if is_member(api, project, *level, token, settings).await? {
                    groups.push(format!("project:{project}"));
                }
            }
            Ok(groups)
        }
        Question::EntraGroups { graph } if has_too_many(claims) => groups_of(graph, token, settings).await,
        Question::EntraGroups { .. } => Ok(Vec::new()),
        Question::GoogleGroups(asked) => google::ask(asked, claims, settings).await,
    }
}

async fn is_member(api: &str, project: &str, level: u64, token: &str, settings: &Settings) -> Result<bool, Error> {
    let address = format!("{}/projects/{}", api.trim_end_matches('/'), form::encode(project));
    let Some(found) = remote::find_as(&address, token, settings).await? else { return Ok(false) };
    if found.get("archived").and_then(Value::as_bool) == Some(true) {
        return Ok(false);
    }
    let granted = |kind: &str| found.get("permissions")?.get(kind)?.get("access_level")?.as_u64();
    Ok(["project_access", "group_access"].iter().filter_map(|kind| granted(kind)).any(|granted| granted >= level))
}

/// The token says so itself: who is in more than 200 groups has none of them in it.
fn has_too_many(claims: &Claims) -> bool {
    let elsewhere = claims.0.get("_claim_names").and_then(|names| names.get("groups")).is_some();
    elsewhere || claims.truth("hasgroups") == Some(true)
}

async fn groups_of(graph: &str, token: &str, settings: &Settings) -> Result<Vec<String>, Error> {
    let graph = graph.trim_end_matches('/');
    let mut next = format!("{graph}/me/transitiveMemberOf?$select=id&$top=100");
    let mut groups = Vec::new();
    for _ in 0..PAGES {
        let page = remote::get_as(&next, token, settings).await?;
        let list = page.get("value").and_then(Value::as_array);
        let list = list.ok_or_else(|| Error::unavailable(format!("GET {graph}: expected a list of groups")))?;
        let is_group = |entry: &&Value| {
            entry.get("@odata.type").and_then(Value::as_str).is_none_or(|kind| kind == "#microsoft.graph.group")
        };
        let ids = list.iter().filter(is_group).filter_map(|entry| entry.get("id")?.as_str());
        groups.extend(ids.map(str::to_owned));
        let Some(more) = page.get("@odata.nextLink").and_then(Value::as_str) else { return Ok(groups) };
        // Nobody else is shown the token.
        if !more.strip_prefix(graph).is_some_and(|rest| rest.starts_with('/')) {
            return Err(Error::refused("the next page of groups is said to be at another place"));
        }
        more.clone_into(&mut next);
    }
    Err(Error::refused("somebody is in more groups than can be asked for"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn groups_are_asked_for_where_the_token_has_no_room_for_them() {
        assert!(has_too_many(&Claims::from(json!({"_claim_names": {"groups": "src1"}, "_claim_sources": {}}))));
        assert!(has_too_many(&Claims::from(json!({"hasgroups": "true"}))));
        assert!(!has_too_many(&Claims::from(json!({"groups": ["a"], "_claim_names": {"email": "src1"}}))));
    }
}
