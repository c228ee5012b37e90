//! Paths that mean the same to everybody who reads them. Only for those a rule may say that no login is needed.

/// The path decoded, if there is only one way to read it. None: somebody behind us may see another path than we do.
pub fn canonical(raw: &str) -> Option<String> {
    if !raw.starts_with('/') || raw.contains("//") || !raw.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => {
                let (digits, after) =
                    rest.split_at_checked(2).filter(|(two, _)| two.iter().all(u8::is_ascii_hexdigit))?;
                rest = after;
                let value = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
                // Each of these splits a path, ends it, or is decoded a second time by somebody.
                if matches!(value, 0..=0x1f | 0x7f | b'/' | b'\\' | b'%' | b'?' | b'#' | b';' | b'.') {
                    return None;
                }
                decoded.push(value);
            }
            b'\\' | b'#' => return None,
            byte => decoded.push(byte),
        }
    }
    let decoded = String::from_utf8(decoded).ok()?;
    // `..;x` is `..` to some.
    let is_detour = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    (!decoded.split('/').any(is_detour)).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_one_meaning_is_decoded() {
        for (raw, path) in [("/", "/"), ("/a/b.c/d", "/a/b.c/d"), ("/a%20b/%C3%A9", "/a b/é"), ("/a;v=1/b", "/a;v=1/b")]
        {
            assert_eq!(canonical(raw).as_deref(), Some(path));
        }
    }

    #[test]
    fn a_path_with_two_is_none() {
        for raw in [
            "",
            "a",
            "*",
            "//",
            "/a//b",
            "/a/../b",
            "/a/./b",
            "/..",
            "/a/..",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/%2e%2e/b",
            "/a%00",
            "/a%0a",
            "/a%23b",
            "/a%3fb",
            "/a%252fb",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a/..;/b",
            "/a/..;x=1/b",
            "/a%3bb",
            "/%ff",
            "/a#b",
            "/a%7f",
            "/a%+1",
        ] {
            assert_eq!(canonical(raw), None, "{raw}");
        }
    }
}
