//! What the browser brings back from the provider.

use crate::{Error, error::excerpt, form};

/// The parameters of the callback that are ours to read, each there at most once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub state: String,
    pub code: Option<String>,
    pub issuer: Option<String>,
    pub error: Option<String>,
    pub description: Option<String>,
}

impl Answer {
    /// A parameter that comes twice would be read differently by different readers: refused.
    pub fn parse(query: &str) -> Result<Self, Error> {
        let mut answer = Self::default();
        let mut state = None;
        for (name, value) in form::split(query) {
            let place = match name.as_str() {
                "state" => &mut state,
                "code" => &mut answer.code,
                "iss" => &mut answer.issuer,
                "error" => &mut answer.error,
                "error_description" => &mut answer.description,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(Error::refused(format!("the callback has {name} twice")));
            }
        }
        answer.state =
            state.filter(|state| !state.is_empty()).ok_or_else(|| Error::refused("the callback has no state"))?;
        Ok(answer)
    }

    /// The code, if the answer is one to us, from this issuer. Who asks has found the attempt by the state.
    pub(crate) fn code(&self, state: &str, issuer: &str, says_issuer: bool) -> Result<&str, Error> {
        let same = crate::attempt::same(&self.state, state);
        if !same {
            return Err(Error::refused("the state is of another login"));
        }
        // RFC 9207: an answer of another provider, brought to us under the name of this one.
        match &self.issuer {
            Some(said) if said != issuer => {
                return Err(Error::refused(format!("the answer is from {}, expected {issuer}", excerpt(said))));
            }
            None if says_issuer => {
                return Err(Error::refused("the answer does not name its issuer, as it always does"));
            }
            _ => {}
        }
        if let Some(error) = &self.error {
            let description = self.description.as_deref().map(|text| format!(" ({})", excerpt(text)));
            return Err(Error::Denied(format!("{}{}", excerpt(error), description.unwrap_or_default())));
        }
        self.code.as_deref().filter(|code| !code.is_empty()).ok_or_else(|| Error::refused("the callback has no code"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://id.example";

    fn code(query: &str, says_issuer: bool) -> Result<String, Error> {
        Answer::parse(query)?.code("abc", ISSUER, says_issuer).map(str::to_owned)
    }

    #[test]
    fn a_good_answer_is_read() {
        assert_eq!(code("code=x%20y&state=abc", false).unwrap(), "x y");
        assert_eq!(code("state=abc&code=x&iss=https%3A%2F%2Fid.example&session_state=1", true).unwrap(), "x");
    }

    #[test]
    fn every_other_is_refused() {
        for (query, why) in [
            ("code=x", "no state"),
            ("code=x&state=", "no state"),
            ("code=x&state=abd", "another login"),
            ("code=x&state=abc&state=abc", "state twice"),
            ("code=x&code=y&state=abc", "code twice"),
            ("state=abc", "no code"),
            ("state=abc&code=", "no code"),
            ("code=x&state=abc&iss=https://evil.example", "expected https://id.example"),
            ("code=x&state=abc&iss=https://id.example/", "expected https://id.example"),
            ("code=x&state=abc&iss=https://id.example&iss=https://id.example", "iss twice"),
        ] {
            let error = code(query, false).unwrap_err();
            assert!(matches!(&error, Error::Refused(text) if text.contains(why)), "{query}: {error}");
        }
        assert!(code("code=x&state=abc", true).is_err(), "an issuer that always names itself");
        let denied = code("error=access_denied&error_description=no%0a%1b[31m&state=abc", false).unwrap_err();
        assert_eq!(denied, Error::Denied("access_denied (no[31m)".into()));
    }
}
