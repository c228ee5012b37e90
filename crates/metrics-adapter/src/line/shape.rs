//! The three parts of a line: what names it, what changes from line to line, and the rest.

use memchr::memchr;

/// `name:value|rest`. Lines with the same name and rest mean the same series, so these two are its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape<'l> {
    pub name: &'l [u8],
    pub value: &'l [u8],
    pub rest: &'l [u8],
}

impl<'l> Shape<'l> {
    pub fn of(line: &'l [u8]) -> Option<Self> {
        let colon = memchr(b':', line)?;
        let after = line.get(colon + 1..)?;
        let bar = memchr(b'|', after)?;
        let shape = Self { name: &line[..colon], value: &after[..bar], rest: &after[bar + 1..] };
        (!shape.name.is_empty()).then_some(shape)
    }
}

/// The rest without its timestamp, which is different in each line and says nothing that is exposed.
pub fn without_timestamp<'b>(rest: &[u8], buffer: &'b mut Vec<u8>) -> Option<&'b [u8]> {
    if !rest.windows(2).any(|pair| pair == b"|T") {
        return None;
    }
    buffer.clear();
    for (nth, part) in rest.split(|byte| *byte == b'|').enumerate() {
        let is_time = part.len() > 1 && part[0] == b'T' && part[1..].iter().all(u8::is_ascii_digit);
        if nth > 0 && is_time {
            continue;
        }
        if nth > 0 {
            buffer.push(b'|');
        }
        buffer.extend_from_slice(part);
    }
    (buffer.len() < rest.len()).then_some(buffer.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_three_parts() {
        let shape = Shape::of(b"foo,a=b:12|c|@0.1|#x:y").unwrap();
        assert_eq!((shape.name, shape.value, shape.rest), (&b"foo,a=b"[..], &b"12"[..], &b"c|@0.1|#x:y"[..]));
        for line in ["", "foo", "foo:1", "foo|c", ":1|c"] {
            assert_eq!(Shape::of(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn the_time_is_no_part_of_the_key() {
        let mut buffer = Vec::new();
        assert_eq!(without_timestamp(b"c|#a:b|T1656581400|c:x", &mut buffer), Some(&b"c|#a:b|c:x"[..]));
        for rest in ["c", "c|#a:b", "c|Tuesday", "T12"] {
            assert_eq!(without_timestamp(rest.as_bytes(), &mut buffer), None, "{rest}");
        }
    }
}
