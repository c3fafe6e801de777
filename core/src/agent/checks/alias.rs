//! Alias checks: as healthy as another service, or as another node.

use std::sync::Arc;

use coord_state::consul::{Catalog, CheckStatus};
use coord_state::event::Topic;
use coord_wire::consul::check::CheckDefinition;

use super::probe::Finding;
use crate::agent::Agent;

/// Whose health is taken.
struct Original<'a> {
    node: &'a str,
    /// Empty: the node's own.
    service_id: &'a str,
    /// The alias itself, which must not decide about itself.
    except: Option<&'a str>,
}

impl Agent {
    /// Takes over the verdict whenever something changes on the other's node.
    pub(super) async fn follow_alias(self: Arc<Self>, definition: Arc<CheckDefinition>) {
        let own = &self.identity.name;
        let named = &definition.alias_node;
        let is_here = named.is_empty() || named.eq_ignore_ascii_case(own);
        let original = Original {
            node: if is_here { own } else { named },
            service_id: &definition.alias_service,
            except: is_here.then_some(&definition.id),
        };
        let topic = Topic::Node(original.node.to_lowercase().into());
        loop {
            let (mut waiter, finding) = self.node.read(|state| {
                let waiter = self.node.topic_waiters().register(vec![topic.clone()]);
                (waiter, original.health(state.consul().catalog()))
            });
            self.report(&definition, finding.status, finding.output).await;
            waiter.changed().await;
        }
    }
}

impl Original<'_> {
    fn health(&self, catalog: &Catalog) -> Finding {
        let Self { node, service_id, except } = self;
        if !service_id.is_empty() && catalog.service(node, service_id).is_none() {
            return Finding::critical(format!(
                "Service {service_id} could not be found on node {node}"
            ));
        }
        let checks = catalog.checks_on(node).filter(|check| {
            let decides = check.service_id.is_empty() || *check.service_id == **service_id;
            decides && except.is_none_or(|own| *check.id != *own)
        });
        match checks.max_by_key(|check| severity(check.status)) {
            None => Finding::passing("No checks found."),
            Some(worst) if worst.status == CheckStatus::Passing => {
                Finding::passing("All checks passing.")
            }
            Some(worst) => Finding {
                status: worst.status,
                output: format!("Aliased check {:?} failing: {}", worst.name, worst.output),
            },
        }
    }
}

fn severity(status: CheckStatus) -> u8 {
    match status {
        CheckStatus::Passing => 0,
        CheckStatus::Warning => 1,
        CheckStatus::Critical => 2,
    }
}
