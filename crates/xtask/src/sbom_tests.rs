//! A graph of four crates, made by hand: what of it gets into the bill.

use super::*;

const METADATA: &str = r#"{
  "packages": [
    { "id": "p/app", "name": "app", "version": "0.1.0", "license": "Apache-2.0", "source": null },
    { "id": "p/values", "name": "values", "version": "0.1.0", "license": "Apache-2.0", "source": null },
    { "id": "r/libc", "name": "libc", "version": "0.2.1", "license": "MIT / Apache-2.0", "source": "registry" },
    { "id": "r/cc", "name": "cc", "version": "1.0.0", "license": "MIT", "source": "registry" }
  ],
  "resolve": { "nodes": [
    { "id": "p/app", "deps": [
      { "pkg": "p/values", "dep_kinds": [{ "kind": null }] },
      { "pkg": "r/cc", "dep_kinds": [{ "kind": "build" }] } ] },
    { "id": "p/values", "deps": [{ "pkg": "r/libc", "dep_kinds": [{ "kind": null }] }] },
    { "id": "r/libc", "deps": [] },
    { "id": "r/cc", "deps": [] } ] }
}"#;

const TREE: &str = "app v0.1.0 (/src/app)\nvalues v0.1.0 (/src/values)\nlibc v0.2.1\nlibc v0.2.1 (*)\n";

const LOCK: &str = "version = 4\n[[package]]\nname = \"libc\"\nversion = \"0.2.1\"\nchecksum = \"ab12\"\n";

fn package(name: &str) -> Package {
    Package { name: name.into(), version: "0.1.0".into(), ..Package::default() }
}

fn made(created: &str) -> String {
    made_for("app", created)
}

fn made_for(name: &str, created: &str) -> String {
    let metadata = serde_json::from_str(METADATA).expect("valid metadata");
    let stamp = Stamp { created: created.into(), revision: None };
    let toolchain = [("glibc", "2.36".to_owned())];
    let linked: Vec<_> = crates_of(TREE).collect();
    document(&package(name), &metadata, &linked, LOCK, &toolchain, &stamp).expect("a document")
}

#[test]
fn only_what_is_linked_is_listed() {
    let bill: Value = serde_json::from_str(&made("1970-01-01T00:00:00Z")).expect("valid JSON");
    assert_eq!(bill["metadata"]["component"]["name"], "app");
    let names: Vec<_> = bill["components"].as_array().expect("a list").iter().map(|item| &item["name"]).collect();
    assert_eq!(names, ["libc", "glibc", "values"]);
}

#[test]
fn an_image_of_several_lists_its_programs_as_well() {
    let bill: Value = serde_json::from_str(&made_for("all", "1970-01-01T00:00:00Z")).expect("valid JSON");
    assert_eq!(bill["metadata"]["component"]["bom-ref"], "image:all@0.1.0");
    let names: Vec<_> = bill["components"].as_array().expect("a list").iter().map(|item| &item["name"]).collect();
    assert_eq!(names, ["libc", "glibc", "app", "values"]);
}

#[test]
fn a_published_crate_has_its_address_hash_and_licence() {
    let bill: Value = serde_json::from_str(&made("1970-01-01T00:00:00Z")).expect("valid JSON");
    let libc = &bill["components"][0];
    assert_eq!(libc["purl"], "pkg:cargo/libc@0.2.1");
    assert_eq!(libc["hashes"][0]["content"], "ab12");
    assert_eq!(libc["licenses"][0]["expression"], "MIT OR Apache-2.0");
    assert_eq!(bill["components"][2]["purl"], Value::Null, "ours is on no registry");
}

#[test]
fn dependencies_are_those_of_the_binary() {
    let bill: Value = serde_json::from_str(&made("1970-01-01T00:00:00Z")).expect("valid JSON");
    let app = &bill["dependencies"].as_array().expect("a list")[1];
    assert_eq!(*app, json!({ "ref": "workspace:app@0.1.0", "dependsOn": ["workspace:values@0.1.0"] }));
}

#[test]
fn the_serial_number_follows_the_contents() {
    assert_eq!(made("1970-01-01T00:00:00Z"), made("1970-01-01T00:00:00Z"));
    let serial = |text: &str| serde_json::from_str::<Value>(text).expect("valid JSON")["serialNumber"].to_string();
    let [one, other] = ["1970-01-01T00:00:00Z", "2020-01-01T00:00:00Z"].map(|created| serial(&made(created)));
    assert_ne!(one, other);
    assert_eq!(one.len(), "\"urn:uuid:01234567-0123-8123-8123-0123456789ab\"".len());
}
