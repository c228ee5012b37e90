//! What the peer leaves out of its log, and whom we ask beside it.

use super::{spoken::Spoken, words};
use crate::{
    config::Audit,
    policy_service::{Place, Settings},
};

pub(super) fn audit(said: &Spoken) -> Audit {
    let mut without_paths = said.list("exclude-logging-path");
    if said.truth("silence-ping-logging") {
        without_paths.extend([said.text("ping-path").to_owned(), said.text("ready-path").to_owned()]);
    }
    Audit { off: !said.truth("request-logging"), without_paths, request_id: said.text("request-id-header").to_owned() }
}

/// The peer has no such thing: these three are ours, in its spelling.
pub(super) fn policy(said: &Spoken, problems: &mut Vec<String>) -> Option<Settings> {
    let on_error = said.parsed("on-policy-error", "expected deny or allow", problems).unwrap_or_default();
    let text = said.said("policy-url")?;
    let Place { mut target, shape } = match text.parse() {
        Ok(place) => place,
        Err(expected) => {
            problems.push(format!("{} \"{text}\": {expected}", said.place("policy-url")));
            return None;
        }
    };
    match words::duration(said.text("policy-timeout")) {
        Ok(timeout) if !timeout.is_zero() => target.timeout = timeout,
        _ => problems.push(format!("{}: expected a duration such as 1s", said.place("policy-timeout"))),
    }
    Some(Settings { target, shape, on_error, headers: Vec::new() })
}

pub(super) fn probes(said: &Spoken, notes: &mut Vec<String>) -> Vec<String> {
    if !said.truth("gcp-healthchecks") {
        return Vec::new();
    }
    let why = "a request for / is not answered for the sake of its User-Agent, which anybody can send";
    notes.push(format!("--gcp-healthchecks: /liveness_check and /readiness_check are answered; {why}"));
    ["/liveness_check", "/readiness_check"].map(str::to_owned).to_vec()
}
