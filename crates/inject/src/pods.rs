//! Where the pods of a document are, whatever kind it is of.

use crate::tree::Node;

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
    let path: &[&str] = match kind {
        "List" => return document.get("items").map(Node::items).unwrap_or_default().iter().flat_map(of).collect(),
        "Pod" => &[],
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ReplicationController" | "Job" => {
            &["spec", "template"]
        }
        "CronJob" => &["spec", "jobTemplate", "spec", "template"],
        _ => return Vec::new(),
    };
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

fn annotations(node: &Node) -> Vec<(&str, &Node)> {
    let found = node.get("metadata").and_then(|metadata| metadata.get("annotations"));
    match found.map(|found| &found.kind) {
        Some(crate::tree::Kind::Map { entries, .. }) => {
            entries.iter().filter_map(|(key, value)| Some((key.text()?, value))).collect()
        }
        _ => Vec::new(),
    }
}
