//! Reads an image back, the way an engine would: what is in it, and that it is the same every time.
#![allow(clippy::disallowed_methods, reason = "reads its own archive, to its end")]

use std::{collections::BTreeMap, io::Read};

use serde_json::Value;
use tar::{Archive, EntryType};
use xtask::{
    archive::sha256,
    image,
    recipe::Recipe,
    rootfs::{self, Program},
    stamp::Stamp,
    workspace::Package,
};

const RECIPE: &str = r#"
cmd = ["--config", "/etc/app.yaml"]
links = ["/peer", "/bin/peer-too", "/sbin/old-peer"]
ports = ["9533/tcp"]
capabilities = ["cap_kill"]
dirs = ["/etc/app"]
"#;

fn package() -> Package {
    Package {
        name: "app".into(),
        version: "0.1.0".into(),
        description: Some("Does one job".into()),
        license: Some("Apache-2.0".into()),
        ..Package::default()
    }
}

fn made() -> Vec<u8> {
    let recipe = Recipe::parse(RECIPE).expect("a valid recipe");
    let stamp = Stamp { created: "2026-01-02T03:04:05Z".into(), revision: Some("c0ffee".into()) };
    let program = Program { name: "app", bytes: b"the binary".to_vec(), recipe: &recipe };
    let layer = rootfs::layer(&[program], b"certificates").expect("a root file system");
    let layer = layer.tar().expect("a layer");
    image::archive_of(&package(), &recipe, &stamp, &layer, "pillion/app:0.1.0").expect("an archive")
}

/// The files of an archive, by name.
fn opened(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in Archive::new(archive).entries().expect("a tar file") {
        let mut entry = entry.expect("an entry");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("its contents");
        files.insert(entry.path().expect("a path").display().to_string(), bytes);
    }
    files
}

struct Image {
    manifest: Value,
    config: Value,
    layer: Vec<u8>,
}

fn image() -> Image {
    let mut files = opened(&made());
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).expect("JSON");
    let mut named = |value: &Value| files.remove(value.as_str().expect("a name")).expect("a file of that name");
    let config = named(&manifest[0]["Config"]);
    assert_eq!(manifest[0]["Config"], format!("{}.json", sha256(&config)), "the name of the config is its digest");
    let config = serde_json::from_slice(&config).expect("JSON");
    let layer = named(&manifest[0]["Layers"][0]);
    Image { manifest, config, layer }
}

#[test]
fn the_same_input_makes_the_same_bytes() {
    assert_eq!(made(), made());
}

#[test]
fn digests_match_what_they_name() {
    let image = image();
    assert_eq!(image.manifest[0]["RepoTags"][0], "pillion/app:0.1.0");
    assert_eq!(image.manifest[0]["Layers"].as_array().expect("a list").len(), 1);
    assert_eq!(image.config["rootfs"]["diff_ids"][0], format!("sha256:{}", sha256(&image.layer)));
}

#[test]
fn the_config_says_how_to_run_it() {
    let image = image();
    let config = &image.config["config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"][0], "/bin/app");
    assert_eq!(config["Cmd"][1], "/etc/app.yaml");
    assert_eq!(config["StopSignal"], "SIGTERM");
    assert!(config["ExposedPorts"].get("9533/tcp").is_some());
    assert_eq!(config["Healthcheck"]["Test"], serde_json::json!(["CMD", "/bin/app", "healthcheck"]));
    assert_eq!(config["Env"][1], "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt");
}

#[test]
fn labels_say_what_is_known_and_nothing_else() {
    let image = image();
    let labels = image.config["config"]["Labels"].as_object().expect("labels");
    let label = |name: &str| labels.get(&format!("org.opencontainers.image.{name}")).and_then(Value::as_str);
    assert_eq!(label("vendor"), Some("Pillion"));
    assert_eq!(label("revision"), Some("c0ffee"));
    assert_eq!(label("created"), Some("2026-01-02T03:04:05Z"));
    assert_eq!(label("base.name"), Some("scratch"));
    assert_eq!(label("source"), None, "the package names no repository");
}

#[test]
fn the_binary_has_its_capability_permitted_and_not_effective() {
    let layer = image().layer;
    let mut found = Vec::new();
    for entry in Archive::new(layer.as_slice()).entries().expect("a tar file") {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").display().to_string();
        for extension in entry.pax_extensions().expect("readable headers").into_iter().flatten() {
            let extension = extension.expect("a header");
            found.push((path.clone(), extension.key().expect("a key").to_owned(), extension.value_bytes().to_vec()));
        }
    }
    let cap_kill = vec![0, 0, 0, 2, 1 << 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(found, [("bin/app".to_owned(), "SCHILY.xattr.security.capability".to_owned(), cap_kill)]);
}

#[test]
fn the_root_file_system_is_what_was_promised() {
    let layer = image().layer;
    let mut lines = Vec::new();
    for entry in Archive::new(layer.as_slice()).entries().expect("a tar file") {
        let entry = entry.expect("an entry");
        let header = entry.header();
        assert_eq!(header.mtime().expect("a time"), 0);
        assert_eq!((header.uid().expect("an owner"), header.gid().expect("a group")), (0, 0));
        let (path, mode) = (entry.path().expect("a path").display().to_string(), header.mode().expect("a mode"));
        let target = entry.link_name().expect("a target").map(|target| format!(" -> {}", target.display()));
        let kind = match header.entry_type() {
            EntryType::Directory => 'd',
            EntryType::Symlink => 'l',
            _ => '-',
        };
        lines.push(format!("{kind}{mode:04o} {path}{}", target.unwrap_or_default()));
    }
    let expected = [
        "d0755 bin/",
        "-0755 bin/app",
        "l0777 bin/peer-too -> app",
        "d0755 etc/",
        "d0755 etc/app/",
        "-0644 etc/group",
        "-0644 etc/passwd",
        "d0755 etc/ssl/",
        "d0755 etc/ssl/certs/",
        "-0644 etc/ssl/certs/ca-certificates.crt",
        "l0777 peer -> bin/app",
        "d0755 sbin/",
        "l0777 sbin/old-peer -> ../bin/app",
        "d1777 tmp/",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn the_user_is_one_the_image_knows() {
    let passwd = String::from_utf8(opened(&image().layer)["etc/passwd"].clone()).expect("text");
    assert!(passwd.contains("nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"), "{passwd}");
}

#[test]
fn an_image_of_several_has_each_with_its_own_names_and_no_entry_point() {
    let [first, second] =
        ["links = [\"/peer\"]\nports = [\"80/tcp\"]", "capabilities = [\"cap_kill\"]\nports = [\"9533/tcp\"]"]
            .map(|text| Recipe::parse(text).expect("a valid recipe"));
    let all = Recipe::parse("sidecars = [\"one\", \"two\"]").expect("a valid recipe");
    let all = all.holding(&[("one".into(), first.clone()), ("two".into(), second.clone())]);
    let programs = [("one", &first), ("two", &second)].map(|(name, recipe)| Program {
        name,
        bytes: name.as_bytes().to_vec(),
        recipe,
    });
    let layer = rootfs::layer(&programs, b"certificates").and_then(|layer| layer.tar()).expect("a layer");
    let names: Vec<_> = opened(&layer).into_keys().collect();
    for expected in ["bin/one", "bin/two", "peer"] {
        assert!(names.iter().any(|name| name == expected), "{expected} in {names:?}");
    }
    let config = xtask::archive::config(&package(), &all, &Stamp::default(), &layer);
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!([]));
    assert_eq!(config["config"].get("Healthcheck"), None, "which of them it would ask is not known");
    assert_eq!(config["config"]["ExposedPorts"], serde_json::json!({"80/tcp": {}, "9533/tcp": {}}));
}
