//! Paths: decoded and without detours, as routes are matched; encoded again, as they are sent on.

/// A path as the client means it: percent-decoded, `//` as `/`, `.` and `..` resolved. None if it leads out of the root,
/// is no path, or has an encoding that cannot be read. What routes see is this, so that no spelling gets past a rule.
pub fn normal(raw: &str) -> Option<String> {
    // The usual path has nothing to change.
    let plain = |byte: u8| !matches!(byte, b'%' | b'.' | b'\\') && byte.is_ascii_graphic();
    let mut before = 0;
    let mut is_plain = |byte: u8| plain(byte) && (byte, std::mem::replace(&mut before, byte)) != (b'/', b'/');
    if raw.starts_with('/') && raw.bytes().all(&mut is_plain) {
        return Some(raw.to_owned());
    }
    if !raw.starts_with('/') {
        return None;
    }
    let decoded = decoded(raw)?;
    let mut out: Vec<&str> = Vec::new();
    let mut ends_with_slash = false;
    for segment in decoded.split('/').skip(1) {
        ends_with_slash = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => drop(out.pop()?),
            segment => out.push(segment),
        }
    }
    let mut path = String::with_capacity(decoded.len());
    for segment in &out {
        path.push('/');
        path.push_str(segment);
    }
    if ends_with_slash || path.is_empty() {
        path.push('/');
    }
    Some(path)
}

fn decoded(raw: &str) -> Option<String> {
    let (bytes, mut out, mut at) = (raw.as_bytes(), Vec::with_capacity(raw.len()), 0);
    while let Some(byte) = bytes.get(at) {
        if *byte == b'%' {
            let digits = raw.get(at + 1..at + 3)?;
            let value = u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?;
            // A NUL ends a string for some, and is a byte of it for others.
            if value == 0 {
                return None;
            }
            out.push(value);
            at += 3;
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    Some(text_of(&out))
}

/// Bytes that are no UTF-8 cannot be in a rule, but must come out again as they were: they become characters that no
/// text has (of a private area), and what text has of these goes the same way.
fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(|c| raw_byte(c).is_some()) => text.to_owned(),
        _ => bytes.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { stand_in(*byte) }).collect(),
    }
}

const AREA: u32 = 0xf700;

fn stand_in(byte: u8) -> char {
    char::from_u32(AREA + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn raw_byte(c: char) -> Option<u8> {
    let byte = u32::from(c).checked_sub(AREA).and_then(|byte| u8::try_from(byte).ok());
    byte.filter(|byte| !byte.is_ascii())
}

/// A decoded path, to be sent: what cannot stand in a target, and what would mean something else there, is encoded.
pub fn encoded(path: &str, out: &mut String) {
    let mut utf8 = [0; 4];
    for c in path.chars() {
        match (c, raw_byte(c)) {
            (_, Some(byte)) => push_encoded(byte, out),
            (c, _) if is_path_character(c) => out.push(c),
            (c, _) => c.encode_utf8(&mut utf8).bytes().for_each(|byte| push_encoded(byte, out)),
        }
    }
}

/// RFC 3986, section 3.3. A backslash is not one of them, and some apps take it for a slash.
fn is_path_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/".contains(c)
}

fn push_encoded(byte: u8, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// The value of a parameter of a query, as it was sent.
pub fn argument<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_gets_past_a_rule() {
        for (raw, path) in [
            ("/a/b", Some("/a/b")),
            ("/", Some("/")),
            ("//a///b/", Some("/a/b/")),
            ("/health/../secret", Some("/secret")),
            ("/health/%2e%2e/secret", Some("/secret")),
            ("/health%2f..%2Fsecret", Some("/secret")),
            ("/a/./b/.", Some("/a/b/")),
            ("/a/..", Some("/")),
            ("/%61dmin", Some("/admin")),
            ("/a.b/..c", Some("/a.b/..c")),
            ("/..", None),
            ("/a/../..", None),
            ("/%00", None),
            ("/%zz", None),
            ("/%2", None),
            ("/%+1", None),
            ("a", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(normal(raw).as_deref(), path, "{raw}");
        }
    }

    #[test]
    fn a_path_comes_out_as_one_target() {
        let mut out = String::new();
        encoded("/a b%?#\u{e9}/c", &mut out);
        assert_eq!(out, "/a%20b%25%3F%23%C3%A9/c");
        for (raw, sent) in [
            ("/%c0%ae/%ff", "/%C0%AE/%FF"),
            ("/%c3%a4", "/%C3%A4"),
            ("/..%5cadmin", "/..%5Cadmin"),
            ("/%ef%9e%80", "/%EF%9E%80"),
            ("/a%7bb%7d", "/a%7Bb%7D"),
        ] {
            let mut out = String::new();
            encoded(&normal(raw).unwrap(), &mut out);
            assert_eq!(out, sent, "{raw}");
        }
    }

    #[test]
    fn arguments_are_found_by_name() {
        assert_eq!(argument("a=1&B=2&c", "b"), Some("2"));
        assert_eq!(argument("a=1&c", "c"), Some(""));
        assert_eq!(argument("a=1", "x"), None);
    }
}
