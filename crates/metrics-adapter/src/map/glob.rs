//! Globs: a trie of the parts between dots for each kind of line, walked as the peer walks its state machine.
//!
//! Two corners are the peer's and kept, because what a name becomes must not depend on who maps it: a glob whose place
//! in the trie exists already, as part of a longer one or as the same glob again, adds no rule; and without ordering the
//! walk turns back only where [`needs_turning_back`] says so.

use std::collections::BTreeMap;

use super::{Kind, Ordering};

/// `*` or letters, digits, `_` and `-`, between dots; the first does not begin with a digit or `-`.
pub(crate) fn is_glob(text: &str) -> bool {
    let part = |(nth, part): (usize, &str)| {
        let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || (nth > 0 && byte.is_ascii_digit());
        let rest = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        part == "*" || part.bytes().next().is_some_and(first) && part.as_bytes().iter().all(rest)
    };
    text.split('.').enumerate().all(part)
}

/// What comes where the rules are, in the order of the globs.
#[derive(Debug)]
struct Glob {
    text: String,
    /// Its place among all rules.
    at: usize,
    kind: Option<Kind>,
}

#[derive(Debug, Default)]
pub(super) struct Tries {
    globs: Vec<Glob>,
    /// In the order of [`Kind::ALL`]. Empty as long as there is no glob.
    tries: Vec<Trie>,
    most_specific: bool,
    turns_back: bool,
}

impl Tries {
    pub(super) fn add(&mut self, text: &str, kind: Option<Kind>, at: usize) {
        if self.tries.is_empty() {
            self.tries.resize_with(Kind::ALL.len(), Trie::new);
        }
        let priority = self.globs.len();
        for (of, trie) in Kind::ALL.iter().zip(&mut self.tries) {
            if kind.is_none_or(|only| only == *of) {
                trie.add(text, priority);
            }
        }
        self.globs.push(Glob { text: text.to_owned(), at, kind });
    }

    /// How many `*` the glob at this place of all rules has.
    pub(super) fn captures(&self, at: usize) -> usize {
        let found = self.globs.iter().rfind(|glob| glob.at == at);
        found.map_or(0, |glob| glob.text.split('.').filter(|part| *part == "*").count())
    }

    pub(super) fn settle(&mut self, ordering: Ordering) {
        self.most_specific = ordering == Ordering::MostSpecific;
        self.turns_back = !self.most_specific || needs_turning_back(&self.globs);
        self.globs.shrink_to_fit();
    }

    /// The place of the rule among all rules, and what its `*` stand for.
    pub(super) fn find<'n>(&self, name: &'n str, kind: Kind) -> Option<(usize, Vec<&'n str>)> {
        let trie = self.tries.get(kind as usize)?;
        let (glob, captures) = trie.find(name, self.turns_back, self.most_specific)?;
        Some((self.globs[glob].at, captures))
    }

    pub(super) fn unreachable(&self) -> Vec<(usize, Option<usize>)> {
        let mut found = Vec::new();
        for glob in &self.globs {
            let kind = glob.kind.unwrap_or(Kind::Counter);
            // A `*` of a name is only ever a `*` of a glob: so a glob is found as the widest name that it takes.
            match self.find(&glob.text, kind) {
                Some((winner, _)) if winner == glob.at => {}
                Some((winner, _)) => found.push((glob.at, Some(winner))),
                None => found.push((glob.at, None)),
            }
        }
        found
    }
}

/// A step of the walk, from one state to another: states are numbered as they are found by breadth, 0 is the start. The
/// first step is the kind of a line, every other a part of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'m> {
    pub from: usize,
    pub to: usize,
    pub part: &'m str,
    /// No step leads further.
    pub is_last: bool,
}

impl Tries {
    pub(super) fn steps(&self) -> Vec<Step<'_>> {
        let mut steps = Vec::new();
        // What comes after each state, as far as states are numbered.
        let mut states: Vec<Option<(&Trie, &Node)>> = vec![None];
        for (nth, kind) in Kind::ALL.into_iter().enumerate() {
            let start = self.tries.get(nth).map(|trie| (trie, &trie.nodes[0]));
            let is_last = start.is_none_or(|(_, node)| node.is_last());
            steps.push(Step { from: 0, to: states.len(), part: kind.name(), is_last });
            states.push(start);
        }
        let mut from = 1;
        while from < states.len() {
            if let Some((trie, node)) = states[from] {
                let spelled = node.spelled.iter().map(|(part, next)| (&**part, *next));
                for (part, next) in node.star.map(|next| ("*", next)).into_iter().chain(spelled) {
                    let node = &trie.nodes[next as usize];
                    steps.push(Step { from, to: states.len(), part, is_last: node.is_last() });
                    states.push(Some((trie, node)));
                }
            }
            from += 1;
        }
        steps
    }
}

#[derive(Debug, Default)]
struct Node {
    spelled: BTreeMap<Box<str>, u32>,
    star: Option<u32>,
    /// How many parts follow in the globs that lead through here.
    fewest: usize,
    most: usize,
    glob: Option<usize>,
    priority: usize,
}

impl Node {
    fn next(&self, part: &str) -> Option<u32> {
        if part == "*" {
            return self.star;
        }
        self.spelled.get(part).copied()
    }

    fn is_last(&self) -> bool {
        self.star.is_none() && self.spelled.is_empty()
    }
}

#[derive(Debug)]
struct Trie {
    nodes: Vec<Node>,
}

/// Where the walk goes on if the way it took first leads nowhere, or not to the first rule.
struct Fork<'n> {
    part: usize,
    captured: usize,
    capture: &'n str,
    node: u32,
}

impl Trie {
    fn new() -> Self {
        Self { nodes: vec![Node::default()] }
    }

    fn add(&mut self, text: &str, priority: usize) {
        let mut at = 0;
        let mut left = text.split('.').count();
        for part in text.split('.') {
            left -= 1;
            at = match self.nodes[at].next(part) {
                Some(next) => {
                    let node = &mut self.nodes[next as usize];
                    node.fewest = node.fewest.min(left);
                    node.most = node.most.max(left);
                    next as usize
                }
                None => {
                    let next = self.nodes.len() as u32;
                    let glob = (left == 0).then_some(priority);
                    self.nodes.push(Node { fewest: left, most: left, glob, ..Node::default() });
                    let from = &mut self.nodes[at];
                    if part == "*" {
                        from.star = Some(next);
                    } else {
                        from.spelled.insert(part.into(), next);
                    }
                    next as usize
                }
            };
        }
        self.nodes[at].priority = priority;
    }

    fn takes(&self, node: Option<u32>, left: usize) -> Option<u32> {
        node.filter(|&node| {
            let node = &self.nodes[node as usize];
            (node.fewest..=node.most).contains(&left)
        })
    }

    fn find<'n>(&self, name: &'n str, turns_back: bool, first_is_best: bool) -> Option<(usize, Vec<&'n str>)> {
        let parts: Vec<&str> = name.split('.').collect();
        let mut captures = vec![""; parts.len()];
        let mut captured = 0;
        let mut forks: Vec<Fork<'n>> = Vec::new();
        let mut best: Option<(usize, usize, Vec<&'n str>)> = None;
        let (mut at, mut nth) = (0, 0);
        loop {
            // Down, until the parts or the ways end.
            while nth < parts.len() && !self.nodes[at].is_last() {
                let (part, left) = (parts[nth], parts.len() - nth - 1);
                let node = &self.nodes[at];
                let star = self.takes(node.star, left);
                let next = match self.takes(node.next(part), left) {
                    Some(next) => {
                        if let Some(node) = star.filter(|star| turns_back && *star != next) {
                            forks.push(Fork { part: nth, captured, capture: part, node });
                        }
                        next
                    }
                    None => {
                        let Some(next) = star else { break };
                        captures[captured] = part;
                        captured += 1;
                        next
                    }
                };
                (at, nth) = (next as usize, nth + 1);
            }
            let node = &self.nodes[at];
            if let Some(glob) = node.glob.filter(|_| nth == parts.len()) {
                if first_is_best {
                    return Some((glob, captures));
                }
                if best.as_ref().is_none_or(|(priority, ..)| *priority > node.priority) {
                    best = Some((node.priority, glob, captures.clone()));
                }
            }
            let Some(fork) = forks.pop() else { break };
            captures[fork.captured] = fork.capture;
            captured = fork.captured + 1;
            (at, nth) = (fork.node as usize, fork.part + 1);
        }
        best.map(|(_, glob, captures)| (glob, captures))
    }
}

/// Whether a glob with a `*` can be missed by a walk that never turns back: another of the same length goes the same
/// way up to that `*`, and neither takes all that the other takes.
fn needs_turning_back(globs: &[Glob]) -> bool {
    let mut by_length: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for glob in globs {
        by_length.entry(glob.text.split('.').count()).or_default().push(&glob.text);
    }
    by_length.values().any(|globs| {
        let others =
            |nth: usize| globs.iter().enumerate().filter(move |(other, _)| *other != nth).map(|(_, glob)| *glob);
        globs.iter().enumerate().any(|(nth, glob)| {
            let stars = glob.bytes().enumerate().filter(|(_, byte)| *byte == b'*');
            let mut ways = stars.map(|(at, _)| &glob[..at]);
            ways.any(|way| others(nth).any(|other| other.starts_with(way)))
                && !others(nth).any(|other| covers(glob, other) || covers(other, glob))
        })
    })
}

/// Whether a glob takes the text of another as a name.
fn covers(glob: &str, name: &str) -> bool {
    let mut parts = glob.split('.').zip(name.split('.'));
    parts.all(|(part, of_name)| part == "*" || part == of_name)
}
