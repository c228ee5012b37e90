//! `metrics-adapter healthcheck`: asks also where a web configuration guards the port.

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use common::{Arguments, Exit, Failure, Question, args::typed};
use tls::Identity;
use values::{ListenAddr, Secret};
use web_config::{Settings, basic, visit};

use crate::{
    args::Args,
    dialect::{LISTEN_FLAG, WEB_CONFIG_FLAG, web_config as file},
};

/// Ask the running sidecar whether it is ready: exits 0 or 1, as docker's HEALTHCHECK wants it
#[derive(clap::Parser)]
#[command(name = "healthcheck")]
struct Healthcheck {
    /// Where its admin listener is [default: the sidecar's own]
    #[arg(long, visible_alias = LISTEN_FLAG, value_name = "ADDR", env = "SIDECAR_ADMIN_ADDR")]
    admin_addr: Option<ListenAddr>,
    /// Ask whether it is alive, not whether it is ready
    #[arg(long)]
    live: bool,
    /// The web configuration that guards the port: whether to speak TLS, and which certificate has to be shown
    #[arg(long, visible_alias = WEB_CONFIG_FLAG, value_name = "FILE")]
    web_config: Option<PathBuf>,
    /// Who asks, where a password is asked for
    #[arg(long, value_name = "NAME", requires = "password_file")]
    user: Option<String>,
    /// The file with the password
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// A client certificate, where one is asked for [default: the port's own]
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The key of the client certificate
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

pub fn answer(argv: &[OsString]) -> Result<ExitCode, Failure> {
    let asked: Healthcheck = typed(argv, Args::DEFAULTS)?;
    let settings = asked.web_config.as_deref().map(file::read).transpose()?.unwrap_or_default();
    let header = match (&asked.user, &asked.password_file) {
        (Some(user), Some(file)) => {
            let password = Secret::from_file(file).map_err(|problem| Failure::new(Exit::Config, problem))?;
            basic(user, password.expose())
        }
        _ => String::new(),
    };
    let question = Question::new::<Args>(asked.admin_addr, asked.live);
    let identity = asked.cert.zip(asked.key).map(|(certificate, key)| Identity { certificate, key });
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    let answer = ask(&question, &settings, identity, &header);
    let answer = answer.map_err(|problem| match !settings.users.is_empty() && header.is_empty() {
        true => format!("{problem}; it asks for a password: --user and --password-file"),
        false => problem,
    });
    question.outcome(scheme, answer)
}

fn ask(question: &Question, settings: &Settings, identity: Option<Identity>, header: &str) -> Result<(), String> {
    let socket = question.connect()?;
    let Some(tls) = &settings.tls else { return question.ask(&mut &socket, &socket, header) };
    let timed = socket.try_clone().map_err(|error| error.to_string())?;
    question.ask(&mut visit(tls, identity, socket)?, &timed, header)
}
