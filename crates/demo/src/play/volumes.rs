//! The volumes of a pod: directories, some of which have what ConfigMaps and Secrets say, and change with them.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
};

use super::{
    env::missing,
    instance::Instance,
    model::{Mount, Part, Source, StoredKind, World},
};
use crate::configmap::{ConfigMap, File};

pub struct Volumes {
    places: BTreeMap<String, PathBuf>,
    maps: Vec<Mounted>,
}

/// One that follows what it was made of.
struct Mounted {
    name: String,
    dir: ConfigMap,
    parts: Vec<Part>,
    mode: u32,
}

impl Volumes {
    /// `kept`: where claims live on when their pod is gone.
    pub fn make(instance: &Instance, world: &World, kept: &Path) -> Result<Self, String> {
        let mut volumes = Self { places: BTreeMap::new(), maps: Vec::new() };
        for volume in &instance.pod.volumes {
            let dir = instance.dir.join("volumes").join(&volume.name);
            let place = match &volume.source {
                Source::HostPath(path) => PathBuf::from(path),
                Source::Claim(name) => made(&kept.join(name), instance.pod.fs_group)?,
                Source::EmptyDir => made(&dir, instance.pod.fs_group)?,
                Source::Projected { parts, mode } => {
                    let dir = ConfigMap::new(made(&dir, None)?).map_err(|error| error.to_string())?;
                    let mut mounted = Mounted { name: volume.name.clone(), dir, parts: parts.clone(), mode: *mode };
                    mounted.put(instance, world)?;
                    let place = mounted.dir.dir().to_owned();
                    volumes.maps.push(mounted);
                    place
                }
            };
            let place = place.canonicalize().map_err(|error| format!("{}: {error}", place.display()))?;
            volumes.places.insert(volume.name.clone(), place);
        }
        Ok(volumes)
    }

    /// Where a mount leads. A subPath that is not there becomes a directory, as with a kubelet.
    pub fn place(&self, mount: &Mount) -> Result<PathBuf, String> {
        let place = self.places.get(&mount.volume).ok_or_else(|| format!("no volume {}", mount.volume))?;
        let Some(sub) = &mount.sub_path else { return Ok(place.clone()) };
        let path = place.join(sub);
        if !path.exists() {
            fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        let found = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
        if found.starts_with(place) { Ok(found) } else { Err(format!("subPath {sub}: leads out of its volume")) }
    }

    /// Brings new content to those that have some of these. The names of the volumes that changed.
    pub fn follow(
        &mut self,
        changed: &[(StoredKind, String)],
        instance: &Instance,
        world: &World,
    ) -> Vec<Result<String, String>> {
        let concerns = |part: &Part| match part {
            Part::Stored { kind, name, .. } => changed.iter().any(|(k, n)| k == kind && n == name),
            Part::Fields(_) => false,
        };
        let maps = self.maps.iter_mut().filter(|mounted| mounted.parts.iter().any(concerns));
        maps.map(|mounted| mounted.put(instance, world).map(|()| mounted.name.clone())).collect()
    }
}

fn made(dir: &Path, fs_group: Option<u32>) -> Result<PathBuf, String> {
    let say = |error: std::io::Error| format!("{}: {error}", dir.display());
    fs::create_dir_all(dir).map_err(say)?;
    // Whoever the containers are, they may write here.
    let mode = if fs_group.is_some() { 0o2777 } else { 0o777 };
    if let Some(group) = fs_group {
        // Not everybody may: then the files have the group of whoever makes them, and everybody may read those anyway.
        let _ = chown(dir, None, Some(group));
    }
    fs::set_permissions(dir, PermissionsExt::from_mode(mode)).map_err(say)?;
    Ok(dir.to_owned())
}

impl Mounted {
    fn put(&mut self, instance: &Instance, world: &World) -> Result<(), String> {
        let mut files = Vec::new();
        for part in &self.parts {
            files.append(&mut content(part, self.mode, instance, world)?);
        }
        self.dir.put(&files).map(drop).map_err(|error| format!("volume {}: {error}", self.name))
    }
}

fn content(part: &Part, mode: u32, instance: &Instance, world: &World) -> Result<Vec<File>, String> {
    match part {
        Part::Fields(items) => {
            let file = |(path, field): &(String, String)| {
                Ok(File { path: path.clone(), content: instance.field(field)?.into_bytes(), mode })
            };
            items.iter().map(file).collect()
        }
        Part::Stored { kind, name, items, optional } => match (world.stored(*kind, name), items) {
            (None, _) if *optional => Ok(Vec::new()),
            (None, _) => Err(missing(*kind, name)),
            (Some(map), None) => {
                let file =
                    |(key, content): (&String, &Vec<u8>)| File { path: key.clone(), content: content.clone(), mode };
                Ok(map.data.iter().map(file).collect())
            }
            (Some(map), Some(items)) => {
                let mut files = Vec::new();
                for item in items {
                    match map.data.get(&item.key) {
                        Some(content) => files.push(File {
                            path: item.path.clone(),
                            content: content.clone(),
                            mode: item.mode.unwrap_or(mode),
                        }),
                        None if *optional => {}
                        None => return Err(format!("{} {name} has no key {}", kind.word(), item.key)),
                    }
                }
                Ok(files)
            }
        },
    }
}
