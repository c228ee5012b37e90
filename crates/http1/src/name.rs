//! The field names that a proxy itself has to know.

/// What a field is to a proxy. Found once, when the field is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Connection,
    ContentLength,
    Expect,
    Host,
    KeepAlive,
    ProxyConnection,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    /// Everything that only the two ends understand.
    Other,
}

impl Name {
    pub fn of(name: &[u8]) -> Self {
        let (spelling, found) = match name.len() {
            2 => ("te", Self::Te),
            4 => ("host", Self::Host),
            6 => ("expect", Self::Expect),
            7 if matches!(name[0], b't' | b'T') => ("trailer", Self::Trailer),
            7 => ("upgrade", Self::Upgrade),
            10 if matches!(name[0], b'c' | b'C') => ("connection", Self::Connection),
            10 => ("keep-alive", Self::KeepAlive),
            14 => ("content-length", Self::ContentLength),
            16 => ("proxy-connection", Self::ProxyConnection),
            17 => ("transfer-encoding", Self::TransferEncoding),
            _ => return Self::Other,
        };
        // Most others of the same length differ in the first letter.
        let may_be = name[0].eq_ignore_ascii_case(&spelling.as_bytes()[0]);
        if may_be && name.eq_ignore_ascii_case(spelling.as_bytes()) { found } else { Self::Other }
    }

    pub(crate) fn bit(self) -> u16 {
        1 << self as u16
    }

    /// Says where the message ends: written by the encoder alone (RFC 9112 section 6).
    pub fn is_framing(self) -> bool {
        matches!(self, Self::ContentLength | Self::TransferEncoding)
    }

    /// Meant for the next machine only (RFC 9110 section 7.6.1).
    pub fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::KeepAlive
                | Self::ProxyConnection
                | Self::Te
                | Self::TransferEncoding
                | Self::Upgrade
        )
    }
}
