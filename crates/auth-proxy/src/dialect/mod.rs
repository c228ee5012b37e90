//! The words of oauth2-proxy: its flags, variables and file, read into our own model.

use std::{collections::BTreeMap, ffi::OsString, path::Path};

use common::{CommonArgs, Defaults, Failure, Usage, args::Listen, args::typed};

use crate::config::Config;

mod access;
mod flag;
mod flags;
mod listen;
mod providers;
mod spoken;
mod store;
mod translate;
mod words;

use spoken::Spoken;

pub const NAMES: [&str; 1] = ["oauth2-proxy"];

/// Nobody runs it without one of these, and we have none of them.
const THEIRS: [&str; 8] = [
    "client-id",
    "cookie-secret",
    "email-domain",
    "http-address",
    "https-address",
    "oidc-issuer-url",
    "provider",
    "reverse-proxy",
];
/// What a command line is made of, one word a line: for tests that make many.
#[cfg(test)]
pub(crate) const PIECES: &str = "(--?(provider|upstream|cookie-(secret|name|domain|expire|samesite)|email-domain|skip-auth-route|whitelist-domain|client-id|http-address|trusted-ip)(=| |\n)(oidc|static://200|http://x/|:1|1h|\\*|\\(|[a-z/:.*]{0,6})\n){0,6}";

/// A command line of the peer, with the variables that were there.
#[derive(Debug)]
pub struct Dialect {
    argv: Vec<String>,
    environment: BTreeMap<String, String>,
}

/// The rest of the arguments, if they are the peer's.
pub fn called_as(argv: &[OsString]) -> Option<Vec<OsString>> {
    let is_peer = |name: &str| NAMES.contains(&name);
    let program =
        argv.first().map(|path| Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned());
    if program.is_some_and(|program| is_peer(&program)) {
        return Some(argv.get(1..).unwrap_or_default().to_vec());
    }
    if argv.len() == 1 && std::env::vars_os().any(|(name, _)| name.to_string_lossy().starts_with(spoken::PREFIX)) {
        return Some(Vec::new());
    }
    let first = argv.get(1)?.to_string_lossy();
    if is_peer(&first) || first.strip_prefix("--dialect=").is_some_and(is_peer) {
        return Some(argv[2..].to_vec());
    }
    if first == "--dialect" && argv.get(2).is_some_and(|name| is_peer(&name.to_string_lossy())) {
        return Some(argv[3..].to_vec());
    }
    argv[1..].iter().any(is_theirs).then(|| argv[1..].to_vec())
}

/// A manifest in which only the image has changed has flags, and no name that says whose they are.
fn is_theirs(word: &OsString) -> bool {
    let word = word.to_string_lossy();
    let name = word.split('=').next().unwrap_or_default();
    name.strip_prefix("--").is_some_and(|name| THEIRS.contains(&name))
}

/// Only our own variables: the flags are all the peer's.
#[derive(clap::Parser, Debug)]
#[command(name = "oauth2-proxy")]
struct OnlyCommon {
    #[command(flatten)]
    common: CommonArgs,
}

impl Dialect {
    pub fn parse(argv: &[OsString], defaults: Defaults) -> Result<(CommonArgs, Self), Usage> {
        let text = |word: &OsString| word.to_string_lossy().into_owned();
        let argv: Vec<_> = argv.iter().map(text).collect();
        if argv.iter().any(|word| matches!(&**word, "--version" | "-version")) {
            return Err(Usage::Asked(format!("auth-proxy {} as oauth2-proxy\n", env!("CARGO_PKG_VERSION"))));
        }
        if argv.iter().any(|word| matches!(&**word, "--help" | "-help" | "-h")) {
            return Err(Usage::Asked(spoken::help()));
        }
        let known = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let environment = std::env::vars_os().filter_map(known).filter(|(name, _)| name.starts_with(spoken::PREFIX));
        let dialect = Self { argv, environment: environment.collect() };
        let said = match dialect.spoken(true) {
            Ok(said) => said,
            // What is wrong with the file is said when it is loaded: it is no mistake of the command line.
            Err(problems) => dialect.spoken(false).map_err(|_| Usage::Wrong(problems))?,
        };
        let mut common = typed::<OnlyCommon>(&[NAMES[0].into()], defaults)?.common;
        let metrics = said.text("metrics-address");
        if common.admin_addr.is_none() {
            let at = metrics.trim_start_matches("http://").parse::<values::ListenAddr>();
            let off = metrics.is_empty();
            let problem = |expected| Usage::Wrong(vec![format!("--metrics-address \"{metrics}\": {expected}")]);
            common.admin_addr = Some(if off { Listen::Off } else { Listen::At(at.map_err(problem)?) });
        }
        common.probe_addr.get_or_insert(Listen::Off);
        common.admin_flag = Some("--metrics-address");
        common.check_config |= said.is_test;
        Ok((common, dialect))
    }

    /// These words and no variables.
    pub(crate) fn of(words: &[String]) -> Self {
        Self { argv: words.to_vec(), environment: BTreeMap::new() }
    }

    fn spoken(&self, with_file: bool) -> Result<Spoken, Vec<String>> {
        Spoken::read(&self.argv, &self.environment, with_file)
    }

    pub fn load(&self) -> Result<Config, Failure> {
        let wrong = |problems| Failure { exit: common::Exit::Config, problems };
        translate::config(&self.spoken(true).map_err(wrong)?).map_err(wrong)
    }
}
