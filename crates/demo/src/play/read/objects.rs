//! The objects of a manifest: what has pods, what they are configured with, and what finds them.

use std::{collections::BTreeMap, convert::Infallible};

use base64::{Engine, engine::general_purpose::STANDARD};
use common::config::Section;

use super::{Reading, pod, seconds};
use crate::play::model::{Kind, Port, Restart, Service, ServicePort, Stored, StoredKind, Workload};

/// The others are for a cluster, or run pods in a way that is not known here: those are read, to be refused by name.
pub const KINDS: [&str; 10] =
    ["ConfigMap", "CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "Secret", "Service", "StatefulSet"];

pub struct Meta {
    pub name: String,
    pub namespace: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

pub fn object(root: &mut Section, reading: &mut Reading) {
    let version: Option<String> = root.required("apiVersion");
    let Some(kind) = root.required::<String>("kind") else { return };
    let meta = meta(root, reading);
    reading.skip(root, &["status"]);
    match (version.as_deref().unwrap_or_default(), kind.as_str()) {
        ("v1", "Pod") => {
            if let Some(mut spec) = required(root, "spec") {
                let found = pod::pod(&mut spec, meta, reading);
                let name = found.name.clone();
                reading.world.workloads.push(Workload { kind: Kind::Pod, name, pod: found });
            }
        }
        ("apps/v1", "Deployment") => deployment(root, meta, reading),
        ("batch/v1", "Job") => job(root, meta, reading),
        ("v1", "ConfigMap") => stored(root, meta.name, StoredKind::ConfigMap, reading),
        ("v1", "Secret") => stored(root, meta.name, StoredKind::Secret, reading),
        ("v1", "Service") => service(root, meta, reading),
        (version, kind) => {
            reading.skip(root, &["spec", "data"]);
            root.problem(format!(
                "{version}, {kind}: play knows v1 Pod, ConfigMap, Secret, Service; apps/v1 Deployment; batch/v1 Job"
            ));
        }
    }
}

fn required(section: &mut Section, key: &str) -> Option<Section> {
    let found = section.section(key);
    if found.is_none() {
        section.problem(format!("{key}: required"));
    }
    found
}

fn meta(root: &mut Section, reading: &Reading) -> Meta {
    let mut meta = named(root.section("metadata"), reading);
    if meta.name.is_empty() {
        root.problem("metadata.name: required");
        meta.name = "unnamed".into();
    }
    meta
}

/// Of a template, whose name is chosen by what has it.
fn named(section: Option<Section>, reading: &Reading) -> Meta {
    let mut section = section.unwrap_or_else(Section::empty);
    reading.skip(&mut section, &["generateName", "finalizers", "ownerReferences", "creationTimestamp", "uid"]);
    Meta {
        name: section.parsed("name").unwrap_or_default(),
        namespace: section.parsed("namespace").unwrap_or_else(|| "default".into()),
        labels: section.pairs("labels").into_iter().collect(),
        annotations: section.pairs("annotations").into_iter().collect(),
    }
}

fn deployment(root: &mut Section, meta: Meta, reading: &mut Reading) {
    let Some(mut spec) = required(root, "spec") else { return };
    let replicas = spec.parsed("replicas").unwrap_or(1);
    reading
        .skip(&mut spec, &["selector", "revisionHistoryLimit", "minReadySeconds", "progressDeadlineSeconds", "paused"]);
    reading.note(&mut spec, &[("strategy", "a Deployment is not updated here, only started and stopped")]);
    let (name, kind) = (meta.name.clone(), Kind::Deployment { replicas });
    template(&mut spec, name, meta.namespace, kind, reading);
}

fn job(root: &mut Section, meta: Meta, reading: &mut Reading) {
    let Some(mut spec) = required(root, "spec") else { return };
    let retries = spec.parsed("backoffLimit").unwrap_or(6);
    let deadline = seconds(&mut spec, "activeDeadlineSeconds");
    reading
        .skip(&mut spec, &["ttlSecondsAfterFinished", "selector", "manualSelector", "suspend", "podReplacementPolicy"]);
    reading.note(
        &mut spec,
        &[
            ("completions", "one pod has to complete here"),
            ("parallelism", "one pod at a time here"),
            ("completionMode", "one pod has to complete here"),
            ("podFailurePolicy", "every failure counts here"),
        ],
    );
    let (name, kind) = (meta.name.clone(), Kind::Job { retries, deadline });
    template(&mut spec, name, meta.namespace, kind, reading);
}

fn template(spec: &mut Section, name: String, namespace: String, kind: Kind, reading: &mut Reading) {
    let Some(mut template) = required(spec, "template") else { return };
    let mut meta = named(template.section("metadata"), reading);
    (meta.name, meta.namespace) = (name.clone(), namespace);
    let Some(mut section) = required(&mut template, "spec") else { return };
    let pod = pod::pod(&mut section, meta, reading);
    match kind {
        Kind::Deployment { .. } if pod.restart != Restart::Always => {
            section.problem("restartPolicy: expected Always in a Deployment");
        }
        Kind::Job { .. } if pod.restart == Restart::Always => {
            section.problem("restartPolicy: expected OnFailure or Never in a Job");
        }
        _ => {}
    }
    reading.world.workloads.push(Workload { kind, name, pod });
}

fn stored(root: &mut Section, name: String, kind: StoredKind, reading: &mut Reading) {
    reading.skip(root, &["type", "immutable"]);
    let plain = |key: &str, text: &str| Ok::<_, Infallible>((key.to_owned(), text.as_bytes().to_vec()));
    let coded = |key: &str, text: &str| {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let decoded = STANDARD.decode(text).map_err(|_| "expected base64; plain text goes to stringData");
        decoded.map(|bytes| (key.to_owned(), bytes))
    };
    let mut data = BTreeMap::new();
    match kind {
        StoredKind::ConfigMap => {
            data.extend(root.each("data", plain));
            data.extend(root.each("binaryData", coded));
        }
        StoredKind::Secret => {
            data.extend(root.each("data", coded));
            data.extend(root.each("stringData", plain));
        }
    }
    reading.world.maps.push(Stored { kind, name, data });
}

fn service(root: &mut Section, meta: Meta, reading: &mut Reading) {
    let Some(mut spec) = required(root, "spec") else { return };
    let selector = spec.pairs("selector").into_iter().collect();
    reading.skip(&mut spec, &["type", "clusterIP", "clusterIPs", "sessionAffinity", "ipFamilies", "ipFamilyPolicy"]);
    reading.skip(&mut spec, &["internalTrafficPolicy", "externalTrafficPolicy", "publishNotReadyAddresses"]);
    let mut ports = Vec::new();
    for port in &mut spec.sections("ports") {
        reading.skip(port, &["name", "nodePort", "appProtocol"]);
        let is_udp = port.parsed::<String>("protocol").is_some_and(|protocol| protocol == "UDP");
        let target = port.parsed::<Port>("targetPort");
        let Some(number) = port.required::<u16>("port") else { continue };
        if is_udp {
            reading.world.notes.push(format!("Service {}: port {number}/UDP is not passed on, only TCP is", meta.name));
        } else {
            ports.push(ServicePort { port: number, target: target.unwrap_or(Port::Number(number)) });
        }
    }
    let Meta { name, namespace, .. } = meta;
    reading.world.services.push(Service { name, namespace, selector, ports });
}
