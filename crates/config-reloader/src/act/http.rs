//! A request, and what its answer says.

use std::time::Duration;

use http_client::Request;

use super::{Done, Generation, Occasion, Trouble};
use crate::{config::Http, snapshot::hex};

/// What a server answered before the app was told.
#[derive(Clone, Debug)]
pub struct Answer {
    of: String,
    value: String,
}

pub(super) async fn send(http: &Http, occasion: Occasion<'_>) -> Result<Done, Trouble> {
    let headers = vec![("X-Config-Digest".to_owned(), hex(occasion.digest))];
    let reply = http.client.send(&Request { headers, ..Request::default() }).await.map_err(|error| Trouble {
        text: error.to_string(),
        kind: error.kind().label(),
        status: match error.kind() {
            http_client::Kind::Status(status) => Some(status),
            _ => None,
        },
        retry_after: error.retry_after(),
    })?;
    let body = String::from_utf8_lossy(&reply.body);
    let place = http.client.place();
    if let Some(expected) = http.contains.as_deref().filter(|text| !body.contains(text)) {
        return Err(Trouble::new("answer", format!("{place}: expected an answer with {expected}")));
    }
    if let (Some(now), Some(old)) = (captured(http, &body), before(place, occasion.before))
        && now == old
    {
        return Err(Trouble::new("answer", format!("{place}: still answers as before the app was told: {now}")));
    }
    Ok(Done { status: Some(reply.status) })
}

/// What the answer is now, if this request will ask whether it has become another.
pub(super) async fn generation(http: &Http) -> Option<Generation> {
    http.renewed.as_ref()?;
    let reply = http.client.send(&Request::default()).await.ok()?;
    let value = captured(http, &String::from_utf8_lossy(&reply.body))?;
    // Times are given in whole seconds: what is loaded again in the same one looks as if it were not.
    let age = humantime::parse_rfc3339(&value).ok().and_then(|loaded| loaded.elapsed().ok());
    if let Some(left) = age.and_then(|age| Duration::from_secs(1).checked_sub(age)) {
        tokio::time::sleep(left).await;
    }
    Some(Generation::Answer(Answer { of: http.client.place().to_owned(), value }))
}

fn captured(http: &Http, body: &str) -> Option<String> {
    Some(http.renewed.as_ref()?.captures(body)?.get(1)?.as_str().to_owned())
}

fn before<'a>(place: &str, generations: &'a [Generation]) -> Option<&'a str> {
    generations.iter().find_map(|generation| match generation {
        Generation::Answer(answer) if answer.of == place => Some(answer.value.as_str()),
        _ => None,
    })
}
