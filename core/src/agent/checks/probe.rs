//! What a check probes, read off its definition once.

use std::time::Duration;

use coord_state::consul::CheckStatus;
use coord_wire::consul::check::CheckDefinition;

use super::docker::DockerProbe;
use super::grpc::GrpcProbe;
use super::h2ping::H2PingProbe;
use super::http::HttpProbe;
use super::os_service::OsServiceProbe;
use super::script::ScriptProbe;
use super::tcp::TcpProbe;
use super::udp::UdpProbe;
use crate::agent::registrations::nanoseconds;
use crate::settings::AgentSettings;

const TIMEOUT: Duration = Duration::from_secs(10);
const OUTPUT_BYTES_MAX: usize = 4096;

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
    pub(super) fn of(definition: &CheckDefinition, settings: &AgentSettings) -> Option<Self> {
        if let Some(problem) = unsupported(definition) {
            return Some(Self::Impossible(problem.to_owned()));
        }
        let probe = match definition.kind() {
            "http" => HttpProbe::of(definition).map(|probe| Self::Http(Box::new(probe))),
            "tcp" => Ok(Self::Tcp(TcpProbe::of(definition))),
            "udp" => Ok(Self::Udp(UdpProbe::of(definition))),
            "grpc" => Ok(Self::Grpc(GrpcProbe::of(definition))),
            "h2ping" => Ok(Self::H2Ping(H2PingProbe::of(definition))),
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

/// Why this agent cannot run a check of that kind, if it cannot.
pub(in crate::agent) fn unsupported(definition: &CheckDefinition) -> Option<&'static str> {
    let https = definition.http.get(..8).is_some_and(|head| head.eq_ignore_ascii_case("https://"));
    match definition.kind() {
        "http" if https => Some("HTTPS checks are not supported by this agent"),
        "tcp" if definition.tcp_use_tls => Some("TCPUseTLS is not supported by this agent"),
        "grpc" if definition.grpc_use_tls => Some("GRPCUseTLS is not supported by this agent"),
        "h2ping" if definition.h2ping_use_tls != Some(false) => {
            Some("H2PING checks need H2PingUseTLS to be false on this agent")
        }
        _ => None,
    }
}

/// How long one run may take.
pub(super) fn timeout(definition: &CheckDefinition) -> Duration {
    nanoseconds(definition.timeout_ns).unwrap_or(TIMEOUT)
}

/// How much output is kept.
pub(super) fn output_bytes_max(definition: &CheckDefinition) -> usize {
    match usize::try_from(definition.output_max_size) {
        Ok(0) | Err(_) => OUTPUT_BYTES_MAX,
        Ok(size) => size,
    }
}
