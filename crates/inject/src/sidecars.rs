//! What each sidecar brings into a pod: the very files that kustomize reads, made to fit.

use serde_json::Value;

use crate::{
    edit::Piece,
    tree::{self, Node},
};

/// A sidecar of the family.
#[derive(Debug)]
pub struct Sidecar {
    pub name: &'static str,
    /// manifests/NAME/component/sidecar.yaml
    patch: &'static str,
    /// Its configuration there, and what the file is called.
    pub config: (&'static str, &'static str),
    /// It knows `--exit-when`.
    pub ends_by_file: bool,
    /// A volume that the app writes to, and where the sidecar has it: there in the app as well, if it does not say else.
    pub shared: Option<(&'static str, &'static str)>,
}

macro_rules! component {
    ($name:literal, $file:literal) => {
        Sidecar {
            name: $name,
            patch: include_str!(concat!("../../../manifests/", $name, "/component/sidecar.yaml")),
            config: ($file, include_str!(concat!("../../../manifests/", $name, "/component/", $file))),
            ends_by_file: false,
            shared: None,
        }
    };
}

/// In the order in which they start, which is the opposite of that in which they stop: what takes requests stops first,
/// and who ships the last lines goes last.
pub const SIDECARS: [Sidecar; 5] = [
    component!("config-reloader", "config-reloader.yaml"),
    Sidecar {
        ends_by_file: true,
        shared: Some(("log-shipper-logs", "/var/log/app")),
        ..component!("log-shipper", "log-shipper.yaml")
    },
    component!("metrics-adapter", "mapping.yaml"),
    component!("reverse-proxy", "reverse-proxy.yaml"),
    component!("auth-proxy", "auth-proxy.yaml"),
];

pub fn named(name: &str) -> Result<&'static Sidecar, String> {
    let names: Vec<_> = SIDECARS.iter().map(|sidecar| sidecar.name).collect();
    let found = SIDECARS.iter().find(|sidecar| sidecar.name == name);
    found.ok_or_else(|| format!("`{name}`: expected one of {}", names.join(", ")))
}

/// What differs from pod to pod.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    pub image: String,
    pub config_map: Option<String>,
    pub secret: Option<String>,
    /// Where the app writes its logs.
    pub log_dir: Option<String>,
    /// The volume that is mounted there already.
    pub log_volume: Option<String>,
    /// Not a native sidecar: an ordinary container, which ends when this file exists.
    pub plain: Option<Plain>,
}

#[derive(Clone, Debug, Default)]
pub struct Plain {
    pub exit_when: Option<String>,
}

/// What is added to a pod.
#[derive(Clone, Debug)]
pub struct Parts {
    pub container: Piece,
    pub volumes: Vec<Piece>,
    /// For every container of the app.
    pub mounts: Vec<Piece>,
}

impl Sidecar {
    pub fn parts(&self, wishes: &Wishes) -> Result<Parts, String> {
        let text = self.fitted(wishes);
        let root = tree::documents(&text).map_err(|(line, problem)| format!("{}: {line}: {problem}", self.name))?;
        let at = |node: &Node, key: &str| node.get(key).cloned();
        let pod =
            ["spec", "template", "spec"].iter().try_fold(root.first().cloned(), |node, key| Some(at(&node?, key)));
        let pod = pod.flatten().ok_or_else(|| format!("{}: expected a pod", self.name))?;
        let pieces = |key: &str| -> Vec<Piece> {
            pod.get(key).map(Node::items).unwrap_or_default().iter().map(|node| piece(&text, node)).collect()
        };
        let taken = |volume: &Piece| {
            let shared = self.shared.is_some_and(|(name, _)| volume.value["name"] == name);
            shared && wishes.log_volume.is_some()
        };
        let container = pieces("initContainers").into_iter().next().ok_or("expected a container")?;
        let volumes = pieces("volumes").into_iter().filter(|volume| !taken(volume)).collect();
        Ok(Parts { container, volumes, mounts: self.mounts(wishes) })
    }

    /// The patch with what this pod wishes in its places. Every one of them is a line that the component has.
    fn fitted(&self, wishes: &Wishes) -> String {
        let name = self.name;
        let mut text = self.patch.to_owned();
        let mut put = |from: String, to: String| text = text.replace(&from, &to);
        put(
            format!("image: pillion/{name}:{}", env!("CARGO_PKG_VERSION")),
            format!("image: {}", scalar(&wishes.image)),
        );
        if let Some(config_map) = &wishes.config_map {
            put(format!("configMap: {{name: {name}}}"), format!("configMap: {{name: {}}}", scalar(config_map)));
        }
        if let Some(secret) = &wishes.secret {
            put(format!("secretName: {name}"), format!("secretName: {}", scalar(secret)));
        }
        if let (Some((volume, _)), Some(existing)) = (self.shared, &wishes.log_volume) {
            put(format!("{{name: {volume},"), format!("{{name: {},", scalar(existing)));
        }
        if let Some(plain) = &wishes.plain {
            put("          restartPolicy: Always\n".into(), String::new());
            if let Some(file) = &plain.exit_when {
                put("args: [".into(), format!("args: [{}, ", scalar(&format!("--exit-when={file}"))));
            }
        }
        text
    }

    fn mounts(&self, wishes: &Wishes) -> Vec<Piece> {
        let Some((volume, place)) = self.shared.filter(|_| wishes.log_volume.is_none()) else {
            return Vec::new();
        };
        let folder = wishes.log_dir.as_deref().unwrap_or(place);
        let lines = format!("{{name: {volume}, mountPath: {}}}", scalar(folder));
        vec![Piece { lines, value: serde_json::json!({ "name": volume, "mountPath": folder }) }]
    }
}

/// As YAML that means this text whatever is in it.
fn scalar(text: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '.' | '_' | ':' | '@' | '=');
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') && text.chars().all(harmless);
    let ambiguous = matches!(
        text.to_ascii_lowercase().as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
    );
    if plain && !ambiguous && !text.ends_with(':') { text.to_owned() } else { Value::from(text).to_string() }
}

/// The lines of a node, moved to the left edge.
fn piece(text: &str, node: &Node) -> Piece {
    let from = text[..node.span.start].rfind('\n').map_or(0, |end| end + 1);
    let indent = node.span.start - from;
    let mut lines = String::new();
    for (number, line) in text[node.span.clone()].lines().enumerate() {
        lines.push_str(if number == 0 { line } else { line.get(indent..).unwrap_or_default() });
        lines.push('\n');
    }
    Piece { lines, value: node.json() }
}
