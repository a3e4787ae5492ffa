//! Addresses and networks, typed before anything of the server's becomes part of a ruleset.
//!
//! Always: the bits behind the prefix are zero, as the kernel lists it, and an IPv4 address in IPv6
//! clothing is an IPv4 address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::fault::Fault;

/// An address or network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Network {
    address: IpAddr,
    length: u8,
}

impl Network {
    /// A network, its host bits cleared; `None` when the prefix is too long.
    pub(crate) fn new(address: IpAddr, length: u8) -> Option<Self> {
        match address {
            IpAddr::V4(v4) => {
                let rest = 32_u8.checked_sub(length)?;
                let mask = u32::MAX.checked_shl(rest.into()).unwrap_or(0);
                let address = Ipv4Addr::from(u32::from(v4) & mask).into();
                Some(Self { address, length })
            }
            IpAddr::V6(v6) => {
                if let Some(v4) = v6.to_ipv4_mapped() {
                    return Self::new(v4.into(), length.checked_sub(96)?);
                }
                let rest = 128_u8.checked_sub(length)?;
                let mask = u128::MAX.checked_shl(rest.into()).unwrap_or(0);
                let address = Ipv6Addr::from(u128::from(v6) & mask).into();
                Some(Self { address, length })
            }
        }
    }

    /// Just this address.
    pub(crate) fn host(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, length: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// Whether it is of IPv4.
    pub(crate) fn is_v4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether it is every address there is.
    pub(crate) fn is_everything(&self) -> bool {
        self.length == 0
    }

    /// The length of its prefix.
    pub(crate) fn length(&self) -> u8 {
        self.length
    }

    /// Whether another network is part of it.
    pub(crate) fn holds(&self, other: &Self) -> bool {
        other.length >= self.length && self.contains(other.address)
    }

    /// Whether an address is part of it.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.is_v4() && Self::new(address, self.length) == Some(*self)
    }
}

impl FromStr for Network {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let wrong = || Fault::new(format!("{text:?} is not an address or network"));
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => {
                if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(wrong());
                }
                (address, Some(length.parse::<u8>().map_err(|_| wrong())?))
            }
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        match length {
            None => Ok(Self::host(address)),
            Some(length) => Self::new(address, length).ok_or_else(wrong),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.length == if self.is_v4() { 32 } else { 128 } {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.length)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_spelled_as_the_kernel_lists_it() {
        for (text, spelled) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("2001:db8:1::/32", "2001:db8::/32"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7/120", "192.0.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), spelled);
        }
    }

    #[test]
    fn what_is_not_a_network_is_refused() {
        for text in ["", "192.0.2.7/33", "192.0.2.7/", "1.2.3.4; drop", "a", "::/129", "1.2.3.4/+8"]
        {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_network_contains_its_addresses_only() {
        let network: Network = "192.0.2.0/24".parse().unwrap();
        assert!(network.contains("192.0.2.9".parse().unwrap()));
        assert!(network.contains("::ffff:192.0.2.9".parse().unwrap()));
        assert!(!network.contains("192.0.3.9".parse().unwrap()));
        assert!(!network.contains("2001:db8::1".parse().unwrap()));
    }
}
