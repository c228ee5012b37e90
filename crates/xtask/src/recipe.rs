//! images/NAME.toml: what an image has beyond its binary.

use serde::Deserialize;

use crate::capability;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// The sidecars in it, where it is more than the one of its name. Each brings what its own recipe says.
    pub sidecars: Vec<String>,
    /// Whether its program answers to `healthcheck`, as every sidecar does.
    pub healthcheck: bool,
    /// Arguments of the entry point when the user gives none.
    pub cmd: Vec<String>,
    /// Where the peers' images have their binary: each becomes a link to ours.
    pub links: Vec<String>,
    /// `9533/tcp`: for people and tools that look, nothing is opened by it.
    pub ports: Vec<String>,
    /// File capabilities, permitted but not effective: the process raises them itself, where it was given them.
    pub capabilities: Vec<String>,
    /// Empty directories to mount something on.
    pub dirs: Vec<String>,
    /// Every request goes through it: what it is made of is compiled for speed (`[profile.fast]`).
    pub fast: bool,
    /// Names of argv[0] that bring another command line; `cargo xtask docs` prints the help of each.
    pub dialects: Vec<String>,
    /// How peers spell things. Only src/dialect of the sidecar may say them: see tidy.
    pub peer_words: Vec<String>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            sidecars: Vec::new(),
            healthcheck: true,
            cmd: Vec::new(),
            links: Vec::new(),
            ports: Vec::new(),
            capabilities: Vec::new(),
            dirs: Vec::new(),
            fast: false,
            dialects: Vec::new(),
            peer_words: Vec::new(),
        }
    }
}

impl Recipe {
    /// All problems at once.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let recipe: Self = toml::from_str(text).map_err(|error| vec![error.to_string().trim_end().to_owned()])?;
        let problems = recipe.problems();
        if problems.is_empty() { Ok(recipe) } else { Err(problems) }
    }

    /// Of an image of several: with what those bring.
    #[must_use]
    pub fn holding(&self, contents: &[(String, Self)]) -> Self {
        let mut whole = self.clone();
        if !self.sidecars.is_empty() {
            whole.ports.extend(contents.iter().flat_map(|(_, recipe)| recipe.ports.clone()));
        }
        whole
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (key, paths) in [("links", &self.links), ("dirs", &self.dirs)] {
            let bad = paths.iter().filter(|path| !is_plain_absolute(path));
            problems.extend(bad.map(|path| format!("{key} \"{path}\": expected an absolute path without . or ..")));
        }
        let bad = self.ports.iter().filter(|port| !is_port(port));
        problems.extend(bad.map(|port| format!("ports \"{port}\": expected a number 1-65535 and /tcp or /udp")));
        problems.extend(self.capabilities.iter().filter_map(|name| capability::bit(name).err()));
        let bad = self.dialects.iter().filter(|name| name.is_empty() || name.contains('/'));
        problems.extend(bad.map(|name| format!("dialects \"{name}\": expected a bare file name")));
        let own =
            [&self.cmd, &self.links, &self.ports, &self.capabilities, &self.dirs, &self.dialects, &self.peer_words];
        if !self.sidecars.is_empty() && own.iter().any(|list| !list.is_empty()) {
            problems.push("sidecars: expected nothing beside it, each sidecar brings its own".into());
        }
        problems
    }
}

fn is_plain_absolute(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    rest.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn is_port(text: &str) -> bool {
    match text.split_once('/') {
        Some((number, "tcp" | "udp")) => number.parse::<u16>().is_ok_and(|number| number > 0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_of_a_recipe_is_said_at_once() {
        let text = "links = [\"bin/x\", \"/a/../b\"]\nports = [\"99999/tcp\", \"80\"]\ncapabilities = [\"cap_fly\"]\n";
        let problems = Recipe::parse(text).expect_err("five mistakes");
        assert_eq!(problems.len(), 5, "{problems:#?}");
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let problems = Recipe::parse("link = []").expect_err("a typing mistake");
        assert!(problems[0].contains("unknown field `link`"), "{problems:#?}");
    }
}
