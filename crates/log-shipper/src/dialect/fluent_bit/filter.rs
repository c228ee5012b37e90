//! `[FILTER]`: fields that are the same for all records of an input. Whatever else filters do is refused by name.

use crate::{
    config::{Input, Tag},
    dialect::section::{Entry, Section},
    select::Select,
};

pub(super) fn apply(mut section: Section, inputs: &mut [Input]) {
    let name = section.entry("name");
    let kind = name.as_ref().map(|name| name.value.to_ascii_lowercase());
    // What it adds, and what else it can do.
    let (keys, others): (&[&str], &[&str]) = match kind.as_deref() {
        Some("record_modifier") => (&["record"], &["remove_key", "allowlist_key", "whitelist_key", "uuid_key"]),
        Some("modify") => (
            &["add", "set"],
            &[
                "remove",
                "remove_wildcard",
                "remove_regex",
                "rename",
                "hard_rename",
                "copy",
                "hard_copy",
                "condition",
                "move_to_start",
                "move_to_end",
            ],
        ),
        _ => {
            match &name {
                Some(name) => {
                    section.wrong(name, "records are not filtered here yet, except for fields that are added");
                }
                None => section.problem("Name: required"),
            }
            return section.forget();
        }
    };
    let fields: Vec<_> = keys.iter().flat_map(|key| section.all(key)).collect();
    let fields: Vec<_> = fields.iter().filter_map(|entry| field(&section, entry)).collect();
    section.refused(others, "only fields that are added are supported");
    section.no_effect(&["alias", "log_level"]);
    section.refused(&["match_regex"], "expected Match");
    let Some(tags) = section.text("match") else { return section.problem("Match: required, * for everything") };
    let select = Select::Tags(vec![tags.clone()]);
    for input in inputs {
        let takes = match &input.tag {
            Tag::Fixed(tag) => select.takes(tag),
            Tag::WithPath(before, after) => {
                let all = select.takes(&format!("{before}*{after}"));
                if !all && may_meet(&tags, before, after) {
                    section
                        .problem(format_args!("Match {tags}: takes some files of an input only: expected all or none"));
                }
                all
            }
            Tag::Captured(..) if tags == "*" => true,
            Tag::Captured(..) => {
                section.problem("Match: expected *, where tags are made by Tag_Regex");
                false
            }
        };
        if takes {
            input.fields.extend(fields.iter().cloned());
        }
    }
}

/// Whether there can be a path with which a pattern takes the tag.
fn may_meet(pattern: &str, before: &str, after: &str) -> bool {
    let first = pattern.split('*').next().unwrap_or_default();
    let last = pattern.rsplit('*').next().unwrap_or_default();
    (first.starts_with(before) || before.starts_with(first)) && (last.ends_with(after) || after.ends_with(last))
}

/// `NAME VALUE`, where the value may be in quotes.
fn field(section: &Section, entry: &Entry) -> Option<(String, String)> {
    let Some((name, value)) = entry.value.split_once([' ', '\t']) else {
        section.wrong(entry, "expected NAME VALUE");
        return None;
    };
    let value = value.trim();
    let bare = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    Some((name.into(), bare.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_for_some_files_of_an_input_is_noticed() {
        for (pattern, meets) in [("nginx.var.log.a.log", true), ("*.log", true), ("app.*", false), ("nginx.*.x", true)]
        {
            assert_eq!(may_meet(pattern, "nginx.", ""), meets, "{pattern}");
        }
    }
}
