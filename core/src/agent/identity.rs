//! Who this agent is in the catalog: its node.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use coord_state::consul::{CheckStatus, NewCheck, NewNode, NewService};
use coord_wire::consul::session::SERF_HEALTH;
use coord_wire::consul::uuid;

use crate::error::Error;
use crate::node::Node;

/// The version of Consul whose interface this is. Clients decide by it what
/// they may ask for.
pub const CONSUL_VERSION: &str = "1.22.0";

/// The service that every server is registered as.
pub(super) const CONSUL_SERVICE: &str = "consul";
/// Where the `consul` service says which member it is.
pub(super) const MEMBER_META: &str = "member_id";
const SERVER_PORT: u16 = 8300;
const NODE_ID_FILE: &str = "node-id";

/// This agent's node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Its UUID, kept in the data directory.
    pub id: String,
    /// Its address.
    pub address: String,
    /// The port other members connect to, or Consul's own.
    pub port: u16,
    /// Its datacenter.
    pub datacenter: String,
    /// Its member number.
    pub member: u64,
}

impl Identity {
    pub(super) fn of(node: &Node) -> Result<Self, Error> {
        let settings = node.settings();
        let own = settings.members.get(&settings.member_id).cloned();
        let listening = node.peer_addr().filter(|at| !at.ip().is_unspecified());
        let own = own.or_else(|| listening.map(|at| at.to_string()));
        let own = own.as_deref().and_then(split);
        let (host, port) = own.unwrap_or(("127.0.0.1", SERVER_PORT));
        // The catalog wants addresses; a name would have to be looked up by everybody.
        let address = if host.parse::<std::net::IpAddr>().is_ok() { host } else { "127.0.0.1" };
        let name = settings.node_name.clone().unwrap_or_else(|| {
            let shares_machine = settings.members.iter().any(|(member, other)| {
                *member != settings.member_id && split(other).is_some_and(|(at, _)| at == host)
            });
            // Where the others are is not known to one that joins.
            default_name(settings.member_id, shares_machine || settings.join)
        });
        Ok(Self {
            name,
            id: node_id(&settings.data_dir, || uuid::format(uuid::from_random(node.random())))?,
            address: address.to_owned(),
            port,
            datacenter: settings.datacenter.clone(),
            member: settings.member_id,
        })
    }

    pub(super) fn catalog_node(&self) -> NewNode {
        let tagged = ["lan", "lan_ipv4", "wan", "wan_ipv4"]
            .map(|kind| (kind.into(), self.address.as_str().into()));
        let meta = [("consul-network-segment", ""), ("consul-version", CONSUL_VERSION)]
            .map(|(key, value)| (key.into(), value.into()));
        NewNode {
            name: self.name.as_str().into(),
            id: self.id.as_str().into(),
            address: self.address.as_str().into(),
            datacenter: Box::default(),
            tagged_addresses: Some(BTreeMap::from(tagged)),
            meta: Some(BTreeMap::from(meta)),
        }
    }

    pub(super) fn consul_service(&self) -> NewService {
        let meta = [
            (MEMBER_META, self.member.to_string()),
            ("non_voter", "false".to_owned()),
            ("raft_version", "3".to_owned()),
            ("version", CONSUL_VERSION.to_owned()),
        ]
        .map(|(key, value)| (key.into(), value.into()));
        NewService {
            id: CONSUL_SERVICE.into(),
            name: CONSUL_SERVICE.into(),
            meta: Some(BTreeMap::from(meta)),
            port: self.port.into(),
            ..NewService::default()
        }
    }
}

/// The check by which a member's node lives or not.
pub(super) fn serf_health(alive: bool) -> NewCheck {
    let (status, output) = match alive {
        true => (CheckStatus::Passing, "Agent alive and reachable"),
        false => (CheckStatus::Critical, "Agent not live or unreachable"),
    };
    NewCheck {
        id: SERF_HEALTH.into(),
        name: "Serf Health Status".into(),
        status,
        output: output.into(),
        ..NewCheck::default()
    }
}

fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    Some((host, port.parse().ok()?))
}

/// The machine's name; with the member's number if several members share the
/// machine, because a name belongs to one node.
fn default_name(member: u64, shares_machine: bool) -> String {
    let machine = ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .map(|text| text.trim().to_owned())
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned());
    if shares_machine { format!("{machine}-{member}") } else { machine }
}

/// The UUID in the data directory, made at the first start.
fn node_id(data_dir: &Path, fresh: impl FnOnce() -> String) -> Result<String, Error> {
    let file = data_dir.join(NODE_ID_FILE);
    if let Ok(text) = fs::read_to_string(&file) {
        let id = text.trim().to_ascii_lowercase();
        uuid::parse(&id).map_err(|problem| {
            Error::corrupt(format!("{} holds no node id: {problem}", file.display()))
        })?;
        return Ok(id);
    }
    let id = fresh();
    super::store::write_atomically(&file, id.as_bytes(), true)
        .map_err(|error| super::store::unusable(&file, error))?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_id_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let fresh = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
        assert_eq!(node_id(dir.path(), || fresh.to_owned()).unwrap(), fresh);
        assert_eq!(node_id(dir.path(), || unreachable!("it is kept")).unwrap(), fresh);
    }

    #[test]
    fn a_damaged_node_id_is_reported_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(NODE_ID_FILE), "nonsense").unwrap();
        let error = node_id(dir.path(), || unreachable!("nobody asks")).unwrap_err();
        assert!(error.to_string().contains("holds no node id"), "{error}");
    }

    #[test]
    fn members_on_one_machine_have_different_names() {
        assert_ne!(default_name(1, true), default_name(2, true));
        assert_eq!(default_name(1, false), default_name(2, false));
    }
}
