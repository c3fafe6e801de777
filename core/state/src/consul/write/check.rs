//! Health checks: set and delete, with everything that depends on them.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::consul::write::Writer;
use crate::consul::write::catalog::Table;
use crate::consul::{CHECKS_MAX, CheckStatus, Consul, ConsulRejection, HealthCheck, NewCheck};

impl Writer<'_> {
    /// Sets a check on a node. A critical one ends the sessions it kept alive.
    pub(super) fn set_check(&mut self, node: &str, new: NewCheck) -> Result<(), ConsulRejection> {
        let catalog = &self.consul.catalog;
        let Some(record) = catalog.node_record(node) else {
            return Err(ConsulRejection::MissingNode);
        };
        let spelled = record.node.name.clone();
        let service = catalog.service(node, &new.service_id);
        if service.is_none() && !new.service_id.is_empty() {
            return Err(ConsulRejection::NoSuchService(spelled));
        }
        let mut check =
            HealthCheck::new(&spelled, new, service.map(|service| &**service), self.revision());
        let id = check.id.clone();
        if let Some(old) = catalog.check(node, &id) {
            if old.service_id != check.service_id {
                self.refuse_one_too_many(node, &check)?;
            }
            check.create_index = old.create_index;
            let modify_index = core::mem::replace(&mut check.modify_index, old.modify_index);
            if **old == check {
                return Ok(());
            }
            check.modify_index = modify_index;
        } else {
            self.refuse_one_too_many(node, &check)?;
        }
        let status = check.status;
        self.put_check(node, &id, Some(check));
        if status == CheckStatus::Critical {
            self.invalidate_sessions_of_check(node, &id);
        }
        Ok(())
    }

    fn refuse_one_too_many(&self, node: &str, check: &HealthCheck) -> Result<(), ConsulRejection> {
        if self.consul.catalog.checks_with(node, &check.service_id) < CHECKS_MAX {
            return Ok(());
        }
        let holder = if check.service_id.is_empty() { &check.node } else { &check.service_id };
        Err(ConsulRejection::TooManyChecks(holder.clone()))
    }

    /// Deletes a check, if it is there, and ends the sessions it kept alive.
    pub(super) fn delete_check(&mut self, node: &str, id: &str) {
        if self.consul.catalog.check(node, id).is_some() {
            self.put_check(node, id, None);
            self.invalidate_sessions_of_check(node, id);
        }
    }

    /// Replaces a check and moves every index that a read of it reports.
    pub(super) fn put_check(&mut self, node: &str, id: &str, check: Option<HealthCheck>) {
        let old = self.consul.catalog.check(node, id);
        let mut services: Vec<Box<str>> = old
            .map(|old| &**old)
            .into_iter()
            .chain(&check)
            .map(|check| check.service_id.clone())
            .collect();
        services.dedup();
        let Consul { catalog, ledger, .. } = &mut *self.consul;
        catalog.put_check(ledger, node, id, check.map(Into::into));
        self.touch(node, &[Table::Checks]);
        for service_id in services {
            if service_id.is_empty() {
                self.touch_services_on(node);
            } else if let Some(service) = self.consul.catalog.service(node, &service_id) {
                let name = service.name.clone();
                self.touch_service(&name);
            }
        }
    }
}
