//! `--debug.dump-fsm`: the tree of globs, drawn in the language of Graphviz as the peer draws its own.

use std::fmt::Write;

use crate::map::{Mapping, Step};

/// The states are numbered in the order in which a walk by breadth finds them; the peer's numbers differ from run to run.
pub(super) fn drawn(mapping: &Mapping) -> String {
    let mut text =
        String::from("digraph g {\nrankdir=LR\nnode [ label=\"\",style=filled,fillcolor=white,shape=circle ]\n");
    for Step { from, to, part, is_last } in mapping.glob_steps() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{from} -> {to}  [label = \"{part}\"];");
        if from == 0 {
            let _ = writeln!(text, "{to} [color=\"#D6B656\",fillcolor=\"#FFF2CC\"];");
        } else if is_last {
            let _ = writeln!(text, "{to} [color=\"#82B366\",fillcolor=\"#D5E8D4\"];");
        }
    }
    text.push_str("0 [color=\"#a94442\",fillcolor=\"#f2dede\"];\n}");
    text
}
