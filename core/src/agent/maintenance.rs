//! Maintenance mode: a critical check that takes a node or service out of use.

use coord_wire::consul::check::CheckDefinition;

use super::Agent;
use super::errors::AgentError;

const NODE_CHECK: &str = "_node_maintenance";
const SERVICE_CHECK_PREFIX: &str = "_service_maintenance:";

/// Whether this is a check that maintenance mode made.
pub(super) fn is_maintenance(check_id: &str) -> bool {
    check_id == NODE_CHECK || check_id.starts_with(SERVICE_CHECK_PREFIX)
}

impl Agent {
    /// Puts a service into maintenance mode, or takes it out. Idempotent.
    ///
    /// # Errors
    /// `NotFound` if it is not registered here.
    pub async fn maintain_service(
        &self,
        service_id: &str,
        enable: bool,
        reason: &str,
    ) -> Result<(), AgentError> {
        if self.look(|local| local.service(service_id).is_none()) {
            return Err(AgentError::unknown_service(service_id));
        }
        let check = CheckDefinition {
            id: format!("{SERVICE_CHECK_PREFIX}{service_id}"),
            name: "Service Maintenance Mode".to_owned(),
            notes: notes("service", reason),
            service_id: service_id.to_owned(),
            ..CheckDefinition::default()
        };
        self.maintain(check, enable).await
    }

    /// Puts the whole node into maintenance mode, or takes it out. Idempotent.
    ///
    /// # Errors
    /// `Failed` if it cannot be kept.
    pub async fn maintain_node(&self, enable: bool, reason: &str) -> Result<(), AgentError> {
        let check = CheckDefinition {
            id: NODE_CHECK.to_owned(),
            name: "Node Maintenance Mode".to_owned(),
            notes: notes("node", reason),
            ..CheckDefinition::default()
        };
        self.maintain(check, enable).await
    }

    async fn maintain(&self, check: CheckDefinition, enable: bool) -> Result<(), AgentError> {
        match (enable, self.look(|local| local.check(&check.id).is_some())) {
            (true, false) => self.add_check(check).await,
            (false, true) => match self.deregister_check(&check.id).await {
                // Somebody else was faster, to the same end.
                Err(AgentError::NotFound(_)) => Ok(()),
                outcome => outcome,
            },
            (true, true) | (false, false) => Ok(()),
        }
    }
}

fn notes(what: &str, reason: &str) -> String {
    if !reason.is_empty() {
        return reason.to_owned();
    }
    format!(
        "Maintenance mode is enabled for this {what}, but no reason was provided. This is a default message."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_checks_count_as_maintenance() {
        assert!(is_maintenance("_node_maintenance"));
        assert!(is_maintenance("_service_maintenance:web"));
        assert!(!is_maintenance("service:web"));
    }

    #[test]
    fn without_a_reason_the_notes_say_so() {
        assert_eq!(notes("node", "why"), "why");
        assert!(
            notes("service", "").starts_with("Maintenance mode is enabled for this service, but")
        );
    }
}
