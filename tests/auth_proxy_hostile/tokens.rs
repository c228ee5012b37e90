//! Tokens that are shown: every way to make one that is not the provider's, for us, and of now.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as B64};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};
use test_kit::{HookServer, OpenId, Reply, http};

use crate::{
    case::{Case, Outcome, case, holds, unless},
    rig::{Rig, World},
};

const CLASS: &str = "tokens";
const FLAGS: [&str; 2] = ["--skip-jwt-bearer-tokens", "--pass-authorization-header"];

/// Whether somebody with this header is let in.
fn is_let_in(world: &World, header: &str) -> bool {
    let before = world.app.requests().len();
    world.browser().ask("GET", "/secret", &[("Authorization", header), ("Accept", "application/json")]);
    world.app.requests().len() > before
}

fn shown(rig: &mut Rig, make: impl FnOnce(&World) -> Vec<String>) -> Outcome {
    let world = rig.shared(&FLAGS).expect("it takes tokens");
    let good = world.provider.token(&json!({}));
    if !is_let_in(&world, &format!("Bearer {good}")) {
        return Outcome::Absent("a good token is not let in either".into());
    }
    unless(make(&world).into_iter().find(|token| is_let_in(&world, &format!("Bearer {token}"))).map(|token| {
        format!(
            "let in with {}",
            token
                .split('.')
                .take(1)
                .map(|head| String::from_utf8_lossy(&B64.decode(head).unwrap_or_default()).into_owned())
                .collect::<String>()
        )
    }))
}

/// A token of the provider with these claims.
fn claiming(rig: &mut Rig, claims: &[Value]) -> Outcome {
    let world = rig.shared(&FLAGS).expect("it takes tokens");
    if !is_let_in(&world, &format!("Bearer {}", world.provider.token(&json!({})))) {
        return Outcome::Absent("a good token is not let in either".into());
    }
    let found = claims.iter().find(|claims| is_let_in(&world, &format!("Bearer {}", world.provider.token(claims))));
    unless(found.map(|claims| format!("let in with {claims}")))
}

/// What a good token says.
fn payload(world: &World) -> String {
    world.provider.token(&json!({})).split('.').nth(1).unwrap().to_owned()
}

fn text(head: &Value, payload: &str) -> String {
    format!("{}.{payload}", B64.encode(head.to_string()))
}

struct Forger(EcdsaKeyPair);

impl Forger {
    fn new() -> Self {
        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref(), &random).unwrap())
    }

    fn key(&self) -> Value {
        let point = self.0.public_key().as_ref();
        json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "mine", "x": B64.encode(&point[1..33]), "y": B64.encode(&point[33..])})
    }

    fn sign(&self, head: &Value, payload: &str) -> String {
        let text = text(head, payload);
        let signature = self.0.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", B64.encode(signature))
    }
}

fn mac(head: &Value, payload: &str, key: &[u8]) -> String {
    let text = text(head, payload);
    let sum = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    format!("{text}.{}", B64.encode(sum))
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(CLASS, "not signed", "CVE-2021-29652", |rig| {
            shown(rig, |world| {
                let heads =
                    ["none", "None", "NONE", ""].map(|name| text(&json!({"alg": name, "typ": "JWT"}), &payload(world)));
                let good = world.provider.token(&json!({}));
                let stripped = good[..=good.rfind('.').unwrap()].to_owned();
                heads.iter().flat_map(|head| [format!("{head}."), head.clone()]).chain([stripped]).collect()
            })
        }),
        case(CLASS, "signed with the public key as a password", "", |rig| {
            shown(rig, |world| {
                let keys = http::get(world.provider.addr(), "/jwks").unwrap().body;
                let key: Value = serde_json::from_str(&keys).unwrap();
                let part = |name: &str| B64.decode(key["keys"][0][name].as_str().unwrap()).unwrap();
                let point = [vec![4], part("x"), part("y")].concat();
                let head = json!({"alg": "HS256", "typ": "JWT", "kid": "key-1"});
                let passwords = [
                    keys.clone().into_bytes(),
                    key["keys"][0].to_string().into_bytes(),
                    point,
                    Vec::new(),
                    OpenId::SECRET.into(),
                ];
                passwords.iter().map(|password| mac(&head, &payload(world), password)).collect()
            })
        }),
        case(CLASS, "signed with a key that it brings along", "CVE-2018-0114", |rig| {
            shown(rig, |world| {
                let forger = Forger::new();
                let heads = [
                    json!({"alg": "ES256", "jwk": forger.key()}),
                    json!({"alg": "ES256", "kid": "mine", "jwk": forger.key()}),
                    json!({"alg": "ES256", "kid": "key-1", "jwk": forger.key()}),
                    json!({"alg": "ES256", "kid": "key-1"}),
                    json!({"alg": "ES256"}),
                ];
                heads.iter().map(|head| forger.sign(head, &payload(world))).collect()
            })
        }),
        case(CLASS, "with the address of its key", "", |rig| {
            let forger = Forger::new();
            let elsewhere = HookServer::answering([Reply::Status(200, json!({"keys": [forger.key()]}).to_string())]);
            let outcome = shown(rig, |world| {
                let head = |name: &str| json!({"alg": "ES256", "kid": "mine", name: elsewhere.url("/keys")});
                vec![forger.sign(&head("jku"), &payload(world)), forger.sign(&head("x5u"), &payload(world))]
            });
            if elsewhere.requests().is_empty() {
                outcome
            } else {
                Outcome::Falls("it fetched the key from there".into())
            }
        }),
        case(CLASS, "a signature of nothing but zeros", "CVE-2022-21449", |rig| {
            shown(rig, |world| {
                let head = text(&json!({"alg": "ES256", "kid": "key-1"}), &payload(world));
                [vec![0; 64], vec![0; 8], vec![0x30, 6, 2, 1, 0, 2, 1, 0], Vec::new()]
                    .iter()
                    .map(|zeros| format!("{head}.{}", B64.encode(zeros)))
                    .collect()
            })
        }),
        case(CLASS, "a head that asks for what is not understood", "RFC 7515 4.1.11", |rig| {
            shown(rig, |world| {
                let token = world.provider.token_with(&json!({"crit": ["b64"], "b64": false}), &json!({}));
                vec![token, world.provider.token_with(&json!({"crit": ["exp"]}), &json!({}))]
            })
        }),
        case(CLASS, "for another", "CVE-2024-5798", |rig| {
            claiming(
                rig,
                &[
                    json!({"aud": "another"}),
                    json!({"aud": []}),
                    json!({"aud": null}),
                    json!({"aud": ""}),
                    json!({"aud": ["another", "third"]}),
                    json!({"aud": "app "}),
                    json!({"aud": "APP"}),
                    json!({"aud": {"app": true}}),
                ],
            )
        }),
        case(CLASS, "from another", "", |rig| {
            claiming(
                rig,
                &[
                    json!({"iss": "https://evil.example"}),
                    json!({"iss": null}),
                    json!({"iss": ""}),
                    json!({"iss": ["http://127.0.0.1"]}),
                ],
            )
        }),
        case(CLASS, "of yesterday", "", |rig| {
            claiming(
                rig,
                &[
                    json!({"exp": 1}),
                    json!({"exp": null}),
                    json!({"exp": "never"}),
                    json!({"exp": -1}),
                    json!({"exp": 0}),
                ],
            )
        }),
        case(CLASS, "of tomorrow", "", |rig| {
            claiming(rig, &[json!({"nbf": 99_999_999_999_u64}), json!({"nbf": 4e10})])
        }),
        case(CLASS, "an address of two domains", "CVE-2026-40574", |rig| {
            claiming(
                rig,
                &[
                    json!({"email": "a@evil.example@mycompany.com"}),
                    json!({"email": "a@mycompany.com@evil.example"}),
                    json!({"email": "a@evil.example\n@mycompany.com"}),
                    json!({"email": "a@evil.example,b@mycompany.com"}),
                    json!({"email": "a@evil.example b@mycompany.com"}),
                ],
            )
        }),
        case(CLASS, "an address of a domain that is like ours", "", |rig| {
            claiming(
                rig,
                &[
                    json!({"email": "a@evilmycompany.com"}),
                    json!({"email": "a@mycompany.com.evil.example"}),
                    json!({"email": "a@sub.mycompany.com"}),
                    json!({"email": "mycompany.com"}),
                    json!({"email": "@mycompany.com"}),
                    json!({"email": "a@mycompany.com\u{0}"}),
                    json!({"email": "a@mycompany\u{2024}com"}),
                ],
            )
        }),
        case(CLASS, "an address that nobody has verified", "", |rig| {
            claiming(rig, &[json!({"email_verified": false})])
        }),
        case(CLASS, "no address at all", "", |rig| {
            claiming(
                rig,
                &[
                    json!({"email": null, "sub": "mallory@mycompany.com"}),
                    json!({"email": ""}),
                    json!({"email": null, "preferred_username": "x@mycompany.com"}),
                ],
            )
        }),
        case(CLASS, "in the query", "RFC 9700 4.3.2", |rig| {
            let world = rig.shared(&FLAGS).expect("it takes tokens");
            let token = world.provider.token(&json!({}));
            let before = world.app.requests().len();
            for path in [format!("/secret?access_token={token}"), format!("/secret?token={token}")] {
                world.browser().ask("GET", &path, &[("Accept", "application/json")]);
            }
            holds(world.app.requests().len() == before, "let in by an address that stands in logs")
        }),
        case(CLASS, "an opaque or broken one", "", |rig| {
            shown(rig, |world| {
                let good = world.provider.token(&json!({}));
                let parts: Vec<_> = good.split('.').collect();
                vec![
                    String::new(),
                    ".".into(),
                    "..".into(),
                    "...".into(),
                    "x".into(),
                    format!("{}.{}", parts[0], parts[1]),
                    format!("{good}."),
                    format!("{good}.x"),
                    format!("{}..{}", parts[0], parts[2]),
                    format!("{}.{}.{}", parts[1], parts[0], parts[2]),
                    "A".repeat(200_000),
                ]
            })
        }),
        case(CLASS, "the name of one key, the signature of another", "", |rig| {
            let stranger = OpenId::start();
            shown(rig, |world| vec![stranger.token(&json!({"iss": world.provider.issuer()}))])
        }),
        case(CLASS, "strangers make it ask for keys all the time", "", |rig| {
            let Some(world) = rig.fresh(&FLAGS) else { return Outcome::Absent("no such flag".into()) };
            let stranger = OpenId::start();
            for _ in 0..20 {
                stranger.rotate_key();
                is_let_in(&world, &format!("Bearer {}", stranger.token(&json!({"iss": world.provider.issuer()}))));
            }
            let asked = world.provider.asked("/jwks");
            holds(asked <= 3, format!("20 forged tokens made it ask the provider {asked} times"))
        }),
    ]
}
