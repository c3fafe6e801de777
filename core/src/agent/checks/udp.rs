//! UDP checks: only an ICMP refusal fails, because most servers do not answer
//! at all.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use coord_wire::consul::check::CheckDefinition;
use tokio::net::UdpSocket;

use super::dial::{parse, resolve, text};
use super::probe::{self, Finding};
use crate::clock;

#[derive(Debug)]
pub(super) struct UdpProbe {
    target: String,
    timeout: Duration,
}

impl UdpProbe {
    pub(super) fn of(definition: &CheckDefinition) -> Self {
        Self { target: definition.udp.clone(), timeout: probe::timeout(definition) }
    }

    pub(super) async fn run(&self) -> Finding {
        match clock::timeout(self.timeout, self.knock()).await {
            Some(Err(failure)) => Finding::critical(failure),
            Some(Ok(())) | None => {
                Finding::passing(format!("UDP connect {}: Success", self.target))
            }
        }
    }

    /// Sends a datagram and waits for an answer or a refusal.
    async fn knock(&self) -> Result<(), String> {
        let addresses = resolve("udp", &parse("udp", &self.target)?).await?;
        let address = addresses.first().copied().ok_or("dial udp: no such host")?;
        exchange(address).await.map_err(|error| format!("read udp {address}: {}", text(&error)))
    }
}

async fn exchange(address: SocketAddr) -> io::Result<()> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    socket.send(&[]).await?;
    socket.recv(&mut [0]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use coord_state::consul::CheckStatus;

    use super::*;

    #[tokio::test]
    async fn silence_passes_and_a_refusal_is_critical() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let definition = CheckDefinition {
            udp: server.local_addr().unwrap().to_string(),
            timeout_ns: 50_000_000,
            ..Default::default()
        };
        assert_eq!(UdpProbe::of(&definition).run().await.status, CheckStatus::Passing);
        drop(server);
        let patient = CheckDefinition { timeout_ns: 0, ..definition };
        let finding = UdpProbe::of(&patient).run().await;
        assert_eq!(finding.status, CheckStatus::Critical);
        assert!(finding.output.ends_with(": connection refused"), "{}", finding.output);
    }
}
