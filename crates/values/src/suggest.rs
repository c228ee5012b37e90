//! "Did you mean ...?"

/// The known name that is nearest to what was typed, if it is near enough to be what was meant.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_ascii_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&typed, &name.to_ascii_lowercase().replace('-', "_")), name))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant_and_nothing_far_fetched() {
        let known = ["settle", "state_file", "watch"];
        assert_eq!(nearest("setle", known), Some("settle"));
        assert_eq!(nearest("state-fiel", known), Some("state_file"));
        assert_eq!(nearest("zebra", known), None);
    }
}
