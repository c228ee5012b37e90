//! What the policy service is told of a request, and what becomes of the request by its answer.

use http_proxy::Answer;
use http1::{Headers, RequestHead};
use serde_json::{Map, Value, json};

use crate::{
    canonical::canonical,
    door::Guest,
    policy::{Caller, Ctx, Door},
    policy_service::{OnError, Ruling},
};

impl Door {
    /// None: nothing stands against it.
    pub async fn last_word(&self, head: &RequestHead, caller: &Caller, guest: &Guest, ctx: &mut Ctx) -> Option<Answer> {
        let service = self.0.policy.as_ref()?;
        let input = input(&head.headers, caller, guest, &service.settings.headers);
        let ruling = service.ask(&input).await;
        let on_error = service.settings.on_error;
        self.0.shared.events.ruled(&ruling, on_error);
        self.0.shared.standing.heard(&ruling);
        match (ruling, on_error) {
            (Ruling::Allowed(reason), _) => {
                (ctx.rule, ctx.why) = ("policy".into(), reason);
                None
            }
            (Ruling::Denied(reason), _) => {
                (ctx.decision, ctx.rule, ctx.why) = ("forbidden", "policy".into(), reason);
                Some(crate::pages::json(403, &json!({"error": "forbidden"})))
            }
            (Ruling::Unknown(_), OnError::Allow) => {
                (ctx.rule, ctx.why) = ("policy".into(), "no answer, open on error".into());
                None
            }
            (Ruling::Unknown(_), OnError::Deny) => {
                (ctx.decision, ctx.rule, ctx.why) = ("refused", "policy".into(), "no answer, closed on error".into());
                let mut answer = Answer::text(503, "the policy service does not answer\n");
                crate::pages::private(&mut answer);
                Some(answer)
            }
        }
    }
}

fn input(headers: &Headers, caller: &Caller, guest: &Guest, told: &[String]) -> Value {
    let (path, query) = caller.target.split_once('?').unwrap_or((&caller.target, ""));
    // A path that can be read in two ways has no parts: a policy that looks at them cannot be led astray.
    let canonical = canonical(path);
    let parts = canonical.as_deref().map(|path| path.trim_start_matches('/').split('/').collect::<Vec<_>>());
    let mut arguments: Map<String, Value> = Map::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let list = arguments.entry(name.into_owned()).or_insert_with(|| json!([]));
        if let Value::Array(list) = list {
            list.push(Value::from(value.into_owned()));
        }
    }
    let mut shown: Map<String, Value> = Map::new();
    for name in told {
        let values: Vec<_> = headers.get_all(name).filter_map(|value| std::str::from_utf8(value).ok()).collect();
        if !values.is_empty() {
            shown.insert(name.to_ascii_lowercase(), Value::from(values.join(", ")));
        }
    }
    let who = &guest.who;
    json!({
        "method": caller.method, "path": path, "canonical_path": canonical, "parsed_path": parts,
        "query": arguments, "headers": shown, "host": caller.host, "scheme": caller.scheme,
        "client": caller.address.map(|address| address.to_string()),
        "user": {"name": who.user, "email": who.email, "groups": who.groups, "certificate": who.names,
                 "preferred_username": who.preferred_username, "by": guest.by},
    })
}
