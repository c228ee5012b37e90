//! Our own configuration file: YAML, every problem of it at once.

pub mod cluster;
mod egress;
pub mod listener;
pub mod log;
pub mod route;
pub mod words;

use std::path::Path;

use common::{Failure, config::Section};

pub use words::Place;

use crate::config::{Cluster, Config};

pub fn read(file: &Path) -> Result<Config, Failure> {
    common::config::read(file, root)
}

/// As [`read`], of a text that is here already.
pub fn parse(name: &str, text: &str) -> Result<Config, Failure> {
    common::config::parse(name, text, root)
}

fn root(root: &mut Section) -> Config {
    root.ignore("sidecar"); // common reads this one
    let mut reader = Reader::default();
    for mut section in root.sections("clusters") {
        let cluster = cluster::cluster(&mut section);
        if reader.config.clusters.iter().any(|known| known.name == cluster.name) {
            section.problem(format!("name {}: another cluster has it", cluster.name));
        }
        reader.config.clusters.push(cluster);
    }
    let listeners = root.sections("listeners");
    if listeners.is_empty() {
        root.problem("listeners: required");
    }
    for mut section in listeners {
        let listener = listener::listener(&mut section, &mut reader);
        reader.config.listeners.extend(listener);
    }
    reader.config
}

/// What is being read.
#[derive(Default)]
pub struct Reader {
    pub config: Config,
}

impl Reader {
    /// The name of a cluster: one of `clusters`, or an address, which is a cluster of its own.
    fn cluster(&mut self, section: &Section, key: &str, text: &str) -> String {
        let known = self.config.clusters.iter().any(|cluster| cluster.name == text);
        if !known {
            match text.parse::<words::Place>() {
                Ok(place) => self.config.clusters.push(Cluster::new(text, vec![crate::config::Endpoint::at(place.0)])),
                Err(expected) => {
                    let names = self.config.clusters.iter().map(|cluster| cluster.name.as_str());
                    match values::nearest(text, names) {
                        Some(near) => {
                            section.problem(format!("{key} \"{text}\": no such cluster, did you mean {near}?"));
                        }
                        None => section.problem(format!("{key} \"{text}\": no such cluster; or {expected}")),
                    }
                }
            }
        }
        text.to_owned()
    }
}
