//! What stands for an image on a machine without images: the sidecars that were built, and programs that are installed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rustix::process::Signal;
use serde::Deserialize;

use super::{
    inside::{Base, Bind, Who},
    programs,
};

/// The user of our images.
const NOBODY: u32 = 65532;

/// What a container is made of.
#[derive(Clone, Debug)]
pub struct Image {
    pub base: Base,
    pub entry: Vec<String>,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    pub dir: String,
    pub who: Who,
    pub stop: Signal,
    pub files: Vec<(String, String)>,
    pub links: Vec<(String, String)>,
    /// Variables that it has where a volume is mounted on the path that is their value.
    pub env_of_mounts: Vec<(String, String)>,
    pub binds: Vec<Bind>,
    /// Who it is instead of root, where it is only called so, and would fall over what it may not do.
    pub not_root: Option<u32>,
    /// What it is here, for people.
    pub is: String,
}

/// Of images/NAME.toml, what matters here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Recipe {
    /// Of several sidecars in one image; the command of the container says which it is.
    sidecars: Vec<String>,
    cmd: Vec<String>,
    links: Vec<String>,
    capabilities: Vec<String>,
}

pub struct Images {
    /// By the names of the sidecars.
    recipes: BTreeMap<String, Recipe>,
    /// `--image NAME=COMMAND`
    named: BTreeMap<String, Vec<String>>,
}

impl Images {
    pub fn new(named: BTreeMap<String, Vec<String>>) -> Result<Self, String> {
        let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../images"));
        let entries = std::fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let mut recipes = BTreeMap::new();
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|extension| extension == "toml")
                && let Some(name) = path.file_stem().and_then(|name| name.to_str())
            {
                let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                let recipe: Recipe = toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
                // The app of the demo is this very program.
                if name != "demo" && recipe.sidecars.is_empty() {
                    recipes.insert(name.to_owned(), recipe);
                }
            }
        }
        Ok(Self { recipes, named })
    }

    /// Its name, if it is one of ours.
    pub fn sidecar(&self, image: &str) -> Option<&str> {
        let (name, _) = self.recipes.get_key_value(short(image))?;
        (!self.named.contains_key(image)).then_some(name)
    }

    /// What stands for an image. `built` has the sidecars; a container that brings a command needs no more than a place.
    pub fn find(&self, image: &str, has_command: bool, built: &BTreeMap<String, PathBuf>) -> Result<Image, String> {
        if let Some(words) = self.named.get(image) {
            return Ok(on_this_machine(words.clone(), "as --image says"));
        }
        if let Some(name) = self.sidecar(image) {
            let program = built.get(name).ok_or_else(|| format!("{image}: not built"))?;
            return Ok(ours(name, &self.recipes[name], program));
        }
        let name = short(image);
        if let Some(known) = programs::known(name) {
            return known.map_err(|problem| format!("image {image}: {problem}"));
        }
        let stands_in = |(_, recipe): &(&String, &Recipe)| {
            recipe
                .links
                .iter()
                .any(|link| link.rsplit('/').next() == Some(&name.replace("statsd-exporter", "statsd_exporter")))
        };
        if let Some((sidecar, _)) = self.recipes.iter().find(stands_in) {
            return Err(format!("image {image}: is not here; pillion/{sidecar} takes its place"));
        }
        if has_command {
            return Ok(on_this_machine(Vec::new(), "not known: its command runs with what this machine has"));
        }
        Err(format!("image {image}: nothing here stands for it; name what does: --image '{image}=COMMAND'"))
    }
}

/// `registry/path/NAME:tag@digest`
pub fn short(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split(':').next().unwrap_or(name)
}

/// As `cargo xtask image` makes it: the binary, its links, two users, nothing else.
fn ours(name: &str, recipe: &Recipe, program: &Path) -> Image {
    let path = format!("/bin/{name}");
    let mut files = vec![
        (
            "/etc/passwd".to_owned(),
            "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n".into(),
        ),
        ("/etc/group".to_owned(), "root:x:0:\nnonroot:x:65532:\n".into()),
    ];
    let roots = "/etc/ssl/certs/ca-certificates.crt";
    if let Ok(text) = std::fs::read_to_string(roots) {
        files.push((roots.into(), text));
    }
    Image {
        base: Base::Scratch,
        entry: vec![path.clone()],
        args: recipe.cmd.clone(),
        env: vec![
            ("PATH".into(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()),
            ("SSL_CERT_FILE".into(), roots.into()),
        ],
        dir: "/".into(),
        who: Who { user: NOBODY, group: NOBODY, groups: Vec::new(), capabilities: recipe.capabilities.clone() },
        stop: Signal::TERM,
        files,
        links: recipe.links.iter().map(|link| (link.clone(), path.clone())).collect(),
        env_of_mounts: Vec::new(),
        binds: vec![Bind { from: program.into(), to: path.clone(), read_only: true }],
        not_root: None,
        is: format!("{}, as user {NOBODY}, without a shell", program.display()),
    }
}

pub fn on_this_machine(words: Vec<String>, is: &str) -> Image {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut env = vec![("PATH".to_owned(), format!("{path}:/usr/local/sbin:/usr/sbin:/sbin"))];
    if let Ok(home) = std::env::var("HOME") {
        env.push(("HOME".into(), home));
    }
    Image {
        base: Base::Machine,
        entry: words,
        args: Vec::new(),
        env,
        dir: "/".into(),
        who: Who::default(),
        stop: Signal::TERM,
        files: Vec::new(),
        links: Vec::new(),
        env_of_mounts: Vec::new(),
        binds: Vec::new(),
        not_root: None,
        is: is.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn an_image_is_known_by_the_last_part_of_its_name() {
        let images = ["redis:7", "docker.io/library/redis", "localhost:5000/redis:7@sha256:00", "redis@sha256:00"];
        for image in images {
            assert_eq!(short(image), "redis", "{image}");
        }
    }
}
