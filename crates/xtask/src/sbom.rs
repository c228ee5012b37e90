//! The bill of materials beside an image: CycloneDX 1.6, of what is really linked into that binary.

use std::{collections::BTreeMap, process::Command};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    archive::{VENDOR, sha256},
    binary, shell,
    stamp::Stamp,
    workspace::{Package, Workspace},
};

/// `cargo metadata`, as far as it is needed here.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    packages: Vec<Crate>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Crate {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    /// None for a crate of this workspace.
    source: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Debug, Deserialize)]
struct Kind {
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Debug, Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// `package` is what the image is called, `programs` are the crates whose binaries are in it.
pub fn of(workspace: &Workspace, package: &Package, programs: &[&str], stamp: &Stamp) -> Result<String, String> {
    let cargo = |args: &[&str]| shell::output(Command::new("cargo").current_dir(&workspace.root).args(args));
    let target = binary::target();
    let metadata = cargo(&["metadata", "--locked", "--format-version", "1", "--filter-platform", &target])?;
    let metadata: Metadata = serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    // The metadata has the features of the whole workspace; only `cargo tree` knows what one package gets.
    let edges = "normal,no-proc-macro";
    let mut linked = Vec::new();
    for program in programs {
        let tree = cargo(&["tree", "--locked", "-p", program, "-e", edges, "--prefix", "none", "--target", &target])?;
        linked.extend(crates_of(&tree));
    }
    let lock = shell::read_text(&workspace.root.join("Cargo.lock"))?;
    let toolchain = toolchain()?;
    document(package, &metadata, &linked, &lock, &toolchain, stamp)
}

/// What no crate graph names and every static binary contains: Rust's standard library and the C library.
fn toolchain() -> Result<Vec<(&'static str, String)>, String> {
    let last_word = |text: String, nth: usize| text.split_whitespace().nth(nth).unwrap_or("unknown").to_owned();
    let rust = shell::output(Command::new("rustc").arg("--version"))?;
    let libc = shell::output(Command::new("getconf").arg("GNU_LIBC_VERSION"))?;
    Ok(vec![("glibc", last_word(libc, 1)), ("rust-std", last_word(rust, 1))])
}

/// Name and version of each line: `serde v1.0.228 (*)`, `values v0.1.0 (/path/of/it)`.
fn crates_of(tree: &str) -> impl Iterator<Item = (String, String)> {
    tree.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    })
}

fn document(
    package: &Package,
    metadata: &Metadata,
    linked: &[(String, String)],
    lock: &str,
    toolchain: &[(&str, String)],
    stamp: &Stamp,
) -> Result<String, String> {
    let lock: Lock = toml::from_str(lock).map_err(|error| format!("Cargo.lock: {error}"))?;
    let is_linked = |item: &&Crate| linked.contains(&(item.name.clone(), item.version.clone()));
    let crates: BTreeMap<&str, &Crate> =
        metadata.packages.iter().filter(is_linked).map(|item| (item.id.as_str(), item)).collect();
    // None for an image of several: there the sidecars are components like the rest.
    let root = crates.values().find(|item| item.name == package.name && item.source.is_none());
    let whole = root.map_or_else(|| image(package), |root| component(root, "application", &lock));

    let others = crates.values().filter(|item| root.is_none_or(|root| item.id != root.id));
    let mut components: Vec<_> = others.map(|item| component(item, "library", &lock)).collect();
    for (name, version) in toolchain {
        let reference = format!("toolchain:{name}@{version}");
        components.push(json!({ "type": "library", "bom-ref": reference, "name": name, "version": version }));
    }
    let by_reference = |value: &Value| value["bom-ref"].to_string();
    components.sort_by_key(by_reference);

    let mut document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": stamp.created,
            "supplier": { "name": VENDOR },
            "tools": { "components": [{ "type": "application", "name": "cargo xtask image" }] },
            "component": whole,
        },
        "components": components,
        "dependencies": dependencies(metadata, &crates),
    });
    // A serial number should be unlike all others, and yet the same for the same contents: so it is their hash.
    document["serialNumber"] = json!(serial_number(&document.to_string()));
    serde_json::to_string_pretty(&document).map(|text| text + "\n").map_err(|error| error.to_string())
}

fn reference(item: &Crate) -> String {
    let kind = if item.source.is_some() { "crate" } else { "workspace" };
    format!("{kind}:{}@{}", item.name, item.version)
}

fn image(package: &Package) -> Value {
    let Package { name, version, .. } = package;
    json!({ "type": "container", "bom-ref": format!("image:{name}@{version}"), "name": name, "version": version })
}

fn component(item: &Crate, kind: &str, lock: &Lock) -> Value {
    let mut component = json!({
        "type": kind,
        "bom-ref": reference(item),
        "name": item.name,
        "version": item.version,
    });
    if let Some(license) = &item.license {
        // Old crates write a slash where SPDX says OR.
        let words: Vec<_> = license.split('/').map(str::trim).collect();
        component["licenses"] = json!([{ "expression": words.join(" OR ") }]);
    }
    // No address for our own: a scanner would take `values` for the crate of that name on crates.io.
    if item.source.is_some() {
        component["purl"] = json!(format!("pkg:cargo/{}@{}", item.name, item.version));
    }
    let locked = lock.package.iter().find(|locked| locked.name == item.name && locked.version == item.version);
    if let Some(checksum) = locked.and_then(|locked| locked.checksum.as_ref()) {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

fn dependencies(metadata: &Metadata, crates: &BTreeMap<&str, &Crate>) -> Vec<Value> {
    let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in &metadata.resolve.nodes {
        let Some(item) = crates.get(node.id.as_str()) else {
            continue;
        };
        let normal = node.deps.iter().filter(|edge| edge.dep_kinds.iter().any(|kind| kind.kind.is_none()));
        let mut needs: Vec<_> = normal.filter_map(|edge| crates.get(edge.pkg.as_str())).map(|i| reference(i)).collect();
        needs.sort();
        needs.dedup();
        rows.insert(reference(item), needs);
    }
    rows.into_iter().map(|(item, needs)| json!({ "ref": item, "dependsOn": needs })).collect()
}

/// A UUID of version 8: the one whose bits are its maker's own business.
fn serial_number(content: &str) -> String {
    let hash = sha256(content.as_bytes());
    let [a, b, c, d, e] = [&hash[..8], &hash[8..12], &hash[13..16], &hash[17..20], &hash[20..32]];
    format!("urn:uuid:{a}-{b}-8{c}-8{d}-{e}")
}

#[cfg(test)]
#[path = "sbom_tests.rs"]
mod tests;
