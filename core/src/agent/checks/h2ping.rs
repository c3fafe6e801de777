//! HTTP/2 ping checks: an acknowledged ping passes.

use std::time::Duration;

use coord_wire::consul::check::CheckDefinition;
use h2::Ping;

use super::dial::{dial, driven};
use super::probe::{self, Finding};
use super::secure::Secure;
use crate::clock;

#[derive(Debug)]
pub(super) struct H2PingProbe {
    target: String,
    secure: Option<Secure>,
    timeout: Duration,
}

impl H2PingProbe {
    pub(super) fn of(definition: &CheckDefinition, secure: Option<Secure>) -> Self {
        Self { target: definition.h2ping.clone(), secure, timeout: probe::timeout(definition) }
    }

    pub(super) async fn run(&self) -> Finding {
        match clock::timeout(self.timeout, self.ping()).await {
            Some(Ok(())) => Finding::passing("HTTP2 ping was successful"),
            Some(Err(failure)) => Finding::critical(failure),
            None => Finding::critical(format!("HTTP2 ping of {}: i/o timeout", self.target)),
        }
    }

    async fn ping(&self) -> Result<(), String> {
        let stream = dial(&self.target, self.secure.as_ref()).await?;
        let failed = |error: h2::Error| format!("Failed to send HTTP2 ping: {error}");
        // The sender lives as long as the connection is wanted.
        let (_sender, mut connection) = h2::client::handshake(stream).await.map_err(failed)?;
        let Some(mut pings) = connection.ping_pong() else {
            return Err("Failed to send HTTP2 ping".to_owned());
        };
        let pong = async { pings.ping(Ping::opaque()).await };
        driven(connection, pong).await.map(drop).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use coord_state::consul::CheckStatus;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_answered_ping_passes_and_a_server_of_another_protocol_is_critical() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let definition = CheckDefinition {
            h2ping: listener.local_addr().unwrap().to_string(),
            h2ping_use_tls: Some(false),
            ..Default::default()
        };
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while connection.accept().await.is_some() {}
            // The second is closed without a word.
            drop(listener.accept().await.unwrap());
        });
        let probe = H2PingProbe::of(&definition, None);
        assert_eq!(probe.run().await, Finding::passing("HTTP2 ping was successful"));
        let finding = probe.run().await;
        assert_eq!(finding.status, CheckStatus::Critical);
        assert!(finding.output.starts_with("Failed to send HTTP2 ping"), "{}", finding.output);
    }
}
