//! TCP checks: a connection passes.

use std::time::Duration;

use coord_wire::consul::check::CheckDefinition;

use super::dial::dial;
use super::probe::{self, Finding};
use super::secure::Secure;
use crate::clock;

#[derive(Debug)]
pub(super) struct TcpProbe {
    target: String,
    secure: Option<Secure>,
    timeout: Duration,
}

impl TcpProbe {
    pub(super) fn of(definition: &CheckDefinition, secure: Option<Secure>) -> Self {
        Self { target: definition.tcp.clone(), secure, timeout: probe::timeout(definition) }
    }

    pub(super) async fn run(&self) -> Finding {
        match clock::timeout(self.timeout, dial(&self.target, self.secure.as_ref())).await {
            Some(Ok(_)) => Finding::passing(format!("TCP connect {}: Success", self.target)),
            Some(Err(failure)) => Finding::critical(failure),
            None => Finding::critical(format!("dial tcp {}: i/o timeout", self.target)),
        }
    }
}

#[cfg(test)]
mod tests {
    use coord_state::consul::CheckStatus;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_listening_port_passes_and_a_closed_one_is_critical() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap().to_string();
        let definition = CheckDefinition { tcp: target.clone(), ..Default::default() };
        let probe = TcpProbe::of(&definition, None);
        assert_eq!(probe.run().await, Finding::passing(format!("TCP connect {target}: Success")));
        drop(listener);
        let finding = probe.run().await;
        assert_eq!(finding.status, CheckStatus::Critical);
        assert_eq!(finding.output, format!("dial tcp {target}: connect: connection refused"));
    }
}
