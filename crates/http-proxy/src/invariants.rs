//! What holds for every input, however odd: the fuzz target calls this, and the test below does on every `cargo test`.

use crate::cluster::ProxyProtocol;
use crate::proxy_header::{Said, parse, write};

/// Whatever is accepted as a PROXY header is as long as it says, and means the same when we write it.
pub fn proxy_header(bytes: &[u8]) {
    let Ok(Some((said, used))) = parse(bytes, true) else { return };
    assert!(used <= bytes.len());
    let Said::Addresses { client, local } = said else { return };
    for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
        let again = write(version, Some(client), Some(local));
        assert_eq!(parse(&again, true), Ok(Some((said, again.len()))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_makes_it_panic() {
        for (client, local) in [("1.2.3.4:5", "6.7.8.9:10"), ("[::1]:5", "[::ffff:1.2.3.4]:10")] {
            for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
                let whole = write(version, client.parse().ok(), local.parse().ok());
                for at in 0..whole.len() {
                    for byte in [0, 1, 0x10, 0x11, 0x20, 0x21, 0x7f, 0xff] {
                        let mut bytes = whole.clone();
                        bytes[at] = byte;
                        proxy_header(&bytes);
                        bytes.extend([b'7'; 64]);
                        proxy_header(&bytes);
                    }
                }
            }
        }
    }
}
