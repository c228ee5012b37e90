//! One attempt: build, send, wait, read; each step bounded and each failure told.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use reqwest::{Method, Url};
use tokio::time::{Instant, timeout_at};
use values::{Secret, Span};

use crate::redact::{self, Secrets};
use crate::reply::{MAX_BODY, Reply, read_body, retry_after};
use crate::{Auth, Error, Kind, Request, SecretSource, Target, explain};

/// How long a kept connection may be idle. Servers close theirs after a minute or more.
const IDLE: Duration = Duration::from_secs(30);
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
    kept: OnceLock<reqwest::Client>,
}

impl Client {
    /// Checks what can be checked without a file or a socket.
    pub fn new(target: Target) -> Result<Self, Error> {
        let place = target.place();
        let refuse = |what: String| Error::new(Kind::CreateRequest, &place, &what);
        let method = Method::from_bytes(target.method.as_bytes())
            .map_err(|_| refuse(format!("method {:?}: expected one like GET or POST", target.method)))?;
        let mut url = Url::parse(&target.url).map_err(|error| refuse(format!("not a URL: {error}")))?;
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
        Ok(Self { method, url, headers, auth, place, kept: OnceLock::new(), target })
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
    pub async fn send(&self, request: &Request) -> Result<Reply, Error> {
        let begun = Instant::now();
        // A timeout of centuries is none.
        let deadline =
            begun.checked_add(self.target.timeout).unwrap_or_else(|| begun + Duration::from_secs(86_400 * 365));
        let mut secrets = Secrets::default();
        let engine = self.engine()?;
        let outgoing = self.outgoing(&engine, request, &mut secrets)?;
        let mut response = match timeout_at(deadline, engine.execute(outgoing)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.failed(&error, "", &secrets)),
            Err(_) => return Err(self.late("no answer", &secrets)),
        };
        let status = response.status().as_u16();
        if !self.target.expect.accepts(status) {
            return Err(self.unexpected(response, deadline, &secrets).await);
        }
        // What was announced, but not more than we keep.
        let announced = response.content_length().unwrap_or(0).min(MAX_BODY as u64) as usize;
        let mut body = Vec::with_capacity(announced);
        match timeout_at(deadline, read_body(&mut response, MAX_BODY, &mut body)).await {
            Ok(Ok(truncated)) => {
                let headers = std::mem::take(response.headers_mut());
                Ok(Reply { status, body, truncated, elapsed: begun.elapsed(), headers })
            }
            Ok(Err(error)) => Err(self.failed(&error, &format!("answered {status}, then "), &secrets)),
            Err(_) => Err(self.late(&format!("answered {status}, but no end of the body"), &secrets)),
        }
    }

    /// reqwest's client. Built for each attempt, so that between attempts nothing is held and files are read
    /// anew, unless connections are to be kept.
    fn engine(&self) -> Result<reqwest::Client, Error> {
        if let Some(kept) = self.kept.get() {
            return Ok(kept.clone());
        }
        // Without a configuration of ours reqwest would load the platform's certificates, even for http.
        let tls = if self.url.scheme() == "https" { self.target.tls.load() } else { tls::trusting_nobody() };
        let mut tls = tls.map_err(|error| Error::new(Kind::Tls, &self.place, &error.to_string()))?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .no_proxy()
            .referer(false)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(usize::from(self.target.keep_connections))
            .pool_idle_timeout(self.target.keep_connections.then_some(IDLE));
        if let Some(path) = &self.target.unix_socket {
            builder = builder.unix_socket(path.as_path());
        }
        let engine = builder.build().map_err(|error| self.failed(&error, "", &Secrets::default()))?;
        if self.target.keep_connections {
            // Two first attempts at once build two: the second is dropped after its use.
            let _ = self.kept.set(engine.clone());
        }
        Ok(engine)
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
        if body.is_none_or(Vec::is_empty) && [Method::POST, Method::PUT, Method::PATCH].contains(&self.method) {
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
                let token = token.read().map_err(refuse)?;
                secrets.add(token.expose());
                if HeaderValue::from_str(token.expose()).is_err() {
                    return Err(refuse("the bearer token has characters that a header cannot carry".into()));
                }
                builder.bearer_auth(token.expose())
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
        let location = response.headers().get(LOCATION).map(|value| redact::first_line(value.as_bytes()));
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
        let line = redact::first_line(secrets.scrub(&String::from_utf8_lossy(&excerpt)).as_bytes());
        if !line.is_empty() {
            what.push_str(&format!(": \"{line}\""));
        }
        Error::new(Kind::Status(status.as_u16()), &self.place, &what).with_retry_after(wait)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.target).finish()
    }
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
