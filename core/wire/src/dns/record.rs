//! Names and the few kinds of records that Consul answers with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use domain::base::Name;
use domain::base::name::NameBuilder;

/// A full domain name. Equal and hashed without regard to case, printed and
/// sent in the case it was made with.
pub type DomainName = Name<Bytes>;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Record {
    /// Whose.
    pub owner: DomainName,
    /// How long it may be kept. Seconds.
    pub ttl_s: u32,
    /// What.
    pub data: RecordData,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RecordData {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// Another name of the owner.
    Cname(DomainName),
    /// A server of the zone.
    Ns(DomainName),
    /// The name of an address.
    Ptr(DomainName),
    /// Where a service is.
    Srv {
        /// Lower is tried first.
        priority: u16,
        /// Its share among equals.
        weight: u16,
        /// The port.
        port: u16,
        /// The machine.
        target: DomainName,
    },
    /// Text of any length, sent in pieces of 255 bytes.
    Txt(Box<str>),
    /// The head of the zone.
    Soa {
        /// The first name server.
        primary: DomainName,
        /// A mail address, as a name.
        mailbox: DomainName,
        /// Grows with every change.
        serial: u32,
        /// Seconds.
        refresh_s: u32,
        /// Seconds.
        retry_s: u32,
        /// Seconds.
        expire_s: u32,
        /// How long an absence may be kept. Seconds.
        absence_s: u32,
    },
}

impl From<IpAddr> for RecordData {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::A(address),
            IpAddr::V6(address) => Self::Aaaa(address),
        }
    }
}

/// `labels` below `origin`; `None` if a label is empty or longer than 63 bytes
/// or the whole longer than 255.
pub fn name_under<'a>(
    labels: impl IntoIterator<Item = &'a str>,
    origin: &DomainName,
) -> Option<DomainName> {
    let mut name = NameBuilder::new_bytes();
    for label in labels {
        if label.is_empty() {
            return None;
        }
        name.append_label(label.as_bytes()).ok()?;
    }
    name.append_origin(origin).ok()
}
