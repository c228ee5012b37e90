//! `cargo bench-peers`: each sidecar beside the peers it replaces, on this machine, in the same run. See README.md.
#![allow(clippy::disallowed_methods, reason = "a developer's tool: it reads /proc and its own files, to their end")]

use std::process::ExitCode;

use clap::Parser;

mod bounds;
mod built;
mod configmap;
mod corpus;
mod family;
mod footprint;
mod guarding;
mod hook;
mod http;
mod index;
mod latency;
mod losses;
mod lost;
mod machine;
mod procfs;
mod proxying;
mod quota;
mod running;
mod shipping;
mod sink;
mod stats;
mod statsd;
mod statsd_load;
mod table;
mod tools;
mod watching;

/// Measures each sidecar beside the peers it replaces. Peers are run where they are found, never built or downloaded
#[derive(Parser)]
#[command(name = "bench-peers")]
enum Bench {
    /// Size, memory, threads, wake-ups, start and stop of each sidecar, held against what SPEC.md promises
    Footprint(tools::Options),
    /// All five together, idle, beside everything they take the place of
    Family(family::Options),
    /// How soon an app is told, what watching costs, and whether a change is ever lost
    ConfigReloader(tools::Options),
    /// What shipping logs costs, beside Fluent Bit with the same config file
    LogShipper(shipping::Options),
    /// What lines of statsd cost, beside statsd_exporter with the same flags
    MetricsAdapter(statsd::Options),
    /// What a proxy costs, beside NGINX with the same nginx.conf, HAProxy and Envoy
    ReverseProxy(proxying::Options),
    /// What signing people in and letting them through costs, beside oauth2-proxy with the same flags
    AuthProxy(guarding::Options),
    /// The app behind the proxies that are measured
    #[command(hide = true)]
    Upstream {
        #[arg(long)]
        port: u16,
    },
    /// Clients that open a connection with TLS for each request
    #[command(hide = true)]
    Handshakes(proxying::handshakes::Options),
    /// A receiver of logs that forgets them, to measure a shipper with
    Sink {
        #[arg(long, default_value_t = 9200)]
        port: u16,
    },
}

fn main() -> ExitCode {
    let result = match Bench::parse() {
        Bench::Footprint(options) => footprint::run(&options),
        Bench::Family(options) => family::run(&options),
        Bench::ConfigReloader(options) => config_reloader(&options),
        Bench::LogShipper(options) => log_shipper(&options),
        Bench::MetricsAdapter(options) => metrics_adapter(&options),
        Bench::ReverseProxy(options) => reverse_proxy(&options),
        Bench::AuthProxy(options) => auth_proxy(&options),
        Bench::Upstream { port } => proxying::upstream::run(port),
        Bench::Handshakes(options) => proxying::handshakes::run(&options),
        Bench::Sink { port } => sink::run(port),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("bench: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn config_reloader(options: &tools::Options) -> Result<(), String> {
    let ours = built::binary("config-reloader", options.bin.as_deref())?;
    machine::print();
    latency::run(options, &ours)?;
    watching::run(options, &ours)?;
    lost::run(options, &ours)
}

fn log_shipper(options: &shipping::Options) -> Result<(), String> {
    let ours = built::binary("log-shipper", options.bin.as_deref())?;
    machine::print();
    shipping::run(options, &ours)
}

fn metrics_adapter(options: &statsd::Options) -> Result<(), String> {
    let ours = built::binary("metrics-adapter", options.bin.as_deref())?;
    machine::print();
    statsd::run(options, &ours)
}

fn reverse_proxy(options: &proxying::Options) -> Result<(), String> {
    let ours = built::binary("reverse-proxy", options.bin.as_deref())?;
    machine::print();
    proxying::run(options, &ours)
}

fn auth_proxy(options: &guarding::Options) -> Result<(), String> {
    let ours = built::binary("auth-proxy", options.bin.as_deref())?;
    machine::print();
    guarding::run(options, &ours)
}
