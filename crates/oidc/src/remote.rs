//! Questions to the provider: one request each, bounded in time and size, and what comes back as JSON.

use std::sync::Arc;

use http_client::{Auth, Bytes, Client, Expect, Reply, Request, SecretSource, Target};
use serde_json::{Map, Value};

use crate::{Error, Settings, error::excerpt, form, metadata::Metadata};

/// Key sets with certificate chains are the largest.
const LARGEST: usize = 512 * 1024;

fn target(method: &str, address: &str, settings: &Settings) -> Target {
    Target {
        headers: vec![("Accept".into(), "application/json".into()), ("User-Agent".into(), "auth-proxy".into())],
        timeout: settings.timeout,
        tls: Arc::clone(&settings.tls),
        max_reply: LARGEST,
        expect: Expect::any(),
        ..Target::new(method, address)
    }
}

async fn ask(target: Target, body: Option<String>) -> Result<Reply, Error> {
    let request = Request { body: body.map(|text| Bytes::from(text.into_bytes())), ..Request::default() };
    let client = Client::new(target).map_err(Error::unavailable)?;
    let reply = client.send(&request).await.map_err(Error::unavailable)?;
    if reply.truncated {
        return Err(Error::unavailable(format!("{}: more than {LARGEST} bytes", client.place())));
    }
    Ok(reply)
}

pub(crate) async fn get(address: &str, settings: &Settings) -> Result<Vec<u8>, Error> {
    let reply = ask(target("GET", address, settings), None).await?;
    match reply.status {
        200 => Ok(reply.body),
        status => Err(Error::unavailable(format!("GET {address}: status {status}, expected 200"))),
    }
}

async fn asked_as(address: &str, token: &str, settings: &Settings) -> Result<Reply, Error> {
    let auth = Auth::Bearer(SecretSource::Value(values::Secret::new(token)));
    ask(Target { auth: Some(auth), ..target("GET", address, settings) }, None).await
}

fn parsed(address: &str, reply: &Reply) -> Result<Value, Error> {
    serde_json::from_slice(&reply.body).map_err(|error| Error::unavailable(format!("GET {address}: not JSON: {error}")))
}

/// With the token of the user: a 401 or 403 is about the token, not about the provider.
pub(crate) async fn get_as(address: &str, token: &str, settings: &Settings) -> Result<Value, Error> {
    let reply = asked_as(address, token, settings).await?;
    match reply.status {
        200 => parsed(address, &reply),
        status @ (401 | 403) => Err(Error::refused(format!("GET {address}: status {status} to the access token"))),
        status => Err(Error::unavailable(format!("GET {address}: status {status}, expected 200"))),
    }
}

/// None: there is no such thing, or not for whoever has this token, which APIs do not tell apart.
pub(crate) async fn find_as(address: &str, token: &str, settings: &Settings) -> Result<Option<Value>, Error> {
    let reply = asked_as(address, token, settings).await?;
    match reply.status {
        200 => parsed(address, &reply).map(Some),
        204 => Ok(Some(Value::Null)),
        403 | 404 => Ok(None),
        status => Err(Error::unavailable(format!("GET {address}: status {status}, expected 200 or 404"))),
    }
}

/// A list, page after page while the answers say that there are more (RFC 8288). Only the number of the page changes: an
/// address in an answer is not one to send a token to.
pub(crate) async fn pages_as(
    address: &str,
    most: usize,
    token: &str,
    settings: &Settings,
) -> Result<Vec<Value>, Error> {
    let mut all = Vec::new();
    for page in 1..=most {
        let address = form::add(address, &format!("page={page}"));
        let reply = asked_as(&address, token, settings).await?;
        match reply.status {
            200 => {}
            status @ (401 | 403) => {
                return Err(Error::refused(format!("GET {address}: status {status} to the access token")));
            }
            status => return Err(Error::unavailable(format!("GET {address}: status {status}, expected 200"))),
        }
        let Value::Array(mut list) = parsed(&address, &reply)? else {
            return Err(Error::unavailable(format!("GET {address}: expected a list")));
        };
        let has_more = !list.is_empty() && reply.header("link").is_some_and(|link| link.contains("rel=\"next\""));
        all.append(&mut list);
        if !has_more {
            break;
        }
    }
    Ok(all)
}

/// RFC 6749 section 3.2: a form, and who we are.
pub(crate) async fn tokens(
    metadata: &Metadata,
    settings: &Settings,
    parameters: &[(&str, &str)],
) -> Result<Map<String, Value>, Error> {
    let said = tokens_with(metadata.secret_in_body, metadata, settings, parameters).await;
    match &said {
        // Who does not know us that way has not looked at the code yet.
        Err(Error::Denied(why)) if metadata.secret_in_either && why.starts_with("invalid_client") => {
            tokens_with(!metadata.secret_in_body, metadata, settings, parameters).await
        }
        _ => said,
    }
}

async fn tokens_with(
    secret_in_body: bool,
    metadata: &Metadata,
    settings: &Settings,
    parameters: &[(&str, &str)],
) -> Result<Map<String, Value>, Error> {
    let secret = settings.client_secret.as_ref().map(SecretSource::read).transpose().map_err(Error::unavailable)?;
    let mut target = target("POST", &metadata.token, settings);
    target.headers.push(("Content-Type".into(), "application/x-www-form-urlencoded".into()));
    let mut parameters = parameters.to_vec();
    match &secret {
        Some(secret) if !secret_in_body => {
            let password = SecretSource::Value(values::Secret::new(form::encode(secret.expose())));
            target.auth = Some(Auth::Basic { user: form::encode(&settings.client_id), password });
        }
        secret => {
            parameters.push(("client_id", &settings.client_id));
            parameters.extend(secret.iter().map(|secret| ("client_secret", secret.expose())));
        }
    }
    given(&metadata.token, target, &parameters).await
}

/// The same where the parameters say who we are.
pub(crate) async fn granted(
    address: &str,
    settings: &Settings,
    parameters: &[(&str, &str)],
) -> Result<Map<String, Value>, Error> {
    let mut target = target("POST", address, settings);
    target.headers.push(("Content-Type".into(), "application/x-www-form-urlencoded".into()));
    given(address, target, parameters).await
}

async fn given(address: &str, target: Target, parameters: &[(&str, &str)]) -> Result<Map<String, Value>, Error> {
    let reply = ask(target, Some(form::join(parameters.iter().copied()))).await?;
    let said: Option<Value> = serde_json::from_slice(&reply.body).ok();
    let text = |name: &str| said.as_ref().and_then(|said| said.get(name)).and_then(Value::as_str).map(excerpt);
    // Some say 200 and mean an error.
    if let Some(error) = text("error") {
        let description = text("error_description").map(|text| format!(" ({text})")).unwrap_or_default();
        return Err(match reply.status {
            500.. => Error::Unavailable(format!("POST {address}: {error}{description}")),
            _ => Error::Denied(format!("{error}{description}")),
        });
    }
    match (reply.status, said) {
        (200, Some(Value::Object(said))) => Ok(said),
        (200, _) => Err(Error::unavailable(format!("POST {address}: the answer is no JSON object"))),
        (status, _) => Err(Error::unavailable(format!("POST {address}: status {status}, expected 200"))),
    }
}
