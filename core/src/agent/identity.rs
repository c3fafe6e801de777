//! The identity of this agent in the catalog: its node.
//!
//! Name and UUID belong together: the catalog refuses a name or UUID that
//! another node already uses. The UUID is stored in the file `node-id`, which
//! may be lost or damaged while the rest of the data directory is intact; the
//! catalog also has it, under this node's name. So the agent compares the two
//! before it registers:
//!
//! | under this node's name the catalog has | then |
//! |---|---|
//! | nothing, or the UUID of the file | the agent registers |
//! | another UUID, and a `consul` service of this member | the agent adopts the catalog's UUID and rewrites the file |
//! | another UUID, and a `consul` service of another member | refused: two members have the same name |
//! | another UUID without such a service | the catalog decides |

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use coord_state::MemberId;
use coord_state::consul::{Catalog, CatalogService, CheckStatus, NewCheck, NewNode, NewService};
use coord_wire::consul::session::SERF_HEALTH;
use coord_wire::consul::uuid;

use crate::error::Error;
use crate::node::Node;
use crate::settings::is_any;
use crate::sync::Mutex;

/// The version of Consul whose interface this is. Clients decide by it what
/// they may ask for.
pub const CONSUL_VERSION: &str = "1.22.0";

/// The service that every server is registered as.
pub(super) const CONSUL_SERVICE: &str = "consul";
/// Where the `consul` service says which member it is.
const MEMBER_META: &str = "member_id";
const SERVER_PORT: u16 = 8300;
const NODE_ID_FILE: &str = "node-id";

/// This agent's node.
#[derive(Debug)]
pub struct Identity {
    /// Its name.
    pub name: String,
    id: Mutex<String>,
    /// Where the UUID is kept.
    id_file: PathBuf,
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
        // One that stands for every address is none to be found at.
        let own = settings.members.get(&settings.member_id).filter(|at| !is_any(at)).cloned();
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
        let id_file = settings.data_dir.join(NODE_ID_FILE);
        let id = node_id(&id_file, || uuid::format(uuid::from_random(node.random())))?;
        Ok(Self {
            name,
            id: Mutex::new(id),
            id_file,
            address: address.to_owned(),
            port,
            datacenter: settings.datacenter.clone(),
            member: settings.member_id,
        })
    }

    /// Its UUID, kept in the data directory.
    pub fn id(&self) -> String {
        self.id.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The UUID that the catalog has for this member, if it is another one than the
    /// file's; see the head of this file.
    ///
    /// # Errors
    /// `Invalid` if the name is another member's.
    pub(super) fn lost_id(&self, catalog: &Catalog) -> Result<Option<String>, Error> {
        let Some(registered) = catalog.node(&self.name) else { return Ok(None) };
        if registered.id.is_empty() || *registered.id == *self.id() {
            return Ok(None);
        }
        match member_of(catalog, &registered.name) {
            Some(member) if member == self.member => Ok(Some(registered.id.to_string())),
            Some(member) => Err(Error::invalid(format!(
                "the node name {} is already used by member {member}: set a different node_name \
                 for this member",
                self.name
            ))),
            None => Ok(None),
        }
    }

    /// Takes the UUID of [`Self::lost_id`] back, durably.
    ///
    /// # Errors
    /// `Unavailable` if the file cannot be written.
    pub(super) fn take_back(&self, id: &str) -> Result<(), Error> {
        tracing::warn!(
            file = %self.id_file.display(), found = self.id(), registered = id,
            "the node id in the file differs from the one in the catalog: restoring the file \
             from the catalog"
        );
        super::store::write_atomically(&self.id_file, id.as_bytes(), true)
            .map_err(|error| super::store::unusable(&self.id_file, error))?;
        id.clone_into(&mut self.id.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    /// What to say when the catalog does not take this node.
    pub(super) fn refused(&self, error: &Error) -> String {
        format!(
            "cannot register this member in the catalog as node {} with the id in {}: {}",
            self.name,
            self.id_file.display(),
            error.chain()
        )
    }

    pub(super) fn catalog_node(&self) -> NewNode {
        let tagged = ["lan", "lan_ipv4", "wan", "wan_ipv4"]
            .map(|kind| (kind.into(), self.address.as_str().into()));
        let meta = [("consul-network-segment", ""), ("consul-version", CONSUL_VERSION)]
            .map(|(key, value)| (key.into(), value.into()));
        NewNode {
            name: self.name.as_str().into(),
            id: self.id().as_str().into(),
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

/// Which member the node of this name is, by its `consul` service.
fn member_of(catalog: &Catalog, node: &str) -> Option<u64> {
    catalog.service(node, CONSUL_SERVICE).and_then(|service| member(service))
}

/// The `consul` services in the catalog that members registered, each with its member.
pub(super) fn member_services(
    catalog: &Catalog,
) -> impl Iterator<Item = (MemberId, &CatalogService)> {
    let services = catalog.service_instances(CONSUL_SERVICE);
    services.filter_map(|service| Some((MemberId(member(service)?), &**service)))
}

fn member(service: &CatalogService) -> Option<u64> {
    service.meta.as_ref()?.get(MEMBER_META)?.parse().ok()
}

/// The UUID in the file, made at the first start. One that is damaged is replaced
/// as one that is lost: what the catalog knows comes back later.
fn node_id(file: &Path, fresh: impl FnOnce() -> String) -> Result<String, Error> {
    let unusable = |error| super::store::unusable(file, error);
    match fs::read(file) {
        Ok(bytes) => {
            let id = String::from_utf8_lossy(&bytes).trim().to_ascii_lowercase();
            match uuid::parse(&id) {
                Ok(_) => return Ok(id),
                Err(problem) => tracing::warn!(
                    file = %file.display(), %problem,
                    "the file does not contain a valid node id: replacing it with the id from \
                     the catalog, or a new one"
                ),
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(unusable(error)),
    }
    let id = fresh();
    super::store::write_atomically(file, id.as_bytes(), true).map_err(unusable)?;
    Ok(id)
}

#[cfg(test)]
impl Identity {
    /// Member 1, named `here`, with this UUID in the directory.
    pub(super) fn member_one(dir: &Path, id: &str) -> Self {
        Self::of_member(1, "here", dir, id)
    }

    pub(super) fn of_member(member: u64, name: &str, dir: &Path, id: &str) -> Self {
        Self {
            name: name.to_owned(),
            id: Mutex::new(id.to_owned()),
            id_file: dir.join(NODE_ID_FILE),
            address: "127.0.0.1".to_owned(),
            port: 8300,
            datacenter: "dc1".to_owned(),
            member,
        }
    }
}

#[cfg(test)]
mod tests {
    use coord_state::batch::{Batch, BatchWriter};
    use coord_state::consul::{ConsulCommand, Registration};
    use coord_state::{Command, MemberId, StateMachine};

    use super::*;

    #[test]
    fn the_node_id_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(NODE_ID_FILE);
        assert_eq!(node_id(&file, || OURS.to_owned()).unwrap(), OURS);
        assert_eq!(node_id(&file, || unreachable!("it is kept")).unwrap(), OURS);
    }

    #[test]
    fn a_damaged_node_id_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(NODE_ID_FILE);
        for damage in [&b"nonsense"[..], b"", b"\xff\xfe", &OURS.as_bytes()[..30]] {
            fs::write(&file, damage).unwrap();
            assert_eq!(node_id(&file, || OURS.to_owned()).unwrap(), OURS);
            assert_eq!(fs::read_to_string(&file).unwrap(), OURS);
        }
    }

    const OURS: &str = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    const OTHER: &str = "f81d4fae-7dec-11d0-a765-00a0c91e6bf7";

    /// A state in which `identity` is registered.
    fn registered(identity: &Identity, service: bool) -> StateMachine {
        let mut state = StateMachine::new();
        let registration = Registration {
            node: identity.catalog_node(),
            skip_node_update: false,
            services: if service { vec![identity.consul_service()] } else { Vec::new() },
            checks: Vec::new(),
        };
        let command = Command::Consul(ConsulCommand::Register(Box::new(registration)));
        let mut writer = BatchWriter::new(MemberId(1), 1);
        writer.push(&command);
        state.apply_batch(Batch::from_bytes(writer.seal(1).into()).unwrap());
        state
    }

    #[test]
    fn a_node_id_that_was_lost_comes_back_from_the_catalog() {
        let dir = tempfile::tempdir().unwrap();
        let state = registered(&Identity::member_one(dir.path(), OURS), true);
        let identity = Identity::member_one(dir.path(), OTHER);
        let lost = identity.lost_id(state.consul().catalog()).unwrap();
        identity.take_back(&lost.unwrap()).unwrap();
        assert_eq!(identity.id(), OURS);
        assert_eq!(identity.lost_id(state.consul().catalog()).unwrap(), None);
        assert_eq!(fs::read_to_string(dir.path().join(NODE_ID_FILE)).unwrap(), OURS);
    }

    #[test]
    fn a_name_that_is_another_members_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let other = Identity { member: 2, ..Identity::member_one(dir.path(), OTHER) };
        let state = registered(&other, true);
        let identity = Identity::member_one(dir.path(), OURS);
        let error = identity.lost_id(state.consul().catalog()).unwrap_err();
        assert!(error.to_string().contains("member 2"), "{error}");
        let unowned = registered(&other, false);
        assert_eq!(identity.lost_id(unowned.consul().catalog()).unwrap(), None);
    }

    #[test]
    fn members_on_one_machine_have_different_names() {
        assert_ne!(default_name(1, true), default_name(2, true));
        assert_eq!(default_name(1, false), default_name(2, false));
    }
}
