//! Networks: an address and how much of it counts.

use std::{fmt, io::Write, net::IpAddr, str::FromStr};

use ipnet::IpNet;

/// In every request: the formatter of the standard library takes ten times as long.
pub fn write_address(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(address) => {
            for (at, number) in address.octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                if number >= 100 {
                    out.push(b'0' + number / 100);
                }
                if number >= 10 {
                    out.push(b'0' + number / 10 % 10);
                }
                out.push(b'0' + number % 10);
            }
        }
        // Writing to a Vec does not fail.
        IpAddr::V6(address) => drop(write!(out, "{address}")),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

const EXPECTED: &str = "expected an address or a network such as 10.0.0.0/8 or fd00::/8";

impl Network {
    pub fn block(&self) -> IpNet {
        // `bits` was checked when it was read.
        IpNet::new(self.address, self.bits).unwrap_or_else(|_| self.address.into())
    }

    /// All of the other one is in it.
    pub fn holds(&self, other: &Self) -> bool {
        self.block().contains(&other.block())
    }

    pub const ALL_V4: Self = Self { address: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), bits: 0 };
    pub const ALL_V6: Self = Self { address: IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED), bits: 0 };

    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.bits);
                shift == 32 || u32::from(network) >> shift == u32::from(address) >> shift
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.bits);
                shift == 128 || u128::from(network) >> shift == u128::from(address) >> shift
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| EXPECTED)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| EXPECTED)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most { Err(EXPECTED) } else { Ok(Self { address, bits }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_everybody_writes_them() {
        for text in ["0.0.0.0", "1.20.255.9", "127.0.0.1", "100.99.10.199", "::1", "2001:db8::a:0:1"] {
            let mut out = Vec::new();
            write_address(text.parse().unwrap(), &mut out);
            assert_eq!(out, text.as_bytes());
        }
    }

    #[test]
    fn knows_who_is_in_it() {
        for (network, address, inside) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "::1", true),
            ("fd00::/8", "fd12::1", true),
        ] {
            assert_eq!(network.parse::<Network>().unwrap().contains(address.parse().unwrap()), inside, "{network}");
        }
        for text in ["", "10.0.0.0/33", "x", "::/129", "10.0.0.0/"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
