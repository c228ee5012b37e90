//! On to the app: where a path goes, and what the app is told of the way that the request came.

use std::sync::Arc;

use http_proxy::{Answer, Forward, Verdict};
use http1::{Headers, RequestHead};

use crate::{
    config::To,
    policy::{Caller, Door},
};

/// Said by proxies of those who come through them: not to be believed of anybody else.
const HEARSAY: [&str; 9] = [
    "Forwarded",
    "X-Forwarded-Port",
    "X-Forwarded-Uri",
    "X-Forwarded-Method",
    "X-Forwarded-Prefix",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-Tls-Client-Cert",
    "X-Forwarded-Tls-Client-Cert-Info",
    "X-Forwarded-Server",
];

impl Door {
    pub async fn forward(&self, head: &mut RequestHead, caller: &Caller) -> Verdict {
        let Some(way) = self.0.way(head.path()) else { return Verdict::Answer(Answer::text(404, "not found\n")) };
        let host = match &way.upstream.to {
            To::App { host, .. } => host,
            To::Status(status) => {
                let text = if *status < 300 { "Authenticated" } else { "" };
                return Verdict::Answer(Answer::text(*status, text));
            }
            To::Files(files) => return Verdict::Answer(files.answer(head, &way.upstream.path).await),
        };
        let Some(cluster) = way.cluster else { return Verdict::Answer(Answer::text(404, "not found\n")) };
        self.0.config.cookie.strip(&mut head.headers);
        forwarded(head, caller);
        if !way.upstream.keep_host {
            head.set_host(host);
        }
        Verdict::Forward(Forward { cluster, settings: Arc::clone(&way.settings), to: None, hash: None })
    }
}

/// What a proxy says of whom it speaks for. What came from somebody who is no trusted proxy is not passed on.
fn forwarded(head: &mut RequestHead, caller: &Caller) {
    let address = caller.address.map(|address| address.to_string()).unwrap_or_default();
    let mut chain: Vec<String> = if caller.behind_proxy { texts(&head.headers, "x-forwarded-for") } else { Vec::new() };
    chain.extend(caller.direct.map(|direct| direct.to_canonical().to_string()));
    let chain = chain.join(", ");
    let headers = &mut head.headers;
    for (name, value) in [
        ("X-Forwarded-For", &chain),
        ("X-Forwarded-Proto", &caller.scheme),
        ("X-Forwarded-Host", &caller.host),
        ("X-Real-IP", &address),
    ] {
        headers.remove(name);
        if !value.is_empty() {
            headers.set(name, value);
        }
    }
    if !caller.behind_proxy {
        for name in HEARSAY {
            headers.remove(name);
        }
    }
}

fn texts(headers: &Headers, name: &str) -> Vec<String> {
    headers.get_all(name).filter_map(|value| std::str::from_utf8(value).ok()).map(str::to_owned).collect()
}
