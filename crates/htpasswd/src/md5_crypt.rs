//! The MD5 scheme of old `crypt` and of Apache (`$apr1$`): files made by `htpasswd` have it by default. No crate that is
//! kept well has it; the hash itself is RustCrypto's.

use md5::{Digest, Md5};

/// The 22 characters after the salt. `magic` is `$apr1$` or `$1$`.
pub(crate) fn hash(password: &[u8], salt: &[u8], magic: &str) -> String {
    let once = Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
    let mut first = Md5::new().chain_update(password).chain_update(magic).chain_update(salt);
    for at in (0..password.len()).step_by(16) {
        first.update(&once[..16.min(password.len() - at)]);
    }
    let mut bits = password.len();
    while bits > 0 {
        // A zero byte, or the first of the password: a slip in the original that everybody has to repeat.
        first.update(if bits & 1 == 1 { &[0][..] } else { &password[..1] });
        bits >>= 1;
    }
    let mut sum = first.finalize();
    for round in 0..1000 {
        let mut next = Md5::new();
        next.update(if round % 2 == 1 { password } else { &sum[..] });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if round % 2 == 1 { &sum[..] } else { password });
        sum = next.finalize();
    }
    let mut text = String::with_capacity(22);
    for [a, b, c] in [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]] {
        push(&mut text, u32::from(sum[a]) << 16 | u32::from(sum[b]) << 8 | u32::from(sum[c]), 4);
    }
    push(&mut text, u32::from(sum[11]), 2);
    text
}

/// Six bits at a time, lowest first, in the alphabet of crypt.
fn push(text: &mut String, mut value: u32, digits: u32) {
    const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for _ in 0..digits {
        text.push(char::from(ALPHABET[(value & 63) as usize]));
        value >>= 6;
    }
}
