//! The mapping: what a metric of a flat name is called here, which labels it gets, and how it is kept.
//!
//! ```text
//!  name, kind ──> globs (one trie for each kind) ──> regexes, in order ──> Match { rule, name, labels }
//! ```
//!
//! Globs come before regexes whatever the order of the file is. Among globs that match, the first of the file wins, or
//! with [`Ordering::MostSpecific`] the first that a walk finds which prefers what is spelled out to `*`. The walk is the
//! peer's, with its corners: a name that comes out differently is another series.

mod glob;
mod name;
mod pattern;
mod rule;
mod template;

pub use name::escape;
pub use rule::{
    Action, Defaults, Histogram, Kind, MAX_AGE, Native, Observer, Quantile, Rule, Summary, default_buckets,
    default_quantiles,
};

pub use glob::Step;
use glob::Tries;
pub(crate) use glob::is_glob;
pub(crate) use pattern::go_regex;
use pattern::{Pattern, Prefilter};
use template::Template;
pub(crate) use template::expand;

/// Which of several globs that match is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ordering {
    /// The first of the file.
    #[default]
    FirstWins,
    /// What is spelled out comes before `*`, from the left.
    MostSpecific,
}

/// How a rule recognises a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matcher {
    Glob(String),
    Regex(String),
}

/// A rule that applies to a name, with what it captured filled in.
#[derive(Clone, Debug)]
pub struct Match<'m> {
    pub rule: &'m Rule,
    /// As the rule says, not escaped yet (see [`escape`]). It may be empty: then the line is to be refused.
    pub name: String,
    /// In the order of the rule's labels.
    pub labels: Vec<(&'m str, String)>,
}

/// All rules, ready to be asked. Without rules it has no memory and answers at once.
#[derive(Debug, Default)]
pub struct Mapping {
    defaults: Defaults,
    rules: Vec<Compiled>,
    globs: Tries,
    /// Those of `rules` that are regexes, in order.
    regexes: Vec<usize>,
    prefilter: Prefilter,
}

#[derive(Debug)]
struct Compiled {
    rule: Rule,
    pattern: Option<Pattern>,
    name: Template,
    labels: Vec<Template>,
}

/// A rule, and how it recognises names: what [`Mapping::new`] is made of.
#[derive(Clone, Debug)]
pub struct Entry {
    pub matcher: Matcher,
    pub rule: Rule,
}

impl Mapping {
    /// The error names the rule by its place among `entries`, and what is wrong with its regex.
    pub fn new(defaults: Defaults, ordering: Ordering, entries: Vec<Entry>) -> Result<Self, Vec<(usize, String)>> {
        let mut problems = Vec::new();
        let mut mapping = Self { defaults, ..Self::default() };
        for (at, Entry { matcher, rule }) in entries.into_iter().enumerate() {
            let pattern = match matcher {
                Matcher::Glob(glob) => {
                    mapping.globs.add(&glob, rule.kind, at);
                    None
                }
                Matcher::Regex(spec) => match Pattern::new(&spec) {
                    Ok(pattern) => {
                        mapping.regexes.push(at);
                        Some(pattern)
                    }
                    Err(problem) => {
                        problems.push((at, problem));
                        None
                    }
                },
            };
            let template = |text: &str| match pattern {
                None => Template::of_glob(text, mapping.globs.captures(at)),
                Some(_) => Template::of_regex(text),
            };
            let name = template(&rule.name);
            let labels = rule.labels.iter().map(|(_, value)| template(value)).collect();
            mapping.rules.push(Compiled { rule, pattern, name, labels });
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        mapping.globs.settle(ordering);
        let patterns = mapping.regexes.iter().filter_map(|&at| mapping.rules[at].pattern.as_ref());
        mapping.prefilter = Prefilter::new(patterns);
        Ok(mapping)
    }

    /// What holds for a name that no rule matches.
    pub fn defaults(&self) -> &Defaults {
        &self.defaults
    }

    pub fn rules(&self) -> usize {
        self.rules.len()
    }

    /// Rules that no name can reach, as pairs of places: the one that is never asked, and the one before it, if it is
    /// another rule's doing.
    pub fn unreachable(&self) -> Vec<(usize, Option<usize>)> {
        self.globs.unreachable()
    }

    /// The tree that globs are walked by.
    pub fn glob_steps(&self) -> Vec<Step<'_>> {
        self.globs.steps()
    }

    /// The rule for a name, if there is one. It may say that the line is dropped.
    pub fn find(&self, name: &str, kind: Kind) -> Option<Match<'_>> {
        if self.rules.is_empty() {
            return None;
        }
        if let Some((at, captures)) = self.globs.find(name, kind) {
            let found = &self.rules[at];
            return Some(found.filled(|template| template.fill(&captures)));
        }
        let candidates = self.prefilter.candidates(name);
        let mut candidates = self.regexes.iter().enumerate().filter(|(nth, _)| candidates.has(*nth));
        candidates.find_map(|(_, &at)| {
            let found = &self.rules[at];
            if found.rule.kind.is_some_and(|only| only != kind) {
                return None;
            }
            let captures = found.pattern.as_ref()?.captures(name)?;
            Some(found.filled(|template| template.expand(&captures)))
        })
    }
}

impl Compiled {
    fn filled(&self, text: impl Fn(&Template) -> String) -> Match<'_> {
        let names = self.rule.labels.iter().map(|(name, _)| name.as_str());
        let labels = names.zip(self.labels.iter().map(&text)).collect();
        Match { rule: &self.rule, name: text(&self.name), labels }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
