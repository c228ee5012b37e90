//! Probes and lifecycle hooks.

use std::time::Duration;

use common::config::Section;

use super::seconds;
use crate::play::model::{Action, Port, Probe};

pub fn probe(section: &mut Section, key: &str) -> Option<Probe> {
    let mut section = section.section(key)?;
    let or =
        |value: Option<Duration>, default| value.unwrap_or(Duration::from_secs(default)).max(Duration::from_secs(1));
    let probe = Probe {
        initial_delay: seconds(&mut section, "initialDelaySeconds").unwrap_or_default(),
        period: or(seconds(&mut section, "periodSeconds"), 10),
        timeout: or(seconds(&mut section, "timeoutSeconds"), 1),
        successes: section.parsed("successThreshold").unwrap_or(1),
        failures: section.parsed("failureThreshold").unwrap_or(3),
        grace: seconds(&mut section, "terminationGracePeriodSeconds"),
        action: action(&mut section, false)?,
    };
    if key != "readinessProbe" && probe.successes != 1 {
        section.problem("successThreshold: expected 1");
    }
    Some(probe)
}

/// `postStart` and `preStop`.
pub fn hook(lifecycle: &mut Section, key: &str) -> Option<Action> {
    action(&mut lifecycle.section(key)?, true)
}

fn action(section: &mut Section, is_hook: bool) -> Option<Action> {
    let mut found = Vec::new();
    if let Some(mut exec) = section.section("exec") {
        let words: Vec<String> = exec.list("command");
        if words.is_empty() {
            exec.problem("command: required");
        }
        found.push(Action::Exec(words));
    }
    if let Some(http) = section.section("httpGet").as_mut().and_then(http) {
        found.push(http);
    }
    if let Some(mut tcp) = section.section("tcpSocket") {
        let host = tcp.parsed("host");
        found.extend(tcp.required::<Port>("port").map(|port| Action::Tcp { host, port }));
    }
    if is_hook && let Some(mut sleep) = section.section("sleep") {
        found.extend(sleep.required("seconds").map(|time| Action::Sleep(Duration::from_secs(time))));
    }
    if section.has("grpc") {
        section.ignore("grpc");
        section.problem("grpc: play has exec, httpGet and tcpSocket");
        return None;
    }
    match found.len() {
        1 => found.pop(),
        _ => {
            section.problem("expected one of exec, httpGet, tcpSocket, and sleep in a hook");
            None
        }
    }
}

fn http(section: &mut Section) -> Option<Action> {
    let headers = section.sections("httpHeaders").into_iter().filter_map(|mut header| {
        let value = header.parsed("value").unwrap_or_default();
        header.required("name").map(|name| (name, value))
    });
    let headers = headers.collect();
    if section.parsed::<String>("scheme").is_some_and(|scheme| scheme != "HTTP") {
        section.problem("scheme: play asks by HTTP only");
    }
    let (host, path) = (section.parsed("host"), section.parsed("path").unwrap_or_else(|| "/".into()));
    section.required("port").map(|port| Action::Http { host, port, path, headers })
}

impl std::str::FromStr for Port {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<u64>() {
            Ok(number) => match u16::try_from(number) {
                Ok(1..) => Ok(Self::Number(number as u16)),
                _ => Err("expected a number 1-65535, or the name of a port".into()),
            },
            Err(_) => Ok(Self::Name(text.into())),
        }
    }
}
