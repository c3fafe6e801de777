//! TLS for probes.
//!
//! Probes share a few connectors: they trust the same authorities, and differ
//! only in verification and ALPN protocol.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use coord_wire::consul::check::CheckDefinition;
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;

use crate::error::Error;
use crate::sync::Mutex;
use crate::tls::{Connector, ConnectorOptions, Stream, Trust, Verify};

/// What is spoken inside TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Inside {
    /// Nobody asks.
    Anything,
    Http1,
    Http2,
}

/// The connectors made so far, by whether they verify and by what is inside.
#[derive(Debug)]
pub(in crate::agent) struct Connectors {
    trust: Trust,
    made: Mutex<BTreeMap<(bool, Inside), Connector>>,
}

impl Connectors {
    /// Trusting the authorities in a file, or those of the system.
    pub(in crate::agent) fn trusting(ca_file: Option<PathBuf>) -> Arc<Self> {
        let trust = ca_file.map_or(Trust::System, Trust::File);
        Arc::new(Self { trust, made: Mutex::default() })
    }

    /// Reads files the first time.
    fn connector(&self, verifies: bool, inside: Inside) -> Result<Connector, Error> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connector) = made.get(&(verifies, inside)) {
            return Ok(connector.clone());
        }
        let connector = Connector::load(ConnectorOptions {
            trust: self.trust.clone(),
            verify: if verifies { Verify::Full } else { Verify::Nothing },
            protocols: match inside {
                Inside::Anything => Vec::new(),
                Inside::Http1 => vec![b"http/1.1".to_vec()],
                Inside::Http2 => vec![b"h2".to_vec()],
            },
            ..ConnectorOptions::default()
        })?;
        made.insert((verifies, inside), connector.clone());
        Ok(connector)
    }
}

/// How one check speaks TLS.
#[derive(Debug)]
pub(super) struct Secure {
    connectors: Arc<Connectors>,
    verifies: bool,
    /// The name the certificate must bear; empty for the one connected to.
    name: String,
    inside: Inside,
}

impl Secure {
    pub(super) fn of(
        definition: &CheckDefinition,
        connectors: &Arc<Connectors>,
        inside: Inside,
    ) -> Self {
        Self {
            connectors: Arc::clone(connectors),
            verifies: !definition.tls_skip_verify,
            name: definition.tls_server_name.clone(),
            inside,
        }
    }

    /// Completes the handshake with `host`.
    pub(super) async fn shake_hands(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<Stream, String> {
        let (connectors, verifies, inside) =
            (Arc::clone(&self.connectors), self.verifies, self.inside);
        let loaded = spawn_blocking(move || connectors.connector(verifies, inside)).await;
        let connector = match loaded {
            Ok(Ok(connector)) => connector,
            Ok(Err(error)) => return Err(format!("tls: {}", error.chain())),
            Err(error) => return Err(format!("tls: {error}")),
        };
        let name = match self.name.as_str() {
            "" => host,
            name => name,
        };
        let stream = connector.connect(name, stream).await;
        stream.map_err(|error| format!("tls: failed to verify or agree: {error}"))
    }
}

#[cfg(test)]
#[path = "secure_tests.rs"]
mod tests;
