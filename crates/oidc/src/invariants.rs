//! What holds for every input, however odd: the fuzz targets call these, and the tests below do on every `cargo test`.

use crate::{
    Answer, Settings,
    keys::Keys,
    token::{Head, verify},
};

/// A key that nobody has the other half of.
const KEYS: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "one",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

/// Whatever is shown as a token: nothing that nobody has signed is believed.
pub fn token(text: &str) {
    let mut settings = Settings::new("https://id.example", "app");
    settings.check_issuer = false;
    let Ok(head) = Head::of(text, &settings) else { return };
    let Ok(keys) = Keys::parse(KEYS.as_bytes()) else { return };
    assert!(verify(text, &head, &keys, &settings).is_err(), "{text:?}");
}

/// Whatever a provider says its keys are: no answer or one, and a token of nobody fits none of them.
pub fn keys(bytes: &[u8]) {
    let Ok(keys) = Keys::parse(bytes) else { return };
    // RFC 7515, appendix A.3: of a key that is not theirs, long expired.
    const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let settings = Settings::new("joe", "app");
    let Ok(head) = Head::of(TOKEN, &settings) else { return };
    assert!(verify(TOKEN, &head, &keys, &settings).is_err());
}

/// Whatever the browser brings back: an answer has a state.
pub fn answer(query: &str) {
    if let Ok(answer) = Answer::parse(query) {
        assert!(!answer.state.is_empty(), "{query:?}");
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as B64};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_token_is_believed_for_its_looks(text in "[A-Za-z0-9_.=-]{0,80}") {
            token(&text);
        }

        #[test]
        fn no_head_opens_a_door(head in r#"\{("(alg|kid|jwk|jku|crit|typ|b64)":("(ES256|none|HS256|RS256|one)"|null|true|\[\]|\{\}),?){0,4}\}"#, signature in prop::collection::vec(any::<u8>(), 0..80)) {
            token(&format!("{}.{}.{}", B64.encode(head), B64.encode(r#"{"exp":9999999999,"sub":"a","aud":"app"}"#), B64.encode(signature)));
        }

        #[test]
        fn no_key_set_breaks_us(text in r#"\{"keys":\[(\{("(kty|crv|x|y|n|e|use|alg|kid|k)":("(EC|RSA|OKP|oct|P-256|AQAB|sig|[A-Za-z0-9_-]{0,50})"|null|1),?){0,6}\},?){0,3}\]\}"#) {
            keys(text.as_bytes());
        }

        #[test]
        fn every_answer_has_a_state(query in "((state|code|iss|error)=[a-z%0-9]{0,6}&?){0,6}") {
            answer(&query);
        }
    }
}
