//! Detects members that lost durable state.
//!
//! Raft requires that a voter never forgets its vote or what it acknowledged. A
//! member that restarts with an empty data directory, or an old copy of it, has
//! forgotten, and cannot always know that; so the other members remember for
//! it. Each data directory has a random identity, and each start of a member an
//! increasing number. Members exchange both when they first connect in a run,
//! and store those of the others on disk:
//!
//! | another member remembers | this member has | so this member |
//! |---|---|---|
//! | nothing | anything | is new |
//! | its identity | the same one, and no start was missed | is unchanged |
//! | its identity | the same one, but not its latest start | has an old copy: it lost data |
//! | its identity, and as the leader what it acknowledged | a log that ends before that | lost data |
//! | another identity | one under which it has recovered since | is unchanged |
//! | another identity | one under which it has not | has another directory: it lost data |
//!
//! A member that learns that it lost data recovers, see `recovery`. Until two
//! members have exchanged identities in this run, neither votes for the other
//! nor accepts log entries from it, and a member becomes a candidate only once
//! it has tried to reach every other one.
//!
//! Limitation: if all members that knew a member are down, or lost their
//! directories too, an old copy is not detected.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use coord_state::MemberId;
use coord_state::codec::{CodecError, Decode, Encode, Input};
use futures_util::future::join_all;
use openraft::async_runtime::watch::WatchReceiver;
use tokio::sync::{Notify, watch};

use super::lifetime::{pause, timeout};
use super::peer_link::{CALL_MEET, Peers};
use super::state_machine::Raft;
use super::types::position;
use crate::error::Error;
use crate::storage::{
    LogPosition, Note, OwnIdentity, PeerMemory, RaftLog, RememberedPeer, Storage,
};
use crate::sync::{Mutex, MutexGuard};

/// How long another member may take to say who it is.
const MEET_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one that could not be met is left alone, twice as long each time up to
/// the maximum. When it starts it comes by itself.
const MEET_AGAIN: Duration = Duration::from_millis(100);
const MEET_AGAIN_MAX: Duration = Duration::from_secs(2);
/// Addresses that are told at most.
const ADDRESSES_MAX: usize = 256;

/// What a member says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Card {
    identity: u128,
    incarnation: u64,
    /// The incarnation that its directory knew of before this start.
    previous: u64,
    /// Made by chance at this start.
    run: u64,
    /// Whether it has caught up under this identity.
    recovered: bool,
    /// Whether it knows that it lost something.
    recovering: bool,
    /// The end of its log.
    last: Option<LogPosition>,
}

/// What one member says when it meets another.
#[derive(Debug, PartialEq, Eq)]
struct Greeting {
    card: Card,
    /// What it remembers of the other one.
    remembered: Option<RememberedPeer>,
    /// As the leader: how far the other one acknowledged the log.
    acknowledged: Option<LogPosition>,
    /// Where the members are.
    addresses: Vec<(MemberId, String)>,
}

/// The answer.
#[derive(Debug, PartialEq, Eq)]
struct Welcome {
    card: Card,
    /// What the one who asked lost, if it did.
    lost: Option<String>,
}

/// What this member knows of others, and of itself through others.
pub(super) struct Acquaintance {
    pub(super) peers: Arc<Peers>,
    pub(super) raft: Raft,
    pub(super) log: RaftLog,
    pub(super) identity: OwnIdentity,
    pub(super) note: Note,
    memory: PeerMemory,
    run: u64,
    /// Members met in this run, by whose call ever.
    met: Mutex<BTreeSet<MemberId>>,
    /// Those that this member has told its present card itself.
    told: Mutex<BTreeSet<MemberId>>,
    /// What another member acknowledged to this one as the leader of a term, and has
    /// lost, as both know.
    excused: Mutex<BTreeMap<MemberId, (u64, LogPosition)>>,
    /// Counts the cards of this run.
    cards: AtomicU64,
    /// There may be somebody to meet.
    meet: Notify,
    /// Everybody was met or tried once.
    tried_all: watch::Sender<bool>,
    /// Whether those above want this member to be able to lead.
    may_lead: AtomicBool,
    /// Why it has no vote for the time being.
    pub(super) recovering: watch::Sender<Option<String>>,
    /// Entries and snapshots of leaders of earlier terms are refused.
    pub(super) term_min: AtomicU64,
}

impl Acquaintance {
    pub(super) fn new(peers: Arc<Peers>, raft: Raft, storage: &Storage) -> Result<Self, Error> {
        let run = getrandom::u64()
            .map_err(|error| Error::internal("cannot get a random number").caused_by(error))?;
        Ok(Self {
            peers,
            raft,
            log: storage.log.clone(),
            identity: storage.identity.clone(),
            note: storage.recovering.clone(),
            memory: storage.peer_memory.clone(),
            run,
            met: Mutex::default(),
            told: Mutex::default(),
            excused: Mutex::default(),
            cards: AtomicU64::new(0),
            meet: Notify::new(),
            tried_all: watch::Sender::new(false),
            may_lead: AtomicBool::new(true),
            recovering: watch::Sender::new(None),
            term_min: AtomicU64::new(0),
        })
    }

    /// Nobody else has a vote: there is nobody to wait for.
    pub(super) fn is_alone(&self) {
        self.tried_all.send_replace(true);
    }

    /// Whether those above want this member to be able to lead.
    pub(super) fn allow_leading(&self, allowed: bool) {
        self.may_lead.store(allowed, Ordering::Relaxed);
        self.settle_election();
    }

    /// Whether this member may ask for votes.
    pub(super) fn may_stand(&self) -> bool {
        let wanted = self.may_lead.load(Ordering::Relaxed);
        wanted && *self.tried_all.borrow() && !self.is_recovering()
    }

    pub(super) fn settle_election(&self) {
        self.raft.runtime_config().elect(self.may_stand());
    }

    pub(super) fn is_recovering(&self) -> bool {
        self.recovering.borrow().is_some()
    }

    /// Meets everybody once, and who could not be met or is new again and again.
    pub(super) async fn meet_all(self: Arc<Self>) {
        let mut again = MEET_AGAIN;
        loop {
            let told = lock(&self.told).clone();
            let unmet: Vec<MemberId> =
                self.others().into_iter().filter(|other| !told.contains(other)).collect();
            let met = join_all(unmet.into_iter().map(|other| self.meet(other))).await;
            if !self.tried_all.send_replace(true) {
                self.settle_election();
            }
            self.save().await;
            if met.into_iter().all(|met| met) {
                self.meet.notified().await;
                again = MEET_AGAIN;
            } else {
                let news = timeout(again, self.meet.notified()).await.is_some();
                again = if news { MEET_AGAIN } else { (again * 2).min(MEET_AGAIN_MAX) };
            }
        }
    }

    /// Says to everybody anew who this member is.
    pub(super) fn introduce_again(&self) {
        let mut told = lock(&self.told);
        self.cards.fetch_add(1, Ordering::Relaxed);
        told.clear();
        drop(told);
        self.meet.notify_one();
    }

    /// Somebody may be new.
    pub(super) fn look_around(&self) {
        self.meet.notify_one();
    }

    /// Whether this member may vote for another. Meets it first if need be.
    pub(super) async fn may_vote_for(&self, candidate: MemberId) -> bool {
        let mut tried = self.tried_all.subscribe();
        let tried_all = timeout(MEET_TIMEOUT, tried.wait_for(|tried| *tried)).await;
        let ready = tried_all.is_some_and(|tried| tried.is_ok());
        ready && self.knows(candidate).await && !self.is_recovering()
    }

    /// Whether the two have met in this run. Meets it first if need be.
    pub(super) async fn knows(&self, other: MemberId) -> bool {
        let met = lock(&self.met).contains(&other);
        met || (self.meet(other).await && lock(&self.met).contains(&other))
    }

    async fn meet(&self, other: MemberId) -> bool {
        let card_shown = self.cards.load(Ordering::Relaxed);
        let request = encode(&Greeting {
            card: self.card(),
            remembered: self.memory.of(other.0),
            acknowledged: self.acknowledged_by(other),
            addresses: self.addresses(),
        });
        let called = timeout(MEET_TIMEOUT, self.peers.call(other, CALL_MEET, request)).await;
        let Some(Ok(answer)) = called else { return false };
        let Ok(Welcome { card, lost }) = decode::<Welcome>(answer) else { return false };
        if let Some(why) = lost {
            // What it says is of the card that it was shown.
            self.begin_recovering(&format!("member {other} reports: {why}")).await;
        }
        self.judge(other, &card).await;
        lock(&self.met).insert(other);
        self.note_told(other, card_shown);
        true
    }

    /// Another member has seen that card of this one.
    fn note_told(&self, other: MemberId, card: u64) {
        let mut told = lock(&self.told);
        if self.cards.load(Ordering::Relaxed) == card {
            told.insert(other);
        }
    }

    /// Answers one that comes to meet this member.
    pub(super) async fn welcome(&self, from: MemberId, request: Bytes) -> Result<Bytes, String> {
        let greeting: Greeting = decode(request).map_err(|error| error.to_string())?;
        for (member, address) in &greeting.addresses {
            if *member != self.peers.me && self.peers.learn_if_unknown(*member, address) {
                self.look_around();
            }
        }
        let lost = self.judge(from, &greeting.card).await;
        let Greeting { remembered, acknowledged, .. } = greeting;
        if let Some(why) = lost_since(remembered, &self.card(), acknowledged) {
            self.begin_recovering(&format!("member {from} reports: {why}")).await;
        }
        self.save().await;
        let shown = self.cards.load(Ordering::Relaxed);
        let card = self.card();
        lock(&self.met).insert(from);
        self.note_told(from, shown);
        Ok(encode(&Welcome { card, lost }))
    }

    /// What another member lost, if it did and does not know; remembers it otherwise.
    async fn judge(&self, other: MemberId, card: &Card) -> Option<String> {
        let known = self.memory.of(other.0);
        let lost = lost_since(known, card, self.acknowledged_by(other));
        match &lost {
            None => {
                if known.is_none_or(|known| known.run != card.run) {
                    self.excuse(other, card).await;
                }
                let Card { identity, incarnation, run, .. } = *card;
                self.memory.remember(other.0, RememberedPeer { identity, incarnation, run });
            }
            Some(why) => tracing::warn!(
                member = self.peers.me.0,
                other = other.0,
                "another member lost data that it had acknowledged: {why}; it must recover \
                 before it votes again"
            ),
        }
        lost
    }

    /// As the leader: lets the log of another member begin anew, if it has less than
    /// it acknowledged, and it or an operator knows.
    async fn excuse(&self, other: MemberId, card: &Card) {
        let Some(acknowledged) = self.replicated_to(other) else { return };
        if card.last >= Some(acknowledged.1) {
            return;
        }
        lock(&self.excused).insert(other, acknowledged);
        // It fails with this member, or if the other one is no member any more.
        let _ = self.raft.trigger().allow_next_revert(&other.0, true).await;
    }

    /// As the leader: how far another member acknowledged the log, as far as that
    /// still holds.
    fn acknowledged_by(&self, other: MemberId) -> Option<LogPosition> {
        let acknowledged = self.replicated_to(other)?;
        let excused = lock(&self.excused).get(&other) == Some(&acknowledged);
        (!excused).then_some(acknowledged.1)
    }

    /// As the leader: its term, and how far another member acknowledged the log.
    fn replicated_to(&self, other: MemberId) -> Option<(u64, LogPosition)> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let at = metrics.replication.as_ref()?.get(&other.0)?.as_ref().map(position)?;
        Some((metrics.current_term, at))
    }

    fn card(&self) -> Card {
        let own = self.identity.current();
        Card {
            identity: own.identity,
            incarnation: own.incarnation,
            previous: own.previous,
            run: self.run,
            recovered: own.recovered,
            recovering: self.is_recovering(),
            last: self.log.last(),
        }
    }

    /// The other members, or, before this one belongs to a cluster, those it was
    /// told of.
    fn others(&self) -> Vec<MemberId> {
        let members = self.addresses().into_iter().map(|(member, _)| member);
        let others: Vec<MemberId> = members.filter(|member| *member != self.peers.me).collect();
        if others.is_empty() { self.peers.members() } else { others }
    }

    fn addresses(&self) -> Vec<(MemberId, String)> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let nodes = metrics.membership_config.membership().nodes();
        nodes.map(|(member, node)| (MemberId(*member), node.addr.clone())).collect()
    }

    /// Makes durable whom this member knows.
    pub(super) async fn save(&self) {
        let memory = self.memory.clone();
        let saved = self.peers.transport.lifetime.blocking(move || memory.save()).await;
        if let Err(error) = saved {
            tracing::warn!(
                member = self.peers.me.0, %error,
                "cannot write what is known about the other members to the data directory"
            );
        }
    }

    /// Whether another member has seen that this one's card changed.
    #[cfg(test)]
    pub(super) fn has_told_news(&self, other: MemberId) -> bool {
        self.cards.load(Ordering::Relaxed) > 0 && lock(&self.told).contains(&other)
    }

    pub(super) async fn retry_pause(&self) {
        pause(MEET_AGAIN).await;
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a member lost since it was known so, and does not know; see the head of
/// this file. `acknowledged` is what it told a leader that its log had.
fn lost_since(
    known: Option<RememberedPeer>,
    card: &Card,
    acknowledged: Option<LogPosition>,
) -> Option<String> {
    if card.recovering {
        return None;
    }
    let known_run = known.map(|known| known.run);
    if known_run == Some(card.run) {
        return None;
    }
    if let Some(known) = known {
        if known.identity != card.identity {
            let what = "its data directory is not the one it had before";
            return (!card.recovered).then(|| what.to_owned());
        }
        if card.previous < known.incarnation {
            let what = "its data directory is an old copy, from before its last start";
            return Some(what.to_owned());
        }
    }
    match acknowledged {
        Some(at) if card.last < Some(at) => Some(format!(
            "its log lacks entry {} of term {}, which it had acknowledged",
            at.index, at.term
        )),
        _ => None,
    }
}

impl Encode for Card {
    fn encode(&self, out: &mut Vec<u8>) {
        self.identity.encode(out);
        self.incarnation.encode(out);
        self.previous.encode(out);
        self.run.encode(out);
        self.recovered.encode(out);
        self.recovering.encode(out);
        self.last.encode(out);
    }
}

impl Decode for Card {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        Ok(Self {
            identity: Decode::decode(input)?,
            incarnation: Decode::decode(input)?,
            previous: Decode::decode(input)?,
            run: Decode::decode(input)?,
            recovered: Decode::decode(input)?,
            recovering: Decode::decode(input)?,
            last: Decode::decode(input)?,
        })
    }
}

impl Encode for Greeting {
    fn encode(&self, out: &mut Vec<u8>) {
        self.card.encode(out);
        let known = self.remembered.map(|known| (known.identity, (known.incarnation, known.run)));
        known.encode(out);
        self.acknowledged.encode(out);
        self.addresses.encode(out);
    }
}

impl Decode for Greeting {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        let card = Card::decode(input)?;
        let known = Option::<(u128, (u64, u64))>::decode(input)?;
        let remembered = known.map(|(identity, (incarnation, run))| RememberedPeer {
            identity,
            incarnation,
            run,
        });
        let acknowledged = Decode::decode(input)?;
        let addresses = Vec::<(MemberId, String)>::decode(input)?;
        if addresses.len() > ADDRESSES_MAX {
            return Err(CodecError::Invalid { what: "number of addresses" });
        }
        Ok(Self { card, remembered, acknowledged, addresses })
    }
}

impl Encode for Welcome {
    fn encode(&self, out: &mut Vec<u8>) {
        self.card.encode(out);
        self.lost.encode(out);
    }
}

impl Decode for Welcome {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        Ok(Self { card: Decode::decode(input)?, lost: Decode::decode(input)? })
    }
}

fn encode(message: &impl Encode) -> Bytes {
    let mut out = Vec::new();
    message.encode(&mut out);
    out.into()
}

fn decode<T: Decode>(bytes: Bytes) -> Result<T, CodecError> {
    let mut input = Input::new(bytes);
    let message = T::decode(&mut input)?;
    input.finish("introduction")?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: Card = Card {
        identity: 7,
        incarnation: 20,
        previous: 10,
        run: 2,
        recovered: false,
        recovering: false,
        last: Some(LogPosition { term: 3, index: 50 }),
    };
    const BEFORE: RememberedPeer = RememberedPeer { identity: 7, incarnation: 10, run: 1 };

    fn lost(known: RememberedPeer, card: Card) -> bool {
        lost_since(Some(known), &card, None).is_some()
    }

    #[test]
    fn a_member_is_who_it_was_if_no_start_of_its_directory_is_missing() {
        assert_eq!(lost_since(None, &CARD, None), None);
        assert!(!lost(BEFORE, CARD));
        // The start in between was told to others only.
        assert!(!lost(RememberedPeer { incarnation: 5, ..BEFORE }, CARD));
        assert!(!lost(RememberedPeer { incarnation: 20, run: 2, ..BEFORE }, CARD));
        assert!(lost(RememberedPeer { incarnation: 15, ..BEFORE }, CARD));
        // A clock that goes back may give two starts of one directory one number.
        assert!(lost(RememberedPeer { incarnation: 20, ..BEFORE }, CARD));
    }

    #[test]
    fn another_directory_is_a_loss_unless_it_recovers_or_has_recovered() {
        let other = RememberedPeer { identity: 8, ..BEFORE };
        assert!(lost(other, CARD));
        assert!(!lost(other, Card { recovering: true, ..CARD }));
        assert!(!lost(other, Card { recovered: true, ..CARD }));
        assert!(lost(
            RememberedPeer { incarnation: 15, ..BEFORE },
            Card { recovered: true, ..CARD }
        ));
    }

    #[test]
    fn a_log_that_ends_before_what_was_acknowledged_is_a_loss() {
        let at = |term, index| Some(LogPosition { term, index });
        assert!(lost_since(Some(BEFORE), &CARD, at(3, 51)).is_some());
        assert_eq!(lost_since(Some(BEFORE), &CARD, at(3, 50)), None);
        // Another leader's entries took their place.
        assert_eq!(lost_since(Some(BEFORE), &CARD, at(2, 60)), None);
        assert!(lost_since(None, &Card { last: None, ..CARD }, at(1, 0)).is_some());
        // Within a run it goes on confirming.
        let known = RememberedPeer { incarnation: 20, run: 2, ..BEFORE };
        assert_eq!(lost_since(Some(known), &CARD, at(3, 51)), None);
    }

    #[test]
    fn an_introduction_arrives_as_sent_and_never_cut_short() {
        let greeting = Greeting {
            card: CARD,
            remembered: Some(BEFORE),
            acknowledged: CARD.last,
            addresses: vec![(MemberId(1), "a:1".to_owned())],
        };
        let bytes = encode(&greeting);
        assert_eq!(decode::<Greeting>(bytes.clone()), Ok(greeting));
        for len in 0..bytes.len() {
            assert!(decode::<Greeting>(bytes.slice(..len)).is_err(), "{len} bytes");
        }
        let welcome = Welcome { card: CARD, lost: Some("all".to_owned()) };
        assert_eq!(decode::<Welcome>(encode(&welcome)), Ok(welcome));
    }
}
