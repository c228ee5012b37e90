//! The small words of the grammar: tokens, values, comma lists (RFC 9110 section 5.6).

/// Asked of every byte of every name: a look into a table instead of a search.
const TOKEN: [bool; 256] = bytes(b"!#$%&'*+-.^_`|~");

/// Letters, digits and these.
pub(crate) const fn bytes(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
}

/// RFC 9110 section 5.6.2.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Whether this can be the name of a field, or a method.
pub fn is_field_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().fold(true, |good, byte| good & is_token_byte(*byte))
}

/// RFC 9110 section 5.5: visible bytes, obs-text, spaces and tabs inside.
pub fn is_field_value(value: &[u8]) -> bool {
    let edge = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    value.iter().all(|byte| is_value_byte(*byte)) && !edge(value.first()) && !edge(value.last())
}

pub(crate) fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

pub(crate) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The members of a comma list, trimmed, without the empty ones (RFC 9110 section 5.6.1.2). Not for lists whose members
/// may quote a comma.
pub fn list_items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim).filter(|item| !item.is_empty())
}
