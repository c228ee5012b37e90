//! A provider that says by itself that somebody has signed out: OpenID Connect Back-Channel Logout 1.0.

use serde_json::Value;

use crate::{Claims, Error, keys::Keys, settings::Settings, token, token::Head};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// A logout that was announced this long ago is a copy of one.
const OLDEST: u64 = 600;

/// Whose sessions end. One of both is there at least.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logout {
    pub subject: Option<String>,
    /// One session of theirs at the provider.
    pub session: Option<String>,
    /// Of this announcement, which is good once.
    pub id: String,
}

pub(crate) fn is_event(claims: &Claims) -> bool {
    claims.0.get("events").and_then(Value::as_object).is_some_and(|events| events.contains_key(EVENT))
}

/// Section 2.6, all of it but the look for the same id, which is for whoever remembers them.
pub(crate) fn verify(token: &str, head: &Head, keys: &Keys, settings: &Settings) -> Result<Logout, Error> {
    let claims = token::signed(token, head, keys, settings)?;
    let refuse = |why: &str| Err(Error::refused(format!("the logout token {why}")));
    let event = claims.0.get("events").and_then(|events| events.get(EVENT));
    if !event.is_some_and(Value::is_object) {
        return refuse("has no event of a logout: it is a token for something else");
    }
    // With one it could be an ID token that somebody has stolen.
    if claims.0.contains_key("nonce") {
        return refuse("has a nonce, as tokens for signing in have");
    }
    let now = jsonwebtoken::get_current_timestamp();
    match claims.0.get("iat").and_then(Value::as_u64) {
        Some(at) if at <= now + token::LEEWAY && at + OLDEST >= now => {}
        _ => return refuse("does not say that it was made a moment ago (iat)"),
    }
    let text = |name: &str| claims.0.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let Some(id) = text("jti") else { return refuse("has no id (jti)") };
    let logout =
        Logout { subject: text("sub").map(str::to_owned), session: text("sid").map(str::to_owned), id: id.into() };
    if logout.subject.is_none() && logout.session.is_none() {
        return refuse("says of nobody that they signed out: neither sub nor sid");
    }
    Ok(logout)
}
