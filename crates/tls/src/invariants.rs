//! What holds for every input, however odd: the fuzz target calls this, and the test below does on every `cargo test`.

use crate::{HelloReader, Sniffed};

/// The name in the first bytes of a connection is the same one however they are cut, and in lower case.
pub fn hello(bytes: &[u8]) {
    let Sniffed::Hello(whole) = HelloReader::default().feed(bytes) else { return };
    assert!(whole.server_name.as_deref().is_none_or(|name| !name.bytes().any(|byte| byte.is_ascii_uppercase())));
    let mut reader = HelloReader::default();
    for piece in bytes.chunks(7) {
        match reader.feed(piece) {
            Sniffed::More => {}
            found => return assert_eq!(found, Sniffed::Hello(whole)),
        }
    }
    panic!("whole in one piece, and not in several");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ClientHello of TLS 1.3 for `a.test`, as a client sends it.
    fn client_hello() -> Vec<u8> {
        let config = rustls::ClientConfig::builder_with_provider(crate::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let mut client = rustls::ClientConnection::new(config.into(), "a.test".try_into().unwrap()).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn no_change_of_a_byte_makes_it_panic() {
        let whole = client_hello();
        hello(&whole);
        assert!(
            matches!(HelloReader::default().feed(&whole), Sniffed::Hello(found) if found.server_name.as_deref() == Some("a.test"))
        );
        for at in 0..whole.len() {
            for byte in [0, 1, 0x16, 0x41, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = byte;
                hello(&bytes);
                hello(&bytes[..at]);
            }
        }
    }
}
