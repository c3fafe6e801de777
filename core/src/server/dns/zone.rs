//! The zone itself: names, TTLs and SOA record.
//!
//! It may have two names. A query is answered under the name that it uses.

use std::net::IpAddr;

use coord_wire::dns::{DomainName, Record, RecordData, name_under};

use crate::error::Error;
use crate::settings::DnsSettings;

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
    pub(super) settings: DnsSettings,
}

/// The zone under each of its names.
#[derive(Debug, Clone)]
pub(super) struct Zones {
    first: Zone,
    other: Option<Zone>,
}

impl Zones {
    /// # Errors
    /// `Invalid` if a name cannot be one.
    pub(super) fn new(datacenter: &str, settings: &DnsSettings) -> Result<Self, Error> {
        let zone = |domain: &str| Zone::new(domain, datacenter, settings);
        Ok(Self {
            first: zone(&settings.domain)?,
            other: settings.alt_domain.as_deref().map(zone).transpose()?,
        })
    }

    /// The zone `name` is in, under the name that it uses.
    pub(super) fn containing(&self, name: &DomainName) -> Option<&Zone> {
        let mut zones = [Some(&self.first), self.other.as_ref()].into_iter().flatten();
        zones.find(|zone| name.ends_with(&zone.domain))
    }

    /// The zone as it is usually called.
    pub(super) fn first(&self) -> &Zone {
        &self.first
    }
}

impl Zone {
    /// `domain`, with everything that is here in `datacenter`.
    fn new(domain: &str, datacenter: &str, settings: &DnsSettings) -> Result<Self, Error> {
        let under = |label: &str, origin: &DomainName| {
            name_under([label], origin)
                .ok_or_else(|| Error::invalid(format!("'{label}' is not a DNS label")))
        };
        let labels = domain.trim_end_matches('.').split('.');
        let domain = name_under(labels, &DomainName::root_bytes())
            .ok_or_else(|| Error::invalid(format!("'{domain}' is not a DNS name")))?;
        Ok(Self {
            datacenter: datacenter.into(),
            here: under(datacenter, &domain)?,
            primary: under("ns", &domain)?,
            mailbox: under("hostmaster", &domain)?,
            settings: settings.clone(),
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

    /// How long what is said about `service` may be kept.
    pub(super) fn service_ttl_s(&self, service: &str) -> u32 {
        if self.settings.service_ttl_s.is_empty() {
            return 0;
        }
        let service = service.to_lowercase();
        let fits = |pattern: &str| match pattern.strip_suffix('*') {
            Some(beginning) => service.starts_with(&beginning.to_lowercase()),
            None => service == pattern.to_lowercase(),
        };
        let fitting = self.settings.service_ttl_s.iter().filter(|(pattern, _)| fits(pattern));
        // A name in full is as long as the longest beginning of it, without the star.
        let closest = fitting.max_by_key(|(pattern, _)| (!pattern.ends_with('*'), pattern.len()));
        closest.map_or(0, |(_, ttl_s)| *ttl_s)
    }

    /// The zone's head, as of `time_s`.
    pub(super) fn soa(&self, time_s: u32) -> Record {
        Record {
            owner: self.domain.clone(),
            ttl_s: self.settings.soa_min_ttl_s,
            data: RecordData::Soa {
                primary: self.primary.clone(),
                mailbox: self.mailbox.clone(),
                serial: time_s,
                refresh_s: self.settings.soa_refresh_s,
                retry_s: self.settings.soa_retry_s,
                expire_s: self.settings.soa_expire_s,
                absence_s: self.settings.soa_min_ttl_s,
            },
        }
    }
}
