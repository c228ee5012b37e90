//! Words of the file that have a meaning of their own.

use std::str::FromStr;

use crate::{
    config::{Address, Balance, FieldPattern},
    pattern::{Expression, TextPattern},
};

/// `127.0.0.1:8080`, `app:8080`, `[::1]:80` or `unix:/run/app.sock`.
pub struct Place(pub Address);

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected an address such as 127.0.0.1:8080, app:8080 or unix:/run/app.sock";
        if let Some(path) = values::socket_path(text) {
            return Ok(Self(Address::Unix(path)));
        }
        let text = text.strip_prefix("http://").map_or(text, |rest| rest.trim_end_matches('/'));
        let (host, port) = text.rsplit_once(':').ok_or(EXPECTED)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(EXPECTED)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let host = if host.is_empty() { "localhost" } else { host };
        let usable = host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'));
        if usable { Ok(Self(Address::Tcp { host: host.into(), port })) } else { Err(EXPECTED) }
    }
}

impl FromStr for Balance {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "round_robin" => Ok(Self::RoundRobin),
            "least_request" => Ok(Self::LeastRequest),
            "random" => Ok(Self::Random),
            _ => Err("expected round_robin, least_request or random"),
        }
    }
}

/// `text`, `prefix*`, `*suffix`, `~regex`.
pub struct Text(pub TextPattern);

impl FromStr for Text {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(match (text.strip_prefix('~'), text.strip_suffix('*'), text.strip_prefix('*')) {
            (Some(pattern), ..) => TextPattern::Regex(Expression::new(pattern, false)?),
            (None, Some(prefix), None) => TextPattern::Prefix(prefix.into()),
            (None, None, Some(suffix)) => TextPattern::Suffix(suffix.into()),
            _ => TextPattern::Exact(text.into()),
        }))
    }
}

/// As [`Text`]; `*` for anything that is there, `!` in front for the opposite, `!` alone for nothing.
pub fn field(name: &str, text: &str) -> Result<FieldPattern, String> {
    let (text, invert) = text.strip_prefix('!').map_or((text, false), |rest| (rest, true));
    let value = match text {
        "*" | "" => None,
        text => Some(text.parse::<Text>()?.0),
    };
    Ok(FieldPattern { name: name.to_owned(), value, invert })
}

/// A status for a redirect, or for an answer.
pub struct Status<const FROM: u16, const TO: u16>(pub u16);

impl<const FROM: u16, const TO: u16> FromStr for Status<FROM, TO> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let status = text.parse().ok().filter(|status| (FROM..=TO).contains(status));
        status.map(Self).ok_or_else(|| format!("expected a status from {FROM} to {TO}"))
    }
}
