//! Names for chunks: what a receiver says to acknowledge one.

use ring::rand::{SecureRandom, SystemRandom};

/// 128 bits in base64, as the protocol has it.
pub(super) const LENGTH: usize = 24;

/// Drawn once, then counted: as unlike any other as if each were drawn, without asking the kernel for each.
pub(super) struct Ids {
    drawn: [u8; 8],
    count: u64,
}

impl Ids {
    /// An error is for the operator: without randomness nothing here is safe.
    pub(super) fn new() -> Result<Self, &'static str> {
        Ok(Self { drawn: random()?, count: 0 })
    }

    pub(super) fn next(&mut self) -> [u8; LENGTH] {
        self.count = self.count.wrapping_add(1);
        let mut bytes = [0; 18];
        bytes[..8].copy_from_slice(&self.drawn);
        bytes[8..16].copy_from_slice(&self.count.to_be_bytes());
        let mut text = [b'='; LENGTH];
        for (three, four) in bytes.chunks_exact(3).zip(text.chunks_exact_mut(4)) {
            let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
            for (place, digit) in four.iter_mut().enumerate() {
                *digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
            }
        }
        // Sixteen bytes end two short of a group of three.
        text[LENGTH - 2..].fill(b'=');
        text
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn random<const N: usize>() -> Result<[u8; N], &'static str> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "the system gives no random numbers")?;
    Ok(bytes)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_base64_of_sixteen_bytes() {
        let mut ids = Ids { drawn: *b"\0\x10\x83\x10\x51\x87\x20\x92", count: u64::MAX - 1 };
        assert_eq!(&ids.next(), b"ABCDEFGHIJL//////////w==");
        assert_eq!(&ids.next(), b"ABCDEFGHIJIAAAAAAAAAAA==");
        assert_ne!(Ids::new().unwrap().next(), Ids::new().unwrap().next());
    }

    #[test]
    fn hex_is_lower_case() {
        assert_eq!(hex(&[0, 0xab, 0x1f]), "00ab1f");
    }
}
