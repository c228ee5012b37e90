//! The file system of one container, and then its program.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    unistd::{chdir, pivot_root},
};

use super::{Base, Launch, devices, leash, machine, mounts, tell, who};

/// Where the outside is, until everything that is needed of it has been mounted.
pub const OUTSIDE: &str = "/.outside";

/// Programs that somebody else starts may only be found by its libraries.
const LIBRARIES: [&str; 4] = ["lib", "lib64", "usr/lib", "usr/lib64"];

pub fn run(launch: &Launch) -> Result<ExitCode, String> {
    let nothing = None::<&str>;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)
        .map_err(|error| format!("cannot keep mounts to ourselves: {error}"))?;
    mount(Some("tmpfs"), &launch.root, Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))
        .map_err(|error| format!("no file system for the container: {error}"))?;
    lay_out(launch)?;
    let outside = launch.root.join(OUTSIDE.trim_start_matches('/'));
    fs::create_dir(&outside).map_err(|error| error.to_string())?;
    pivot_root(&launch.root, &outside).map_err(|error| format!("cannot change the root: {error}"))?;
    chdir("/").map_err(|error| error.to_string())?;
    devices::mount_all(launch)?;
    for (path, text) in &launch.files {
        put(path, text)?;
    }
    for (path, target) in &launch.links {
        link(path, target)?;
    }
    for bind in &launch.binds {
        mounts::bind(bind)?;
    }
    umount2(OUTSIDE, MntFlags::MNT_DETACH).map_err(|error| format!("cannot leave the outside: {error}"))?;
    fs::remove_dir(OUTSIDE).map_err(|error| format!("{OUTSIDE}: {error}"))?;
    work_in(&launch.dir)?;
    if launch.read_only {
        // Now that everything has its place. Volumes keep what they were given.
        mounts::make_read_only("/")?;
        machine::freeze(&launch.binds)?;
    }
    who::be(&launch.who, launch.spaces.all_users)?;
    leash(None)?;
    become_it(launch)
}

fn lay_out(launch: &Launch) -> Result<(), String> {
    let say = |error: std::io::Error| format!("{}: {error}", launch.root.display());
    for dir in ["proc", "sys", "dev", "tmp", "run", "etc", "bin"] {
        if launch.base == Base::Scratch || !matches!(dir, "etc" | "bin") {
            fs::create_dir(launch.root.join(dir)).map_err(say)?;
        }
    }
    fs::set_permissions(launch.root.join("tmp"), PermissionsExt::from_mode(0o1777)).map_err(say)?;
    match launch.base {
        Base::Machine => {
            let files = launch.files.iter().chain(&launch.links).map(|(path, _)| &**path);
            let wanted: Vec<_> = files.chain(launch.binds.iter().map(|bind| &*bind.to)).collect();
            machine::layers(&launch.root, &wanted)
        }
        Base::Scratch => LIBRARIES.iter().try_for_each(|name| machine::library(&launch.root, name)),
    }
}

fn put(path: &str, text: &str) -> Result<(), String> {
    make_parent(path)?;
    // What is there may be a link to somewhere else.
    let _ = fs::remove_file(path);
    fs::write(path, text).map_err(|error| format!("{path}: {error}"))
}

fn link(path: &str, target: &str) -> Result<(), String> {
    make_parent(path)?;
    let _ = fs::remove_file(path);
    std::os::unix::fs::symlink(target, path).map_err(|error| format!("{path}: {error}"))
}

pub fn make_parent(path: &str) -> Result<(), String> {
    let parent = Path::new(path).parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(|error| {
        format!(
            "{}: {error}: this directory of the machine cannot be covered; choose another mountPath",
            parent.display()
        )
    })
}

/// A runtime makes the directory that is missing.
fn work_in(dir: &str) -> Result<(), String> {
    let _ = fs::create_dir_all(dir);
    chdir(dir).map_err(|error| format!("workingDir {dir}: {error}"))
}

/// Only returns if it cannot.
fn become_it(launch: &Launch) -> Result<ExitCode, String> {
    let Some((program, args)) = launch.words.split_first() else {
        return Err("no command: neither the manifest nor the image has one".into());
    };
    let error = Command::new(program)
        .args(args)
        .env_clear()
        .envs(launch.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .exec();
    let words = match error.kind() {
        std::io::ErrorKind::NotFound => "no such program in this container".to_owned(),
        _ => error.to_string(),
    };
    tell(&format!("problem {program}: {words}"));
    Ok(ExitCode::from(128))
}
