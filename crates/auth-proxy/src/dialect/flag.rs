//! What is known of a flag of the peer.

/// One flag, which is a variable and a key of the file as well.
pub(super) struct Flag {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) default: &'static str,
    pub(super) fate: Fate,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Text,
    /// Several, by commas and by repetition.
    List,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Used,
    /// Without effect here, and why that does no harm: said once.
    Idle(&'static str),
    /// What it asks for cannot be done: said with why, or with what to do instead, and that is the end.
    Never(&'static str),
}

impl Flag {
    /// `cookie_domain`, as the file and the variables have it; lists in the plural.
    pub(super) fn key(&self) -> String {
        let key = self.name.replace('-', "_");
        match self.kind {
            Kind::List if !key.ends_with('s') && !key.ends_with("regex") => key + "s",
            _ => key,
        }
    }

    /// Whether a key of a file or of a variable means this one: hyphens, and the other number, are common slips.
    pub(super) fn is_called(&self, key: &str) -> bool {
        let key = key.to_ascii_lowercase().replace('-', "_");
        key == self.key() || key == self.name.replace('-', "_")
    }
}
