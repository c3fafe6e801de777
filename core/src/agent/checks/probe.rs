//! The kind of probe of a check, derived once from its definition.

use std::sync::Arc;
use std::time::Duration;

use coord_state::consul::CheckStatus;
use coord_wire::consul::check::CheckDefinition;

use super::docker::DockerProbe;
use super::grpc::GrpcProbe;
use super::h2ping::H2PingProbe;
use super::http::HttpProbe;
use super::os_service::OsServiceProbe;
use super::script::ScriptProbe;
use super::secure::{Connectors, Inside, Secure};
use super::tcp::TcpProbe;
use super::udp::UdpProbe;
use crate::agent::output;
use crate::agent::registrations::nanoseconds;
use crate::settings::AgentSettings;

const TIMEOUT: Duration = Duration::from_secs(10);

/// What one run of a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) status: CheckStatus,
    pub(super) output: String,
}

impl Finding {
    pub(super) fn passing(output: impl Into<String>) -> Self {
        Self { status: CheckStatus::Passing, output: output.into() }
    }

    pub(super) fn critical(output: impl Into<String>) -> Self {
        Self { status: CheckStatus::Critical, output: output.into() }
    }
}

/// Something to do every interval.
#[derive(Debug)]
pub(super) enum Probe {
    Http(Box<HttpProbe>),
    Tcp(TcpProbe),
    Udp(UdpProbe),
    Grpc(GrpcProbe),
    H2Ping(H2PingProbe),
    Script(ScriptProbe),
    Docker(DockerProbe),
    OsService(OsServiceProbe),
    /// Nothing that can be probed; why.
    Impossible(String),
}

impl Probe {
    /// `None` if the check is not run at intervals.
    pub(super) fn of(
        definition: &CheckDefinition,
        settings: &AgentSettings,
        connectors: &Arc<Connectors>,
    ) -> Option<Self> {
        let secure =
            |wanted: bool, inside| wanted.then(|| Secure::of(definition, connectors, inside));
        let probe = match definition.kind() {
            "http" => HttpProbe::of(definition, Secure::of(definition, connectors, Inside::Http1))
                .map(|probe| Self::Http(Box::new(probe))),
            "tcp" => {
                let secure = secure(definition.tcp_use_tls, Inside::Anything);
                Ok(Self::Tcp(TcpProbe::of(definition, secure)))
            }
            "udp" => Ok(Self::Udp(UdpProbe::of(definition))),
            "grpc" => {
                let secure = secure(definition.grpc_use_tls, Inside::Http2);
                Ok(Self::Grpc(GrpcProbe::of(definition, secure)))
            }
            "h2ping" => {
                let secure = secure(definition.h2ping_use_tls != Some(false), Inside::Http2);
                Ok(Self::H2Ping(H2PingProbe::of(definition, secure)))
            }
            "script" | "docker" if !settings.enable_script_checks => {
                Err("Scripts are disabled on this agent".to_owned())
            }
            "script" => Ok(Self::Script(ScriptProbe::of(definition))),
            "docker" => DockerProbe::of(definition, &settings.docker_host).map(Self::Docker),
            "os_service" => Ok(Self::OsService(OsServiceProbe::of(definition))),
            _ => return None,
        };
        Some(probe.unwrap_or_else(Self::Impossible))
    }

    /// Runs once; ends within the check's timeout. Dropping the future ends
    /// whatever it began.
    pub(super) async fn run(&self) -> Finding {
        let Finding { status, output } = self.found().await;
        // Addresses and reasons are in it, which others make as long as they like.
        Finding { status, output: output::clip(&output, output::WHOLE_BYTES_MAX) }
    }

    async fn found(&self) -> Finding {
        match self {
            Self::Http(probe) => probe.run().await,
            Self::Tcp(probe) => probe.run().await,
            Self::Udp(probe) => probe.run().await,
            Self::Grpc(probe) => probe.run().await,
            Self::H2Ping(probe) => probe.run().await,
            Self::Script(probe) => probe.run().await,
            Self::Docker(probe) => probe.run().await,
            Self::OsService(probe) => probe.run().await,
            Self::Impossible(problem) => Finding::critical(problem.clone()),
        }
    }
}

/// How long one run may take.
pub(super) fn timeout(definition: &CheckDefinition) -> Duration {
    nanoseconds(definition.timeout_ns).unwrap_or(TIMEOUT)
}
