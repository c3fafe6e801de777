//! The instances of a service, or the result of a prepared query.

use std::collections::HashSet;

use coord_state::consul::{CatalogNode, CatalogService, CheckStatus, Instance as Found};
use coord_wire::consul::duration;
use coord_wire::consul::query::QueryDefinition;
use coord_wire::dns::{Answer, DomainName, Finding, Record, RecordData, Rtype};
use foldhash::fast::RandomState;

use super::lookup::{Lookup, same};
use super::record::{Address, meta_records, wants};
use crate::server::prepared_query::{instances, query_for};

/// An instance that may be used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instance<'a> {
    pub(super) node: &'a CatalogNode,
    service: &'a CatalogService,
    /// The worst of its checks.
    status: CheckStatus,
}

/// Instances told in one answer; more would not be told anyway.
const ADDRESSES_MAX: usize = 4096;

/// The same where each comes with a target.
const TARGETS_MAX: usize = 1024;

/// All instances have the same priority.
const SRV_PRIORITY: u16 = 1;

/// In a second.
const NANOSECONDS: i64 = 1_000_000_000;

impl<'a> Lookup<'a> {
    /// A service without a usable instance does not exist.
    pub(super) fn service(
        &mut self,
        owner: &DomainName,
        service: &str,
        tag: Option<&str>,
        rtype: Rtype,
    ) -> Answer {
        let mut instances = self.usable_instances(service, tag);
        if instances.is_empty() {
            return self.no_such_name();
        }
        self.rng.shuffle(&mut instances);
        self.tell(owner, &instances, rtype, self.zone.service_ttl_s(service))
    }

    /// A prepared query that finds nothing is a name that is not there.
    pub(super) fn query(&mut self, owner: &DomainName, asked: &str, rtype: Rtype) -> Answer {
        let Some(query) = query_for(self.consul, asked) else { return self.no_such_name() };
        let Ok(definition) = QueryDefinition::of(query).rendered(asked) else {
            return Answer::failed();
        };
        let found = instances(self.consul, &definition.service);
        let mut instances: Vec<Instance<'_>> = found.into_iter().map(Instance::from).collect();
        if instances.is_empty() {
            return self.no_such_name();
        }
        self.rng.shuffle(&mut instances);
        let own_ttl = match definition.dns.ttl.as_str() {
            "" => None,
            text => duration::parse(text).ok(),
        };
        let ttl_s = own_ttl.and_then(|ttl_ns| u32::try_from(ttl_ns / NANOSECONDS).ok());
        let ttl_s = ttl_s.unwrap_or_else(|| self.zone.service_ttl_s(&definition.service.service));
        self.tell(owner, &instances, rtype, ttl_s)
    }

    fn tell(
        &mut self,
        owner: &DomainName,
        instances: &[Instance<'_>],
        rtype: Rtype,
        ttl_s: u32,
    ) -> Answer {
        let findings = match rtype {
            Rtype::SRV => self.targets(owner, instances, ttl_s),
            rtype => self.addresses(owner, instances, rtype, ttl_s),
        };
        let is_alias = |finding: &Finding| matches!(finding.record.data, RecordData::Cname(_));
        let are_alternatives = !findings.first().is_some_and(is_alias);
        Answer { are_alternatives, ..self.found(findings) }
    }

    /// The instances, with that tag if one is given, whose checks allow their use.
    pub(super) fn usable_instances(&self, service: &str, tag: Option<&str>) -> Vec<Instance<'a>> {
        let worst_allowed = if self.zone.settings.only_passing {
            CheckStatus::Passing
        } else {
            CheckStatus::Warning
        };
        let has = |service: &CatalogService, tag| service.tags.iter().any(|own| same(own, tag));
        self.catalog
            .instances(service)
            .filter(|found| tag.is_none_or(|tag| has(found.service(), tag)))
            .map(Instance::from)
            .filter(|instance| instance.status <= worst_allowed)
            .collect()
    }

    /// Every address once. An alias only if there is no address, and then one:
    /// a name can have no second.
    fn addresses(
        &mut self,
        owner: &DomainName,
        instances: &[Instance<'_>],
        rtype: Rtype,
        ttl_s: u32,
    ) -> Vec<Finding> {
        let most = instances.len().min(ADDRESSES_MAX);
        let mut told = HashSet::with_capacity_and_hasher(most, RandomState::default());
        let mut findings = Vec::with_capacity(most);
        let mut alias = None;
        for instance in instances.iter().take(ADDRESSES_MAX) {
            match instance.address(owner) {
                Some(Address::Ip(address)) if wants(rtype, address) && told.insert(address) => {
                    let record = Record { owner: owner.clone(), ttl_s, data: address.into() };
                    findings.push(record.into());
                }
                Some(Address::Host(host)) => {
                    alias.get_or_insert(host);
                }
                Some(Address::Ip(_)) | None => {}
            }
        }
        let most = self.zone.settings.a_record_limit;
        if most > 0 {
            findings.truncate(most);
        }
        match alias {
            Some(host) if findings.is_empty() => self
                .alias_records(owner, host, rtype, ttl_s)
                .into_iter()
                .map(Finding::from)
                .collect(),
            _ => findings,
        }
    }

    fn targets(
        &mut self,
        owner: &DomainName,
        instances: &[Instance<'_>],
        ttl_s: u32,
    ) -> Vec<Finding> {
        let mut told = HashSet::new();
        let mut findings = Vec::new();
        for instance in instances.iter().take(TARGETS_MAX) {
            let Some((target, mut extra)) = self.target(owner, *instance, ttl_s) else {
                continue;
            };
            let record = Record {
                owner: owner.clone(),
                ttl_s,
                data: RecordData::Srv {
                    priority: SRV_PRIORITY,
                    weight: instance.weight(),
                    port: u16::try_from(instance.service.port).unwrap_or_default(),
                    target,
                },
            };
            if told.insert(record.clone()) {
                if let Some(name) = self.zone.node_name(&instance.node.name)
                    && self.zone.settings.node_meta_txt
                {
                    extra.extend(meta_records(&name, instance.node, ttl_s));
                }
                findings.push(Finding { record, extra });
            }
        }
        findings
    }

    /// The machine of an instance and its addresses. `None` if it has no name,
    /// or none but the one that is asked.
    ///
    /// | the service's address | the node's address | the target |
    /// |---|---|---|
    /// | none, or the name asked | a number | the node |
    /// | none, or the name asked | a name | that name: an alias may not be a target |
    /// | a number | any | its `addr` name |
    /// | another name | any | that name |
    fn target(
        &mut self,
        owner: &DomainName,
        instance: Instance<'_>,
        ttl_s: u32,
    ) -> Option<(DomainName, Vec<Record>)> {
        match instance.address(owner)? {
            Address::Ip(address) => {
                let node = self.zone.node_name(&instance.node.name);
                let node = node.filter(|_| instance.is_where_its_node_is(owner));
                // A node whose name does not fit into DNS is told by its address.
                let target = node.or_else(|| self.zone.address_name(address))?;
                let record = Record { owner: target.clone(), ttl_s, data: address.into() };
                Some((target, vec![record]))
            }
            Address::Host(target) => {
                let extra = self.follow(&target, Rtype::ANY, ttl_s);
                Some((target, extra))
            }
        }
    }
}

impl<'a> From<Found<'a>> for Instance<'a> {
    fn from(found: Found<'a>) -> Self {
        let worst = found.checks().map(|check| check.status).max();
        let status = worst.unwrap_or(CheckStatus::Passing);
        Self { node: found.node(), service: found.service(), status }
    }
}

impl Instance<'_> {
    /// Where it is, for who asks for `owner`: at the service's address, or its
    /// node's if it has none of its own or only the name asked, which would lead
    /// in a circle. `None` if that is no address, or again that name.
    fn address(&self, owner: &DomainName) -> Option<Address> {
        let address = if self.is_where_its_node_is(owner) {
            Address::read(&self.node.address)
        } else {
            Address::read(&self.service.address)
        };
        address.filter(|address| !address.is_name(owner))
    }

    fn is_where_its_node_is(&self, owner: &DomainName) -> bool {
        let own = &*self.service.address;
        own.is_empty() || Address::read(own).is_some_and(|own| own.is_name(owner))
    }

    fn weight(&self) -> u16 {
        let weight = match self.status {
            CheckStatus::Passing => self.service.weights.passing,
            CheckStatus::Warning | CheckStatus::Critical => self.service.weights.warning,
        };
        u16::try_from(weight.clamp(0, i64::from(u16::MAX))).unwrap_or_default()
    }
}
