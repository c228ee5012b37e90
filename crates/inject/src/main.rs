//! inject: manifests in, manifests with sidecars out.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use inject::{DOMAIN, Options, inject, policy};

/// Reads Kubernetes manifests, and writes them with the sidecars that their annotations ask for.
///
/// A pod asks by annotations, of its own or of its workload:
///   pillion.dev/inject: log-shipper,reverse-proxy
///   pillion.dev/log-dir: /var/log/app           where the app writes its logs
///   pillion.dev/log-shipper-config: my-config   a ConfigMap; `log-shipper` if not said
///   pillion.dev/auth-proxy-secret: my-secret    a Secret; `auth-proxy` if not said
///   pillion.dev/log-shipper-image: IMAGE
///   pillion.dev/exit-when: /var/log/app/done    for Jobs with --plain
#[derive(Parser)]
#[command(name = "inject", version, verbatim_doc_comment)]
struct Args {
    /// Manifests; `-` is standard input
    #[arg(default_value = "-")]
    files: Vec<PathBuf>,
    /// Put these into every pod, whatever its annotations say
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    sidecars: Vec<String>,
    /// The cluster's version. Before 1.29 there are no native sidecars, and ordinary containers are added
    #[arg(long, value_name = "VERSION", default_value = "1.29")]
    kubernetes: String,
    /// Ordinary containers, whatever the version
    #[arg(long)]
    plain: bool,
    /// What stands before the name of each image
    #[arg(long, value_name = "NAME", default_value = "pillion")]
    prefix: String,
    /// The tag of each image
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    tag: String,
    /// Also write the ConfigMaps that are not named by an annotation, as the kustomize components have them
    #[arg(long)]
    with_config: bool,
    /// Write the admission policies that do the same in a cluster of Kubernetes 1.36, and read nothing
    #[arg(long)]
    policies: bool,
}

/// What a tool renders can be long. A cluster takes 1.5 MiB for one object.
const LARGEST: u64 = 64 << 20;

/// As sysexits.h has them.
const USAGE: u8 = 64;
const CONFIG: u8 = 78;

fn main() -> ExitCode {
    let args = Args::parse();
    let plain = match before_native(&args.kubernetes) {
        Ok(old) => old || args.plain,
        Err(problem) => return fail(USAGE, &[problem]),
    };
    if args.policies {
        return print(&policy::all(&args.prefix, &args.tag));
    }
    let options = Options { sidecars: args.sidecars, prefix: args.prefix, tag: args.tag, plain };
    let (mut out, mut problems) = (String::new(), Vec::new());
    for file in &args.files {
        let outcome = read(file).and_then(|text| {
            let place = |problem| format!("{}:{problem}", file.display());
            inject(&text, &options, args.with_config).map_err(|wrong| wrong.into_iter().map(place).collect())
        });
        match outcome {
            Ok(outcome) => {
                if outcome.said.is_empty() {
                    eprintln!(
                        "inject: {}: no pod in it asks for a sidecar that it has not got ({DOMAIN}inject)",
                        file.display()
                    );
                }
                outcome.said.iter().for_each(|line| eprintln!("inject: {line}"));
                if !out.is_empty() && !outcome.text.starts_with("---") {
                    out.push_str("---\n");
                }
                out.push_str(&outcome.text);
            }
            Err(wrong) => problems.extend(wrong),
        }
    }
    if problems.is_empty() { print(&out) } else { fail(CONFIG, &problems) }
}

fn before_native(version: &str) -> Result<bool, String> {
    let mut numbers = version.trim_start_matches('v').split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(1)), Some(Ok(minor))) => Ok(minor < 29),
        _ => Err(format!("--kubernetes {version}: expected a version like 1.29")),
    }
}

fn read(file: &PathBuf) -> Result<String, Vec<String>> {
    let file = if file.as_os_str() == "-" { Path::new("/dev/stdin") } else { file };
    values::read_text(file, LARGEST).map_err(|problem| vec![problem])
}

fn print(text: &str) -> ExitCode {
    // Whoever has closed the pipe has read enough.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn fail(code: u8, problems: &[String]) -> ExitCode {
    problems.iter().for_each(|problem| eprintln!("inject: {problem}"));
    code.into()
}
