//! `/zookeeper/config`: the members and their client addresses.
//!
//! Its text is written at the end of a membership change, see `membership`. In
//! addition the leader regularly checks whether the text is still correct, and
//! otherwise replaces it through the log, like any change; the state machine
//! appends the version. Only a member itself knows its client address: the
//! leader asks for it, and keeps the last answer of a member that is down.
//!
//! A member listed as an observer follows without a vote. A learner that is not
//! listed is being added or removed, and is never written to the text.
//!
//! A single member without a peer address has no text, like a standalone
//! ZooKeeper.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use coord_state::{MemberId, Revision, StateMachine};

use super::config_text::ConfigText;
use crate::clock;
use crate::error::Error;
use crate::node::node_core::NodeCore;
use crate::node::peer_message::{PeerCall, read_answer};
use crate::settings::ServerLine;

/// How long a member may take to say where clients reach it.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(200);

pub(crate) const CONFIG: &str = "/zookeeper/config";

/// Whether nobody else can connect to a member at this address.
pub(super) fn is_unreachable(address: &str) -> bool {
    ServerLine::at(address, false).is_none()
}

/// The text of the state and its version, which is 0 if there never was one.
pub(super) fn text_of(state: &StateMachine) -> (String, Revision) {
    let Some(config) = state.znodes().znode(CONFIG) else { return Default::default() };
    let data = config.data().cloned().unwrap_or_default();
    (String::from_utf8_lossy(&data).into_owned(), config.stat().mzxid)
}

impl NodeCore {
    pub(crate) fn config_text(&self) -> (ConfigText, Revision) {
        let (text, version) = text_of(&self.replica.state());
        (ConfigText::read(&text), version)
    }

    /// On the leader: makes the text true.
    pub(super) async fn keep_config(self: &Arc<Self>) -> Result<(), Error> {
        let (present, version) = self.config_text();
        if version == Revision(0) {
            self.let_first_observers_in().await?;
        }
        let status = self.consensus.status();
        let mut told = BTreeMap::new();
        for (member, _) in status.voters.iter().chain(&status.learners) {
            if let Some(client) = self.client_address_of(*member).await {
                told.insert(*member, client);
            }
        }
        let learners = status.learners.into_iter().map(|(member, at)| (member, at, true));
        let learners =
            learners.filter(|(id, ..)| version == Revision(0) || present.servers.contains_key(id));
        let voters = status.voters.into_iter().map(|(member, at)| (member, at, false));
        let next = kept(&present, voters.chain(learners), &told);
        if next != present {
            self.write_config(&next).await?;
        }
        Ok(())
    }

    /// Observers that the settings of a new cluster name.
    async fn let_first_observers_in(&self) -> Result<(), Error> {
        let settings = &self.settings;
        let named = settings.members.iter().filter(|(id, _)| settings.observers.contains(id));
        let named = named.map(|(id, address)| (MemberId(*id), address.clone()));
        self.consensus.learn_members(named.collect()).await
    }

    /// Where clients reach a member; none if it does not say.
    async fn client_address_of(&self, member: MemberId) -> Option<String> {
        if member == self.member {
            return Some(self.client_address());
        }
        let call = self.consensus.call(member, PeerCall::ClientAddress.to_bytes());
        let answer = clock::timeout(ANSWER_TIMEOUT, call).await?.ok()?;
        read_answer(answer).ok()
    }

    /// Where clients reach this member; empty if nowhere.
    pub(crate) fn client_address(&self) -> String {
        self.zk_addr.get().map(ToString::to_string).unwrap_or_default()
    }
}

/// The text that is true: lines as they are where they still hold, others anew.
/// A line's client address may be one under which only others know the member,
/// so it stays while its port is the one the member listens on.
fn kept(
    present: &ConfigText,
    members: impl Iterator<Item = (MemberId, String, bool)>,
    told: &BTreeMap<MemberId, String>,
) -> ConfigText {
    let mut next = ConfigText::default();
    for (member, peer, observer) in members {
        let Some(new) = ServerLine::at(&peer, observer) else { continue };
        let mut line = match present.servers.get(&member) {
            Some(line) if line.peer() == peer => line.clone(),
            Some(line) => ServerLine { client: line.client.clone(), ..new },
            None => new,
        };
        line.observer = observer;
        match told.get(&member) {
            Some(told) if told.is_empty() => line.client = None,
            Some(told) if port(line.client.as_deref()) != port(Some(told)) => {
                line.client = Some(told.clone());
            }
            _ => {}
        }
        next.servers.insert(member, line);
    }
    next
}

fn port(address: Option<&str>) -> Option<&str> {
    Some(address?.rsplit_once(':')?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(present: &str, told: &[(u64, &str)]) -> String {
        let members = [(1, "a:2888", false), (2, "[::1]:2888", true), (3, "off", false)];
        let members = members.map(|(id, at, observer)| (MemberId(id), at.to_owned(), observer));
        let told = told.iter().map(|(id, at)| (MemberId(*id), (*at).to_owned())).collect();
        kept(&ConfigText::read(present), members.into_iter(), &told).lines()
    }

    #[test]
    fn the_text_names_members_their_part_and_where_clients_reach_them() {
        assert_eq!(
            text("", &[(1, "a:2181"), (2, "[::1]:2181")]),
            "server.1=a:2888:2888:participant;a:2181\n\
             server.2=[::1]:2888:2888:observer;[::1]:2181\n"
        );
    }

    #[test]
    fn a_line_stays_as_it_was_written_while_it_holds() {
        let present = "server.1=a:2888:3888:participant;public:2181\n\
             server.2=[::1]:2888:2889:participant\nserver.9=x:1:1:participant\nversion=7";
        assert_eq!(
            text(present, &[(1, "10.0.0.1:2181"), (2, "")]),
            "server.1=a:2888:3888:participant;public:2181\n\
             server.2=[::1]:2888:2889:observer\n"
        );
        let moved = "server.1=b:2888:3888:participant;public:2181\n";
        let line = "server.1=a:2888:2888:participant;public:2181\n";
        assert!(text(moved, &[]).starts_with(line));
        let line = "server.1=a:2888:3888:participant;10.0.0.1:99\n";
        assert!(text(present, &[(1, "10.0.0.1:99")]).starts_with(line));
    }
}
