//! `/v1/agent/self`: this member's own description.
//!
//! Programs use all parts of it: deployment tools compare settings, exporters read the counters,
//! clients read limits before they use them. So it has all parts of Consul's response, and those
//! fields of `DebugConfig` that have a meaning here, with Consul's names and units.

use std::collections::BTreeMap;
use std::time::Duration;

use coord_wire::consul::duration;
use serde_json::{Value, json};

use crate::agent::{
    CONSUL_VERSION, OUTPUT_BYTES_MAX, OUTPUT_DELAY, REAP_AFTER_MIN, REAP_EVERY, SIDECAR_PORTS,
};
use crate::node::Role;
use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::Answer;
use crate::server::consul::http::blocking::LEADER_HOLD;
use crate::server::consul::http::call::Call;
use crate::settings::ListenAddress;

impl ConsulApi {
    pub(crate) fn agent_self(&self, call: &Call) -> Answer {
        let datacenter = self.datacenter();
        let identity = self.agent.identity();
        let member = self.members().into_iter().find(|member| member.name == identity.name);
        let answer = json!({
            "Config": {
                "Datacenter": datacenter,
                "PrimaryDatacenter": datacenter,
                "NodeName": identity.name,
                "NodeID": identity.id(),
                "Revision": "",
                "Server": true,
                "Version": CONSUL_VERSION,
                "BuildDate": "1970-01-01T00:00:00Z",
            },
            "DebugConfig": self.debug_config(),
            "Coord": {
                "Vec": [0, 0, 0, 0, 0, 0, 0, 0], "Error": 1.5, "Adjustment": 0, "Height": 1e-5,
            },
            "Member": member,
            "Stats": self.stats(),
            "Meta": {"consul-network-segment": ""},
            // No proxy is told over gRPC what to do.
            "xDS": {
                "SupportedProxies": {},
                "Port": -1,
                "Ports": {"Plaintext": -1, "TLS": -1},
            },
        });
        Answer::json(&answer, call.pretty())
    }

    /// Every counter is a text, as in Consul.
    fn stats(&self) -> Value {
        let (services, checks, ttls) = self.agent.look(|local| {
            let ttls = local.checks().filter(|check| check.kind() == "ttl").count();
            (local.services().count(), local.checks().count(), ttls)
        });
        let members = self.members();
        let failed = members.iter().filter(|member| member.status != 1).count();
        let status = self.node.status();
        let log = status.log;
        let leads = match status.role {
            Role::Standalone | Role::Leader => true,
            Role::Follower | Role::Looking | Role::Learner => {
                status.leader == Some(self.node.member())
            }
        };
        let raft_state = match status.role {
            _ if leads => "Leader",
            Role::Looking => "Candidate",
            Role::Standalone | Role::Leader | Role::Follower | Role::Learner => "Follower",
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from).to_string();
        let gossip = |members: usize, failed: usize| {
            json!({
                "coordinate_resets": "0",
                "encrypted": "false",
                "event_queue": "0",
                "event_time": "1",
                "failed": failed.to_string(),
                "health_score": "0",
                "intent_queue": "0",
                "left": "0",
                "member_time": "1",
                "members": members.to_string(),
                "query_queue": "0",
                "query_time": "1",
            })
        };
        json!({
            "agent": {
                "check_monitors": (checks - ttls).to_string(),
                "check_ttls": ttls.to_string(),
                "checks": checks.to_string(),
                "services": services.to_string(),
            },
            "build": {
                "prerelease": "", "revision": "", "version": CONSUL_VERSION,
                "version_metadata": "",
            },
            "consul": {
                "acl": "disabled",
                "bootstrap": "false",
                "known_datacenters": "1",
                "leader": leads.to_string(),
                "leader_addr": self.leader_address(),
                "server": "true",
            },
            "raft": {
                "applied_index": log.applied.to_string(),
                "commit_index": log.committed.to_string(),
                "fsm_pending": log.committed.saturating_sub(log.applied).to_string(),
                "last_contact": last_contact(leads, status.contact_ms),
                "last_log_index": log.last_index.to_string(),
                "last_log_term": log.last_term.to_string(),
                "last_snapshot_index": log.snapshot_index.to_string(),
                "last_snapshot_term": log.snapshot_term.to_string(),
                "latest_configuration": self.raft_servers_text(),
                "latest_configuration_index": log.membership.to_string(),
                "num_peers": status.voters.len().saturating_sub(1).to_string(),
                "protocol_version": "3",
                "protocol_version_max": "3",
                "protocol_version_min": "0",
                "snapshot_version_max": "1",
                "snapshot_version_min": "0",
                "state": raft_state,
                "term": status.term.to_string(),
            },
            "runtime": {
                "arch": go_arch(),
                "cpu_count": threads,
                "goroutines": "0",
                "max_procs": threads,
                "os": std::env::consts::OS,
                "version": "",
            },
            "serf_lan": gossip(members.len(), failed),
            "serf_wan": gossip(members.len(), failed),
        })
    }

    /// As Go prints Raft's configuration.
    fn raft_servers_text(&self) -> String {
        let status = self.node.status();
        let server = |member, voter: bool| {
            format!(
                "{{Suffrage:{} ID:{} Address:{}}}",
                if voter { "Voter" } else { "Nonvoter" },
                self.id_of_member(member, &self.name_of_member(member)),
                self.address_of(&status, member)
            )
        };
        let voters = status.voters.iter().map(|(member, _)| server(*member, true));
        let observers = status.observers.iter().map(|(member, _)| server(*member, false));
        let mut servers: Vec<_> = voters.chain(observers).collect();
        if servers.is_empty() {
            servers.push(server(self.node.member(), true));
        }
        format!("[{}]", servers.join(" "))
    }

    fn debug_config(&self) -> Value {
        let settings = self.node.settings();
        let limits = &settings.limits;
        let identity = self.agent.identity();
        let tagged: BTreeMap<_, _> =
            ["lan", "lan_ipv4", "wan", "wan_ipv4"].map(|kind| (kind, &identity.address)).into();
        let place = json!({
            "AdvertiseAddrLAN": identity.address,
            "AdvertiseAddrWAN": identity.address,
            "Datacenter": settings.datacenter,
            "EnableUI": settings.ui.enabled,
            "GRPCPort": -1,
            "HTTPAddrs": addresses(&["tcp"], &settings.http_addr),
            "HTTPMaxConnsPerClient": limits.http_connections_per_ip_max,
            "HTTPPort": port(&settings.http_addr),
            "HTTPPorts": ports(&settings.http_addr),
            "HTTPSAddrs": addresses(&["tcp"], &settings.https_addr),
            "HTTPSPort": port(&settings.https_addr),
            "NodeID": identity.id(),
            "NodeMeta": {},
            "NodeName": identity.name,
            "PrimaryDatacenter": settings.datacenter,
            "ServerPort": identity.port,
            "TaggedAddresses": tagged,
            "UIContentPath": "/ui/",
        });
        let others = json!({
            "ACLsEnabled": false,
            "ACLDatacenter": settings.datacenter,
            "ACLDefaultPolicy": "allow",
            "Bootstrap": false,
            "BootstrapExpect": 0,
            "CheckDeregisterIntervalMin": printed(REAP_AFTER_MIN),
            "CheckOutputMaxSize": OUTPUT_BYTES_MAX,
            "CheckReapInterval": printed(REAP_EVERY),
            "CheckUpdateInterval": printed(OUTPUT_DELAY),
            "ConnectEnabled": false,
            "ConnectSidecarMinPort": SIDECAR_PORTS.start(),
            "ConnectSidecarMaxPort": SIDECAR_PORTS.end(),
            "DataDir": settings.data_dir.display().to_string(),
            "DefaultQueryTime": milliseconds(settings.queries.default_wait_ms),
            "DevMode": false,
            "DisableCoordinates": false,
            "DisableRemoteExec": true,
            "EnableDebug": false,
            "EnableLocalScriptChecks": settings.agent.enable_script_checks,
            "EnableRemoteScriptChecks": settings.agent.enable_script_checks,
            "KVMaxValueSize": limits.kv_value_bytes_max,
            "LeaveOnTerm": false,
            "MaxQueryTime": milliseconds(settings.queries.max_wait_ms),
            "RPCHoldTimeout": printed(LEADER_HOLD),
            "Revision": "",
            "SegmentName": "",
            "ServerMode": true,
            "SessionTTLMin": milliseconds(settings.session.consul_ttl_min_ms.into()),
            "TranslateWANAddrs": false,
            "TxnMaxReqLen": limits.txn_bytes_max,
            "Version": CONSUL_VERSION,
            "VersionPrerelease": "",
        });
        let parts = [self.dns_debug_config(), place, others];
        parts.into_iter().filter_map(|part| part.as_object().cloned()).flatten().collect()
    }

    fn dns_debug_config(&self) -> Value {
        let settings = self.node.settings();
        let dns = &settings.dns;
        let seconds = |s: u32| milliseconds(u64::from(s) * 1000);
        let service_ttl: BTreeMap<_, _> =
            dns.service_ttl_s.iter().map(|(name, ttl)| (name, seconds(*ttl))).collect();
        json!({
            "DNSAddrs": addresses(&["tcp", "udp"], &settings.dns_addr),
            "DNSARecordLimit": dns.a_record_limit,
            "DNSAltDomain": dns.alt_domain.as_deref().unwrap_or_default(),
            "DNSDomain": format!("{}.", dns.domain.trim_end_matches('.')),
            "DNSEnableTruncate": dns.enable_truncate,
            "DNSNodeMetaTXT": dns.node_meta_txt,
            "DNSNodeTTL": seconds(dns.node_ttl_s),
            "DNSOnlyPassing": dns.only_passing,
            "DNSPort": port(&settings.dns_addr),
            "DNSPorts": ports(&settings.dns_addr),
            "DNSRecursorTimeout": milliseconds(dns.recursor_timeout_ms.into()),
            "DNSRecursors": dns.recursors,
            "DNSServiceTTL": service_ttl,
            "DNSUDPAnswerLimit": dns.udp_answer_limit,
            "DNSSOA": {
                "Expire": dns.soa_expire_s, "Minttl": dns.soa_min_ttl_s,
                "Refresh": dns.soa_refresh_s, "Retry": dns.soa_retry_s,
            },
        })
    }
}

/// As Go prints a duration.
fn milliseconds(ms: u64) -> String {
    printed(Duration::from_millis(ms))
}

/// The same.
fn printed(duration: Duration) -> String {
    duration::format(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

/// When a leader was last heard, as Consul prints it: the leader itself needs not hear one.
fn last_contact(leads: bool, contact_ms: Option<u64>) -> String {
    match contact_ms {
        _ if leads => "0".to_owned(),
        Some(ms) => milliseconds(ms),
        None => "never".to_owned(),
    }
}

fn addresses(networks: &[&str], address: &ListenAddress) -> Vec<String> {
    match address {
        ListenAddress::Off => Vec::new(),
        ListenAddress::At { .. } => {
            networks.iter().map(|network| format!("{network}://{address}")).collect()
        }
    }
}

/// The port, or -1 as Consul writes it where nothing listens.
fn port(address: &ListenAddress) -> i32 {
    ports(address).first().map_or(-1, |port| i32::from(*port))
}

fn ports(address: &ListenAddress) -> Vec<u16> {
    match address {
        ListenAddress::Off => Vec::new(),
        ListenAddress::At { port, .. } => vec![*port],
    }
}

/// As Go calls the processor.
fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_in_contact_and_others_tell_how_long_ago_they_heard_one() {
        assert_eq!(last_contact(true, None), "0");
        assert_eq!(last_contact(false, Some(1500)), "1.5s");
        assert_eq!(last_contact(false, Some(12)), "12ms");
        assert_eq!(last_contact(false, None), "never");
    }

    #[test]
    fn what_does_not_listen_has_no_address_and_the_port_minus_one() {
        let at = ListenAddress::loopback(8600);
        assert_eq!(
            addresses(&["tcp", "udp"], &at),
            ["tcp://127.0.0.1:8600", "udp://127.0.0.1:8600"]
        );
        assert_eq!((port(&at), ports(&at)), (8600, vec![8600]));
        let off = ListenAddress::Off;
        assert_eq!((addresses(&["tcp"], &off).len(), port(&off), ports(&off).len()), (0, -1, 0));
    }
}
