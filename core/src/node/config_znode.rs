//! `/zookeeper/config`: who takes part, and where clients reach whom.
//!
//! ```text
//! server.1=10.0.0.1:2888:2888:participant;10.0.0.1:2181
//! server.2=10.0.0.2:2888:2888:observer;10.0.0.2:2181
//! version=1a
//! ```
//!
//! The leader looks every now and then whether the text is still true and
//! otherwise has it replaced, in the log as any change; the state machine
//! writes the version behind it. Members have one peer port, so it stands for
//! both of ZooKeeper's. Where clients reach a member only that member knows:
//! the leader asks, and keeps the last answer of one that is away.
//!
//! A cluster of one that no other member can reach has no text, as a
//! standalone ZooKeeper has none.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Weak};
use std::time::Duration;

use coord_state::znode::{Caller, ZnodeCommand, ZnodeOp};
use coord_state::{Command, MemberId, StateMachine};

use super::handle::Inner;
use super::peer_message::{PeerCall, read_answer};
use crate::clock;

const PERIOD: Duration = Duration::from_millis(500);
/// How long a member may take to say where clients reach it.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(200);

const PATH: &str = "/zookeeper/config";

/// On the leader: keeps the text true.
pub(super) async fn keep(weak: Weak<Inner>) {
    let mut ticks = clock::interval(PERIOD);
    loop {
        ticks.tick().await;
        let Some(inner) = weak.upgrade() else { return };
        if inner.is_leader() {
            inner.keep_config().await;
        }
    }
}

impl Inner {
    async fn keep_config(self: &Arc<Self>) {
        let status = self.consensus.status();
        let present = current(&self.replica.state());
        let mut known = client_addresses(&present);
        let mut members = Vec::new();
        let parts = [("participant", status.voters), ("observer", status.learners)];
        for (part, list) in parts {
            for (member, peer) in list {
                if let Some(client) = self.client_address_of(member).await {
                    known.insert(member, client);
                }
                members.push((member, peer, part));
            }
        }
        members.sort_unstable_by_key(|(member, _, _)| *member);
        let lines = text(&members, &known);
        if lines != without_version(&present) {
            let caller = Caller { session: None, identities: Box::default() };
            let op = ZnodeOp::SetConfig { lines: lines.into() };
            self.submit_quietly(&Command::Znode(ZnodeCommand { caller, op }));
        }
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
    pub(super) fn client_address(&self) -> String {
        self.zk_addr.get().map(ToString::to_string).unwrap_or_default()
    }
}

fn current(state: &StateMachine) -> String {
    let data = state.znodes().znode(PATH).and_then(|config| config.data().cloned());
    String::from_utf8_lossy(&data.unwrap_or_default()).into_owned()
}

fn without_version(text: &str) -> &str {
    match text.rfind("version=") {
        Some(at) => &text[..at],
        None => text,
    }
}

/// What the text says about where clients reach members.
fn client_addresses(text: &str) -> BTreeMap<MemberId, String> {
    let read = |line: &str| {
        let (member, rest) = line.strip_prefix("server.")?.split_once('=')?;
        Some((MemberId(member.parse().ok()?), rest.split_once(';')?.1.to_owned()))
    };
    text.lines().filter_map(read).collect()
}

/// A line per member that others can reach, each with its end.
fn text(
    members: &[(MemberId, String, &str)],
    client_addresses: &BTreeMap<MemberId, String>,
) -> String {
    let mut text = String::new();
    for (member, peer, part) in members {
        let Some((host, port)) = peer.rsplit_once(':') else { continue };
        // Writing to text cannot fail.
        let _ = write!(text, "server.{member}={host}:{port}:{port}:{part}");
        match client_addresses.get(member) {
            Some(client) if !client.is_empty() => {
                let _ = writeln!(text, ";{client}");
            }
            _ => text.push('\n'),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_members_their_part_and_where_clients_reach_them() {
        let members = [
            (MemberId(1), "a:2888".to_owned(), "participant"),
            (MemberId(2), "[::1]:2888".to_owned(), "observer"),
            (MemberId(3), "c:2888".to_owned(), "participant"),
        ];
        let known = [
            (MemberId(1), "a:2181".to_owned()),
            (MemberId(2), "[::1]:2181".to_owned()),
            (MemberId(3), String::new()),
        ];
        let lines = text(&members, &known.into());
        assert_eq!(
            lines,
            "server.1=a:2888:2888:participant;a:2181\n\
             server.2=[::1]:2888:2888:observer;[::1]:2181\n\
             server.3=c:2888:2888:participant\n"
        );
        let stored = format!("{lines}version=1f");
        assert_eq!(without_version(&stored), lines);
        let known = client_addresses(&stored);
        assert_eq!(known[&MemberId(2)], "[::1]:2181");
        assert_eq!(known.len(), 2);
    }

    #[test]
    fn a_member_nobody_can_reach_has_no_line() {
        let members = [(MemberId(1), "off".to_owned(), "participant")];
        assert_eq!(text(&members, &BTreeMap::new()), "");
        assert_eq!(without_version(""), "");
    }
}
