//! A container of a manifest, with everything that it needs on this machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::process::Signal;

use super::{
    env::{self, expand},
    holder::{Holder, write_private},
    image::Image,
    inside::{Bind, Launch, Spaces, Who},
    instance::Instance,
    model::{Container, World},
    volumes::Volumes,
};

/// What one container runs with.
pub struct Plan {
    pub container: Container,
    pub env: Vec<(String, String)>,
    pub dir: String,
    pub who: Who,
    pub spaces: Spaces,
    pub stop: Signal,
    /// Written for the process that becomes the container.
    pub launch: PathBuf,
}

pub struct Around<'a> {
    pub instance: &'a Instance,
    pub holder: &'a Holder,
    pub world: &'a World,
    pub volumes: &'a Volumes,
    /// /etc/hosts of the pod.
    pub hosts: &'a str,
    /// More variables: those of Services.
    pub env: &'a [(String, String)],
}

impl Plan {
    pub fn make(container: &Container, mut image: Image, around: &Around<'_>) -> Result<Self, String> {
        let (instance, spaces) = (around.instance, &around.holder.spaces);
        let dir = instance.dir.join("containers").join(&container.name);
        let root = dir.join("root");
        fs::create_dir_all(&root).map_err(|error| format!("{}: {error}", root.display()))?;
        let mut base = image.env.clone();
        let is_mounted = |path: &String| container.mounts.iter().any(|mount| mount.path == *path);
        base.extend(image.env_of_mounts.iter().filter(|(_, path)| is_mounted(path)).cloned());
        base.push(("HOSTNAME".into(), instance.name.clone()));
        base.extend_from_slice(around.env);
        let env = env::resolve(container, instance, around.world, &base)?;
        let words = words(container, &image, &env);
        let mut who = image.who.clone();
        if let Some(user) = container.user {
            // A user who is not in the image's list of users has group 0, as with every container runtime.
            (who.group, who.user) = (if user == who.user { who.group } else { 0 }, user);
        }
        who.group = container.group.unwrap_or(who.group);
        who.groups.extend(instance.pod.fs_group);
        if let Some(user) = image.not_root.filter(|_| !spaces.all_users && who.user == 0) {
            who.user = user;
        }
        image.binds.extend(binds(container, around.volumes)?);
        image.files.push(("/etc/hosts".into(), around.hosts.into()));
        image.files.push(("/etc/hostname".into(), format!("{}\n", instance.name)));
        let work_in = container.dir.clone().unwrap_or(image.dir);
        let launch = Launch {
            spaces: spaces.clone(),
            root,
            base: image.base,
            files: image.files,
            links: image.links,
            binds: image.binds,
            words,
            env: env.clone(),
            dir: work_in.clone(),
            who: who.clone(),
            read_only: container.read_only_root,
        };
        let path = dir.join("launch.json");
        write_private(&path, &launch)?;
        let (container, stop) = (container.clone(), container.stop.unwrap_or(image.stop));
        Ok(Self { container, env, dir: work_in, who, spaces: spaces.clone(), stop, launch: path })
    }

    /// Where `demo exec` looks for it.
    pub fn enter_file(launch: &Path) -> PathBuf {
        launch.with_file_name("enter.json")
    }
}

/// `command` replaces the image's entry point and its arguments, `args` its arguments only.
fn words(container: &Container, image: &Image, env: &[(String, String)]) -> Vec<String> {
    let expanded = |words: &[String]| words.iter().map(|word| expand(word, env)).collect::<Vec<_>>();
    let mut words = match &container.command {
        Some(command) => expanded(command),
        None => image.entry.clone(),
    };
    match &container.args {
        Some(args) => words.append(&mut expanded(args)),
        None if container.command.is_none() => words.extend_from_slice(&image.args),
        None => {}
    }
    words
}

fn binds(container: &Container, volumes: &Volumes) -> Result<Vec<Bind>, String> {
    let bind = |mount: &super::model::Mount| {
        let from = volumes.place(mount)?;
        Ok(Bind { from, to: mount.path.trim_end_matches('/').to_owned(), read_only: mount.read_only })
    };
    let mut binds = container.mounts.iter().map(bind).collect::<Result<Vec<_>, String>>()?;
    // What lies in something else is mounted after it.
    binds.sort_by_key(|bind| bind.to.matches('/').count());
    Ok(binds)
}
