//! All files of a command line as one stream.

use std::path::{Path, PathBuf};

use crate::{DOMAIN, Options, Outcome, inject};

/// What a tool renders can be long. A cluster takes 1.5 MiB for one object.
const LARGEST: u64 = 64 << 20;

/// The problems of all of them, each with its place, or one text of them all.
pub fn inject_all(files: &[PathBuf], options: &Options, with_config: bool) -> Result<Outcome, Vec<String>> {
    let (mut all, mut problems) = (Outcome { text: String::new(), said: Vec::new() }, Vec::new());
    for file in files {
        let place = |problem| format!("{}:{problem}", file.display());
        let outcome = read(file).and_then(|text| {
            inject(&text, options, with_config).map_err(|wrong| wrong.into_iter().map(place).collect())
        });
        match outcome {
            Ok(outcome) => {
                if outcome.said.is_empty() {
                    let nobody = format!("no pod in it asks for a sidecar that it has not got ({DOMAIN}inject)");
                    all.said.push(format!("{}: {nobody}", file.display()));
                }
                all.said.extend(outcome.said);
                if !all.text.is_empty() && !outcome.text.starts_with("---") {
                    all.text.push_str("---\n");
                }
                all.text.push_str(&outcome.text);
            }
            Err(wrong) => problems.extend(wrong),
        }
    }
    if problems.is_empty() { Ok(all) } else { Err(problems) }
}

fn read(file: &Path) -> Result<String, Vec<String>> {
    let file = if file.as_os_str() == "-" { Path::new("/dev/stdin") } else { file };
    values::read_text(file, LARGEST).map_err(|problem| vec![problem])
}
