//! Fluentd: its command line and its `fluent.conf`.
//!
//! ```text
//! fluent.conf --> directives with places --> sources, filters, matches (in their order, by label) --> Config
//! ```

mod flags;
mod format;
mod forward;
mod http;
mod output;
mod parse;
mod pattern;
mod route;
mod ruby;
mod search;
mod source;
mod system;

use std::{path::Path, time::Duration};

use common::{CommonArgs, Failure};

pub use self::flags::Flags;
use self::{format::Document, route::Routes, source::Source, system::System};
use super::{
    World,
    section::{Findings, Place, Section},
};
use crate::{
    config::{Config, Until},
    yaml::POLL,
};

pub const NAME: &str = "fluentd";
/// What their image reads when it is told nothing.
pub const FILE: &str = "/fluentd/etc/fluent.conf";

impl Flags {
    /// What it means. Says all that is wrong.
    pub fn load(&self, world: &World) -> Result<Config, Failure> {
        let findings = Findings::default();
        let (_, parts) = self.read(world, &findings);
        let config = build(parts, world, &findings);
        findings.conclude()?;
        Ok(config)
    }

    /// The settings that every sidecar has, as far as the file has them. What is wrong is said by `load`.
    pub fn settle(&self, world: &World, common: &mut CommonArgs) {
        let findings = Findings::default();
        let (system, parts) = self.read(world, &findings);
        parts.into_iter().for_each(Section::forget);
        common.log_level = common.log_level.or(self.level()).or(system.level);
    }

    fn read(&self, world: &World, findings: &Findings) -> (System, Vec<Section>) {
        let mut document = Document::new(&world.environment, findings);
        document.read(self.config.as_deref().unwrap_or(Path::new(FILE)), None);
        let mut system = System::default();
        let mut parts = Vec::new();
        for mut section in document.sections {
            if section.kind == "system" { system = system::read(&mut section) } else { parts.push(section) }
        }
        (system, parts)
    }
}

fn build(parts: Vec<Section>, world: &World, findings: &Findings) -> Config {
    let (mut sources, mut rest) = (Vec::new(), Vec::new());
    for section in parts {
        match section.kind.as_str() {
            "source" => sources.extend(source::read(section, world)),
            "match" | "filter" | "label" => rest.push(section),
            _ => {
                section.problem("not known here, expected <source>, <match>, <filter>, <label>, <system> or @include");
                section.forget();
            }
        }
    }
    let mut routes = Routes::new(&mut sources);
    rest.into_iter().for_each(|section| routes.take(section, None));
    let outputs = routes.outputs;
    let nowhere = Place { file: NAME.into(), line: 0 };
    for (kind, is_missing) in [("<source>", sources.is_empty()), ("<match>", outputs.is_empty())] {
        if is_missing {
            findings.problem(&nowhere, format_args!("there is no {kind}: expected one at least"));
        }
    }
    let positions = sources.iter().find_map(|source| source.positions.clone());
    Config {
        inputs: sources.into_iter().map(|Source { input, .. }| input).collect(),
        outputs,
        // Beside their file, which is left alone.
        state: world.state(positions.map(|path| {
            let mut name = path.into_os_string();
            name.push(".positions");
            name.into()
        })),
        until: Until::ToldToStop,
        poll: POLL,
    }
}

/// `5`, `0.5`, `10s`, `5m`, `2h`, `1d`: a bare number is seconds.
fn seconds(text: &str) -> Result<Duration, &'static str> {
    super::fluent_bit::seconds(text)
}
