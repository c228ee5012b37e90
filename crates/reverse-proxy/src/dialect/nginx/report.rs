//! What is wrong with a configuration, in nginx's words; all of it.

use super::syntax::Directive;

#[derive(Debug, Default)]
pub struct Report {
    pub problems: Vec<String>,
    pub notes: Vec<String>,
}

impl Report {
    pub fn at(&mut self, directive: &Directive, problem: impl std::fmt::Display) {
        self.problems.push(format!("[emerg] {problem} in {}", directive.place));
    }

    pub fn unknown(&mut self, directive: &Directive) {
        let name = &directive.name;
        match super::refused::why(name) {
            Some(why) => self.at(directive, format!("the directive \"{name}\" is not supported here: {why}")),
            None => self.at(directive, format!("unknown directive \"{name}\"")),
        }
    }

    pub fn not_here(&mut self, directive: &Directive) {
        self.at(directive, format!("\"{}\" directive is not allowed here", directive.name));
    }

    pub fn arguments(&mut self, directive: &Directive) {
        self.at(directive, format!("invalid number of arguments in \"{}\" directive", directive.name));
    }

    /// Good, but worth a line in the log.
    pub fn note(&mut self, directive: &Directive, note: &str) {
        self.notes.push(format!("{}: \"{}\" {note}", directive.place, directive.name));
    }
}
