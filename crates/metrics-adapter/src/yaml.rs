//! Our own config file: YAML in, [`Config`] out, every problem reported with its line.

use std::path::{Path, PathBuf};

use common::{Failure, config::Section};
use values::{ByteSize, Span};

use crate::{
    config::{Config, LAST_SCRAPE, Mode, PORT, SocketFile},
    dialect::{mapping, web_config},
    line::Styles,
    listen::Listener,
    relabel::{self, Relabeling},
    relay,
    store::{
        Rules,
        limits::{Limits, container_memory},
    },
};

/// As long as fits into one frame of most networks.
pub const PACKET: usize = 1400;

/// Reads a whole file of ours, and the mapping that it names.
pub fn read(path: &Path) -> Result<Config, Failure> {
    let (mut config, mapping) = common::config::read(path, |root| {
        root.ignore("sidecar"); // common reads this one
        config(root)
    })?;
    config.web.as_deref().map(web_config::check).transpose()?;
    if let Some(mapping) = mapping {
        let loaded = mapping::read(&mapping)?;
        config.rules.mapping = loaded.mapping.into();
        config.warnings = loaded.warnings;
        config.files.push(mapping);
    }
    config.files.push(path.to_owned());
    Ok(config)
}

/// The mapping is read by somebody else.
fn config(root: &mut Section) -> (Config, Option<PathBuf>) {
    let (mut listen, inputs): (Vec<_>, Vec<_>) =
        root.sections_or_text("listen", "at").iter_mut().filter_map(listener).unzip();
    if listen.is_empty() && !root.has("listen") {
        listen = defaults();
    }
    let relays = root.sections_or_text("relay", "to").iter_mut().filter_map(relay).collect();
    let mapping = root.parsed("mapping");
    let config = Config {
        listen,
        read_buffer: root.parsed("read_buffer").map(|ByteSize(bytes)| bytes as usize),
        relays,
        rules: Rules {
            styles: styles(root),
            exemplars: root.list("exemplars"),
            inputs: inputs.into(),
            output: relabel::read(root, "relabel").into(),
            ..Rules::default()
        },
        limits: limits(root),
        warnings: Vec::new(),
        files: Vec::new(),
        web: root.parsed("web_config"),
        last_scrape: root.parsed("last_scrape").map_or(LAST_SCRAPE, |Span(time)| time),
    };
    (config, mapping)
}

/// Where lines come in when nothing is said.
pub fn defaults() -> Vec<Listener> {
    let port = values::ListenAddr::Any(PORT);
    vec![Listener::Udp(port.clone()), Listener::Tcp(port)]
}

/// And the rules for what comes in there.
fn listener(section: &mut Section) -> Option<(Listener, Relabeling)> {
    let at = section.required("at");
    let relabeling = relabel::read(section, "relabel");
    let mode = section.parsed("mode").map(|Mode(mode)| mode);
    let listener = match (at?, mode) {
        (listener, None) => listener,
        (Listener::UnixDatagram(file), mode) => Listener::UnixDatagram(SocketFile { mode, ..file }),
        (Listener::UnixStream(file), mode) => Listener::UnixStream(SocketFile { mode, ..file }),
        _ => {
            section.problem("mode: only socket files have one");
            return None;
        }
    };
    Some((listener, relabeling))
}

fn relay(section: &mut Section) -> Option<relay::Config> {
    let target = section.required("to");
    let packet = section.parsed("packet").map_or(PACKET, |ByteSize(bytes)| bytes as usize);
    if !(2..=65_507).contains(&packet) {
        section.problem("packet: expected 2 to 65507 bytes");
    }
    Some(relay::Config { target: target?, packet })
}

fn styles(root: &mut Section) -> Styles {
    let all = Styles::default();
    let Some(mut section) = root.section("tags") else { return all };
    Styles {
        dogstatsd: section.parsed("dogstatsd").unwrap_or(all.dogstatsd),
        influxdb: section.parsed("influxdb").unwrap_or(all.influxdb),
        librato: section.parsed("librato").unwrap_or(all.librato),
        signalfx: section.parsed("signalfx").unwrap_or(all.signalfx),
        graphite: section.parsed("graphite").unwrap_or(all.graphite),
        packed: all.packed,
    }
}

fn limits(root: &mut Section) -> Limits {
    let container = Limits::of_container(container_memory());
    let Some(mut section) = root.section("limits") else { return container };
    Limits {
        series: section.parsed("series"),
        series_per_name: section.parsed("series_per_name"),
        label_values: section.parsed("label_values"),
        memory: section.parsed("memory").map_or(container.memory, |ByteSize(bytes)| bytes as usize),
    }
}
