//! Where the pods of a document are, whatever kind it is of.

use serde_json::Value;

use crate::tree::{Kind, Node};

/// A pod, or the template of pods.
pub struct Pod<'a> {
    /// `Deployment/app`, for people.
    pub place: String,
    pub namespace: Option<&'a str>,
    /// Annotations of the workload and of the pod, the pod's last: they win.
    pub annotations: Vec<(&'a str, &'a Node)>,
    pub spec: &'a Node,
    /// It is meant to come to an end.
    pub is_job: bool,
}

/// The pods of one document; of a `List`, those of its items.
pub fn of(document: &Node) -> Vec<Pod<'_>> {
    let kind = document.get("kind").and_then(Node::text).unwrap_or_default();
    if kind == "List" {
        return document.get("items").map(Node::items).unwrap_or_default().iter().flat_map(of).collect();
    }
    let Some(path) = way(kind) else { return Vec::new() };
    let pod = path.iter().try_fold(document, |node, key| node.get(key));
    let Some((pod, spec)) = pod.and_then(|pod| Some((pod, pod.get("spec")?))) else {
        return Vec::new();
    };
    let metadata = |node: &'_ Node, key: &str| node.get("metadata")?.get(key)?.text().map(str::to_owned);
    let name = metadata(document, "name").or_else(|| metadata(document, "generateName"));
    let mut annotations = annotations(document);
    if !path.is_empty() {
        annotations.extend(self::annotations(pod));
    }
    vec![Pod {
        place: format!("{kind}/{}", name.unwrap_or_default()),
        namespace: document.get("metadata").and_then(|metadata| metadata.get("namespace")?.text()),
        annotations,
        spec,
        is_job: matches!(kind, "Job" | "CronJob"),
    }]
}

/// The same places in the values of a document.
pub fn specs(document: &mut Value) -> Vec<&mut Value> {
    let kind = document["kind"].as_str().unwrap_or_default().to_owned();
    if kind == "List" {
        return document["items"].as_array_mut().into_iter().flatten().flat_map(specs).collect();
    }
    let pod = way(&kind).and_then(|way| way.iter().try_fold(document, |value, key| value.get_mut(key)));
    pod.and_then(|pod| pod.get_mut("spec")).into_iter().collect()
}

/// The keys that lead to the pod, or to the template of it.
fn way(kind: &str) -> Option<&'static [&'static str]> {
    match kind {
        "Pod" => Some(&[]),
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ReplicationController" | "Job" => {
            Some(&["spec", "template"])
        }
        "CronJob" => Some(&["spec", "jobTemplate", "spec", "template"]),
        _ => None,
    }
}

fn annotations(node: &Node) -> Vec<(&str, &Node)> {
    let found = node.get("metadata").and_then(|metadata| metadata.get("annotations"));
    match found.map(|found| &found.kind) {
        Some(Kind::Map { entries, .. }) => {
            entries.iter().filter_map(|(key, value)| Some((key.text()?, value))).collect()
        }
        _ => Vec::new(),
    }
}
