//! The docker archive: an image as one file that docker, podman and containerd all load.

use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};
use tar::{Builder, EntryType};

use crate::{layer::plain, recipe::Recipe, rootfs, stamp::Stamp, workspace::Package};

pub const VENDOR: &str = "Pillion";

pub fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How an image is run, and where it comes from.
pub fn config(package: &Package, recipe: &Recipe, stamp: &Stamp, layer: &[u8]) -> Value {
    let name = &package.name;
    // In an image of several, the command of the container names the program.
    let entry = recipe.sidecars.is_empty().then(|| format!("/bin/{name}"));
    let ports: Map<_, _> = recipe.ports.iter().map(|port| (port.clone(), json!({}))).collect();
    let mut config = json!({
        "architecture": architecture(std::env::consts::ARCH),
        "os": "linux",
        "created": stamp.created,
        "config": {
            "User": rootfs::USER,
            "Env": ["PATH=/bin", format!("SSL_CERT_FILE={}", rootfs::CA_BUNDLE)],
            "Entrypoint": entry.as_slice(),
            "Cmd": recipe.cmd,
            "WorkingDir": "/",
            "ExposedPorts": ports,
            "StopSignal": "SIGTERM",
            "Labels": labels(package, stamp),
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", sha256(layer))] },
        "history": [{ "created": stamp.created, "created_by": "cargo xtask image", "comment": "one layer, from scratch" }],
    });
    if let Some(entry) = entry.filter(|_| recipe.healthcheck) {
        // Every 5 s (docker counts in nanoseconds): with the usual 30 s, an app that waits for
        // `condition: service_healthy` would start half a minute late.
        config["config"]["Healthcheck"] = json!({
            "Test": ["CMD", entry, "healthcheck"],
            "Interval": 5_000_000_000u64,
            "Timeout": 4_000_000_000u64,
            "StartPeriod": 30_000_000_000u64,
            "Retries": 3,
        });
    }
    config
}

/// The names of the OCI image specification. What is not known is left out rather than made up.
fn labels(package: &Package, stamp: &Stamp) -> Map<String, Value> {
    let source = package.repository.as_ref();
    let known = [
        ("title", Some(&package.name)),
        ("description", package.description.as_ref()),
        ("version", Some(&package.version)),
        ("licenses", package.license.as_ref()),
        ("source", source),
        ("url", package.homepage.as_ref().or(source)),
        ("documentation", package.documentation.as_ref().or(source)),
        ("revision", stamp.revision.as_ref()),
        ("created", Some(&stamp.created)),
        ("vendor", Some(&VENDOR.to_owned())),
        ("base.name", Some(&"scratch".to_owned())),
    ]
    .map(|(key, value)| value.map(|value| (format!("org.opencontainers.image.{key}"), json!(value))));
    known.into_iter().flatten().collect()
}

/// Rust and Go have different words for the same machines.
fn architecture(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The format of `docker save`: the config, the layer, and manifest.json, which says which is which. No OCI layout
/// beside it: podman would prefer that, and lose the health check, which OCI does not know.
pub fn pack(config: &Value, layer: &[u8], tag: &str) -> Result<Vec<u8>, String> {
    let config = config.to_string();
    let config_name = format!("{}.json", sha256(config.as_bytes()));
    let layer_name = format!("{}/layer.tar", sha256(layer));
    let manifest = json!([{ "Config": config_name, "RepoTags": [tag], "Layers": [layer_name] }]).to_string();
    let mut tar = Builder::new(Vec::new());
    // manifest.json first: a reader of a stream then knows what to make of the rest.
    let files =
        [("manifest.json", manifest.as_bytes()), (&config_name, config.as_bytes()), (layer_name.as_str(), layer)];
    for (name, bytes) in files {
        let mut header = plain(EntryType::Regular, 0o644, bytes.len());
        tar.append_data(&mut header, name, bytes).map_err(|error| format!("{name}: {error}"))?;
    }
    tar.into_inner().map_err(|error| error.to_string())
}
