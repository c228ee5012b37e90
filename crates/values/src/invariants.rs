//! What holds for every text, however odd: the fuzz targets call these, and the tests below do on every `cargo test`.

use std::{fmt, str::FromStr};

use crate::{ByteSize, ListenAddr, Span};

/// What is read and printed is read as the same again; what is refused says what was expected.
fn survives_printing<T: FromStr<Err = String> + fmt::Display + fmt::Debug + PartialEq>(text: &str) -> Option<T> {
    match text.parse::<T>() {
        Ok(value) => {
            let printed = value.to_string();
            assert_eq!(printed.parse::<T>().as_ref(), Ok(&value), "{text:?} is printed as {printed:?}");
            Some(value)
        }
        Err(problem) => {
            assert!(problem.contains("expected"), "{text:?}: {problem}");
            None
        }
    }
}

pub fn duration(text: &str) {
    survives_printing::<Span>(text);
}

/// A fraction of nothing changes nothing.
pub fn size(text: &str) {
    let Some(size) = survives_printing::<ByteSize>(text) else { return };
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if !unit.starts_with('.') {
        let fraction = format!("{number}.0{unit}");
        assert_eq!(fraction.parse(), Ok(size), "{fraction:?}");
    }
}

/// Brackets are for IPv6, and come in pairs.
pub fn address(text: &str) {
    let Some(address) = survives_printing::<ListenAddr>(text) else { return };
    if !matches!(address, ListenAddr::Unix(_)) {
        let brackets: String = text.chars().filter(|c| matches!(c, '[' | ']')).collect();
        assert!(matches!(brackets.as_str(), "" | "[]"), "{text:?} is taken for {address}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, test_runner::RngSeed};

    proptest! {
        // The same texts in every run: finding new ones is what fuzzing is for.
        #![proptest_config(ProptestConfig {
            cases: 2000,
            rng_seed: RngSeed::Fixed(0),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn durations(text in r"([0-9]{0,9}(\.[0-9]{0,9})?(ns|us|µs|ms|[smhdw]|.)){0,4}") {
            super::duration(&text);
        }

        #[test]
        fn sizes(text in r"[0-9]{0,21}(\.[0-9]{0,9})? ?([kKmMgG]i?)?[bB]?.?") {
            super::size(&text);
        }

        #[test]
        fn addresses(text in r"(unix:|/{1,4}|\[|\]|::1?|:|\*|[0-9]{1,5}|[a-f0-9]{1,4}:|127\.0\.0\.1|host|.){0,6}(:[0-9]{1,5})?") {
            super::address(&text);
        }
    }
}
