//! The programs that are compared, and how each is told to do the same job.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Our binary [default: built as the image builds it]
    #[arg(long, value_name = "PATH")]
    pub(crate) bin: Option<PathBuf>,
    /// The peer, when it is neither on PATH nor in $GOPATH/bin
    #[arg(long, value_name = "PATH")]
    configmap_reload: Option<PathBuf>,
    /// The peer, when it is neither on PATH nor in $GOPATH/bin
    #[arg(long, value_name = "PATH")]
    prometheus_config_reloader: Option<PathBuf>,
    /// How many starts, stops and swaps to measure
    #[arg(long, value_name = "N", default_value = "50")]
    pub(crate) samples: usize,
    /// How many seconds to watch a process that is left alone, and one that is kept busy
    #[arg(long, value_name = "SECONDS", default_value = "10")]
    pub(crate) seconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    /// Ours under the name of configmap-reload.
    OursAsPeer,
    ConfigmapReload,
    PrometheusConfigReloader,
    Nginx,
    Haproxy,
}

/// A program with the flags that make it one line of a table.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
    pub(crate) flags: Vec<String>,
}

/// What a tool is to do: watch this, tell that, answer here, keep its files there.
pub(crate) struct Job<'a> {
    pub(crate) volume: &'a Path,
    pub(crate) url: &'a str,
    pub(crate) port: u16,
    pub(crate) scratch: &'a Path,
}

impl Tool {
    pub(crate) fn new(name: &str, kind: Kind, program: &Path, flags: &[&str]) -> Self {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self { name: name.into(), kind, program: program.into(), flags }
    }

    /// What it is asked to know that it is ready. configmap-reload says 200 to anything.
    pub(crate) fn ready_path(&self) -> &'static str {
        match self.kind {
            Kind::Ours => "/readyz",
            Kind::PrometheusConfigReloader => "/healthz",
            Kind::OursAsPeer | Kind::ConfigmapReload | Kind::Nginx | Kind::Haproxy => "/",
        }
    }

    pub(crate) fn command(&self, job: &Job<'_>) -> Result<Command, String> {
        let (volume, url) = (job.volume.display(), job.url);
        let address = format!("127.0.0.1:{}", job.port);
        let arguments = match self.kind {
            Kind::Ours => vec![format!("--watch={volume}"), format!("--url={url}"), format!("--admin-addr={address}")],
            Kind::OursAsPeer | Kind::ConfigmapReload => {
                let as_peer = (self.kind == Kind::OursAsPeer).then(|| "--dialect=configmap-reload".to_owned());
                let flags = [
                    format!("--volume-dir={volume}"),
                    format!("--webhook-url={url}"),
                    format!("--web.listen-address={address}"),
                ];
                as_peer.into_iter().chain(flags).collect()
            }
            Kind::PrometheusConfigReloader => vec![
                format!("--watched-dir={volume}"),
                format!("--reload-url={url}"),
                format!("--listen-address={address}"),
            ],
            Kind::Nginx => vec!["-c".into(), self.config(job, NGINX)?, "-p".into(), job.scratch.display().to_string()],
            Kind::Haproxy => vec!["-W".into(), "-f".into(), self.config(job, HAPROXY)?],
        };
        let mut command = Command::new(&self.program);
        // As in an image: nothing inherited but what everybody has.
        command.args(arguments).args(&self.flags).env_clear().env("SIDECAR_LOG_FORMAT", "json");
        Ok(command)
    }

    fn config(&self, job: &Job<'_>, text: &str) -> Result<String, String> {
        let path = job.scratch.join(format!("{}.conf", self.name));
        let scratch = job.scratch.display().to_string();
        let text = text.replace("PORT", &job.port.to_string()).replace("SCRATCH", &scratch);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path.display().to_string())
    }
}

const NGINX: &str = "daemon off; worker_processes 1; pid SCRATCH/nginx.pid; error_log stderr crit;
events { worker_connections 1024; }
http { access_log off; server { listen 127.0.0.1:PORT; location / { return 200 ok; } } }
";
const HAPROXY: &str = "global\n nbthread 1\ndefaults\n mode http\n timeout connect 5s\n timeout client 5s
 timeout server 5s\nfrontend f\n bind 127.0.0.1:PORT\n http-request return status 200\n";

/// The peers of config-reloader that are here, and for each that is not, how to get it.
pub(crate) fn peers(options: &Options) -> Vec<Tool> {
    let go = "bench/README.md says how to build it";
    [
        ("configmap-reload", Kind::ConfigmapReload, &options.configmap_reload, go),
        ("prometheus-config-reloader", Kind::PrometheusConfigReloader, &options.prometheus_config_reloader, go),
    ]
    .into_iter()
    .filter_map(|(name, kind, chosen, how)| {
        found(name, chosen.as_deref(), how).map(|path| Tool::new(name, kind, &path, &[]))
    })
    .collect()
}

/// Programs of another kind that many know the weight of.
pub(crate) fn landmarks() -> Vec<Tool> {
    [("nginx", Kind::Nginx), ("haproxy", Kind::Haproxy)]
        .into_iter()
        .filter_map(|(name, kind)| {
            let path = found(name, None, &format!("apt-get install {name}"))?;
            Some(Tool::new(name, kind, &path, &[]))
        })
        .collect()
}

/// Says so when it is not there: a table without a peer must not look complete.
pub(crate) fn found(name: &str, chosen: Option<&Path>, how: &str) -> Option<PathBuf> {
    if let Some(path) = chosen.filter(|path| path.is_file()) {
        return Some(path.to_owned());
    }
    let paths = env::var_os("PATH").unwrap_or_default();
    let go = env::var_os("GOPATH").or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join("go").into()));
    let go = go.map(|go| Path::new(&go).join("bin"));
    let places = env::split_paths(&paths).chain(go).chain(["/usr/sbin".into()]);
    let path = places.map(|place| place.join(name)).find(|path| path.is_file());
    if path.is_none() {
        println!("- {name}: not found: {how}");
    }
    path
}
