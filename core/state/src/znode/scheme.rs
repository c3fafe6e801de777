//! What the schemes of access lists mean.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::znode::Identity;

/// Whether `auth` in an access list stands for identities of this scheme: an
/// address is no authentication, and `super` needs no entry.
pub(super) fn is_authentication(identity: &Identity) -> bool {
    matches!(&*identity.scheme, "digest" | "sasl" | "x509")
}

/// Whether somebody with these identities is meant by `granted`.
pub(super) fn matches(granted: &Identity, identities: &[Identity]) -> bool {
    if &*granted.scheme == "world" {
        return &*granted.id == "anyone";
    }
    identities.iter().any(|who| {
        who.scheme == granted.scheme
            && match &*granted.scheme {
                "ip" => in_network(&who.id, &granted.id),
                "sasl" => who.id == granted.id || &*who.id == "super",
                _ => who.id == granted.id,
            }
    })
}

/// Whether an access list can name this identity.
pub(super) fn is_valid(identity: &Identity) -> bool {
    let id = &*identity.id;
    match &*identity.scheme {
        "world" => id == "anyone",
        // ZooKeeper drops empty parts at the end before it counts them.
        "digest" => id.trim_end_matches(':').split(':').count() == 2,
        "ip" => Network::parse(id).is_some(),
        "sasl" => is_principal(id),
        "x509" => is_distinguished_name(id),
        _ => false,
    }
}

/// A Kerberos principal, `service/host@REALM`, or a plain name.
fn is_principal(id: &str) -> bool {
    match id.split_once('@') {
        Some((name, realm)) => !realm.contains(['@', '/']) && name.split('/').count() <= 2,
        None => true,
    }
}

/// Attributes such as `CN=host`, separated by commas that are not escaped or quoted.
fn is_distinguished_name(id: &str) -> bool {
    let mut quoted = false;
    let mut escaped = false;
    let mut attributes = id.split(|character| {
        let free = !quoted && !escaped;
        if character == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = character == '\\' && !escaped;
        free && matches!(character, ',' | ';' | '+')
    });
    attributes
        .all(|attribute| attribute.split_once('=').is_some_and(|(kind, _)| !kind.trim().is_empty()))
}

/// Addresses that share their first bits.
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address.parse().ok()?, Some(bits.parse().ok()?)),
            None => (text.parse().ok()?, None),
        };
        let width = match address {
            IpAddr::V4(_) => Ipv4Addr::BITS,
            IpAddr::V6(_) => Ipv6Addr::BITS,
        };
        let bits = bits.unwrap_or(width);
        (bits <= width).then_some(Self { address, bits })
    }

    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= self.bits
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= self.bits
            }
            _ => false,
        }
    }
}

fn in_network(address: &str, network: &str) -> bool {
    match (address.parse(), Network::parse(network)) {
        (Ok(address), Some(network)) => network.contains(address),
        _ => false,
    }
}
