//! Upper and lower case of a text, one letter for one: as Go has it, where a letter never becomes two.

pub(super) fn lower(text: &str) -> String {
    // The only letter that becomes two is a dotted I, and the dot is the second.
    text.chars().filter_map(|char| char.to_lowercase().next()).collect()
}

pub(super) fn upper(text: &str) -> String {
    text.chars().map(upper_of).collect()
}

fn upper_of(char: char) -> char {
    let mut upper = char.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(only), None) => only,
        _ => alone(char),
    }
}

/// A letter that has two in upper case: Greek ones with an iota below have one of their own, the others stay.
fn alone(char: char) -> char {
    let further = match char {
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => 8,
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => 9,
        _ => 0,
    };
    char::from_u32(u32::from(char) + further).unwrap_or(char)
}
