//! `tell`: what the app is told.

use std::{path::PathBuf, sync::Arc, time::Duration};

use common::config::Section;
use values::Span;

use crate::{
    config::Tell,
    signer::{Settings, Signer},
};

pub(super) fn tell(section: &mut Section, files: &mut Vec<PathBuf>) -> Tell {
    Tell {
        user: section.parsed("user").unwrap_or(true),
        access_token: section.parsed("access_token").unwrap_or(false),
        authorization: section.parsed("authorization").unwrap_or(false),
        email_as_user: section.parsed("email_as_user").unwrap_or(false),
        answer_user: section.parsed("answer").unwrap_or(true),
        answer_clients: section.parsed("answer_clients").unwrap_or(false),
        answer_authorization: section.parsed("answer_authorization").unwrap_or(false),
        signed: section.section("identity_token").and_then(|mut section| signed(&mut section, files)),
        ..Tell::default()
    }
}

fn signed(section: &mut Section, files: &mut Vec<PathBuf>) -> Option<Settings> {
    let audience: Option<String> = section.required("audience");
    let issuer: String = section.parsed("issuer").unwrap_or_else(|| "auth-proxy".into());
    let header: String = section.parsed("header").unwrap_or_else(|| "X-Identity-Token".into());
    let lifetime = section.parsed("lifetime").map_or(Duration::from_secs(60), |Span(time)| time);
    let named: Vec<PathBuf> = section.list("key_files");
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_taken = ["host", "cookie", "connection", "content-length", "transfer-encoding"];
    if header.is_empty() || !header.bytes().all(is_token) || is_taken.contains(&&*header.to_ascii_lowercase()) {
        section.problem(format!("header \"{header}\": expected the name of a header, of letters, digits and -"));
    }
    if lifetime.as_secs() == 0 {
        section.problem("lifetime: expected a second or more");
    }
    files.extend(named.iter().cloned());
    let signer = match Signer::read(&named) {
        // Where nobody has one: whoever verifies finds the new one after a restart.
        Ok(_) if named.is_empty() => Signer::of_this_process(),
        Ok(signer) => Some(Arc::new(signer)),
        Err(problems) => {
            problems.iter().for_each(|problem| section.problem(format!("key_files: {problem}")));
            None
        }
    };
    Some(Settings { header, issuer, audience: audience?, lifetime, signer: signer? })
}
