//! Which records go where: the first `<match>` of a label that takes a tag is its only one.

use std::collections::BTreeMap;

use regex::Regex;

use super::{output, pattern, source::Source};
use crate::{
    config::{Output, Tag},
    dialect::section::Section,
    select::Select,
};

pub(super) struct Routes<'s> {
    sources: &'s mut [Source],
    pub(super) outputs: Vec<Output>,
    /// What earlier ones of the same label take.
    taken: BTreeMap<Option<String>, Vec<Regex>>,
    names: BTreeMap<String, usize>,
}

impl<'s> Routes<'s> {
    pub(super) fn new(sources: &'s mut [Source]) -> Self {
        Self { sources, outputs: Vec::new(), taken: BTreeMap::new(), names: BTreeMap::new() }
    }

    pub(super) fn take(&mut self, mut section: Section, label: Option<&str>) {
        match section.kind.as_str() {
            "label" if section.argument == "@ERROR" || section.argument == "@FLUENT_LOG" => {
                section.findings().warning(&section.place, format_args!("{}: nothing comes here", section.title));
                section.forget();
            }
            "label" => {
                let name = section.argument.clone();
                if !self.sources.iter().any(|source| source.label.as_deref() == Some(&name)) {
                    section.problem(format_args!("no <source> has @label {name}"));
                }
                for child in std::mem::take(&mut section.children) {
                    self.take(child, Some(&name));
                }
            }
            "match" => self.output(section, label),
            "filter" => self.filter(section, label),
            _ => {
                section.problem("not known here, expected <match> or <filter>");
                section.forget();
            }
        }
    }

    fn patterns(section: &Section) -> Option<Vec<Regex>> {
        pattern::read(&section.argument).map_err(|problem| section.problem(problem)).ok()
    }

    fn output(&mut self, mut section: Section, label: Option<&str>) {
        let Some(any) = Self::patterns(&section) else { return section.forget() };
        let taken = self.taken.entry(label.map(str::to_owned)).or_default();
        let mut none = taken.clone();
        taken.extend(any.iter().cloned());
        // Records of other labels do not come here.
        none.extend(self.others(label));
        for tag in self.sources.iter().filter(|source| source.label.as_deref() == label).map(|source| &source.input.tag)
        {
            if let Tag::Fixed(tag) = tag
                && self.others(label).iter().any(|other| other.is_match(tag))
            {
                section.problem(format_args!("tag {tag} has two labels: expected tags that differ"));
            }
        }
        let select = Select::Matching { any, none };
        let kind = section.entry("@type").or_else(|| section.entry("type"));
        match kind {
            Some(kind) if kind.value == "copy" => {
                section.no_effect(&["@id", "@log_level", "copy_mode"]);
                for mut store in section.children_of("store") {
                    match store.entry("@type") {
                        Some(kind) => self.add(store, &kind, &select),
                        None => store.problem("@type: required"),
                    }
                }
            }
            Some(kind) => self.add(section, &kind, &select),
            None => {
                section.problem("@type: required");
                section.forget();
            }
        }
    }

    fn others(&self, label: Option<&str>) -> Vec<Regex> {
        let other = self.sources.iter().filter(|source| source.label.as_deref() != label);
        other.filter_map(|source| pattern::of_tag(&source.input.tag)).collect()
    }

    fn add(&mut self, section: Section, kind: &crate::dialect::section::Entry, select: &Select) {
        let count = self.names.entry(kind.value.clone()).or_default();
        let name = format!("{}.{count}", kind.value);
        *count += 1;
        self.outputs.extend(output::read(section, kind, name, select.clone()));
    }

    /// Fields that are the same for all records of an input. Whatever else filters do is refused.
    fn filter(&mut self, mut section: Section, label: Option<&str>) {
        const EXPECTED: &str = "only record_transformer with fields that are the same for all records is here yet";
        let kind = section.entry("@type");
        let Some(any) = Self::patterns(&section) else { return section.forget() };
        if kind.as_ref().is_none_or(|kind| kind.value != "record_transformer") {
            section.problem(EXPECTED);
            return section.forget();
        }
        section.no_effect(&["@id", "@log_level", "enable_ruby", "auto_typecast"]);
        section.refused(&["remove_keys", "keep_keys", "renew_record", "renew_time_key"], EXPECTED);
        let mut fields = Vec::new();
        for mut record in section.children_of("record") {
            for entry in std::mem::take(&mut record.entries) {
                match entry.value.as_str() {
                    "${hostname}" => fields.push((entry.key, crate::output::forward::hostname())),
                    text if text.contains("${") => record.say(&entry, EXPECTED),
                    _ => fields.push((entry.key, entry.value)),
                }
            }
        }
        let takes = |tag: &str| any.iter().any(|pattern| pattern.is_match(tag));
        for source in self.sources.iter_mut().filter(|source| source.label.as_deref() == label) {
            let is_taken = match &source.input.tag {
                Tag::Fixed(tag) => takes(tag),
                Tag::WithPath(before, after) => {
                    let all = ["a", "a.b", "var.log.a.log"].iter().all(|path| takes(&format!("{before}{path}{after}")));
                    let begins = |pattern: &str| {
                        let fixed = pattern.split(['*', '{', '/']).next().unwrap_or_default();
                        fixed.starts_with(before.as_str()) || before.starts_with(fixed)
                    };
                    if !all && section.argument.split([' ', ',']).any(begins) {
                        section.problem("takes some files of a <source> only: expected all or none");
                    }
                    all
                }
                Tag::Captured(..) => false,
            };
            if is_taken {
                source.input.fields.extend(fields.iter().cloned());
            }
        }
    }
}
