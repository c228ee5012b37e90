//! What Loki says about a request of which it has not taken everything.

/// How many entries were refused, where the others were taken. None where it does not say that.
///
/// ```text
/// entry with timestamp ... ignored, reason: 'entry too far behind, ...', user 'x', total ignored: 3 out of 10 for ...
/// 2 errors like: entry for stream '...' has timestamp too old: ...; 1 errors like: max entry size '262144' ...
/// entry for stream '{...}' has timestamp too new: ...
/// ```
pub(super) fn refused(text: &str) -> Option<u64> {
    let totals = numbers(text, |rest| rest.strip_prefix("total ignored: ")?.split(' ').next());
    if let Some(total) = totals {
        return Some(total);
    }
    // An error may be about an entry or about a whole stream, of which it is not known how many entries it had.
    let is_of_an_entry = |error: &str| {
        let error = error.split_once(" errors like: ").map_or(error, |(_, error)| error);
        ["entry for stream '", "max entry size '", "stream '"].iter().any(|begin| error.starts_with(begin))
            && !["label name", "label value"].iter().any(|about| error.contains(about))
    };
    if !text.split("; ").all(|error| is_of_an_entry(error.trim())) {
        return None;
    }
    numbers(text, |rest| {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        rest[digits..].starts_with(" errors like: ").then_some(&rest[..digits])
    })
    .or(Some(1))
}

/// Whether others may be taken all the same.
pub(super) fn is_of_one_stream(text: &str) -> bool {
    ["Per stream rate limit exceeded", "maximum active stream limit exceeded"].iter().any(|said| text.contains(said))
}

/// The sum of what is found at the beginning of words.
fn numbers<'a>(text: &'a str, find: impl Fn(&'a str) -> Option<&'a str>) -> Option<u64> {
    let begins = std::iter::once(0).chain(text.match_indices([' ', '\n']).map(|(at, _)| at + 1));
    let found = begins.filter_map(|at| find(&text[at..])?.parse::<u64>().ok());
    found.fold(None, |sum, number| Some(sum.unwrap_or(0) + number))
}

/// One word for the metrics.
pub(super) fn reason(text: &str) -> &'static str {
    const KNOWN: [(&str, &str); 8] = [
        ("too far behind", "too_far_behind"),
        ("out of order", "out_of_order"),
        ("timestamp too old", "too_old"),
        ("timestamp too new", "too_new"),
        ("max entry size", "line_too_long"),
        ("structured metadata", "structured_metadata"),
        ("label", "labels"),
        ("stream limit", "stream_limit"),
    ];
    KNOWN.iter().find(|(part, _)| text.contains(part)).map_or("rejected", |(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_counted() {
        let behind = "entry with timestamp 2020-01-01 00:00:00 +0000 UTC ignored, reason: 'entry too far behind, entry \
                      timestamp is: 2020-01-01T00:00:00Z, oldest acceptable timestamp is: 2026-11-21T05:00:00Z',\n\
                      user 'fake', total ignored: 3 out of 10 for stream: {job=\"x\"}";
        let old = "entry for stream '{a=\"b\"}' has timestamp too old: 2020-01-01T00:00:00Z, oldest acceptable \
                   timestamp is: 2026-11-14T00:00:00Z";
        let long = "max entry size '262144' bytes exceeded for stream '{a=\"b\"}' while adding an entry with length \
                    '300000' bytes";
        let many = format!("2 errors like: {old}; 13 errors like: {long}");
        for (text, count, word) in [
            (behind, Some(3), "too_far_behind"),
            (old, Some(1), "too_old"),
            (long, Some(1), "line_too_long"),
            (&many, Some(15), "too_old"),
            ("stream '{a=\"b\"}' has label value too long: 'x'", None, "labels"),
            ("error at least one label pair is required per stream", None, "labels"),
            ("unexpected EOF", None, "rejected"),
            ("", None, "rejected"),
        ] {
            assert_eq!((refused(text), reason(text)), (count, word), "{text}");
        }
    }
}
