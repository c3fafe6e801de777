//! Nodes and services: register and deregister, with everything that depends on
//! them.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::consul::catalog::{CatalogIndexes, NodeRecord};
use crate::consul::name::lower;
use crate::consul::write::Writer;
use crate::consul::{
    CatalogNode, CatalogService, CheckStatus, Consul, ConsulRejection, HealthCheck, NewNode,
    NewService, Registration, SERVICE_TAGS_BYTES_MAX,
};
use crate::event::Topic;

/// The check by which a node's own agent says that it lives.
const LIVENESS_CHECK: &str = "serfHealth";

/// A table whose index moves.
#[derive(Debug, Clone, Copy)]
pub(super) enum Table {
    Nodes,
    Services,
    Checks,
    /// The node was removed.
    NodeExtinction,
    /// A service name lost its last instance.
    ServiceExtinction,
}

impl Writer<'_> {
    pub(super) fn register(&mut self, registration: Registration) -> Result<(), ConsulRejection> {
        let Registration { node, skip_node_update, services, checks } = registration;
        if node.name.is_empty() {
            return Err(ConsulRejection::NodeNameRequired);
        }
        if node.address.is_empty() && !skip_node_update {
            return Err(ConsulRejection::AddressRequired);
        }
        let name = lower(&node.name);
        if !skip_node_update || self.consul.catalog.node_record(&name).is_none() {
            self.set_node(node)?;
        }
        for service in services {
            self.set_service(&name, service)?;
        }
        for check in checks {
            self.set_check(&name, check).map_err(|rejection| match rejection {
                ConsulRejection::NoSuchService(node) => ConsulRejection::MissingService(node),
                other => other,
            })?;
        }
        Ok(())
    }

    pub(super) fn deregister(
        &mut self,
        node: &str,
        service_id: Option<&str>,
        check_id: Option<&str>,
    ) {
        let node = lower(node);
        let named = |id: Option<&str>| id.filter(|id| !id.is_empty()).map(Box::<str>::from);
        if let Some(id) = named(service_id) {
            self.delete_service(&node, &id);
        } else if let Some(id) = named(check_id) {
            self.delete_check(&node, &id);
        } else {
            self.delete_node(&node);
        }
    }

    /// Sets a node. A known UUID under a new name renames the node: what hung
    /// on the old name is gone, only its age remains.
    pub(super) fn set_node(&mut self, new: NewNode) -> Result<(), ConsulRejection> {
        let revision = self.revision();
        let name = lower(&new.name);
        let mut create_index = None;
        if !new.id.is_empty() {
            let holder = self.consul.catalog.node_by_id(&new.id);
            let renamed = holder
                .filter(|holder| *lower(&holder.name) != *name)
                .map(|holder| (lower(&holder.name), holder.create_index));
            self.refuse_reserved_name(&name, &new, holder.is_none())?;
            if let Some((old_name, old_create_index)) = renamed {
                self.delete_node(&old_name);
                create_index = Some(old_create_index);
            }
        }
        let mut node = CatalogNode::new(new, revision);
        let old = self.consul.catalog.node_record(&name).map(|record| &record.node);
        if let Some(old) = old {
            node.create_index = old.create_index;
            node.modify_index = old.modify_index;
            if node == **old {
                return Ok(());
            }
            node.modify_index = revision;
        }
        let respelled = old.is_some_and(|old| old.name != node.name);
        node.create_index = create_index.unwrap_or(node.create_index);
        let spelled = node.name.clone();
        let Consul { catalog, ledger, .. } = &mut *self.consul;
        let record = NodeRecord { node: Arc::new(node), index: revision };
        catalog.put_node(ledger, &name, Some(record));
        if respelled {
            self.respell_node(&name, &spelled);
        }
        self.touch(&name, &[Table::Nodes]);
        self.touch_services_on(&name);
        Ok(())
    }

    /// A name belongs to the node that has it as long as that node lives. A
    /// node without UUID gives way to one that brings a fresh UUID.
    fn refuse_reserved_name(
        &self,
        name: &str,
        new: &NewNode,
        id_is_fresh: bool,
    ) -> Result<(), ConsulRejection> {
        let catalog = &self.consul.catalog;
        let Some(record) = catalog.node_record(name) else { return Ok(()) };
        let holder = &record.node;
        let lives = catalog
            .check(name, LIVENESS_CHECK)
            .is_some_and(|check| check.status == CheckStatus::Passing);
        if holder.id == new.id || !lives || (holder.id.is_empty() && id_is_fresh) {
            return Ok(());
        }
        Err(ConsulRejection::NodeNameReserved {
            name: new.name.clone(),
            holder_id: holder.id.clone(),
            holder: holder.name.clone(),
            address: holder.address.clone(),
        })
    }

    /// Carries a new spelling of a node's name to what hangs on the node.
    fn respell_node(&mut self, node: &str, spelled: &str) {
        let revision = self.revision();
        let Consul { catalog, ledger, .. } = &mut *self.consul;
        let services: Vec<_> = catalog.services_on(node).cloned().collect();
        let checks: Vec<_> = catalog.checks_on(node).cloned().collect();
        let has_services = (!services.is_empty()).then_some(Table::Services);
        let has_checks = (!checks.is_empty()).then_some(Table::Checks);
        for mut shared in services {
            let service = Arc::make_mut(&mut shared);
            service.node = spelled.into();
            service.modify_index = revision;
            let id = service.id.clone();
            catalog.put_service(ledger, node, &id, Some(shared));
        }
        for mut shared in checks {
            let check = Arc::make_mut(&mut shared);
            check.node = spelled.into();
            check.modify_index = revision;
            let id = check.id.clone();
            catalog.put_check(ledger, node, &id, Some(shared));
        }
        for table in has_services.into_iter().chain(has_checks) {
            self.touch(node, &[table]);
        }
    }

    /// Removes a node, if it is there, with all that hangs on it.
    pub(super) fn delete_node(&mut self, name: &str) {
        if self.consul.catalog.node_record(name).is_none() {
            return;
        }
        let catalog = &self.consul.catalog;
        let services: Vec<_> =
            catalog.services_on(name).map(|service| service.id.clone()).collect();
        for id in services {
            self.delete_service(name, &id);
        }
        let checks: Vec<_> =
            self.consul.catalog.checks_on(name).map(|check| check.id.clone()).collect();
        for id in checks {
            self.delete_check(name, &id);
        }
        self.invalidate_sessions_on(name);
        self.delete_coordinate_of(name);
        let Consul { catalog, ledger, .. } = &mut *self.consul;
        catalog.put_node(ledger, name, None);
        self.touch(name, &[Table::Nodes, Table::NodeExtinction]);
    }

    /// Sets a service on a node that is there.
    pub(super) fn set_service(
        &mut self,
        node: &str,
        new: NewService,
    ) -> Result<(), ConsulRejection> {
        let catalog = &self.consul.catalog;
        let Some(record) = catalog.node_record(node) else {
            return Err(ConsulRejection::MissingNode);
        };
        if new.name.is_empty() {
            return Err(ConsulRejection::ServiceNameRequired);
        }
        if new.tags.iter().map(|tag| tag.len() + 8).sum::<usize>() > SERVICE_TAGS_BYTES_MAX {
            return Err(ConsulRejection::TagsTooLong);
        }
        let mut service = CatalogService::new(&record.node.name, new, self.revision());
        let id = service.id.clone();
        let mut old_name = None;
        let mut copies_differ = false;
        let old = catalog.service(node, &id).cloned();
        if let Some(old) = &old {
            service.create_index = old.create_index;
            let modify_index = core::mem::replace(&mut service.modify_index, old.modify_index);
            if **old == service {
                return Ok(());
            }
            service.modify_index = modify_index;
            copies_differ = old.name != service.name || old.tags != service.tags;
            old_name = Some(old.name.clone());
        }
        let name = service.name.clone();
        let Consul { catalog, ledger, .. } = &mut *self.consul;
        // Under another name it does not depend any more on what it did.
        let renamed = old.filter(|old| lower(&old.name) != lower(&name));
        if renamed.is_some() {
            catalog.put_service(ledger, node, &id, None);
        }
        if let Err(refused) = catalog.check_dependencies(&service) {
            if renamed.is_some() {
                catalog.put_service(ledger, node, &id, renamed);
            }
            return Err(refused);
        }
        catalog.put_service(ledger, node, &id, Some(service.into()));
        self.touch(node, &[Table::Services]);
        self.touch_service(&name);
        if let Some(old_name) = old_name.filter(|old| lower(old) != lower(&name)) {
            self.touch_service(&old_name);
        }
        if copies_differ {
            self.refresh_checks(node, &id);
        }
        Ok(())
    }

    /// Carries a service's new name and tags to its checks.
    fn refresh_checks(&mut self, node: &str, service_id: &str) {
        for id in self.consul.catalog.check_ids_of(node, service_id) {
            let catalog = &self.consul.catalog;
            let (Some(service), Some(check)) =
                (catalog.service(node, service_id), catalog.check(node, &id))
            else {
                continue;
            };
            let mut check = HealthCheck::clone(check);
            check.service_name = service.name.clone();
            check.service_tags = service.tags.clone();
            check.modify_index = self.revision();
            self.put_check(node, &id, Some(check));
        }
    }

    /// Removes a service, if it is there, with its checks.
    pub(super) fn delete_service(&mut self, node: &str, id: &str) {
        let Some(service) = self.consul.catalog.service(node, id) else { return };
        let name = service.name.clone();
        for check in self.consul.catalog.check_ids_of(node, id) {
            self.delete_check(node, &check);
        }
        let Consul { catalog, ledger, .. } = &mut *self.consul;
        catalog.put_service(ledger, node, id, None);
        self.touch(node, &[Table::Services]);
        self.touch_service(&name);
    }

    /// Moves the indexes of tables and of a node.
    pub(super) fn touch(&mut self, node: &str, tables: &[Table]) {
        let index = self.revision();
        let Consul { catalog, ledger, .. } = &mut *self.consul;
        let mut indexes = catalog.indexes();
        for table in tables {
            *indexes.of(*table) = index;
        }
        if indexes != catalog.indexes() {
            catalog.put_indexes(ledger, indexes);
        }
        if let Some(record) = catalog.node_record(node).filter(|record| record.index != index) {
            let record = NodeRecord { index, ..record.clone() };
            catalog.put_node(ledger, node, Some(record));
        }
        self.changed(Topic::Node(Arc::from(node)));
        for table in tables {
            match table {
                Table::Nodes => self.changed(Topic::Nodes),
                Table::Services => self.changed(Topic::Services),
                Table::Checks => self.changed(Topic::Checks),
                Table::NodeExtinction | Table::ServiceExtinction => {}
            }
        }
    }

    /// Moves the index of one service name, or indexes its extinction.
    pub(super) fn touch_service(&mut self, name: &str) {
        let index = self.revision();
        let name = lower(name);
        let Consul { catalog, ledger, .. } = &mut *self.consul;
        if catalog.has_instances(&name) {
            catalog.put_service_index(ledger, &name, Some(index));
        } else {
            catalog.put_service_index(ledger, &name, None);
            let mut indexes = catalog.indexes();
            *indexes.of(Table::ServiceExtinction) = index;
            catalog.put_indexes(ledger, indexes);
        }
        self.changed(Topic::Service(Arc::from(name)));
    }

    /// Moves the index of every service that has an instance on a node. Once
    /// for a command: what is registered there later moves its own.
    pub(super) fn touch_services_on(&mut self, node: &str) {
        if !self.touched.insert(node.into()) {
            return;
        }
        let services = self.consul.catalog.services_on(node);
        let names: BTreeSet<_> = services.map(|service| lower(&service.name)).collect();
        for name in names {
            self.touch_service(&name);
        }
    }
}

impl CatalogIndexes {
    fn of(&mut self, table: Table) -> &mut u64 {
        match table {
            Table::Nodes => &mut self.nodes,
            Table::Services => &mut self.services,
            Table::Checks => &mut self.checks,
            Table::NodeExtinction => &mut self.node_extinction,
            Table::ServiceExtinction => &mut self.service_extinction,
        }
    }
}
