//! Networks as people write them.

use std::net::IpAddr;

use serde::Deserialize;

/// A network in the usual spelling: `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads a network; an address alone is a network of one.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
        // A /0 is everybody: whoever wants that leaves the list empty.
        (1..=most).contains(&bits).then_some(Self { address, bits })
    }

    /// Whether an address is in it. An IPv4 address written as IPv6 is the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl TryFrom<String> for Network {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl std::str::FromStr for Network {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text).ok_or_else(|| format!("{text} is no network such as 192.0.2.0/24"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::read(text).expect("a network")
    }

    #[test]
    fn networks_contain_what_they_say() {
        let inside = |network_text: &str, address: &str| {
            network(network_text).contains(address.parse().expect("an address"))
        };
        assert!(inside("192.0.2.0/24", "192.0.2.255") && !inside("192.0.2.0/24", "192.0.3.0"));
        assert!(inside("192.0.2.7", "192.0.2.7") && !inside("192.0.2.7", "192.0.2.8"));
        assert!(inside("192.0.2.0/24", "::ffff:192.0.2.1"));
        assert!(
            inside("2001:db8::/33", "2001:db8::1") && !inside("2001:db8::/33", "2001:db8:8000::")
        );
        for bad in ["0.0.0.0/0", "::/0", "192.0.2.0/33", "192.0.2", "", "/8", "192.0.2.0/x"] {
            assert!(Network::read(bad).is_none(), "{bad}");
        }
    }
}
