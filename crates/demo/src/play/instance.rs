//! One pod of a workload: its name, its address, and the fields that its containers may ask for.

use std::{net::Ipv4Addr, path::PathBuf, sync::Arc};

use super::model::Pod;

#[derive(Clone)]
pub struct Instance {
    pub name: String,
    pub addr: Ipv4Addr,
    pub pod: Arc<Pod>,
    /// Where everything of it is kept.
    pub dir: PathBuf,
}

impl Instance {
    /// As `valueFrom.fieldRef.fieldPath` has it.
    pub fn field(&self, path: &str) -> Result<String, String> {
        let pod = &self.pod;
        let keyed = |what: &str| path.strip_prefix(what)?.strip_prefix("['")?.strip_suffix("']");
        if let Some(key) = keyed("metadata.labels") {
            return Ok(pod.labels.get(key).cloned().unwrap_or_default());
        }
        if let Some(key) = keyed("metadata.annotations") {
            return Ok(pod.annotations.get(key).cloned().unwrap_or_default());
        }
        let lines = |pairs: &std::collections::BTreeMap<String, String>| {
            pairs.iter().map(|(key, value)| format!("{key}={value:?}\n")).collect::<String>()
        };
        Ok(match path {
            "metadata.name" => self.name.clone(),
            "metadata.namespace" => pod.namespace.clone(),
            "metadata.labels" => lines(&pod.labels),
            "metadata.annotations" => lines(&pod.annotations),
            "spec.nodeName" => "localhost".into(),
            "spec.serviceAccountName" => pod.service_account.clone(),
            "status.podIP" | "status.podIPs" => self.addr.to_string(),
            "status.hostIP" | "status.hostIPs" => Ipv4Addr::LOCALHOST.to_string(),
            other => {
                return Err(format!(
                    "fieldPath {other}: expected metadata.name, .namespace, .labels['X'], .annotations['X'], \
                     spec.nodeName, spec.serviceAccountName, status.podIP or status.hostIP"
                ));
            }
        })
    }
}
