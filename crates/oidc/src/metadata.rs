//! Where a provider has what: as it says itself (OpenID Connect Discovery), or as configured.

use serde_json::Value;

use crate::{Error, Settings, error::excerpt};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) authorization: String,
    pub(crate) token: String,
    pub(crate) jwks: Option<String>,
    pub(crate) userinfo: Option<String>,
    pub(crate) end_session: Option<String>,
    /// RFC 9207.
    pub(crate) says_issuer: bool,
    pub(crate) s256: bool,
    /// The secret goes into the body: it says so, or does not know the other way.
    pub(crate) secret_in_body: bool,
    /// Nobody has said: the other way is tried where one fails.
    pub(crate) secret_in_either: bool,
}

pub(crate) fn discovery_address(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

impl Metadata {
    /// Without asking anybody. None: something is missing.
    pub(crate) fn configured(settings: &Settings) -> Option<Self> {
        let endpoints = &settings.endpoints;
        Some(Self {
            authorization: endpoints.authorization.clone()?,
            token: endpoints.token.clone()?,
            jwks: endpoints.jwks.clone(),
            userinfo: endpoints.userinfo.clone(),
            end_session: endpoints.end_session.clone(),
            s256: true,
            secret_in_body: true,
            secret_in_either: settings.kind.is_openid(),
            ..Self::default()
        })
    }

    pub(crate) fn parse(body: &[u8], settings: &Settings) -> Result<Self, Error> {
        let said: Value = serde_json::from_slice(body)
            .map_err(|error| Error::unavailable(format!("its metadata is not JSON: {error}")))?;
        let text = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
        let lists = |name: &str, word: &str| {
            said.get(name).and_then(Value::as_array).map(|list| list.iter().any(|value| value.as_str() == Some(word)))
        };
        // Otherwise one provider could speak for another.
        let issuer = text("issuer").unwrap_or_default();
        let expected = settings.tenants.as_ref().map_or(&settings.issuer, |tenants| &tenants.pattern);
        if settings.check_issuer && issuer != *expected {
            return Err(Error::refused(format!(
                "its metadata is of the issuer {:?}, expected {:?}",
                excerpt(&issuer),
                expected
            )));
        }
        let endpoints = &settings.endpoints;
        let needed = |given: &Option<String>, name: &str| {
            given
                .clone()
                .or_else(|| text(name))
                .ok_or_else(|| Error::unavailable(format!("its metadata has no {name}")))
        };
        let auth = "token_endpoint_auth_methods_supported";
        Ok(Self {
            authorization: needed(&endpoints.authorization, "authorization_endpoint")?,
            token: needed(&endpoints.token, "token_endpoint")?,
            jwks: endpoints.jwks.clone().or_else(|| text("jwks_uri")),
            userinfo: endpoints.userinfo.clone().or_else(|| text("userinfo_endpoint")),
            end_session: endpoints.end_session.clone().or_else(|| text("end_session_endpoint")),
            says_issuer: said.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
            s256: lists("code_challenge_methods_supported", "S256") != Some(false),
            secret_in_body: lists(auth, "client_secret_basic") == Some(false)
                && lists(auth, "client_secret_post") == Some(true),
            secret_in_either: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(value: &Value) -> Result<Metadata, Error> {
        Metadata::parse(value.to_string().as_bytes(), &Settings::new("https://id.example", "app"))
    }

    #[test]
    fn metadata_is_read_and_only_that_of_its_issuer() {
        let good = json!({
            "issuer": "https://id.example", "authorization_endpoint": "https://id.example/a",
            "token_endpoint": "https://id.example/t", "jwks_uri": "https://id.example/k",
            "code_challenge_methods_supported": ["plain"],
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "authorization_response_iss_parameter_supported": true,
        });
        let metadata = parse(&good).unwrap();
        assert_eq!(metadata.authorization, "https://id.example/a");
        assert!(metadata.says_issuer && metadata.secret_in_body && !metadata.s256);
        for (name, value) in
            [("issuer", json!("https://id.example/")), ("issuer", json!(null)), ("token_endpoint", json!(1))]
        {
            let mut bad = good.clone();
            bad[name] = value;
            assert!(parse(&bad).is_err(), "{bad}");
        }
        assert!(Metadata::parse(b"<html>", &Settings::new("i", "c")).is_err());
    }
}
