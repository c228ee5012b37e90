//! The same additions as admission policies, for clusters that can do it themselves: MutatingAdmissionPolicy in CEL, made
//! from the same files. What the API server allows there decides the shapes: lists may be applied only where their items
//! have names, so the container is put in by a JSON patch, one object at a time.

use std::fmt::Write;

use serde_json::Value;

use crate::{
    DOMAIN,
    sidecars::{SIDECARS, Sidecar, Wishes},
};

/// Fields that are maps from text to text; everything else in braces is an object with a type.
const PLAIN_MAPS: [&str; 2] = ["requests", "limits"];

pub fn all(prefix: &str, tag: &str) -> String {
    let mut out = String::from(
        "# Written by `cargo run -p inject -- --policies`: change manifests/*/component, and not this file.\n\
         #\n\
         # Pods get the sidecars that their annotation pillion.dev/inject names, from the API server itself: Kubernetes 1.36,\n\
         # nothing to install. docs/inject.md has the annotations. For older clusters: `inject`, or the kustomize components.\n",
    );
    for sidecar in &SIDECARS {
        out.push_str(&policy(sidecar, prefix, tag));
    }
    out
}

fn policy(sidecar: &Sidecar, prefix: &str, tag: &str) -> String {
    let name = sidecar.name;
    // Marks for what is only known when the pod is there.
    let wishes = Wishes {
        image: "variables.image".into(),
        config_map: Some("variables.config".into()),
        secret: Some("variables.secret".into()),
        log_dir: Some("variables.dir".into()),
        ..Wishes::default()
    };
    let Ok(parts) = sidecar.parts(&wishes) else {
        return String::new();
    };
    let annotated = |key: &str, otherwise: &str| {
        format!(
            "'{DOMAIN}{key}' in object.metadata.annotations ? object.metadata.annotations['{DOMAIN}{key}'] : '{otherwise}'"
        )
    };
    let mut variables = vec![
        ("image", annotated(&format!("{name}-image"), &format!("{prefix}/{name}:{tag}"))),
        ("config", annotated(&format!("{name}-config"), name)),
    ];
    if parts.volumes.iter().any(|volume| volume.value.get("secret").is_some()) {
        variables.push(("secret", annotated(&format!("{name}-secret"), name)));
    }
    if let Some((_, folder)) = sidecar.shared {
        variables.push(("dir", annotated("log-dir", folder)));
    }
    let volumes: Vec<_> = parts.volumes.iter().map(|volume| cel(&volume.value, "Object.spec.volumes")).collect();
    let mounts: Vec<_> =
        parts.mounts.iter().map(|mount| cel(&mount.value, "Object.spec.containers.volumeMounts")).collect();
    let containers = match mounts.as_slice() {
        [] => String::new(),
        mounts => format!(
            ", containers: object.spec.containers.map(c, Object.spec.containers{{name: c.name, volumeMounts: [{}]}})",
            mounts.join(", ")
        ),
    };
    let container = cel(&parts.container.value, "Object.spec.initContainers");
    let mut out = format!(
        r#"---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {{name: pillion-{name}}}
spec:
  matchConstraints:
    resourceRules:
      - {{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}}
  matchConditions:
    - name: asks-for-it
      expression: >-
        has(object.metadata.annotations) && '{DOMAIN}inject' in object.metadata.annotations &&
        object.metadata.annotations['{DOMAIN}inject'].split(',').exists(x, x.trim() == '{name}')
    - name: has-it-not
      expression: "!has(object.spec.initContainers) || !object.spec.initContainers.exists(c, c.name == '{name}')"
  failurePolicy: Fail
  reinvocationPolicy: IfNeeded
  variables:
"#
    );
    for (name, expression) in variables {
        let _ = write!(out, "    - name: {name}\n      expression: >-\n{}", folded(&expression, 8));
    }
    let applied = format!("Object{{spec: Object.spec{{volumes: [{}]{containers}}}}}", volumes.join(", "));
    let patched = format!(
        "(has(object.spec.initContainers) ? [] : [JSONPatch{{op: \"add\", path: \"/spec/initContainers\", value: []}}]) + \
         [JSONPatch{{op: \"add\", path: \"/spec/initContainers/0\", value: {container}}}]"
    );
    out.push_str("  mutations:\n");
    for (kind, field, expression) in
        [("ApplyConfiguration", "applyConfiguration", applied), ("JSONPatch", "jsonPatch", patched)]
    {
        let expression = folded(&expression, 10);
        let _ = write!(out, "    - patchType: {kind}\n      {field}:\n        expression: >-\n{expression}");
    }
    let _ = write!(
        out,
        "---\napiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicyBinding\n\
         metadata: {{name: pillion-{name}}}\nspec:\n  policyName: pillion-{name}\n"
    );
    out
}

/// As the lines of a folded scalar (`>-`), which are joined by blanks again.
fn folded(text: &str, indent: usize) -> String {
    const WIDTH: usize = 118;
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() + indent <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|line| format!("{}{line}\n", " ".repeat(indent))).collect()
}

/// A value as an expression of CEL. `at` is the type of the object, by the way that leads to it.
fn cel(value: &Value, at: &str) -> String {
    match value {
        Value::Object(fields) => {
            let is_map = PLAIN_MAPS.iter().any(|name| at.ends_with(&format!(".{name}")));
            let field = |(key, value): (&String, &Value)| {
                let value = cel(value, &format!("{at}.{key}"));
                if is_map { format!("\"{key}\": {value}") } else { format!("{key}: {value}") }
            };
            let fields: Vec<_> = fields.iter().map(field).collect();
            format!("{}{{{}}}", if is_map { "" } else { at }, fields.join(", "))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| cel(item, at)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::String(text) if text.starts_with("variables.") => text.clone(),
        other => other.to_string(),
    }
}
