//! Looking for bytes, eight at a time.

const ONES: u64 = u64::MAX / 255;
const HIGHS: u64 = ONES << 7;

/// Where `byte` is, at or after `from`.
pub(super) fn find(bytes: &[u8], from: usize, byte: u8) -> Option<usize> {
    let pattern = ONES * u64::from(byte);
    let mut at = from;
    while let Some(word) = word(bytes, at) {
        let found = zeros(word ^ pattern);
        if found != 0 {
            return Some(at + first(found));
        }
        at += 8;
    }
    bytes.get(at..)?.iter().position(|other| *other == byte).map(|more| at + more)
}

/// The first byte at or after `from` that cannot stand in a JSON string as it is, or the end.
pub(super) fn plain_until(bytes: &[u8], from: usize) -> usize {
    until::<b' ', b'\\'>(bytes, from)
}

/// The first byte at or after `from` that is under `LEAST`, a quote or `OTHER`; or the end.
pub(super) fn until<const LEAST: u8, const OTHER: u8>(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(word) = word(bytes, at) {
        // Of the bytes under 0x80, those that subtracting `LEAST` makes negative.
        let under = word.wrapping_sub(ONES * u64::from(LEAST)) & !word & HIGHS;
        let found = under | zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(OTHER)));
        if found != 0 {
            return at + first(found);
        }
        at += 8;
    }
    let special = |byte: &u8| *byte < LEAST || *byte == b'"' || *byte == OTHER;
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().position(special).map_or(bytes.len(), |more| at + more)
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let eight: [u8; 8] = bytes.get(at..at + 8)?.try_into().ok()?;
    Some(u64::from_le_bytes(eight))
}

/// Marks the bytes that are zero. Above the lowest of them others may be marked as well: only that one is sure.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

fn first(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_one_at_a_time_finds(bytes in proptest::collection::vec(0x1eu8..0x24, 0..40), from in 0usize..40) {
            let one = bytes.iter().enumerate().skip(from).find(|(_, byte)| **byte == b'!').map(|(at, _)| at);
            prop_assert_eq!(find(&bytes, from, b'!'), one);
            let special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
            let one = bytes.iter().enumerate().skip(from).find(|(_, byte)| special(**byte)).map(|(at, _)| at);
            prop_assert_eq!(plain_until(&bytes, from), one.unwrap_or(bytes.len()));
        }

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..40), byte in any::<u8>()) {
            prop_assert_eq!(find(&bytes, 0, byte), bytes.iter().position(|other| *other == byte));
            let special = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
            prop_assert_eq!(plain_until(&bytes, 0), bytes.iter().position(special).unwrap_or(bytes.len()));
        }
    }
}
