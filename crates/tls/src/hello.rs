//! Whom a client asks for, read from its first bytes without answering them: for passing TLS through unopened.

use rustls::server::Acceptor;

/// The first bytes of every TLS connection: a handshake record. Anything else is another protocol.
const HANDSHAKE: u8 = 22;

/// Reads a ClientHello as it comes in. It keeps a copy; the bytes still have to be passed on by whoever has them.
#[derive(Default)]
pub struct HelloReader {
    acceptor: Acceptor,
    begun: bool,
}

/// What the first bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sniffed {
    /// Too few to tell.
    More,
    Hello(Hello),
    /// Something else, or a hello that rustls cannot read.
    NotTls,
}

/// What a client says before anything is encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// In lower case. None for a client that names nobody, or an address.
    pub server_name: Option<String>,
    pub alpn: Vec<Vec<u8>>,
}

impl HelloReader {
    /// Takes the next bytes. Once it has said anything but `More` it is done.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Sniffed {
        if !self.begun && bytes.first().is_some_and(|first| *first != HANDSHAKE) {
            return Sniffed::NotTls;
        }
        self.begun |= !bytes.is_empty();
        while !bytes.is_empty() {
            // The acceptor's own bound on a hello (64 KiB) is the bound of this copy.
            match self.acceptor.read_tls(&mut bytes) {
                Ok(0) | Err(_) => return Sniffed::NotTls,
                Ok(_) => {}
            }
            match self.acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    let hello = accepted.client_hello();
                    let alpn = hello.alpn().map(|names| names.map(<[u8]>::to_vec).collect());
                    let server_name = hello.server_name().map(str::to_ascii_lowercase);
                    return Sniffed::Hello(Hello { server_name, alpn: alpn.unwrap_or_default() });
                }
                Err(_) => return Sniffed::NotTls,
            }
        }
        Sniffed::More
    }
}
