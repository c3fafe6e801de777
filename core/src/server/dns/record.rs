//! Converts catalog fields to DNS records.

use std::net::IpAddr;

use coord_state::consul::CatalogNode;
use coord_wire::dns::{DomainName, Record, RecordData, Rtype};

/// What the catalog has as an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// A number.
    Ip(IpAddr),
    /// The name of a machine that others know.
    Host(DomainName),
}

impl Address {
    /// `None` if it is neither: the catalog takes any text.
    pub(super) fn read(text: &str) -> Option<Self> {
        if let Some(address) = address(text) {
            return Some(Self::Ip(address));
        }
        let name = DomainName::bytes_from_str(text).ok()?;
        (!name.is_root()).then_some(Self::Host(name))
    }

    /// Whether it is that name.
    pub(super) fn is_name(&self, name: &DomainName) -> bool {
        matches!(self, Self::Host(host) if host == name)
    }
}

/// The address that `text` says. `::ffff:10.0.0.1` is 10.0.0.1, as it is for
/// whoever connects there.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// Whether records of an address are wanted by who asks for `rtype`.
pub(super) fn wants(rtype: Rtype, address: IpAddr) -> bool {
    match rtype {
        Rtype::ANY => true,
        Rtype::A => address.is_ipv4(),
        Rtype::AAAA => address.is_ipv6(),
        _ => false,
    }
}

/// Whether an alias is wanted by who asks for `rtype`.
pub(super) fn wants_alias(rtype: Rtype) -> bool {
    matches!(rtype, Rtype::A | Rtype::AAAA | Rtype::CNAME | Rtype::ANY)
}

/// A node's metadata as text records.
pub(super) fn meta_records(owner: &DomainName, node: &CatalogNode, ttl_s: u32) -> Vec<Record> {
    let pairs = node.meta.iter().flatten();
    pairs
        .map(|(key, value)| Record {
            owner: owner.clone(),
            ttl_s,
            data: RecordData::Txt(attribute(key, value).into()),
        })
        .collect()
}

/// Keys with this prefix have their value told alone.
const BARE_PREFIX: &str = "rfc1035-";

/// `key=value` as in RFC 1464: in the key, a grave accent stands before
/// itself, before an equals sign, and before white space at either end.
fn attribute(key: &str, value: &str) -> String {
    let is_bare =
        key.get(..BARE_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(BARE_PREFIX));
    if is_bare {
        return value.to_owned();
    }
    let is_blank = |character: char| matches!(character, ' ' | '\t');
    let inner_start = key.len() - key.trim_start_matches(is_blank).len();
    let inner_end = key.trim_end_matches(is_blank).len();
    let mut text = String::with_capacity(key.len() + value.len() + 1);
    for (at, character) in key.char_indices() {
        let is_outer = at < inner_start || at >= inner_end;
        if matches!(character, '=' | '`') || is_outer {
            text.push('`');
        }
        text.push(character);
    }
    text.push('=');
    text.push_str(value);
    text
}

#[cfg(test)]
mod tests {
    use super::attribute;

    #[test]
    fn keys_of_text_records_are_quoted() {
        assert_eq!(attribute("role", "a=b"), "role=a=b");
        assert_eq!(attribute("a=b", "c"), "a`=b=c");
        assert_eq!(attribute("a`b", "c"), "a``b=c");
        assert_eq!(attribute(" a b\t", "c"), "` a b`\t=c");
        assert_eq!(attribute("  ", "c"), "` ` =c");
        assert_eq!(attribute("rfc1035-note", "all of it"), "all of it");
    }
}
