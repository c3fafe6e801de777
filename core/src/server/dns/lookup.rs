//! Finds the answer to a query in the catalog.

use std::net::IpAddr;

use coord_state::consul::{Catalog, CatalogNode, Consul};
use coord_wire::dns::{Answer, Asked, DomainName, Finding, Record, RecordData, Rtype};

use super::record::{self, Address, meta_records, wants, wants_alias};
use super::rng::Rng;
use super::zone::{Zone, Zones};

/// One question being answered.
pub(super) struct Lookup<'a> {
    pub(super) consul: &'a Consul,
    pub(super) catalog: &'a Catalog,
    zones: &'a Zones,
    /// The one the question is about.
    pub(super) zone: &'a Zone,
    pub(super) rng: Rng,
    time_s: u32,
    /// The names that were found to be aliases, one behind the other.
    aliases: Vec<DomainName>,
    /// How many more aliases may be followed in all.
    aliases_left: usize,
}

/// Aliases followed one behind the other.
const DEPTH_MAX: usize = 3;

/// Aliases followed for one question: each is a question of its own.
const ALIASES_MAX: usize = 64;

/// Records told about where an alias leads.
pub(super) const ALIAS_RECORDS_MAX: usize = 5;

/// Name servers told.
const SERVERS_MAX: usize = 3;

/// The service that the servers themselves are registered as.
const SERVERS: &str = "consul";

impl<'a> Lookup<'a> {
    pub(super) fn new(consul: &'a Consul, zones: &'a Zones, time_s: u32, rng: Rng) -> Self {
        Self {
            consul,
            catalog: consul.catalog(),
            zones,
            zone: zones.first(),
            rng,
            time_s,
            aliases: Vec::new(),
            aliases_left: ALIASES_MAX,
        }
    }

    /// Answers one question.
    pub(super) fn answer(&mut self, name: &DomainName, rtype: Rtype) -> Answer {
        let zone = self.zones.containing(name).unwrap_or_else(|| self.zones.first());
        self.zone = zone;
        match Asked::read(name, rtype, &zone.domain, &zone.datacenter) {
            Asked::Apex => self.apex(name, rtype),
            Asked::Node(node) => self.node(name, &node, rtype),
            Asked::Service { name: service, tag } => {
                self.service(name, &service, tag.as_deref(), rtype)
            }
            Asked::Ready { name: service, .. } if self.catalog.is_blocked(&service) => {
                self.no_such_name()
            }
            Asked::Ready { name: service, tag } => {
                self.service(name, &service, tag.as_deref(), rtype)
            }
            Asked::Query(query) => self.query(name, &query, rtype),
            Asked::Address(address) => self.address(name, address, rtype),
            Asked::Reverse(address) => self.reverse(name, address, rtype),
            Asked::Nothing => self.no_such_name(),
            Asked::Elsewhere => Answer::refused(),
        }
    }

    pub(super) fn no_such_name(&self) -> Answer {
        Answer::no_such_name(self.zone.soa(self.time_s))
    }

    /// The findings, or that there are none of this type.
    pub(super) fn found(&self, findings: Vec<Finding>) -> Answer {
        if findings.is_empty() {
            return Answer::no_data(self.zone.soa(self.time_s));
        }
        Answer::found(findings)
    }

    /// Consul knows only SOA and NS records of the zone itself, and for
    /// anything else denies that the name exists.
    fn apex(&mut self, name: &DomainName, rtype: Rtype) -> Answer {
        match rtype {
            Rtype::SOA => {
                let head = Record { owner: name.clone(), ..self.zone.soa(self.time_s) };
                let mut answer = Answer::found(vec![head.into()]);
                for server in self.servers() {
                    answer.authority.push(server.record);
                    answer.additional.extend(server.extra);
                }
                answer
            }
            Rtype::NS => {
                let servers = self.servers();
                self.found(servers)
            }
            _ => self.no_such_name(),
        }
    }

    /// Some of the servers, each with its address.
    fn servers(&mut self) -> Vec<Finding> {
        let mut nodes: Vec<&CatalogNode> = self
            .usable_instances(SERVERS, None)
            .into_iter()
            .map(|instance| instance.node)
            .filter(|node| is_host_label(&node.name))
            .collect();
        // Instances come by node, so those of one node are neighbours.
        nodes.dedup_by_key(|node| &node.name);
        self.rng.shuffle(&mut nodes);
        let mut servers = Vec::new();
        for node in nodes {
            let Some(server) = self.zone.node_name(&node.name) else { continue };
            if servers.len() == SERVERS_MAX {
                break;
            }
            servers.push(Finding {
                extra: self.address_records(
                    &server,
                    &node.address,
                    Rtype::ANY,
                    self.zone.settings.node_ttl_s,
                ),
                record: Record {
                    owner: self.zone.domain.clone(),
                    ttl_s: self.zone.settings.node_ttl_s,
                    data: RecordData::Ns(server),
                },
            });
        }
        servers
    }

    fn node(&mut self, owner: &DomainName, name: &str, rtype: Rtype) -> Answer {
        // The catalog also finds nodes by their UUID, which is no name.
        let found = self.catalog.node(name);
        let Some(node) = found.filter(|node| same(&node.name, name)) else {
            return self.no_such_name();
        };
        let ttl_s = self.zone.settings.node_ttl_s;
        let mut findings: Vec<Finding> = self
            .address_records(owner, &node.address, rtype, ttl_s)
            .into_iter()
            .map(Finding::from)
            .collect();
        let meta = meta_records(owner, node, ttl_s);
        if matches!(rtype, Rtype::TXT | Rtype::ANY) {
            findings.extend(meta.into_iter().map(Finding::from));
        } else if let Some(first) = findings.first_mut()
            && self.zone.settings.node_meta_txt
        {
            first.extra = meta;
        }
        self.found(findings)
    }

    fn address(&self, owner: &DomainName, address: Option<IpAddr>, rtype: Rtype) -> Answer {
        let address = address.filter(|address| wants(rtype, *address));
        let record = address.map(|address| Record {
            owner: owner.clone(),
            ttl_s: self.zone.settings.node_ttl_s,
            data: address.into(),
        });
        self.found(record.into_iter().map(Finding::from).collect())
    }

    /// The first node with the address, or else the first service.
    fn reverse(&self, owner: &DomainName, address: Option<IpAddr>, rtype: Rtype) -> Answer {
        let Some(name) = address.and_then(|address| self.name_of(address)) else {
            return self.no_such_name();
        };
        if !matches!(rtype, Rtype::PTR | Rtype::ANY) {
            return self.found(Vec::new());
        }
        let record = Record {
            owner: owner.clone(),
            ttl_s: self.zone.settings.node_ttl_s,
            data: RecordData::Ptr(name),
        };
        self.found(vec![record.into()])
    }

    fn name_of(&self, address: IpAddr) -> Option<DomainName> {
        let sought = address.to_canonical();
        let is_it = |text: &str| record::address(text) == Some(sought);
        let node = self
            .catalog
            .nodes()
            .filter(|node| is_it(&node.address))
            .find_map(|node| self.zone.node_name(&node.name));
        node.or_else(|| {
            self.catalog
                .services()
                .filter(|service| is_it(&service.address))
                .find_map(|service| self.zone.service_name(&service.name))
        })
    }

    /// The records of what the catalog has as an address, and where it leads
    /// if it is a name.
    pub(super) fn address_records(
        &mut self,
        owner: &DomainName,
        address: &str,
        rtype: Rtype,
        ttl_s: u32,
    ) -> Vec<Record> {
        match Address::read(address) {
            Some(Address::Ip(address)) if wants(rtype, address) => {
                vec![Record { owner: owner.clone(), ttl_s, data: address.into() }]
            }
            Some(Address::Host(host)) => self.alias_records(owner, host, rtype, ttl_s),
            _ => Vec::new(),
        }
    }

    /// The record of an alias, and where it leads. One that leads to itself leads
    /// nowhere.
    pub(super) fn alias_records(
        &mut self,
        owner: &DomainName,
        host: DomainName,
        rtype: Rtype,
        ttl_s: u32,
    ) -> Vec<Record> {
        if !wants_alias(rtype) || host == *owner {
            return Vec::new();
        }
        let mut behind = Vec::new();
        if rtype != Rtype::CNAME {
            self.aliases.push(owner.clone());
            behind = self.follow(&host, rtype, ttl_s);
            self.aliases.pop();
        }
        let alias = Record { owner: owner.clone(), ttl_s, data: RecordData::Cname(host) };
        std::iter::once(alias).chain(behind).collect()
    }

    /// Where a name leads, as far as this zone knows. It is kept no longer than
    /// what led there: `ttl_s`.
    pub(super) fn follow(&mut self, host: &DomainName, rtype: Rtype, ttl_s: u32) -> Vec<Record> {
        let is_circle = self.aliases.contains(host);
        let is_spent = self.aliases.len() > DEPTH_MAX || self.aliases_left == 0;
        if is_circle || is_spent || self.zones.containing(host).is_none() {
            return Vec::new();
        }
        self.aliases_left -= 1;
        let asked_in = self.zone;
        let answer = self.answer(host, rtype);
        self.zone = asked_in;
        let addresses =
            answer.findings.into_iter().map(|finding| finding.record).filter(|record| {
                matches!(record.data, RecordData::A(_) | RecordData::Aaaa(_) | RecordData::Cname(_))
            });
        addresses.take(ALIAS_RECORDS_MAX).map(|record| Record { ttl_s, ..record }).collect()
    }
}

/// Whether two names of the catalog are the same one.
pub(super) fn same(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

/// Whether a node's name can be that of a host, which is more than DNS asks.
fn is_host_label(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
