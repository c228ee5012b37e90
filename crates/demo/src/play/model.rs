//! What a manifest means: pods and what they need. Knows neither YAML nor processes.

use std::{collections::BTreeMap, time::Duration};

use rustix::process::Signal;

/// Everything that was found in the files.
#[derive(Default)]
pub struct World {
    pub workloads: Vec<Workload>,
    pub maps: Vec<Stored>,
    pub services: Vec<Service>,
    /// What a kubelet would do and we do not: said, never passed over.
    pub notes: Vec<String>,
}

impl World {
    pub fn stored(&self, kind: StoredKind, name: &str) -> Option<&Stored> {
        self.maps.iter().find(|map| map.kind == kind && map.name == name)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoredKind {
    ConfigMap,
    Secret,
}

impl StoredKind {
    pub fn word(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

/// A ConfigMap or a Secret.
#[derive(Clone, PartialEq)]
pub struct Stored {
    pub kind: StoredKind,
    pub name: String,
    pub data: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone)]
pub struct Service {
    pub name: String,
    pub namespace: String,
    pub selector: BTreeMap<String, String>,
    pub ports: Vec<ServicePort>,
}

#[derive(Clone)]
pub struct ServicePort {
    pub port: u16,
    pub target: Port,
}

/// A port by its number, or by the name that a container gives it.
#[derive(Clone, Debug, PartialEq)]
pub enum Port {
    Number(u16),
    Name(String),
}

pub struct Workload {
    pub kind: Kind,
    pub name: String,
    pub pod: Pod,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    Pod,
    Deployment { replicas: usize },
    Job { retries: u32, deadline: Option<Duration> },
}

#[derive(Clone, Debug)]
pub struct Pod {
    pub name: String,
    pub namespace: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub init: Vec<Container>,
    pub containers: Vec<Container>,
    pub volumes: Vec<Volume>,
    pub restart: Restart,
    pub grace: Duration,
    pub deadline: Option<Duration>,
    pub share_processes: bool,
    pub fs_group: Option<u32>,
    pub host_aliases: Vec<(String, Vec<String>)>,
    pub service_account: String,
}

impl Pod {
    /// In the order of the manifest, those that start first in front.
    pub fn all(&self) -> impl Iterator<Item = &Container> {
        self.init.iter().chain(&self.containers)
    }

    pub fn port(&self, port: &Port) -> Option<u16> {
        match port {
            Port::Number(number) => Some(*number),
            Port::Name(name) => {
                let ports = self.all().flat_map(|container| &container.ports);
                ports.filter(|(known, _)| known.as_ref() == Some(name)).map(|(_, number)| *number).next()
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Restart {
    Always,
    OnFailure,
    Never,
}

#[derive(Clone, Debug)]
pub struct Container {
    pub name: String,
    pub image: String,
    pub command: Option<Vec<String>>,
    pub args: Option<Vec<String>>,
    pub dir: Option<String>,
    pub env_from: Vec<EnvFrom>,
    pub env: Vec<(String, EnvValue)>,
    pub mounts: Vec<Mount>,
    pub ports: Vec<(Option<String>, u16)>,
    pub startup: Option<Probe>,
    pub liveness: Option<Probe>,
    pub readiness: Option<Probe>,
    pub post_start: Option<Action>,
    pub pre_stop: Option<Action>,
    /// Instead of what the image names.
    pub stop: Option<Signal>,
    /// An entry of initContainers with `restartPolicy: Always`.
    pub is_sidecar: bool,
    pub user: Option<u32>,
    pub group: Option<u32>,
    pub read_only_root: bool,
}

#[derive(Clone, Debug)]
pub struct EnvFrom {
    pub kind: StoredKind,
    pub name: String,
    pub prefix: String,
    pub optional: bool,
}

#[derive(Clone, Debug)]
pub enum EnvValue {
    Text(String),
    Key { kind: StoredKind, name: String, key: String, optional: bool },
    Field(String),
}

#[derive(Clone, Debug)]
pub struct Mount {
    pub volume: String,
    pub path: String,
    pub sub_path: Option<String>,
    pub read_only: bool,
}

#[derive(Clone, Debug)]
pub struct Volume {
    pub name: String,
    pub source: Source,
}

#[derive(Clone, Debug)]
pub enum Source {
    EmptyDir,
    /// Kept when the pod is gone.
    Claim(String),
    HostPath(String),
    /// ConfigMaps, Secrets and fields of the pod, as files.
    Projected {
        parts: Vec<Part>,
        mode: u32,
    },
}

#[derive(Clone, Debug)]
pub enum Part {
    Stored {
        kind: StoredKind,
        name: String,
        items: Option<Vec<Item>>,
        optional: bool,
    },
    /// A path and the field whose value is its content.
    Fields(Vec<(String, String)>),
}

#[derive(Clone, Debug)]
pub struct Item {
    pub key: String,
    pub path: String,
    pub mode: Option<u32>,
}

#[derive(Clone, Debug)]
pub struct Probe {
    pub action: Action,
    pub initial_delay: Duration,
    pub period: Duration,
    pub timeout: Duration,
    pub successes: u32,
    pub failures: u32,
    pub grace: Option<Duration>,
}

#[derive(Clone, Debug)]
pub enum Action {
    Exec(Vec<String>),
    Http { host: Option<String>, port: Port, path: String, headers: Vec<(String, String)> },
    Tcp { host: Option<String>, port: Port },
    Sleep(Duration),
}
