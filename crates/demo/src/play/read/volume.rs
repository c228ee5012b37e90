//! The volumes of a pod.

use common::config::Section;

use super::{Reading, flag};
use crate::play::model::{Item, Part, Source, StoredKind, Volume};

/// Readable by everybody, as a kubelet makes them.
const MODE: u32 = 0o644;

pub fn volumes(spec: &mut Section, reading: &mut Reading) -> Vec<Volume> {
    spec.sections("volumes").iter_mut().filter_map(|section| volume(section, reading)).collect()
}

fn volume(section: &mut Section, reading: &Reading) -> Option<Volume> {
    let name = section.required("name");
    let source = source(section, reading);
    if source.is_none() {
        section.problem(
            "expected one of emptyDir, configMap, secret, projected, downwardAPI, persistentVolumeClaim, hostPath",
        );
    }
    Some(Volume { name: name?, source: source? })
}

fn source(section: &mut Section, reading: &Reading) -> Option<Source> {
    if section.has("emptyDir") {
        let mut dir = section.section("emptyDir").unwrap_or_else(Section::empty);
        reading.skip(&mut dir, &["medium", "sizeLimit"]);
        return Some(Source::EmptyDir);
    }
    if let Some(mut claim) = section.section("persistentVolumeClaim") {
        reading.skip(&mut claim, &["readOnly"]);
        return claim.required("claimName").map(Source::Claim);
    }
    if let Some(mut path) = section.section("hostPath") {
        reading.skip(&mut path, &["type"]);
        return path.required("path").map(Source::HostPath);
    }
    if let Some(mut projected) = section.section("projected") {
        let mode = mode(&mut projected, "defaultMode").unwrap_or(MODE);
        let mut parts = Vec::new();
        for part in &mut projected.sections("sources") {
            reading.skip(part, &["serviceAccountToken", "clusterTrustBundle", "podCertificate"]);
            let found = stored(part, "configMap", "name", StoredKind::ConfigMap)
                .or_else(|| stored(part, "secret", "name", StoredKind::Secret))
                .or_else(|| part.section("downwardAPI").map(|mut api| fields(&mut api, reading)));
            match found {
                Some((found, _)) => parts.push(found),
                None => part.problem("expected one of configMap, secret, downwardAPI"),
            }
        }
        return Some(Source::Projected { parts, mode });
    }
    let found = stored(section, "configMap", "name", StoredKind::ConfigMap)
        .or_else(|| stored(section, "secret", "secretName", StoredKind::Secret))
        .or_else(|| section.section("downwardAPI").map(|mut api| fields(&mut api, reading)));
    found.map(|(part, mode)| Source::Projected { parts: vec![part], mode: mode.unwrap_or(MODE) })
}

fn stored(section: &mut Section, key: &str, name: &str, kind: StoredKind) -> Option<(Part, Option<u32>)> {
    let mut source = section.section(key)?;
    let default = mode(&mut source, "defaultMode");
    let items = source.has("items").then(|| {
        let items = source.sections("items").into_iter().filter_map(|mut item| {
            let mode = mode(&mut item, "mode");
            let (key, path) = (item.required("key"), item.required("path"));
            Some(Item { key: key?, path: path?, mode })
        });
        items.collect()
    });
    let optional = flag(&mut source, "optional");
    let name = source.required(name)?;
    Some((Part::Stored { kind, name, items, optional }, default))
}

fn fields(section: &mut Section, reading: &Reading) -> (Part, Option<u32>) {
    let default = mode(section, "defaultMode");
    let items = section.sections("items").into_iter().filter_map(|mut item| {
        reading.skip(&mut item, &["mode"]);
        let path = item.required("path");
        let mut field = item.section("fieldRef")?;
        reading.skip(&mut field, &["apiVersion"]);
        Some((path?, field.required("fieldPath")?))
    });
    (Part::Fields(items.collect()), default)
}

/// Octal as in YAML 1.1, where a leading 0 says so; decimal as in JSON.
fn mode(section: &mut Section, key: &str) -> Option<u32> {
    let text: String = section.parsed(key)?;
    let digits = text.trim_start_matches("0o");
    let octal = text.starts_with('0') && text.len() > 1;
    let mode = if octal { u32::from_str_radix(digits, 8) } else { text.parse() };
    if mode.is_err() {
        section.problem(format!("{key} \"{text}\": expected a mode such as 0644"));
    }
    mode.ok()
}
