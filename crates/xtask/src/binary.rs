//! The static binary of a sidecar: how it is built, and that it is one.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{shell, workspace::Workspace};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// What users get
    #[default]
    Release,
    /// Without link-time optimisation: minutes faster, a little bigger
    Ci,
}

impl Profile {
    fn name(self, fast: bool) -> &'static str {
        match self {
            Self::Release if fast => "fast",
            Self::Release => "release",
            Self::Ci => "ci",
        }
    }
}

/// The platform that is built on and for: cross-compiling needs a C compiler for `ring`, so it is left to the machine.
pub fn target() -> String {
    format!("{}-unknown-linux-gnu", env::consts::ARCH)
}

/// Builds a static-pie binary. The C library is linked in, name resolution included; the image needs nothing else.
pub fn build(workspace: &Workspace, name: &str, profile: Profile, fast: bool) -> Result<PathBuf, String> {
    let profile = profile.name(fast);
    // A folder of its own: other flags in the usual one would throw away everybody's build cache.
    let folder = workspace.target_directory.join("static");
    shell::run(
        Command::new("cargo")
            .current_dir(&workspace.root)
            .args(["build", "--quiet", "--locked", "--package", name, "--bin", name])
            .args(["--profile", profile, "--target", &target(), "--target-dir"])
            .arg(&folder)
            .env("CARGO_ENCODED_RUSTFLAGS", flags(&workspace.root).join("\u{1f}")),
    )?;
    let path = folder.join(target()).join(profile).join(name);
    check_static(&shell::read(&path)?).map_err(|problem| format!("{}: {problem}", path.display()))?;
    Ok(path)
}

fn flags(root: &Path) -> Vec<String> {
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned(), "-Crelocation-model=pie".to_owned()];
    if reads_packed_relocations() {
        flags.push("-Clink-arg=-Wl,-z,pack-relative-relocs".to_owned());
    }
    // Panic messages carry paths: they should be the same on every machine, and tell nothing about this one.
    let from = registries().into_iter().map(|folder| (folder, "/cargo")).chain([(root.to_owned(), "/pillion")]);
    flags.extend(from.map(|(folder, name)| format!("--remap-path-prefix={}={name}", folder.display())));
    flags
}

/// Where Cargo unpacks crates: a folder for each registry, named after it. The crates of this program are there, so
/// the folders exist before the first sidecar is built.
fn registries() -> Vec<PathBuf> {
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from).or(home);
    let sources = cargo_home.and_then(|home| fs::read_dir(home.join("registry/src")).ok());
    let mut folders: Vec<_> = sources.into_iter().flatten().flatten().map(|folder| folder.path()).collect();
    folders.sort();
    folders
}

/// Packed, the relocations of a static-pie are 200 KiB less. The C library that is linked in must be able to read them:
/// glibc can since 2.36, and an older one would crash at the start.
fn reads_packed_relocations() -> bool {
    let version = shell::output(Command::new("getconf").arg("GNU_LIBC_VERSION")).unwrap_or_default();
    let minor = version.trim().strip_prefix("glibc 2.").and_then(|minor| minor.split('.').next()?.parse::<u32>().ok());
    minor.is_some_and(|minor| minor >= 36)
}

/// Reads the ELF header: position independent, and no program interpreter (the dynamic loader, absent from the image).
pub fn check_static(elf: &[u8]) -> Result<(), String> {
    const DYNAMIC_OBJECT: usize = 3;
    const INTERPRETER: usize = 3;
    let malformed = || "expected a 64-bit little-endian ELF binary".to_owned();
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return Err(malformed());
    }
    if number(elf, 16, 2) != Some(DYNAMIC_OBJECT) {
        return Err("expected a position independent binary (static-pie)".into());
    }
    let table = number(elf, 32, 8).ok_or_else(malformed)?;
    let size = number(elf, 54, 2).ok_or_else(malformed)?;
    let count = number(elf, 56, 2).ok_or_else(malformed)?;
    for header in 0..count {
        let at = header.checked_mul(size).and_then(|offset| offset.checked_add(table)).ok_or_else(malformed)?;
        if number(elf, at, 4).ok_or_else(malformed)? == INTERPRETER {
            return Err("expected a static binary, this one asks for a dynamic loader (INTERP)".into());
        }
    }
    Ok(())
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let field = bytes.get(at..at.checked_add(width)?)?;
    Some(field.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_that_needs_a_loader_is_refused() {
        // This test itself is linked in the usual way.
        let own = shell::read(&env::current_exe().expect("a path")).expect("the running binary");
        let problem = check_static(&own).expect_err("it is dynamic");
        assert!(problem.contains("INTERP"), "{problem}");
        assert!(check_static(b"#!/bin/sh\n").is_err());
        assert!(check_static(&own[..40]).is_err());
    }
}
