//! One attempt: build, send, wait, read; each step bounded and each failure told.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use reqwest::{Method, Url};
use tokio::time::{Instant, timeout_at};
use values::{Secret, Span};

use crate::engine::Engines;
use crate::redact::{self, Secrets};
use crate::reply::{Reply, read_body, retry_after};
use crate::{Auth, Error, Kind, Request, SecretSource, Target, explain};

/// Enough of an unexpected answer to find its first line.
const EXCERPT: usize = 4 * 1024;

/// A target that was checked. It holds no connection, no certificate and no buffer between attempts, unless
/// [`Target::keep_connections`].
pub struct Client {
    target: Target,
    method: Method,
    /// Without userinfo, so that no library's text can repeat it.
    url: Url,
    headers: HeaderMap,
    auth: Option<Auth>,
    place: String,
    engines: Engines,
}

impl Client {
    /// Checks what can be checked without a file or a socket.
    pub fn new(target: Target) -> Result<Self, Error> {
        let place = target.place();
        let refuse = |what: String| Error::new(Kind::CreateRequest, &place, &what);
        let method = Method::from_bytes(target.method.as_bytes())
            .map_err(|_| refuse(format!("method {:?}: expected one like GET or POST", target.method)))?;
        let mut url = crate::url::parse(&target.url).map_err(&refuse)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse(format!("scheme {:?}: expected http or https", url.scheme())));
        }
        if target.timeout.is_zero() {
            return Err(refuse("timeout 0s: expected more".into()));
        }
        let headers = header_map(&target.headers).map_err(&refuse)?;
        if target.auth.is_some() && headers.contains_key(AUTHORIZATION) {
            return Err(refuse("both auth and an Authorization header are given, expected one".into()));
        }
        // As curl and Go have it: what is given explicitly wins over the URL.
        let in_url = take_userinfo(&mut url);
        let auth = target.auth.clone().or(in_url.filter(|_| !headers.contains_key(AUTHORIZATION)));
        Ok(Self { method, url, headers, auth, place, engines: Engines::default(), target })
    }

    /// Method and URL as every text names them: without secrets.
    pub fn place(&self) -> &str {
        &self.place
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Reads the files an attempt would read (CA, certificate, key, password) and forgets them: for start-up
    /// and `--check-config`. No socket is opened.
    pub fn check(&self) -> Result<(), Error> {
        let mut secrets = Secrets::default();
        let engine = self.engine()?;
        self.outgoing(&engine, &Request::default(), &mut secrets).map(drop)
    }

    /// ONE attempt. Dropping the future ends it and closes its connection.
    ///
    /// A server may close a kept connection just when it is used again: that says nothing about the server. Where the
    /// request says that it can be repeated, it goes out once more, on a new connection and within the same timeout.
    pub async fn send(&self, request: &Request) -> Result<Reply, Error> {
        let begun = Instant::now();
        // A timeout of centuries is none.
        let deadline =
            begun.checked_add(self.target.timeout).unwrap_or_else(|| begun + Duration::from_secs(86_400 * 365));
        let mut used = self.engines.have_answered();
        loop {
            let failure = match self.attempt(request, begun, deadline).await {
                Ok(reply) => {
                    self.engines.answered();
                    return Ok(reply);
                }
                Err(failure) => failure,
            };
            if !matches!(failure.error.kind(), Kind::Status(_) | Kind::Redirect | Kind::CreateRequest) {
                // Whatever it was: the next connection is a new one, with its files read anew.
                self.engines.forget();
            }
            if !(std::mem::take(&mut used) && failure.is_broken && request.is_repeatable) {
                return Err(failure.error);
            }
        }
    }

    async fn attempt(&self, request: &Request, begun: Instant, deadline: Instant) -> Result<Reply, Failure> {
        let mut secrets = Secrets::default();
        let engine = self.engine()?;
        let outgoing = self.outgoing(&engine, request, &mut secrets)?;
        let mut response = match timeout_at(deadline, engine.execute(outgoing)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                let is_broken = explain::is_broken(&error);
                return Err(Failure { error: self.failed(&error, "", &secrets), is_broken });
            }
            Err(_) => return Err(self.late("no answer", &secrets).into()),
        };
        let status = response.status().as_u16();
        if !self.target.expect.accepts(status) {
            return Err(self.unexpected(response, deadline, &secrets).await.into());
        }
        // What was announced, but not more than we keep.
        let most = self.target.max_reply;
        let announced = response.content_length().unwrap_or(0).min(most as u64) as usize;
        let mut body = Vec::with_capacity(announced);
        match timeout_at(deadline, read_body(&mut response, most, &mut body)).await {
            Ok(Ok(truncated)) => {
                let headers = std::mem::take(response.headers_mut());
                Ok(Reply { status, body, truncated, elapsed: begun.elapsed(), headers })
            }
            Ok(Err(error)) => Err(self.failed(&error, &format!("answered {status}, then "), &secrets).into()),
            Err(_) => Err(self.late(&format!("answered {status}, but no end of the body"), &secrets).into()),
        }
    }

    fn engine(&self) -> Result<reqwest::Client, Error> {
        self.engines.get(&self.target, &self.url).map_err(|trouble| match trouble {
            crate::engine::Trouble::Tls(error) => Error::new(Kind::Tls, &self.place, &error.to_string()),
            crate::engine::Trouble::Build(error) => self.failed(&error, "", &Secrets::default()),
        })
    }

    /// The request as it goes out; `secrets` learns what must not be quoted.
    fn outgoing(
        &self,
        engine: &reqwest::Client,
        request: &Request,
        secrets: &mut Secrets,
    ) -> Result<reqwest::Request, Error> {
        let refuse = |what: String| Error::new(Kind::CreateRequest, &self.place, &what);
        let mut headers = self.headers.clone();
        headers.extend(header_map(&request.headers).map_err(refuse)?);
        if self.auth.is_some() && headers.contains_key(AUTHORIZATION) {
            return Err(refuse("both auth and an Authorization header are given, expected one".into()));
        }
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(concat!("pillion/", env!("CARGO_PKG_VERSION"))));
        let body = request.body.as_ref().or(self.target.body.as_ref());
        if body.is_none_or(Bytes::is_empty) && [Method::POST, Method::PUT, Method::PATCH].contains(&self.method) {
            // hyper sends no length for an empty body; some servers answer 411 then.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let mut builder = engine.request(self.method.clone(), self.url.clone()).headers(headers);
        if let Some(body) = body {
            builder = builder.body(body.clone());
        }
        builder = match &self.auth {
            None => builder,
            Some(Auth::Basic { user, password }) => {
                let password = password.read().map_err(refuse)?;
                secrets.add(password.expose());
                builder.basic_auth(user, Some(password.expose()))
            }
            Some(Auth::Bearer(token)) => {
                let value = credentials("Bearer", "the bearer token", token, secrets).map_err(refuse)?;
                builder.header(AUTHORIZATION, value)
            }
            Some(Auth::Token(scheme, token)) => {
                let value = credentials(scheme, "the API key", token, secrets).map_err(refuse)?;
                builder.header(AUTHORIZATION, value)
            }
        };
        let outgoing = builder.build().map_err(|error| self.failed(&error, "", secrets))?;
        remember(&outgoing, secrets);
        Ok(outgoing)
    }

    fn failed(&self, error: &reqwest::Error, before: &str, secrets: &Secrets) -> Error {
        let (kind, what) = explain::explain(error, self.url.host_str().unwrap_or_default(), &self.target.tls);
        Error::new(kind, &self.place, &secrets.scrub(&format!("{before}{what}")))
    }

    fn late(&self, what: &str, secrets: &Secrets) -> Error {
        let what = format!("{what} within {}", Span(self.target.timeout));
        Error::new(Kind::Timeout, &self.place, &secrets.scrub(&what))
    }

    /// An answer outside of what was expected, with what the server has to say about it.
    async fn unexpected(&self, mut response: reqwest::Response, deadline: Instant, secrets: &Secrets) -> Error {
        let status = response.status();
        let location = response.headers().get(LOCATION).map(|value| redact::on_one_line(value.as_bytes()));
        let wait = retry_after(response.headers());
        if let (true, Some(location)) = (status.is_redirection(), location) {
            let location = redact::url(&location);
            let what = format!("answered {} to {location}: redirects are not followed", status.as_u16());
            return Error::new(Kind::Redirect, &self.place, &secrets.scrub(&what)).with_retry_after(wait);
        }
        let mut excerpt = Vec::new();
        // Best effort: the status is the news, and a body that hangs or breaks does not change it.
        let _ = timeout_at(deadline, read_body(&mut response, EXCERPT, &mut excerpt)).await;
        let mut what = format!("answered {}, expected {}", status.as_u16(), self.target.expect);
        // Scrubbed before it is shortened: half a secret is one too.
        let line = redact::on_one_line(secrets.scrub(&String::from_utf8_lossy(&excerpt)).as_bytes());
        if !line.is_empty() {
            what.push_str(&format!(": \"{line}\""));
        }
        Error::new(Kind::Status(status.as_u16()), &self.place, &what).with_retry_after(wait)
    }
}

/// An attempt that failed; broken is a connection that ended before an answer.
struct Failure {
    error: Error,
    is_broken: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, is_broken: false }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.target).finish()
    }
}

/// What an Authorization header of this scheme says.
fn credentials(scheme: &str, what: &str, token: &SecretSource, secrets: &mut Secrets) -> Result<HeaderValue, String> {
    let token = token.read()?;
    secrets.add(token.expose());
    let mut value = HeaderValue::from_str(&format!("{scheme} {}", token.expose()))
        .map_err(|_| format!("{what} has characters that a header cannot carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Typed headers, checked. The texts name the header, never its value.
fn header_map(typed: &[(String, String)]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in typed {
        let key: HeaderName = name.parse().map_err(|_| format!("header {name:?}: not a header name"))?;
        let value: HeaderValue = value
            .parse()
            .map_err(|_| format!("header {name:?}: its value has characters that a header cannot carry"))?;
        headers.append(key, value);
    }
    Ok(headers)
}

/// Takes `user:password@` out of the URL.
fn take_userinfo(url: &mut Url) -> Option<Auth> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (user, password) = (decode(url.username()), url.password().map(decode));
    if user.is_empty() && password.is_none() {
        return None;
    }
    // Neither fails for a URL that had them.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(Auth::Basic { user, password: SecretSource::Value(Secret::new(password.unwrap_or_default())) })
}

/// Everything in the request that a server could echo: credentials as sent, headers and parameters by name.
fn remember(outgoing: &reqwest::Request, secrets: &mut Secrets) {
    for (name, value) in outgoing.headers() {
        if redact::sounds_secret(name.as_str())
            && let Ok(value) = value.to_str()
        {
            // "Basic dXNlcjpwYXNz": the scheme is no secret.
            secrets.add(value.split_once(' ').map_or(value, |(_, credentials)| credentials));
        }
    }
    for (name, value) in outgoing.url().query_pairs() {
        if redact::sounds_secret(&name) {
            secrets.add(&value);
        }
    }
}
