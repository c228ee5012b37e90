//! Answers of our own, and what every response is given.

use bytes::Bytes;
use http_proxy::Answer;
use http1::{RequestHead, ResponseHead, Version};

use crate::{
    config::Action,
    events::Events,
    later::End,
    seen::{Seen, View},
    site::{ResponseChange, ResponseRule},
};

pub fn redirect(status: u16, to: &[u8]) -> Answer {
    let mut answer = Answer::text(status, format!("{}\n", http1::reason(status)));
    answer.head.headers.set("Location", to);
    answer
}

/// A call of gRPC, which is always one of HTTP/2.
pub fn is_grpc(head: &RequestHead) -> bool {
    let kind = || head.headers.get_str("content-type").and_then(|kind| kind.strip_prefix("application/grpc"));
    head.version == Version::Http2 && kind().is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
}

/// The same failure as a client of gRPC wants it: a status of its own, and nothing that it would take for a message. The
/// numbers are those that its clients make of the statuses of HTTP.
pub fn make_grpc(answer: &mut Answer) {
    let code = match answer.head.status {
        400 => "13",
        401 => "16",
        403 => "7",
        404 => "12",
        429 | 502..=504 => "14",
        _ => "2",
    };
    let message = http1::reason(answer.head.status);
    (answer.head.status, answer.body) = (200, Bytes::new());
    answer.head.headers.set("Content-Type", "application/grpc");
    answer.head.headers.set("grpc-status", code);
    // Percent-encoded, of which no reason has need, but for its blanks: those may stay.
    answer.head.headers.set("grpc-message", message);
}

pub fn unauthorized(realm: &str) -> Answer {
    let mut answer = Answer::text(401, "unauthorized\n");
    let realm = realm.replace('\\', "\\\\").replace('"', "\\\"");
    answer.head.headers.set("WWW-Authenticate", format!("Basic realm=\"{realm}\""));
    answer
}

/// What an action says, if it passes nothing on.
pub fn of(action: &Action, view: &View<'_>, events: &Events) -> Answer {
    match action {
        Action::Redirect { status, to } => redirect(*status, &to.rendered(view)),
        Action::Respond { status, content_type, body } => {
            let mut answer = Answer { head: ResponseHead::new(*status), body: body.rendered(view).into() };
            if let Some(content_type) = content_type.as_ref().filter(|_| !answer.body.is_empty()) {
                answer.head.headers.set("Content-Type", content_type);
            }
            answer
        }
        Action::Status => {
            let (open, accepted, requests) = events.totals();
            let text = format!(
                "Active connections: {open} \nserver accepts handled requests\n {accepted} {accepted} {requests} \n\
                 Reading: 0 Writing: 1 Waiting: {} \n",
                (open - 1).max(0)
            );
            Answer::text(200, text)
        }
        Action::Forward(_) => Answer::text(500, "internal error\n"),
    }
}

/// A redirect of the app to itself is one to us: `Location` and `Refresh` begin with something that is replaced.
pub fn redirects(head: &mut ResponseHead, action: &Action, seen: &Seen) {
    let Action::Forward(forward) = action else { return };
    if forward.redirects.is_empty() {
        return;
    }
    let Some(location) = head.headers.get_str("location").map(str::to_owned) else { return };
    for (from, to) in &forward.redirects {
        if let Some(rest) = location.strip_prefix(from.as_str()) {
            let to = to.rendered_text(&SeenOnly(seen));
            head.headers.set("Location", format!("{to}{rest}"));
            return;
        }
    }
}

/// Values for a redirect: the request's head is gone by then.
struct SeenOnly<'a>(&'a Seen);

impl crate::template::Values for SeenOnly<'_> {
    fn write(&self, variable: &crate::template::Variable, out: &mut Vec<u8>) -> bool {
        use crate::template::Variable;
        let text = match variable {
            Variable::HostName | Variable::VirtualHost | Variable::Host => {
                self.0.host_name.as_deref().unwrap_or_default()
            }
            Variable::Path => self.0.path.as_str(),
            Variable::ClusterAuthority => self.0.authority.as_deref().unwrap_or_default(),
            _ => return false,
        };
        out.extend_from_slice(text.as_bytes());
        true
    }
}

/// Statuses for which headers are added even if nobody says `always`.
fn went_well(status: u16) -> bool {
    matches!(status, 200 | 201 | 204 | 206 | 301 | 302 | 303 | 304 | 307 | 308)
}

pub fn headers(head: &mut ResponseHead, rules: &[ResponseRule], end: &End<'_>) {
    for rule in rules.iter().filter(|rule| rule.always || went_well(end.status)) {
        let rendered = |later: &crate::later::Later| {
            let mut out = Vec::new();
            later.render(end, None, &mut out);
            out
        };
        match &rule.change {
            ResponseChange::Set(later) => match rendered(later) {
                empty if empty.is_empty() => {
                    head.headers.remove(&rule.name);
                }
                value => {
                    head.headers.set(&rule.name, value);
                }
            },
            ResponseChange::Add(later) => match rendered(later) {
                empty if empty.is_empty() => {}
                value => {
                    head.headers.append(&rule.name, value);
                }
            },
            ResponseChange::Default(later) if !head.headers.contains(&rule.name) => {
                head.headers.append(&rule.name, rendered(later));
            }
            ResponseChange::Default(_) => {}
            ResponseChange::Remove => {
                head.headers.remove(&rule.name);
            }
        }
    }
}
