//! `cargo demo exec POD -c CONTAINER -- COMMAND`: a command in a container that plays, as `kubectl exec`.

use std::{path::PathBuf, process::ExitCode};

use super::{
    inside::{self, Enter},
    place,
};

#[derive(clap::Args)]
pub struct Args {
    /// The pod
    pod: String,

    /// The container; not needed if there is one only
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,

    /// As kubectl has it; here a command always has what we have
    #[arg(short = 'i', long, hide = true)]
    stdin: bool,

    #[arg(short = 't', long, hide = true)]
    tty: bool,

    /// Where it plays, if that was said with --dir
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    #[arg(last = true, required = true, value_name = "COMMAND")]
    words: Vec<String>,
}

/// Before there is a runtime: a process that has threads cannot step into another user namespace.
pub fn run(args: &Args) -> ExitCode {
    let done = find(args).and_then(|path| {
        let enter: Enter = inside::read(&path)?;
        inside::enter(None, &Enter { words: args.words.clone(), ..enter })
    });
    done.unwrap_or_else(|problem| super::super::failed(&problem))
}

fn find(args: &Args) -> Result<PathBuf, String> {
    let dirs = match &args.dir {
        Some(dir) => vec![dir.clone()],
        None => {
            let all = place::default("");
            let entries =
                std::fs::read_dir(&all).map_err(|_| "nothing plays here, or elsewhere: say where with --dir")?;
            entries.flatten().map(|entry| entry.path()).collect()
        }
    };
    let pods = dirs.iter().map(|dir| dir.join("pods").join(&args.pod).join("containers"));
    let pod = pods.into_iter().find(|path| path.is_dir()).ok_or_else(|| format!("pod {}: not here", args.pod))?;
    let entries = std::fs::read_dir(&pod).map_err(|error| format!("{}: {error}", pod.display()))?;
    let mut names: Vec<_> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let name = match &args.container {
        Some(name) => names.iter().find(|known| *known == name),
        None if names.len() == 1 => names.first(),
        None => None,
    };
    let name = name.ok_or_else(|| format!("expected -c and one of {}", names.join(", ")))?;
    Ok(pod.join(name).join("enter.json"))
}
