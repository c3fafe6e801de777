//! The ACL schemes.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::znode::Identity;

/// The scheme of an identity that whoever proved anything by SASL may have on
/// top: its id is a name that stands for every SASL user in access lists, as
/// the member that serves them says. No access list can name the scheme, nor
/// does `auth` stand for it. ZooKeeper: `letAnySaslUserDoX`.
pub const ANY_SASL: &str = "sasl-any";

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
        if &*who.scheme == ANY_SASL {
            return &*granted.scheme == "sasl" && who.id == granted.id;
        }
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

/// What Java takes for the name of an attribute, in any case.
const ATTRIBUTES: [&str; 20] = [
    "CN",
    "C",
    "L",
    "S",
    "ST",
    "O",
    "OU",
    "T",
    "IP",
    "STREET",
    "DC",
    "DNQUALIFIER",
    "DNQ",
    "SURNAME",
    "GIVENNAME",
    "INITIALS",
    "GENERATION",
    "EMAILADDRESS",
    "UID",
    "SERIALNUMBER",
];

/// Attributes such as `CN=host`, separated by commas that are not escaped or
/// quoted. The empty name is one.
fn is_distinguished_name(id: &str) -> bool {
    if id.is_empty() {
        return true;
    }
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
    attributes.all(|attribute| {
        attribute.split_once('=').is_some_and(|(kind, _)| is_attribute(kind.trim()))
    })
}

/// One of Java's names, or numbers with dots between.
fn is_attribute(kind: &str) -> bool {
    if ATTRIBUTES.iter().any(|name| name.eq_ignore_ascii_case(kind)) {
        return true;
    }
    let number = kind.get(..4).filter(|head| head.eq_ignore_ascii_case("OID."));
    let mut parts = kind[number.map_or(0, str::len)..].split('.').peekable();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    kind.contains('.') && parts.peek().is_some() && parts.all(is_number)
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
