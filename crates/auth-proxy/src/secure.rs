//! Whoever comes without TLS where it is asked for is sent to where it is.

use http_proxy::Answer;
use http1::RequestHead;

use crate::policy::{Caller, Ctx, Door};

impl Door {
    /// Not for the questions of probes: they come without TLS, and follow nobody.
    pub fn to_https(&self, head: &RequestHead, caller: &Caller, ctx: &mut Ctx) -> Option<Answer> {
        let paths = &self.0.config.paths;
        let port = self.0.config.force_https.filter(|_| caller.scheme != "https")?;
        if head.path() == paths.ping || head.path() == paths.ready {
            return None;
        }
        ctx.decision = "ours";
        "https".clone_into(&mut ctx.why);
        let name = host_name(&caller.host);
        if name.is_empty() || !head.target().starts_with('/') {
            return Some(Answer::text(400, "https is required\n"));
        }
        let port = if port == 443 { String::new() } else { format!(":{port}") };
        // 308: the same method, with the same body.
        let mut answer = Answer::text(308, "");
        answer.head.headers.set("Location", format!("https://{name}{port}{}", head.target()));
        Some(answer)
    }
}

/// Without its port; an IPv6 address keeps its brackets.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_loses_its_port_and_nothing_else() {
        for (host, name) in [("a.b:80", "a.b"), ("a.b", "a.b"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("", "")] {
            assert_eq!(host_name(host), name);
        }
    }
}
