//! Puts sidecars into the pods of Kubernetes manifests. What their authors wrote stays as it is, to the byte: lines are
//! added to it, and then it is read again to see that it means what was intended.

pub mod edit;
pub mod files;
pub mod pods;
pub mod policy;
pub mod sidecars;
pub mod tree;
pub mod wants;

use serde_json::{Value, json};

pub use crate::wants::{DOMAIN, Options};
use crate::{
    edit::{Edits, Piece},
    pods::Pod,
    sidecars::Parts,
    tree::Node,
};

/// What was done to whom: a line for the terminal each.
pub struct Outcome {
    pub text: String,
    pub said: Vec<String>,
}

/// Problems are `LINE: what`.
pub fn inject(text: &str, options: &Options, with_config: bool) -> Result<Outcome, Vec<String>> {
    let say = |(line, problem): (usize, String)| format!("{line}: {problem}");
    let documents = tree::documents(text).map_err(|problem| vec![say(problem)])?;
    let (mut edits, mut said, mut problems, mut configs) = (Edits::default(), Vec::new(), Vec::new(), Vec::new());
    let mut expected: Vec<Value> = documents.iter().map(Node::json).collect();
    for (document, expected) in documents.iter().zip(&mut expected) {
        for (number, pod) in pods::of(document).iter().enumerate() {
            match add(text, pod, options, &mut edits) {
                Ok(added) if added.is_empty() => {}
                Ok(added) => {
                    let names: Vec<_> = added.iter().map(|(sidecar, _, _)| sidecar.name).collect();
                    said.push(format!("{}: {}", pod.place, names.join(", ")));
                    intend(expected, number, &added, options.plain);
                    let unnamed = added.iter().filter(|(_, wishes, _)| wishes.config_map.is_none());
                    configs.extend(unnamed.map(|(sidecar, ..)| (pod.namespace.map(str::to_owned), *sidecar)));
                }
                Err(wrong) => problems.extend(wrong.into_iter().map(say)),
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut written = edits.apply(text);
    let found = tree::documents(&written).map(|documents| documents.iter().map(Node::json).collect::<Vec<_>>());
    if found.as_ref() != Ok(&expected) {
        return Err(vec![
            "1: this file is written in a way that cannot be added to: expected plain block style or JSON".into(),
        ]);
    }
    if with_config {
        configs.sort_by_key(|(namespace, sidecar)| (namespace.clone(), sidecar.name));
        configs.dedup_by_key(|(namespace, sidecar)| (namespace.clone(), sidecar.name));
        configs.iter().for_each(|(namespace, sidecar)| written.push_str(&config_map(sidecar, namespace.as_deref())));
    }
    Ok(Outcome { text: written, said })
}

type Added = (&'static sidecars::Sidecar, sidecars::Wishes, Parts);

fn add(text: &str, pod: &Pod<'_>, options: &Options, edits: &mut Edits) -> Result<Vec<Added>, Vec<(usize, String)>> {
    let there = |name: &str| {
        let lists = ["initContainers", "containers"].iter().filter_map(|key| pod.spec.get(key)).flat_map(Node::items);
        lists.filter_map(|container| container.get("name")?.text()).any(|found| found == name)
    };
    let mut added = Vec::new();
    for (sidecar, wishes) in wants::of(pod, options)? {
        if !there(sidecar.name) {
            let parts = sidecar.parts(&wishes).map_err(|problem| vec![(pod.spec.line, problem)])?;
            added.push((sidecar, wishes, parts));
        }
    }
    if added.is_empty() {
        return Ok(added);
    }
    let all = |of: fn(&Parts) -> &[Piece]| added.iter().flat_map(|(.., parts)| of(parts)).cloned().collect::<Vec<_>>();
    let containers = all(|parts| std::slice::from_ref(&parts.container));
    let mut write = || {
        let key = if options.plain { "containers" } else { "initContainers" };
        edits.prepend(text, pod.spec, "volumes", &all(|parts| &parts.volumes), "containers")?;
        edits.prepend(text, pod.spec, key, &containers, "containers")?;
        let mounts = all(|parts| &parts.mounts);
        pod.spec.get("containers").map(Node::items).unwrap_or_default().iter().try_for_each(|container| {
            // Not the first, which stands behind a dash: so every line stays the line that it was.
            let before = container.keys().nth(1).or(container.keys().next()).unwrap_or_default();
            edits.prepend(text, container, "volumeMounts", &mounts, before)
        })
    };
    write().map_err(|problem| vec![problem])?;
    Ok(added)
}

/// The same, done to the values: what the new text has to mean.
fn intend(document: &mut Value, number: usize, added: &[Added], plain: bool) {
    let Some(spec) = pods::specs(document).into_iter().nth(number) else {
        return;
    };
    for container in spec["containers"].as_array_mut().into_iter().flatten() {
        let mounts = added.iter().flat_map(|(.., parts)| &parts.mounts);
        mounts.for_each(|mount| prepend(container, "volumeMounts", &mount.value));
    }
    for (.., parts) in added.iter().rev() {
        prepend(spec, if plain { "containers" } else { "initContainers" }, &parts.container.value);
        parts.volumes.iter().rev().for_each(|volume| prepend(spec, "volumes", &volume.value));
    }
}

fn prepend(map: &mut Value, key: &str, item: &Value) {
    match &mut map[key] {
        Value::Array(list) => list.insert(0, item.clone()),
        other => *other = json!([item]),
    }
}

fn config_map(sidecar: &sidecars::Sidecar, namespace: Option<&str>) -> String {
    let (file, text) = sidecar.config;
    let namespace = namespace.map(|name| format!(", namespace: {name}")).unwrap_or_default();
    let mut out = format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {}{namespace}}}\ndata:\n  {file}: |\n",
        sidecar.name
    );
    for line in text.lines() {
        out.push_str(format!("    {line}").trim_end());
        out.push('\n');
    }
    out
}
