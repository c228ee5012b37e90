//! Fluent Bit: its command line, its two formats of files, its parsers.
//!
//! ```text
//! flags ----+
//! classic --+--> sections with places --> service, parsers, inputs, filters, outputs --> Config
//! YAML -----+
//! ```

pub mod api;
mod classic;
mod es;
mod filter;
mod flags;
mod forward;
mod http;
mod input;
mod loki;
mod net;
mod output;
mod parsers;
mod plain;
mod service;
mod units;
mod yaml;

use std::path::{Path, PathBuf};

use common::{CommonArgs, Failure};

pub use self::flags::Flags;
pub(super) use self::units::seconds;
use self::{
    classic::{Document, Variables},
    output::{Around, Names},
    parsers::Parsers,
    service::Service,
};
use super::{
    World,
    section::{Findings, Section},
};
use crate::{
    config::{Config, Input, Until},
    parse::Format,
    yaml::POLL,
};

pub const NAME: &str = "fluent-bit";
/// What their image reads when it is told nothing.
pub const FILE: &str = "/fluent-bit/etc/fluent-bit.conf";

impl Flags {
    /// What it means. Says all that is wrong.
    pub fn load(&self, world: &World) -> Result<Config, Failure> {
        let findings = Findings::default();
        let (service, sections) = self.read(world, &findings);
        let config = build(sections, &service, world, &findings);
        findings.conclude()?;
        Ok(config)
    }

    /// The settings that every sidecar has, as far as the files have them. What is wrong is said by `load`.
    pub fn settle(&self, world: &World, common: &mut CommonArgs) {
        let findings = Findings::default();
        let (service, sections) = self.read(world, &findings);
        sections.parts.into_iter().for_each(Section::forget);
        self.service(service).settle(common);
    }

    fn read(&self, world: &World, findings: &Findings) -> (Service, Sections) {
        let file = self.file();
        let root = file.as_deref().and_then(Path::parent).unwrap_or(Path::new("."));
        let variables = Variables { environment: world.environment.clone(), ..Variables::default() };
        let mut document = Document::new(root, variables.clone(), findings);
        if let Some(file) = &file {
            if yaml::is_yaml(file) { yaml::read(&mut document, file, None) } else { document.read(file, None) }
        }
        self.add_sections(&mut document);
        let mut service = Service::default();
        let mut parts = Vec::new();
        for mut section in std::mem::take(&mut document.sections) {
            if section.kind == "service" { service = service::read(&mut section) } else { parts.push(section) }
        }
        let service = self.service(service);
        for (name, place) in &service.parsers_files {
            let path = document.resolve(name);
            if is_stock(&path) && !path.exists() {
                continue;
            }
            if yaml::is_yaml(&path) {
                yaml::read(&mut document, &path, Some(place));
            } else {
                document.read(&path, Some(place));
            }
        }
        parts.append(&mut document.sections);
        (service, Sections { parts, variables })
    }

    fn file(&self) -> Option<PathBuf> {
        let default = || Some(PathBuf::from(FILE)).filter(|_| !self.has_pipeline());
        self.config.clone().or_else(default)
    }
}

/// What the files and flags have, beside what is about the process.
struct Sections {
    parts: Vec<Section>,
    variables: Variables,
}

/// The parsers that their image brings along are compiled in: a mount over its directory hides none.
fn is_stock(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "parsers.conf")
}

fn build(sections: Sections, service: &Service, world: &World, findings: &Findings) -> Config {
    let Sections { parts, variables } = sections;
    let mut parsers = Parsers::stock();
    let (mut inputs, mut filters, mut outputs, mut rest) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for section in parts {
        match section.kind.as_str() {
            "parser" | "multiline_parser" => parsers.take(section),
            "input" => inputs.push(section),
            "filter" => filters.push(section),
            "output" => outputs.push(section),
            _ => rest.push(section),
        }
    }
    for section in rest {
        section
            .problem("not known here, expected [SERVICE], [INPUT], [FILTER], [OUTPUT], [PARSER] or [MULTILINE_PARSER]");
        section.forget();
    }
    let nothing = super::section::Place { file: "fluent-bit".into(), line: 0 };
    for (kind, is_missing) in [("[INPUT]", inputs.is_empty()), ("[OUTPUT]", outputs.is_empty())] {
        if is_missing {
            findings.problem(&nothing, format_args!("there is no {kind}: expected one at least"));
        }
    }
    let read = inputs.into_iter().filter_map(|section| input::read(section, &parsers, world));
    let (mut inputs, said): (Vec<Input>, Vec<_>) = read.unzip();
    for section in filters {
        filter::apply(section, &mut inputs);
    }
    let is_plain = |input: &Input| {
        matches!(input.format, Format::Raw)
            && input.path_key.is_none()
            && !input.join.container
            && input.fields.is_empty()
    };
    let around = Around { service, variables: &variables, all_plain: inputs.iter().all(is_plain) };
    let mut names = Names::default();
    let outputs = outputs.into_iter().filter_map(|section| output::read(section, &around, &mut names)).collect();
    let database = said.iter().find_map(|said| said.database.clone());
    Config {
        inputs,
        outputs,
        // Beside their database, which is left alone: it is on the volume that was mounted for it.
        state: world.state(database.map(|path| {
            let mut name = path.into_os_string();
            name.push(".positions");
            name.into()
        })),
        until: if said.iter().any(|said| said.ends_with_files) { Until::EndOfFiles } else { Until::ToldToStop },
        poll: POLL,
    }
}
