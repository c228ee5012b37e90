//! Tokens of every kind that somebody might try.

use serde_json::json;

use super::*;
use crate::testing::Signer;

const ISSUER: &str = "https://id.example";

struct World {
    signer: Signer,
    keys: Keys,
    settings: Settings,
    now: u64,
}

impl World {
    fn new() -> Self {
        let signer = Signer::new();
        let keys =
            Keys::parse(json!({"keys": [{"kty": "who knows"}, signer.jwk("one")]}).to_string().as_bytes()).unwrap();
        let now = jsonwebtoken::get_current_timestamp();
        Self { signer, keys, settings: Settings::new(ISSUER, "app"), now }
    }

    fn claims(&self) -> Value {
        json!({"iss": ISSUER, "sub": "alice", "aud": "app", "exp": self.now + 300, "iat": self.now, "nonce": "n"})
    }

    fn token(&self, head: &Value, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        self.signer.sign(head, &claims)
    }

    fn verify(&self, token: &str) -> Result<Claims, Error> {
        let head = Head::of(token, &self.settings)?;
        let claims = verify(token, &head, &self.keys, &self.settings)?;
        check_id(&claims, &head, Some("n"), "access", &self.settings)?;
        Ok(claims)
    }

    #[track_caller]
    fn refuses(&self, change: impl FnOnce(&mut Value), why: &str) {
        let token = self.token(&json!({"alg": "ES256", "kid": "one"}), change);
        let error = self.verify(&token).unwrap_err().to_string();
        assert!(error.contains(why), "{error}: expected {why}");
    }
}

#[test]
fn a_good_token_is_believed() {
    let world = World::new();
    for head in [json!({"alg": "ES256", "kid": "one"}), json!({"alg": "ES256"})] {
        let token = world.token(&head, |_| {});
        assert_eq!(world.verify(&token).unwrap().text("sub").as_deref(), Some("alice"));
    }
    let token = world.token(&json!({"alg": "ES256", "kid": "one"}), |claims| {
        claims["aud"] = json!(["other", "app"]);
        claims["azp"] = json!("app");
        claims["at_hash"] = json!(B64.encode(&digest(&SHA256, b"access").as_ref()[..16]));
    });
    world.verify(&token).unwrap();
}

use base64::prelude::BASE64_URL_SAFE_NO_PAD as B64;

#[test]
fn claims_that_are_not_right_are_refused() {
    let world = World::new();
    let now = world.now;
    world.refuses(|claims| claims["iss"] = json!("https://id.example/"), "not of the issuer");
    world.refuses(|claims| claims["iss"] = json!([ISSUER]), "not of the issuer");
    world.refuses(|claims| claims["aud"] = json!("other"), "meant for another");
    world.refuses(|claims| claims["aud"] = json!([]), "meant for another");
    world.refuses(|claims| claims["aud"] = json!(["app2", "ap"]), "meant for another");
    world.refuses(|claims| drop(claims.as_object_mut().unwrap().remove("aud")), "meant for another");
    world.refuses(|claims| claims["exp"] = json!(now - 61), "the token");
    world.refuses(|claims| claims["exp"] = json!("never"), "the token");
    world.refuses(|claims| drop(claims.as_object_mut().unwrap().remove("exp")), "the token");
    world.refuses(|claims| claims["nbf"] = json!(now + 120), "the token");
    world.refuses(|claims| claims["iat"] = json!(now + 120), "from the future");
    world.refuses(|claims| claims["nonce"] = json!("m"), "another login");
    world.refuses(|claims| drop(claims.as_object_mut().unwrap().remove("nonce")), "another login");
    world.refuses(|claims| claims["azp"] = json!("other"), "azp");
    world.refuses(|claims| claims["sub"] = json!(""), "about nobody");
    world.refuses(|claims| claims["sub"] = json!(null), "about nobody");
    world.refuses(|claims| claims["at_hash"] = json!("x"), "at_hash");
}

#[test]
fn signatures_that_are_not_right_are_refused() {
    let world = World::new();
    let head = json!({"alg": "ES256", "kid": "one"});
    let good = world.token(&head, |_| {});
    let parts: Vec<_> = good.split('.').collect();
    let none = B64.encode(json!({"alg": "none"}).to_string());
    let shared = B64.encode(json!({"alg": "HS256", "kid": "one"}).to_string());
    let other = Signer::new().sign(&head, &world.claims());
    let forged = B64.encode(json!({"iss": ISSUER, "sub": "root", "aud": "app", "exp": world.now + 9}).to_string());
    for token in [
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{shared}.{}.{}", parts[1], parts[2]),
        format!("{}.{forged}.{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{good}.x"),
        other,
        world.token(&json!({"alg": "ES256", "kid": "two"}), |_| {}),
        world.token(&json!({"alg": "ES384", "kid": "one"}), |_| {}),
        world.token(&json!({"alg": "RS256", "kid": "one"}), |_| {}),
        String::new(),
        "a.b.c".into(),
        "x".repeat(LARGEST + 1),
    ] {
        assert!(matches!(world.verify(&token), Err(Error::Refused(_))), "{token}");
    }
    // A key for encryption signs nothing.
    let mut jwk = world.signer.jwk("one");
    jwk["use"] = json!("enc");
    let keys = Keys::parse(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap();
    assert!(verify(&good, &Head::of(&good, &world.settings).unwrap(), &keys, &world.settings).is_err());
}

#[test]
fn rs256_is_that_of_openssl() {
    // Made by OpenSSL: it expired in 2011, and its signature is good.
    let key = json!({"kty": "RSA", "e": "AQAB", "n": "skGuZWy5USZis-43ixPGCkWCGvzLzUaokYxb3QBlXEqgz-HMTQMtp_f-LTS7bSk3bHUXiICgFPJj5T4zKoyd_-vq3Hp9SscxVR8ot-zeSys4ISvYctorS0Zs0gBr2s5bEdF8nfvRB2PAEt875ca3LwXYCBd-NzQepltcu2pif3Ctvctb1LE7VOWDPhENsIRvp80v7ZVa-z4RHqDHJfFUopde1sHgckCYO1Z1nr28sgUb4H6NUuTkH92ovcTVogv8M4v5qdh0hi69ylAzxJv2yqxk9OA5qaxvJKW_PEULbbFIxFtdjlqR_tumWQN_OU6GOZ881kyd27p8_heaVk6SLw"});
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLCJzdWIiOiJhbm4iLCJleHAiOjEzMDA4MTkzODB9.qbVvjFijauK101WSMt_Gc__EJQWfX3yivWw4joRJZyjS-KiEkh_p9wZ5_szOw_GffWlD2adWngU6KugqFxtHEEYg4pxtk51v5CCUQL3dDXksNzNkCUnBaW7GGME2CuA5hZU0phPEKAgN5RQUUKwDvkirYiZz2829sGA0uDRG65L3yuXYmiUlOwJTzx_oHocnvK-9CP_k5SZ9_jZV6yPJ_g6ofY4M3J5Xga3XqcGznqWCARElvjkH8z2vJksTR2cPMtay15t9ufeOiNWSPQ28itoH3B4MI5r3W6teENnTLGRWXxZWvZ_SotVfDtSV6bCANo-xV-qHY409W1h9Rsq-Bg";
    let keys = Keys::parse(json!({ "keys": [key] }).to_string().as_bytes()).unwrap();
    let head = Head::of(token, &Settings::new(ISSUER, "app")).unwrap();
    let found = keys.fit(head.algorithm, None);
    let mut lenient = Validation::new(Algorithm::RS256);
    (lenient.validate_exp, lenient.validate_aud) = (false, false);
    lenient.set_required_spec_claims::<&str>(&[]);
    jsonwebtoken::decode::<Map<String, Value>>(token, &found[0], &lenient).unwrap();
    let error = verify(token, &head, &keys, &Settings::new("joe", "app")).unwrap_err();
    assert!(error.to_string().contains("ExpiredSignature"), "{error}");
}

#[test]
fn a_tenant_speaks_for_itself_only_and_is_one_that_may_come_in() {
    let mut world = World::new();
    let pattern = "https://login.example/{tenantid}/v2.0".to_owned();
    world.settings.tenants = Some(Tenants { pattern, allowed: vec!["aaa-1".into()] });
    let head = json!({"alg": "ES256", "kid": "one"});
    let token = |issuer: &str, tenant: &str| {
        world.token(&head, |claims| {
            claims["iss"] = json!(format!("https://login.example/{issuer}/v2.0"));
            claims["tid"] = json!(tenant);
        })
    };
    assert!(world.verify(&token("aaa-1", "aaa-1")).is_ok());
    for (issuer, tenant) in [("aaa-1", "bbb-2"), ("bbb-2", "bbb-2"), ("bbb-2", "aaa-1"), ("{tenantid}", "{tenantid}")] {
        assert!(world.verify(&token(issuer, tenant)).is_err(), "{issuer} {tenant}");
    }
    world.refuses(|_| {}, "not of an issuer");
}

#[test]
fn only_signatures_that_were_asked_for_are_taken() {
    let mut world = World::new();
    let token = world.token(&json!({"alg": "ES256", "kid": "one"}), |_| {});
    world.settings.algorithms = vec!["RS256".into()];
    assert!(world.verify(&token).is_err());
    world.settings.algorithms.push("ES256".into());
    assert!(world.verify(&token).is_ok());
}

fn logged_out(world: &World, head: &Value, change: impl FnOnce(&mut Value)) -> Result<crate::Logout, Error> {
    let mut claims = json!({"iss": ISSUER, "aud": "app", "exp": world.now + 120, "iat": world.now, "jti": "j", "sid": "s",
                            "events": {"http://schemas.openid.net/event/backchannel-logout": {}}});
    change(&mut claims);
    let token = world.signer.sign(head, &claims);
    let head = Head::of(&token, &world.settings)?;
    crate::logout::verify(&token, &head, &world.keys, &world.settings)
}

#[test]
fn a_logout_token_is_checked_wholly() {
    let world = World::new();
    let head = json!({"alg": "ES256", "kid": "one", "typ": "logout+jwt"});
    let logout = logged_out(&world, &head, |_| {}).unwrap();
    assert_eq!((logout.session.as_deref(), logout.subject, &*logout.id), (Some("s"), None, "j"));
    let changes: [(&str, Value); 14] = [
        ("iss", json!("https://other.example")),
        ("aud", json!("other")),
        ("exp", json!(1)),
        ("exp", json!(null)),
        ("iat", json!(null)),
        ("iat", json!(world.now - 3600)),
        ("iat", json!(world.now + 3600)),
        ("jti", json!(null)),
        ("jti", json!("")),
        ("sid", json!(null)),
        ("nonce", json!("n")),
        ("events", json!(null)),
        ("events", json!({"http://schemas.openid.net/event/other": {}})),
        ("events", json!({"http://schemas.openid.net/event/backchannel-logout": true})),
    ];
    for (name, value) in changes {
        let shown = value.clone();
        assert!(logged_out(&world, &head, |claims| claims[name] = value).is_err(), "{name} {shown}");
    }
    let none = json!({"alg": "none"});
    assert!(logged_out(&world, &none, |_| {}).is_err());
}

#[test]
fn a_logout_token_lets_nobody_in() {
    let world = World::new();
    let typed = world.token(&json!({"alg": "ES256", "kid": "one", "typ": "logout+jwt"}), |_| {});
    assert!(world.verify(&typed).unwrap_err().to_string().contains("ends sessions"));
    let event = "http://schemas.openid.net/event/backchannel-logout";
    world.refuses(|claims| claims["events"] = json!({event: {}}), "ends sessions");
}
