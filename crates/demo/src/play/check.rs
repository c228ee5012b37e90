//! What only shows when the whole of the files is looked at: names of things that are not there, or there twice.

use std::collections::BTreeSet;

use super::{
    env::missing,
    model::{Container, EnvValue, Part, Pod, Source, StoredKind, Workload, World},
};

pub fn problems(world: &World) -> Vec<String> {
    let mut problems: Vec<_> = world.workloads.iter().flat_map(|workload| of(workload, world)).collect();
    let mut names = BTreeSet::new();
    for workload in &world.workloads {
        if !names.insert(&workload.name) {
            problems.push(format!("{}: expected a name of its own, another has it", workload.name));
        }
    }
    if world.workloads.is_empty() {
        problems.push("nothing to run: expected a Pod, a Deployment or a Job".into());
    }
    problems
}

fn of(workload: &Workload, world: &World) -> Vec<String> {
    let pod = &workload.pod;
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for container in pod.all() {
        if !names.insert(&container.name) {
            found.push(format!("{}: expected a name of its own, another container has it", container.name));
        }
        found.extend(of_container(container, pod, world));
    }
    for volume in &pod.volumes {
        let Source::Projected { parts, .. } = &volume.source else { continue };
        for part in parts {
            if let Part::Stored { kind, name, optional: false, .. } = part
                && world.stored(*kind, name).is_none()
            {
                found.push(format!("volume {}: {}", volume.name, missing(*kind, name)));
            }
        }
    }
    found.iter().map(|problem| format!("{}: {problem}", workload.name)).collect()
}

fn of_container(container: &Container, pod: &Pod, world: &World) -> Vec<String> {
    let mut found = Vec::new();
    let mut paths = BTreeSet::new();
    for mount in &container.mounts {
        if !pod.volumes.iter().any(|volume| volume.name == mount.volume) {
            found.push(format!("mounts {}, which is not a volume of the pod", mount.volume));
        }
        if !paths.insert(&mount.path) {
            found.push(format!("mounts two volumes on {}", mount.path));
        }
    }
    let mut wanted: Vec<(StoredKind, &str)> = Vec::new();
    wanted.extend(container.env_from.iter().filter(|from| !from.optional).map(|from| (from.kind, &*from.name)));
    wanted.extend(container.env.iter().filter_map(|(_, value)| match value {
        EnvValue::Key { kind, name, optional: false, .. } => Some((*kind, &**name)),
        _ => None,
    }));
    wanted.dedup();
    let gone = wanted.into_iter().filter(|(kind, name)| world.stored(*kind, name).is_none());
    found.extend(gone.map(|(kind, name)| missing(kind, name)));
    found.iter().map(|problem| format!("container {}: {problem}", container.name)).collect()
}
