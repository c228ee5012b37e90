//! What the app is told of who is there, and what nobody else may tell it.

use base64::{Engine, prelude::BASE64_STANDARD};
use http1::Headers;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::{
    config::Tell,
    session::{Session, Who},
};

/// Headers that say who somebody is. Apps read `_` as `-`, and any case.
const OURS: [&str; 7] = [
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
    "gap-auth",
    "gap-signature",
];
const OUR_PREFIX: &str = "x-auth-request-";

/// A header holds ASCII; the rest is percent-encoded, and `%` with it.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

fn is_ours(name: &str, tell: &Tell) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    let is_token = tell.signed.as_ref().is_some_and(|signed| signed.header.eq_ignore_ascii_case(&name));
    OURS.contains(&&*name) || name.starts_with(OUR_PREFIX) || is_token
}

/// Takes away every spelling of what only we may say.
pub fn strip(headers: &mut Headers, tell: &Tell) {
    let found: Vec<String> =
        headers.iter().map(|(name, _)| name).filter(|name| is_ours(name, tell)).map(str::to_owned).collect();
    for name in found {
        headers.remove(&name);
    }
    // Where this one is ours as well, an app believes whatever it says.
    if tell.authorization || tell.basic.is_some() {
        headers.remove("authorization");
    }
}

/// Not without a sign that it is one: plain values stay readable.
fn value(text: &str) -> String {
    if text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return text.to_owned();
    }
    utf8_percent_encode(text, ENCODED).to_string()
}

fn user<'a>(tell: &Tell, who: &'a Who) -> &'a str {
    if tell.email_as_user && !who.email.is_empty() { &who.email } else { &who.user }
}

fn basic(tell: &Tell, who: &Who, password: &values::Secret) -> String {
    let pair = format!("{}:{}", user(tell, who), password.expose());
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}

fn groups(who: &Who) -> String {
    // A comma in a name would be two groups.
    let names: Vec<_> = who.groups.iter().map(|name| value(name).replace(',', "%2C")).collect();
    names.join(",")
}

fn set(headers: &mut Headers, name: &str, text: &str) {
    if !text.is_empty() {
        headers.set(name, value(text));
    }
}

/// For the app, in the request.
pub fn tell(headers: &mut Headers, tell: &Tell, who: &Who, session: Option<&Session>) {
    if tell.user {
        set(headers, "X-Forwarded-User", user(tell, who));
        set(headers, "X-Forwarded-Email", &who.email);
        headers.set("X-Forwarded-Groups", groups(who));
        if who.groups.is_empty() {
            headers.remove("X-Forwarded-Groups");
        }
        set(headers, "X-Forwarded-Preferred-Username", who.preferred_username.as_deref().unwrap_or_default());
    }
    let token = |pick: fn(&Session) -> &Option<String>| session.and_then(|session| pick(session).as_deref());
    if let Some(token) = token(|session| &session.access).filter(|_| tell.access_token) {
        headers.set("X-Forwarded-Access-Token", token);
    }
    if let Some(token) = token(|session| &session.id_token).filter(|_| tell.authorization) {
        headers.set("Authorization", format!("Bearer {token}"));
    } else if let Some(password) = &tell.basic {
        headers.set("Authorization", basic(tell, who, password));
    }
}

/// For a proxy that asks or for the client, in the answer.
pub fn answer(headers: &mut Headers, tell: &Tell, who: &Who, session: Option<&Session>) {
    if tell.answer_user {
        set(headers, "X-Auth-Request-User", user(tell, who));
        set(headers, "X-Auth-Request-Email", &who.email);
        if !who.groups.is_empty() {
            headers.set("X-Auth-Request-Groups", groups(who));
        }
        set(headers, "X-Auth-Request-Preferred-Username", who.preferred_username.as_deref().unwrap_or_default());
        if let Some(token) = session.and_then(|session| session.access.as_deref()).filter(|_| tell.access_token) {
            headers.set("X-Auth-Request-Access-Token", token);
        }
    }
    if let Some(token) = session.and_then(|session| session.id_token.as_deref()).filter(|_| tell.answer_authorization) {
        headers.set("Authorization", format!("Bearer {token}"));
    } else if let Some(password) = &tell.answer_basic {
        headers.set("Authorization", basic(tell, who, password));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_taken_away() {
        let mut headers: Headers = [
            ("X-Forwarded-User", "root"),
            ("x_forwarded_email", "r"),
            ("X-Forwarded_Groups", "a"),
            ("GAP-Auth", "r"),
            ("X-AUTH-REQUEST-Anything", "r"),
            ("x_auth-request_user", "r"),
            ("X-Forwarded-Access-Token", "t"),
            ("X-Forwarded-For", "1.2.3.4"),
            ("X-User", "kept"),
            ("x-forwarded-user", "twice"),
        ]
        .into_iter()
        .collect();
        strip(&mut headers, &Tell::default());
        let left: Vec<_> = headers.iter().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(left, ["X-Forwarded-For", "X-User"]);
    }

    #[test]
    fn values_stay_one_line_of_ascii_and_groups_stay_apart() {
        let who = Who { user: "Jörg\r\nX: y".into(), groups: vec!["a,b".into(), "c".into()], ..Who::default() };
        let mut headers = Headers::new();
        tell(&mut headers, &Tell::default(), &who, None);
        assert_eq!(headers.get_str("x-forwarded-user"), Some("J%C3%B6rg%0D%0AX: y"));
        assert_eq!(headers.get_str("x-forwarded-groups"), Some("a%2Cb,c"));
        assert!(!headers.contains("x-forwarded-email") && !headers.contains("authorization"));
    }
}
