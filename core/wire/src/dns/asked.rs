//! What a name asks for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::base::Rtype;
use domain::base::name::Label;

use super::record::DomainName;

/// The meaning of a name. Node, service and tag are in the case asked: who
/// looks them up does not regard it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// The zone itself.
    Apex,
    /// `<node>.node`.
    Node(String),
    /// `[<tag>.]<service>.service`, or `_<service>._<tag>`.
    Service {
        /// The service's name.
        name: String,
        /// Only instances with this tag.
        tag: Option<String>,
    },
    /// `[<tag>.]<service>.ready`, or `_<service>._<tag>.ready`: as `service`, as long
    /// as nothing that it requires is critical.
    Ready {
        /// The service's name.
        name: String,
        /// Only instances with this tag.
        tag: Option<String>,
    },
    /// `<query>.query`: a prepared query's name or id.
    Query(String),
    /// `<8 or 32 hex digits>.addr`; `None` for a label of any other length: it
    /// is no address, but nobody says that it is not there.
    Address(Option<IpAddr>),
    /// A name below `in-addr.arpa` or `ip6.arpa`; `None` if it is no whole address.
    Reverse(Option<IpAddr>),
    /// Inside the zone, but nothing we have.
    Nothing,
    /// Outside the zone.
    Elsewhere,
}

impl Asked {
    /// Reads `name`, asked for records of type `rtype`.
    ///
    /// Without a `service` label a name like `_db._tcp` is a service only when
    /// SRV records are asked for.
    pub fn read(name: &DomainName, rtype: Rtype, zone: &DomainName, datacenter: &str) -> Self {
        if !name.ends_with(zone) {
            return reverse(name).map_or(Self::Elsewhere, Self::Reverse);
        }
        let depth = name.label_count() - zone.label_count();
        let labels: Option<Vec<&str>> =
            name.iter().take(depth).map(|label| str::from_utf8(label.as_slice()).ok()).collect();
        match labels.as_deref() {
            Some([]) => Self::Apex,
            Some(labels) => below(labels, rtype, datacenter),
            None => Self::Nothing,
        }
    }
}

fn below(labels: &[&str], rtype: Rtype, datacenter: &str) -> Asked {
    // From the right: the last label that names a kind is the one that counts,
    // so that a service or a node may be called "service" or "node".
    for (at, label) in labels.iter().enumerate().rev() {
        let (parts, suffix) = (&labels[..at], &labels[at + 1..]);
        let kind = label.to_ascii_lowercase();
        if kind == "addr" {
            // The name says the address itself, in whatever datacenter.
            return address(parts);
        }
        let asked = match kind.as_str() {
            "node" => node(parts),
            "service" => service(parts),
            // A datacenter may be called so: then it is that.
            "ready" if !datacenter.eq_ignore_ascii_case("ready") => match service(parts) {
                Asked::Service { name, tag } => Asked::Ready { name, tag },
                other => other,
            },
            "query" => query(parts),
            "connect" | "ingress" | "virtual" => Asked::Nothing,
            _ if rtype == Rtype::SRV && label.starts_with('_') => service(&labels[..=at]),
            _ => continue,
        };
        return if is_here(suffix, datacenter) { asked } else { Asked::Nothing };
    }
    Asked::Nothing
}

/// Whether what follows the kind names this datacenter: nothing, `dc1` or `dc1.dc`.
fn is_here(suffix: &[&str], datacenter: &str) -> bool {
    match suffix {
        [] => true,
        [name] => name.eq_ignore_ascii_case(datacenter),
        [name, dc] => name.eq_ignore_ascii_case(datacenter) && dc.eq_ignore_ascii_case("dc"),
        _ => false,
    }
}

fn node(parts: &[&str]) -> Asked {
    match parts {
        [] => Asked::Nothing,
        // A name with dots in it is several labels here.
        parts => Asked::Node(parts.join(".")),
    }
}

fn query(parts: &[&str]) -> Asked {
    match parts {
        [] => Asked::Nothing,
        // Names of prepared queries may have dots.
        parts => Asked::Query(parts.join(".")),
    }
}

fn service(parts: &[&str]) -> Asked {
    match parts {
        [] => Asked::Nothing,
        [name, tag] if is_underscored(name) && is_underscored(tag) => Asked::Service {
            name: name[1..].to_owned(),
            tag: Some(tag[1..].to_owned()).filter(|tag| !tag.eq_ignore_ascii_case("tcp")),
        },
        [name] => Asked::Service { name: (*name).to_owned(), tag: None },
        [tag @ .., name] => Asked::Service { name: (*name).to_owned(), tag: Some(tag.join(".")) },
    }
}

fn is_underscored(label: &str) -> bool {
    label.len() > 1 && label.starts_with('_')
}

fn address(parts: &[&str]) -> Asked {
    let [digits] = parts else { return Asked::Nothing };
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    // Consul counts whole bytes first, and then looks at the digits.
    let found: Option<IpAddr> = match digits.len() / 2 {
        4 => u32::from_str_radix(digits, 16).ok().map(|bits| Ipv4Addr::from_bits(bits).into()),
        16 => u128::from_str_radix(digits, 16).ok().map(|bits| Ipv6Addr::from_bits(bits).into()),
        _ => return Asked::Address(None),
    };
    match found {
        Some(address) if is_hex && digits.len().is_multiple_of(2) => Asked::Address(Some(address)),
        _ => Asked::Nothing,
    }
}

/// The address a reverse name stands for: `None` if it is not a reverse name,
/// `Some(None)` if it is one, but not of a whole address.
fn reverse(name: &DomainName) -> Option<Option<IpAddr>> {
    let labels: Vec<&Label> = name.iter().collect();
    let [parts @ .., family, arpa, _root] = labels.as_slice() else { return None };
    if !arpa.as_slice().eq_ignore_ascii_case(b"arpa") {
        return None;
    }
    let family = family.as_slice();
    if family.eq_ignore_ascii_case(b"in-addr") {
        Some(reverse_v4(parts))
    } else if family.eq_ignore_ascii_case(b"ip6") {
        Some(reverse_v6(parts))
    } else {
        None
    }
}

fn reverse_v4(parts: &[&Label]) -> Option<IpAddr> {
    let octets: Option<Vec<&str>> =
        parts.iter().rev().map(|part| str::from_utf8(part.as_slice()).ok()).collect();
    let address: Ipv4Addr = octets?.join(".").parse().ok()?;
    Some(address.into())
}

fn reverse_v6(parts: &[&Label]) -> Option<IpAddr> {
    if parts.len() != 32 {
        return None;
    }
    let mut bits = 0u128;
    for part in parts.iter().rev() {
        let [digit] = part.as_slice() else { return None };
        bits = bits << 4 | u128::from(char::from(*digit).to_digit(16)?);
    }
    Some(Ipv6Addr::from_bits(bits).into())
}
