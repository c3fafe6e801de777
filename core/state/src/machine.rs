//! The state machine itself: one apply, one revision, all tables.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::archive::Archives;
use crate::batch::{Batch, Outcome};
use crate::command::Command;
use crate::consul::Consul;
use crate::digest::{Digest, Hasher};
use crate::event::Event;
use crate::id::{MemberId, Revision};
use crate::rejection::Rejection;
use crate::reply::Reply;
use crate::session::Sessions;
use crate::stamp::Stamp;
use crate::znode::Tree;

/// What one command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its revision: a refused command has one too.
    pub revision: Revision,
    /// What the caller gets.
    pub result: Result<Reply, Rejection>,
    /// What changed, in order.
    pub events: Vec<Event>,
}

/// Everything that is replicated.
#[derive(Debug, Default)]
pub struct StateMachine {
    pub(crate) revision: Revision,
    pub(crate) time_ms: u64,
    pub(crate) cluster_identity: Option<ClusterIdentity>,
    pub(crate) origins: BTreeMap<MemberId, Origin>,
    pub(crate) sessions: Sessions,
    pub(crate) znodes: Tree,
    pub(crate) consul: Consul,
    pub(crate) archives: Archives,
}

/// What the first leader decided for the life of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterIdentity {
    /// Tells this cluster from every other.
    pub cluster: u128,
    /// The key of the digest.
    pub digest_key: u64,
}

/// The last batch applied from one member: batches are applied in order and
/// once, however often a member had to send them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Which start of the member.
    pub incarnation: u64,
    /// Its last applied batch.
    pub sequence: u64,
}

crate::record!(ClusterIdentity { cluster, digest_key });
crate::record!(Origin { incarnation, sequence });

impl Origin {
    /// Whether this is the batch after `last`, or the first of a later start.
    fn follows(self, last: Option<Self>) -> bool {
        match last {
            Some(last) if last.incarnation == self.incarnation => {
                last.sequence.checked_add(1) == Some(self.sequence)
            }
            Some(last) => last.incarnation < self.incarnation && self.sequence == 1,
            None => self.sequence == 1,
        }
    }
}

impl StateMachine {
    /// An empty state: `/`, `/zookeeper` and their built-in children, nothing else.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies one log entry.
    ///
    /// A batch takes effect only as its member's next one. Anything else is
    /// skipped whole and consumes no revision: see [`Outcome`].
    pub fn apply_batch(&mut self, batch: Batch) -> Outcome {
        let last = self.origins.get(&batch.origin).copied();
        if let Some(skipped) = Outcome::skip(last, &batch) {
            return skipped;
        }
        let origin = Origin { incarnation: batch.incarnation, sequence: batch.sequence };
        self.note_origin(batch.origin, origin);
        let time_ms = batch.time_ms;
        Outcome::Applied(
            batch.commands.into_iter().map(|command| self.apply(time_ms, command)).collect(),
        )
    }

    /// Applies one command at the next revision; activating an archive may skip
    /// some, see [`crate::archive`].
    ///
    /// Time never goes backwards: a leader whose clock is behind the last
    /// command's gets the last command's time.
    pub fn apply(&mut self, time_ms: u64, command: Command) -> Applied {
        self.revision.0 += 1;
        self.time_ms = self.time_ms.max(time_ms);
        let stamp = Stamp { revision: self.revision, time_ms: self.time_ms };
        let mut events = Vec::new();
        self.archives.sweep(self.time_ms);
        let result = match command {
            Command::InitCluster(cluster_identity) => self.init_cluster(cluster_identity),
            Command::Session(command) => {
                self.sessions.apply(stamp, command, &mut self.znodes, &mut events)
            }
            Command::Znode(command) => {
                self.znodes.apply(stamp, command, &mut self.sessions, &mut events)
            }
            Command::Consul(command) => self.consul.apply(stamp, command, &mut events),
            Command::Archive(command) => self.apply_archive(stamp, command, &mut events),
        };
        self.check_revision(stamp);
        self.check_after_apply();
        // A restore may have gone on to a later one.
        Applied { revision: self.revision, result, events }
    }

    /// Takes note of the last batch of a member. A panic is right here: what is not
    /// the next one was skipped before, and whoever applies catches it.
    pub(crate) fn note_origin(&mut self, member: MemberId, origin: Origin) {
        let last = self.origins.insert(member, origin);
        assert!(
            origin.follows(last),
            "invariant A5 is violated: {origin:?} of member {member} follows {last:?}"
        );
    }

    /// Only a restore goes on to a later revision than its command's own. A panic is
    /// right here: nothing that a command says leads to one.
    pub(crate) fn check_revision(&self, stamp: Stamp) {
        assert!(
            self.revision == stamp.revision || self.archives.restored_at == self.revision,
            "invariant A3 is violated: revision {} follows {}",
            self.revision,
            stamp.revision
        );
    }

    fn init_cluster(&mut self, cluster_identity: ClusterIdentity) -> Result<Reply, Rejection> {
        if self.cluster_identity.is_none() {
            self.cluster_identity = Some(cluster_identity);
            self.rehash(Hasher::new(cluster_identity.digest_key));
        }
        Ok(Reply::Done)
    }

    pub(crate) fn rehash(&mut self, hasher: Hasher) {
        self.sessions.rehash(hasher);
        self.znodes.rehash(hasher);
        self.consul.rehash(hasher);
    }

    /// The position of the last applied command.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The time of the last applied command, in milliseconds since the epoch.
    pub fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// What was decided when the cluster was founded, if it was.
    pub fn cluster_identity(&self) -> Option<ClusterIdentity> {
        self.cluster_identity
    }

    /// The last batch applied from `member`.
    pub fn origin(&self, member: MemberId) -> Option<Origin> {
        self.origins.get(&member).copied()
    }

    /// ZooKeeper sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The tree of znodes.
    pub fn znodes(&self) -> &Tree {
        &self.znodes
    }

    /// Consul's tables.
    pub fn consul(&self) -> &Consul {
        &self.consul
    }

    /// The digest of everything: equal on all members at equal revisions.
    pub fn digest(&self) -> Digest {
        let mut digest = self.tables_digest();
        let key = self.cluster_identity.map_or(0, |cluster_identity| cluster_identity.digest_key);
        digest.toggle(self.archives.digest(Hasher::new(key)));
        digest
    }

    /// The same without what is under way.
    pub(crate) fn tables_digest(&self) -> Digest {
        let mut digest = self.znodes.digest();
        digest.toggle(self.sessions.digest());
        digest.toggle(self.consul.digest());
        digest
    }
}
