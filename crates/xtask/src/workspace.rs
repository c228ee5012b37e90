//! What Cargo knows about the workspace, and which of its crates become images.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

use crate::{recipe::Recipe, shell};

#[derive(Debug, Deserialize)]
pub struct Workspace {
    #[serde(rename = "workspace_root")]
    pub root: PathBuf,
    pub target_directory: PathBuf,
    pub packages: Vec<Package>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub description: Option<String>,
    pub license: Option<String>,
    pub repository: Option<String>,
    pub homepage: Option<String>,
    pub documentation: Option<String>,
    pub dependencies: Vec<Dependency>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub struct Dependency {
    pub name: String,
    /// `dev` or `build`; none for a dependency that ends up in the binary.
    pub kind: Option<String>,
    /// Where it is, when it is one of ours.
    pub path: Option<PathBuf>,
}

/// What is needed to run rather than to be linked to a sidecar, though it may use what sidecars use.
const NOT_SIDECARS: &[&str] = &["bench", "demo", "test-kit", "xtask"];

impl Package {
    /// The members of the workspace that this one says it needs.
    pub fn ours(&self) -> impl Iterator<Item = &Dependency> {
        self.dependencies.iter().filter(|dependency| dependency.path.is_some())
    }

    pub fn is_sidecar(&self) -> bool {
        let lives = |dependency: &Dependency| dependency.name == "common" && dependency.kind.is_none();
        !NOT_SIDECARS.contains(&self.name.as_str()) && self.ours().any(lives)
    }
}

impl Workspace {
    /// The workspace that this program was built from.
    pub fn load() -> Result<Self, String> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let text = shell::output(
            Command::new("cargo")
                .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
                .arg(manifest),
        )?;
        serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))
    }

    pub fn package(&self, name: &str) -> Result<&Package, String> {
        let found = self.packages.iter().find(|package| package.name == name);
        found.ok_or_else(|| format!("images/{name}.toml: expected a crate of that name in crates/{name}"))
    }

    /// Whose name, version and licence an image carries: a crate's, or for an image of several its own.
    pub fn image(&self, name: &str, recipe: &Recipe) -> Result<Package, String> {
        let Some(first) = recipe.sidecars.first() else {
            return self.package(name).cloned();
        };
        let description = Some(format!("{}: the command names which", recipe.sidecars.join(", ")));
        Ok(Package { name: name.to_owned(), description, dependencies: Vec::new(), ..self.package(first)?.clone() })
    }

    /// What an image holds: the program of its name, or its sidecars.
    pub fn contents(&self, name: &str, recipe: &Recipe) -> Result<Vec<(String, Recipe)>, String> {
        if recipe.sidecars.is_empty() {
            Ok(vec![(name.to_owned(), recipe.clone())])
        } else {
            self.recipes(&recipe.sidecars)
        }
    }

    /// The recipes of those images that are one sidecar.
    pub fn sidecar_recipes(&self, asked: &[String]) -> Result<Vec<(String, Recipe)>, String> {
        let is_sidecar =
            |name: &String| self.packages.iter().any(|package| package.name == *name && package.is_sidecar());
        Ok(self.recipes(asked)?.into_iter().filter(|(name, _)| is_sidecar(name)).collect())
    }

    /// The recipes in images/, by name: those asked for, or all of them.
    pub fn recipes(&self, asked: &[String]) -> Result<Vec<(String, Recipe)>, String> {
        let known = self.recipe_names()?;
        if let Some(unknown) = asked.iter().find(|name| !known.contains(name)) {
            return Err(format!("{unknown}: no images/{unknown}.toml, expected one of: {}", known.join(", ")));
        }
        let wanted = known.into_iter().filter(|name| asked.is_empty() || asked.contains(name));
        wanted.map(|name| self.recipe(&name).map(|recipe| (name, recipe))).collect()
    }

    fn recipe(&self, name: &str) -> Result<Recipe, String> {
        let text = shell::read_text(&self.root.join(format!("images/{name}.toml")))?;
        Recipe::parse(&text).map_err(|problems| {
            let lines: Vec<_> = problems.iter().map(|problem| format!("images/{name}.toml: {problem}")).collect();
            lines.join("\n")
        })
    }

    pub fn recipe_names(&self) -> Result<Vec<String>, String> {
        let folder = self.root.join("images");
        let files = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let name = |path: PathBuf| Some(path.file_name()?.to_str()?.strip_suffix(".toml")?.to_owned());
        let mut names: Vec<_> = files.flatten().filter_map(|file| name(file.path())).collect();
        names.sort();
        Ok(names)
    }
}
