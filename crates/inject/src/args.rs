//! The command line of inject.

use std::path::PathBuf;

use clap::Parser;

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
pub(crate) struct Args {
    /// Manifests; `-` is standard input
    #[arg(default_value = "-")]
    pub(crate) files: Vec<PathBuf>,
    /// Put these into every pod, whatever its annotations say
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) sidecars: Vec<String>,
    /// The cluster's version. Before 1.29 there are no native sidecars, and ordinary containers are added
    #[arg(long, value_name = "VERSION", default_value = "1.29")]
    kubernetes: String,
    /// Ordinary containers, whatever the version
    #[arg(long)]
    plain: bool,
    /// What stands before the name of each image
    #[arg(long, value_name = "NAME", default_value = "pillion")]
    pub(crate) prefix: String,
    /// The tag of each image
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    pub(crate) tag: String,
    /// Also write the ConfigMaps that are not named by an annotation, as the kustomize components have them
    #[arg(long)]
    pub(crate) with_config: bool,
    /// Write the admission policies that do the same in a cluster of Kubernetes 1.36, and read nothing
    #[arg(long)]
    pub(crate) policies: bool,
}

impl Args {
    /// Whether the cluster knows no native sidecars, or nobody wants them.
    pub(crate) fn plain(&self) -> Result<bool, String> {
        Ok(before_native(&self.kubernetes)? || self.plain)
    }
}

fn before_native(version: &str) -> Result<bool, String> {
    let mut numbers = version.trim_start_matches('v').split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(1)), Some(Ok(minor))) => Ok(minor < 29),
        _ => Err(format!("--kubernetes {version}: expected a version like 1.29")),
    }
}
