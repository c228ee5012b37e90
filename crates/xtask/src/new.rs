//! `cargo xtask new NAME`: a complete sidecar that passes CI, to go on from.

use std::{fs, path::PathBuf, process::Command};

use crate::{shell, workspace::Workspace};

#[derive(clap::Args)]
pub struct Options {
    /// What it will be called, everywhere: lower case, words joined by hyphens
    name: String,
    /// Its admin port, one that no other sidecar of a pod has
    #[arg(long, default_value_t = 9540)]
    port: u16,
}

/// Where each file of the template goes.
const FILES: [(&str, &str); 11] = [
    ("crates/@NAME@/Cargo.toml", include_str!("../template/Cargo.toml.in")),
    ("crates/@NAME@/src/main.rs", include_str!("../template/main.rs.in")),
    ("crates/@NAME@/src/lib.rs", include_str!("../template/lib.rs.in")),
    ("crates/@NAME@/src/args.rs", include_str!("../template/args.rs.in")),
    ("crates/@NAME@/src/config.rs", include_str!("../template/config.rs.in")),
    ("crates/@NAME@/src/events.rs", include_str!("../template/events.rs.in")),
    ("crates/@NAME@/src/greet.rs", include_str!("../template/greet.rs.in")),
    ("tests/@SNAKE@.rs", include_str!("../template/test.rs.in")),
    ("images/@NAME@.toml", include_str!("../template/image.toml.in")),
    ("manifests/@NAME@/native.yaml", include_str!("../template/native.yaml.in")),
    ("docs/@NAME@.md", include_str!("../template/docs.md.in")),
];

pub fn run(options: &Options) -> Result<(), String> {
    let name = &options.name;
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !name.split('-').all(is_word) || name.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(format!("\"{name}\": expected lower case words joined by hyphens, such as data-sync"));
    }
    let root = Workspace::load()?.root;
    let files = FILES.map(|(path, text)| (root.join(filled(path, options)), filled(text, options)));
    // Nothing is written unless all of it can be.
    if let Some((path, _)) = files.iter().find(|(path, _)| path.exists()) {
        return Err(format!("{}: already there", path.display()));
    }
    for (path, text) in &files {
        written(path, text)?;
        println!("{}", path.strip_prefix(&root).unwrap_or(path).display());
    }
    // Where an import stands depends on the name.
    shell::run(Command::new("cargo").current_dir(&root).args(["fmt", "--package", name]))?;
    println!("\nNext: cargo test -p {name} && cargo xtask docs");
    Ok(())
}

fn filled(text: &str, options: &Options) -> String {
    let snake = options.name.replace('-', "_");
    text.replace("@NAME@", &options.name).replace("@SNAKE@", &snake).replace("@PORT@", &options.port.to_string())
}

fn written(path: &PathBuf, text: &str) -> Result<(), String> {
    let folder = path.parent().ok_or("a file has a folder")?;
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}
