//! The zone as such: its names, its lifetimes, its head.

use std::net::IpAddr;

use coord_wire::dns::{DomainName, Record, RecordData, name_under};

use crate::error::Error;

/// What is known about the zone without looking into the catalog.
#[derive(Debug, Clone)]
pub(super) struct Zone {
    /// `consul.`
    pub(super) domain: DomainName,
    /// As set.
    pub(super) datacenter: Box<str>,
    /// `dc1.consul.`
    here: DomainName,
    primary: DomainName,
    mailbox: DomainName,
    /// Lifetime of what is said about nodes. Consul: `node_ttl`.
    pub(super) node_ttl_s: u32,
    /// Lifetime of what is said about services. Consul: `service_ttl`.
    pub(super) service_ttl_s: u32,
    /// Whether instances with warnings are left out too. Consul: `only_passing`.
    pub(super) only_passing: bool,
}

/// Consul's defaults of `soa`.
const SOA_REFRESH_S: u32 = 3600;
const SOA_RETRY_S: u32 = 600;
const SOA_EXPIRE_S: u32 = 86_400;
const SOA_ABSENCE_S: u32 = 0;

impl Zone {
    /// `consul.`, with everything that is here in `datacenter`.
    pub(super) fn new(datacenter: &str) -> Result<Self, Error> {
        let under = |label: &str, origin: &DomainName| {
            name_under([label], origin)
                .ok_or_else(|| Error::invalid(format!("'{label}' is not a DNS label")))
        };
        let domain = under("consul", &DomainName::root_bytes())?;
        Ok(Self {
            datacenter: datacenter.into(),
            here: under(datacenter, &domain)?,
            primary: under("ns", &domain)?,
            mailbox: under("hostmaster", &domain)?,
            node_ttl_s: 0,
            service_ttl_s: 0,
            only_passing: false,
            domain,
        })
    }

    /// `<node>.node.<dc>.consul.`, unless that is too long for a name.
    pub(super) fn node_name(&self, node: &str) -> Option<DomainName> {
        name_under(node.split('.').chain(["node"]), &self.here)
    }

    /// `<service>.service.<dc>.consul.`, unless that is no name.
    pub(super) fn service_name(&self, service: &str) -> Option<DomainName> {
        name_under([service, "service"], &self.here)
    }

    /// `<hex>.addr.<dc>.consul.`
    pub(super) fn address_name(&self, address: IpAddr) -> Option<DomainName> {
        let digits = match address {
            IpAddr::V4(address) => format!("{:08x}", address.to_bits()),
            IpAddr::V6(address) => format!("{:032x}", address.to_bits()),
        };
        name_under([digits.as_str(), "addr"], &self.here)
    }

    /// The zone's head, as of `time_s`.
    pub(super) fn soa(&self, time_s: u32) -> Record {
        Record {
            owner: self.domain.clone(),
            ttl_s: SOA_ABSENCE_S,
            data: RecordData::Soa {
                primary: self.primary.clone(),
                mailbox: self.mailbox.clone(),
                serial: time_s,
                refresh_s: SOA_REFRESH_S,
                retry_s: SOA_RETRY_S,
                expire_s: SOA_EXPIRE_S,
                absence_s: SOA_ABSENCE_S,
            },
        }
    }
}
