//! Servers that are spoken to by HTTP: what is configured about them, and which of several gets a request.

use std::{sync::Arc, time::Duration};

use common::{Failure, config::Section};
use http_client::{Auth, Client, Error, Expect, Kind, Reply, Request, Target};
use tls::ClientTls;
use tokio::time::Instant;
use values::Span;

use super::{
    Reports,
    gzip::{Compression, plain_len},
};

/// A server that failed is left alone for so long, while there are others.
const REST: Duration = Duration::from_secs(30);

/// A server that takes less than this in one request is asked for it each time anew.
const SMALLEST: usize = 64 << 10;

/// What a server was found to take in one request, before it is compressed: what came after a proxy unpacks it counts.
#[derive(Debug, Default)]
pub(super) struct Largest(Option<usize>);

impl Largest {
    pub(super) fn is_exceeded_by(&self, body: &[u8]) -> bool {
        self.0.is_some_and(|largest| plain_len(body) > largest)
    }

    /// It did not take this.
    pub(super) fn learn(&mut self, body: &[u8], reports: &Reports) {
        let bytes = plain_len(body);
        let half = (bytes / 2).max(SMALLEST);
        if self.0.is_none_or(|largest| half < largest) {
            self.0 = Some(half);
            reports.tell(|events, output| events.too_large(output, bytes, half));
        }
    }
}

/// What is configured about servers that are all as good as each other.
#[derive(Clone, Debug)]
pub struct Web {
    pub urls: Vec<String>,
    pub headers: Vec<(String, String)>,
    pub auth: Option<Auth>,
    pub tls: Arc<ClientTls>,
    pub timeout: Duration,
    pub compression: Compression,
}

impl Web {
    pub fn new(urls: Vec<String>) -> Self {
        let Target { headers, auth, tls, timeout, .. } = Target::shipping("POST", "");
        Self { urls, headers, auth, tls, timeout, compression: Compression::default() }
    }

    pub fn read(section: &mut Section) -> Self {
        let urls: Vec<String> = section.list("url");
        if urls.is_empty() {
            section.problem("url: required");
        }
        Self::read_at(section, urls)
    }

    /// Where the URLs are known otherwise.
    pub fn read_at(section: &mut Section, urls: Vec<String>) -> Self {
        let defaults = Self::new(urls);
        let web = Self {
            headers: section.pairs("headers"),
            auth: http_client::auth(section),
            tls: Arc::new(http_client::client_tls(section, ClientTls::default())),
            timeout: section.parsed("timeout").map_or(defaults.timeout, |Span(timeout)| timeout),
            compression: section.parsed("compress").unwrap_or(defaults.compression),
            ..defaults
        };
        for problem in web.urls.iter().filter_map(|url| Client::new(web.target("POST", url.clone())).err()) {
            section.problem(problem);
        }
        web
    }

    fn target(&self, method: &str, url: String) -> Target {
        Target {
            headers: self.headers.clone(),
            auth: self.auth.clone(),
            tls: Arc::clone(&self.tls),
            timeout: self.timeout,
            ..Target::shipping(method, url)
        }
    }
}

/// What is particular to an output.
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    /// Unless a header of this name is configured.
    pub(super) content_type: &'a str,
    pub(super) expect: Expect,
    pub(super) max_reply: usize,
}

/// The servers in turn; one that fails is passed over.
pub(super) struct Servers {
    servers: Vec<Server>,
    turn: usize,
    reports: Reports,
}

struct Server {
    client: Client,
    /// Until when it is left alone.
    rests: Option<Instant>,
}

impl Servers {
    /// `url` makes of each configured URL the one to be asked.
    pub(super) fn new(web: &Web, asked: &Asked<'_>, url: impl Fn(&str) -> String) -> Result<Self, Failure> {
        let server = |base: &String| {
            let mut target = web.target(asked.method, url(base));
            if !target.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                target.headers.push(("Content-Type".into(), asked.content_type.into()));
            }
            (target.expect, target.max_reply) = (asked.expect.clone(), asked.max_reply);
            let client = Client::new(target).map_err(|error| Failure::config(error.to_string()))?;
            Ok(Server { client, rests: None })
        };
        let servers = web.urls.iter().map(server).collect::<Result<_, Failure>>()?;
        Ok(Self { servers, turn: 0, reports: Reports::default() })
    }

    pub(super) fn report_to(&mut self, reports: &Reports) {
        self.reports = reports.clone();
    }

    /// To the next one. Where that one fails, and it may be its own fault, to the others as well.
    pub(super) async fn send(&mut self, request: &Request) -> Result<Reply, Error> {
        let count = self.servers.len();
        let all_rest = self.servers.iter().all(Server::rests);
        let mut tried = 0;
        loop {
            let at = self.turn % count.max(1);
            self.turn = at + 1;
            tried += 1;
            let server = &mut self.servers[at];
            if server.rests() && !all_rest && tried < count {
                continue;
            }
            match server.client.send(request).await {
                Ok(reply) => {
                    if server.rests.take().is_some() {
                        self.reports.tell(|events, output| events.server_works(output, server.client.place()));
                    }
                    return Ok(reply);
                }
                Err(error) if is_of_the_server(&error) && count > 1 => {
                    if server.rests.replace(Instant::now() + REST).is_none() {
                        let why = error.to_string();
                        self.reports.tell(|events, output| events.server_fails(output, server.client.place(), &why));
                    }
                    if tried >= count {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Server {
    fn rests(&self) -> bool {
        self.rests.is_some_and(|until| Instant::now() < until)
    }
}

/// Whether another server may do better.
fn is_of_the_server(error: &Error) -> bool {
    match error.kind() {
        Kind::Connect | Kind::Timeout | Kind::Tls | Kind::Read => true,
        Kind::Status(status) => matches!(status, 500 | 502 | 503 | 504),
        Kind::CreateRequest | Kind::Redirect => false,
    }
}

/// `base` with something at the end of its path, before what it may ask already.
pub(super) fn below(base: &str, path: &str, query: &[(&str, &str)]) -> String {
    let (base, asked) = base.split_once('?').unwrap_or((base, ""));
    let mut url = format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/'));
    let mut separator = '?';
    if !asked.is_empty() {
        url.push(separator);
        url.push_str(asked);
        separator = '&';
    }
    for (name, value) in query {
        url.push(separator);
        url.push_str(name);
        url.push('=');
        url.push_str(value);
        separator = '&';
    }
    url
}

/// What an operator should look at, where that is known.
pub(super) fn hint(error: &Error) -> &'static str {
    match error.kind() {
        Kind::Status(401) => " (are the credentials right?)",
        Kind::Status(403) => " (is this user allowed to write here?)",
        Kind::Status(404) => " (is the path of the URL right?)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_before_what_is_asked() {
        for (base, query, url) in [
            ("http://a:9200", &[][..], "http://a:9200/_bulk"),
            ("http://a:9200/es/", &[("pipeline", "p")][..], "http://a:9200/es/_bulk?pipeline=p"),
            ("http://a/x?k=v", &[("a", "1"), ("b", "2")][..], "http://a/x/_bulk?k=v&a=1&b=2"),
        ] {
            assert_eq!(below(base, "/_bulk", query), url);
        }
    }
}
