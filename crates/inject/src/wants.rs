//! What a pod asks for, by its annotations or on the command line.

use crate::{
    pods::Pod,
    sidecars::{self, Plain, Sidecar, Wishes},
    tree::{Kind, Node},
};

/// Every annotation of ours begins with this.
pub const DOMAIN: &str = "pillion.dev/";

/// What was asked for on the command line.
#[derive(Debug, Clone)]
pub struct Options {
    /// For every pod, whatever its annotations say.
    pub sidecars: Vec<String>,
    /// What stands before the name of each image.
    pub prefix: String,
    pub tag: String,
    /// Ordinary containers, for clusters that know no native sidecars.
    pub plain: bool,
}

/// A sidecar and how this pod wants it.
pub type Want = (&'static Sidecar, Wishes);

/// All problems at once, each with its line.
pub fn of(pod: &Pod<'_>, options: &Options) -> Result<Vec<Want>, Vec<(usize, String)>> {
    let line = pod.spec.line;
    let mut problems = Vec::new();
    let mut names: Vec<(usize, &str)> = options.sidecars.iter().map(|name| (line, name.as_str())).collect();
    let value = |key: &str| {
        let found = pod.annotations.iter().rev().find(|(name, _)| name.strip_prefix(DOMAIN) == Some(key));
        found.map(|(_, node)| (node.line, node.text().unwrap_or_default()))
    };
    if let Some((line, list)) = value("inject") {
        names.extend(list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(|name| (line, name)));
    }
    for (name, node) in pod.annotations.iter().filter(|(name, _)| name.starts_with(DOMAIN)) {
        if !is_known(&name[DOMAIN.len()..]) {
            problems.push((node.line, format!("annotation {name}: expected one of {}", known())));
        }
    }
    let mut wanted: Vec<&Sidecar> = Vec::new();
    for (line, name) in names {
        match sidecars::named(name) {
            Ok(sidecar) => wanted.push(sidecar),
            Err(problem) => problems.push((line, format!("{DOMAIN}inject: {problem}"))),
        }
    }
    let exit_when = value("exit-when").map(|(_, file)| file.to_owned());
    if options.plain && pod.is_job {
        let endless = wanted.iter().filter_map(|sidecar| endless(sidecar, exit_when.as_deref()));
        problems.extend(endless.map(|problem| (line, format!("{}: {problem}", pod.place))));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let in_order = sidecars::SIDECARS.iter().filter(|sidecar| wanted.iter().any(|wanted| wanted.name == sidecar.name));
    let wishes = |sidecar: &Sidecar| {
        let own = |what: &str| value(&format!("{}-{what}", sidecar.name)).map(|(_, text)| text.to_owned());
        let log_dir = value("log-dir").map(|(_, folder)| folder.to_owned());
        let folder = log_dir.clone().or_else(|| sidecar.shared.map(|(_, folder)| folder.to_owned()));
        let image = || format!("{}/{}:{}", options.prefix, sidecar.name, options.tag);
        Wishes {
            image: own("image").unwrap_or_else(image),
            config_map: own("config"),
            secret: own("secret"),
            log_volume: sidecar.shared.and_then(|_| mounted_at(pod.spec, &folder?)),
            log_dir,
            plain: options.plain.then(|| Plain { exit_when: exit_when.clone() }),
        }
    };
    Ok(in_order.map(|sidecar| (sidecar, wishes(sidecar))).collect())
}

/// An ordinary container that never ends keeps its job from ending.
fn endless(sidecar: &Sidecar, exit_when: Option<&str>) -> Option<String> {
    let name = sidecar.name;
    match (sidecar.ends_by_file, exit_when) {
        (true, Some(_)) => None,
        (true, None) => Some(format!(
            "{name} would keep the job from ending: expected the annotation {DOMAIN}exit-when, with a file that exists \
             when the work is done"
        )),
        (false, _) => Some(format!(
            "{name} would keep the job from ending: expected Kubernetes 1.29, or a manifest of your own with --allow-quit \
             and a job that posts to /quitquitquit"
        )),
    }
}

fn is_known(key: &str) -> bool {
    let of_sidecar = |sidecar: &Sidecar| {
        key.strip_prefix(sidecar.name).is_some_and(|rest| matches!(rest, "-config" | "-secret" | "-image"))
    };
    matches!(key, "inject" | "log-dir" | "exit-when") || sidecars::SIDECARS.iter().any(of_sidecar)
}

fn known() -> String {
    format!("{DOMAIN}{{inject, log-dir, exit-when, SIDECAR-config, SIDECAR-secret, SIDECAR-image}}")
}

/// The volume that a container of the app has at this place already.
fn mounted_at(spec: &Node, folder: &str) -> Option<String> {
    let containers = spec.get("containers").map(Node::items).unwrap_or_default();
    let mounts = containers.iter().filter_map(|container| container.get("volumeMounts")).flat_map(Node::items);
    let mut there = mounts.filter(|mount| {
        let path = mount.get("mountPath").and_then(Node::text).unwrap_or_default();
        path.trim_end_matches('/') == folder.trim_end_matches('/') && !matches!(mount.kind, Kind::Alias)
    });
    there.find_map(|mount| mount.get("name")?.text().map(str::to_owned))
}
