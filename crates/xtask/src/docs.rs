//! `cargo xtask docs`: docs/reference is what the binaries say about themselves, never typed by hand.

use std::{
    fmt::Write,
    fs,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

use crate::{recipe::Recipe, shell, workspace::Workspace};

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Which pages: names of files in images/ [default: all of them]
    names: Vec<String>,
    /// Write nothing; fail if a page is not what would be written
    #[arg(long)]
    check: bool,
}

/// What every sidecar has beside its job.
const SUBCOMMANDS: [&str; 3] = ["healthcheck", "wait", "pause"];

pub fn run(options: &Options) -> Result<(), String> {
    let workspace = Workspace::load()?;
    let mut stale = Vec::new();
    for (name, recipe) in workspace.sidecar_recipes(&options.names)? {
        let place = format!("docs/reference/{name}.md");
        let path = workspace.root.join(&place);
        let page = page(&workspace, &name, &recipe)?;
        if !options.check {
            shell::write(&path, page)?;
            println!("{place}");
        } else if fs::read_to_string(&path).ok() != Some(page) {
            stale.push(format!("{place}: expected what {name} prints now, run: cargo xtask docs {name}"));
        }
    }
    if stale.is_empty() { Ok(()) } else { Err(stale.join("\n")) }
}

fn page(workspace: &Workspace, name: &str, recipe: &Recipe) -> Result<String, String> {
    shell::run(Command::new("cargo").current_dir(&workspace.root).args([
        "build",
        "--quiet",
        "--package",
        name,
        "--bin",
        name,
    ]))?;
    let binary = workspace.target_directory.join("debug").join(name);
    let mut page = format!(
        "<!-- Written by `cargo xtask docs` from what the binary prints. Change the code, not this page. -->\n\
         # {name}: reference\n"
    );
    let mut section = |title: &str, argv0: &str, args: &[&str]| {
        let text = help(&binary, argv0, args)?;
        write!(page, "\n## {title}\n\n```text\n{text}```\n").map_err(|error| error.to_string())
    };
    section("Flags", name, &["--help"])?;
    for subcommand in SUBCOMMANDS {
        section(&format!("`{name} {subcommand}`"), name, &[subcommand, "--help"])?;
    }
    // Not every sidecar has something to show.
    if help(&binary, name, &["status", "--help"]).is_ok() {
        section(&format!("`{name} status`"), name, &["status", "--help"])?;
    }
    for dialect in &recipe.dialects {
        section(&format!("Called as `{dialect}`"), dialect, &["--help"])?;
    }
    Ok(page)
}

/// Runs the binary under another name. The environment is empty because clap prints the values it finds there.
fn help(binary: &Path, argv0: &str, args: &[&str]) -> Result<String, String> {
    let mut command = Command::new(binary);
    command.arg0(argv0).args(args).env_clear().env("COLUMNS", "100").stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("{}: {error}", binary.display()))?;
    let shown = format!("{} (called {argv0}) {}", binary.display(), args.join(" "));
    if !output.status.success() {
        return Err(format!("{shown}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    if text.trim().is_empty() {
        return Err(format!("{shown}: expected help on stdout, found nothing"));
    }
    // Editors and git dislike blanks at the end of a line.
    Ok(text.trim_end().lines().map(|line| format!("{}\n", line.trim_end())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_read_under_the_name_of_a_peer_with_nothing_from_outside() {
        let script = "echo \"$0 ${HOME-unset} $COLUMNS  \"; echo";
        let text = help(Path::new("/bin/sh"), "peer", &["-c", script]).expect("a shell runs");
        assert_eq!(text, "peer unset 100\n");
    }

    #[test]
    fn a_binary_without_help_is_named() {
        let problem = help(Path::new("/bin/sh"), "peer", &["-c", "true"]).expect_err("it says nothing");
        assert_eq!(problem, "/bin/sh (called peer) -c true: expected help on stdout, found nothing");
        let problem = help(Path::new("/bin/sh"), "peer", &["-c", "echo no >&2; exit 64"]).expect_err("it fails");
        assert!(problem.ends_with("exit status: 64: no"), "{problem}");
    }
}
