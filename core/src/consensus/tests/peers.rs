//! Who is heard on the port for members, and what a member may claim there.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::super::peer_frame::{PeerError, Purpose, framed};
use super::super::peer_handshake::{Connecting, Side};
use super::super::peer_link::{CALL_PRE_VOTE, CALL_VOTE};
use super::super::peer_message::encode_vote_request;
use super::super::snapshot_transfer::receive_snapshot;
use super::super::types::{LogId, decode_snapshot_meta, vote};
use super::*;
use crate::settings::Settings;
use crate::storage::StoredVote;
use coord_state::codec::{Decode as _, Encode as _, Input};
use openraft::raft::VoteRequest;
use rustix::process::{Resource, getrlimit, setrlimit};

fn auth(secret: &str) -> PeerAuth {
    let mut settings = Settings::default();
    settings.set("peers.secret", secret).unwrap();
    PeerAuth::load(&settings).unwrap()
}

const SECRET: &str = "the secret of all members";

/// Members of which each has the secret of its place.
async fn cluster(secrets: &[&str]) -> Cluster {
    let auth = (1..).map(MemberId).zip(secrets.iter().map(|secret| auth(secret))).collect();
    let size = secrets.len() as u64;
    Cluster::start_with(Arc::new(SystemDisk::default()), size, 64 << 10, auth).await
}

impl Cluster {
    async fn connect(&self, from: u64, to: u64, purpose: Purpose) -> Result<(), PeerError> {
        let peers = &self.running[&MemberId(from)].consensus.inner.peers;
        peers.connect(MemberId(to), purpose).await.map(drop)
    }
}

/// The length of a frame as it stands before it.
async fn frame_from(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let len = stream.read_u32_le().await.ok()?;
    let mut frame = vec![0; usize::try_from(len).unwrap()];
    stream.read_exact(&mut frame).await.ok()?;
    Some(frame)
}

#[test]
fn members_with_a_secret_replicate_and_survive_the_loss_of_their_leader() {
    within_time(async {
        let mut cluster = cluster(&[SECRET; 3]).await;
        let leader = cluster.leader().await;
        // Large ones too: they are sealed on another way.
        let large = vec![Bytes::from(vec![7; 1 << 20])];
        cluster.running[&leader].write(&payloads(0..100)).await;
        cluster.running[&leader].write(&large).await;
        for running in cluster.running.values() {
            assert_eq!(running.applied(101).await[100], large[0]);
        }
        cluster.stop(leader).await;
        let next = cluster.leader().await;
        cluster.running[&next].write(&payloads(101..200)).await;
        cluster.restart(leader).await;
        assert_eq!(cluster.running[&leader].applied(200).await.len(), 200);
        cluster.stop_all().await;
    });
}

#[test]
fn a_member_with_another_secret_is_refused_both_ways() {
    within_time(async {
        let mut cluster = cluster(&[SECRET, SECRET, "what somebody else made up"]).await;
        let leader = cluster.leader().await;
        assert_ne!(leader, MemberId(3));
        cluster.running[&leader].write(&payloads(0..10)).await;
        for (from, to) in [(1, 3), (3, 1), (2, 3), (3, 2)] {
            let refused = cluster.connect(from, to, Purpose::Append).await.unwrap_err();
            assert!(refused.to_string().contains("peers.secret"), "{from} to {to}: {refused}");
        }
        cluster.connect(1, 2, Purpose::Append).await.unwrap();
        assert!(cluster.running[&MemberId(3)].machine.applied.lock().unwrap().is_empty());
        cluster.stop_all().await;
    });
}

#[test]
fn who_has_no_secret_gets_nothing_whatever_it_asks_for() {
    within_time(async {
        let mut cluster = cluster(&[SECRET]).await;
        cluster.leader().await;
        let address = &cluster.members[&MemberId(1)];
        for purpose in [
            Purpose::Append,
            Purpose::Control,
            Purpose::Messages,
            Purpose::Snapshot,
            Purpose::Fetch,
        ] {
            for keys in [None, Some(auth("what somebody else made up"))] {
                let policy = match &keys {
                    None => Default::default(),
                    Some(auth) => auth.policy().await,
                };
                let side = Side { me: MemberId(2), policy, tls: false, nonce: [7; 32] };
                let (_, hello) = Connecting::new(side, MemberId(1), purpose);
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(&framed(|out| out.extend(hello))).await.unwrap();
                let answer = frame_from(&mut stream).await.unwrap();
                if keys.is_some() {
                    assert_eq!(answer[0], 2, "a challenge");
                    stream.write_all(&framed(|out| out.extend([7; 64]))).await.unwrap();
                    let verdict = frame_from(&mut stream).await.unwrap();
                    assert_eq!(verdict[0], 1, "a refusal");
                } else {
                    assert_eq!(answer[0], 1, "a refusal");
                }
                assert_eq!(frame_from(&mut stream).await, None, "and the end");
            }
        }
        cluster.stop_all().await;
    });
}

// Found as: 1024 connections that say nothing shut all members out.
#[test]
fn strangers_that_say_nothing_keep_no_member_out() {
    within_time(async {
        let mut cluster = cluster(&[SECRET; 3]).await;
        let leader = cluster.leader().await;
        cluster.running[&leader].write(&payloads(0..10)).await;
        let address = cluster.members[&leader].clone();
        let mut descriptors = getrlimit(Resource::Nofile);
        descriptors.current = descriptors.maximum;
        setrlimit(Resource::Nofile, descriptors).unwrap();
        let mut strangers = Vec::new();
        for number in 0..1100 {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            if number % 2 == 0 {
                // The beginning of a hello, and never the rest.
                let _ = stream.write_all(&[60, 0, 0, 0, b'c']).await;
            }
            strangers.push(stream);
        }
        // All of its connections are new.
        let follower = MemberId(leader.0 % 3 + 1);
        cluster.stop(follower).await;
        cluster.restart(follower).await;
        cluster.running[&leader].write(&payloads(10..20)).await;
        assert_eq!(cluster.running[&follower].applied(20).await, payloads(0..20));
        // An address keeps a quarter of the places, and nobody keeps one for long.
        for stream in &mut strangers {
            assert_eq!(frame_from(stream).await, None);
        }
        cluster.stop_all().await;
    });
}

// Found as: a snapshot asked for as of an entry that never comes kept every
// other one, the member's own included, from being taken for 30 seconds.
#[test]
fn a_snapshot_of_the_future_keeps_no_other_from_being_taken() {
    within_time(async {
        let mut cluster = cluster(&[SECRET; 2]).await;
        let leader = cluster.leader().await;
        cluster.running[&leader].write(&payloads(0..10)).await;
        let (here, there) = (&cluster.running[&leader], MemberId(leader.0 % 2 + 1));
        let peers = &cluster.running[&there].consensus.inner.peers;
        let mut asked = Vec::new();
        for wanted in [u64::MAX, 1 << 40, u64::MAX - 1] {
            let mut connection = peers.connect(leader, Purpose::Fetch).await.unwrap();
            connection.writer.send(&framed(|out| wanted.encode(out))).await.unwrap();
            asked.push(connection);
        }
        // Meanwhile an honest one is answered, and nothing of it is in the way.
        let mut connection = peers.connect(leader, Purpose::Fetch).await.unwrap();
        let applied = *here.consensus.inner.progress.watch().borrow() - 1;
        connection.writer.send(&framed(|out| applied.encode(out))).await.unwrap();
        let offer = connection.reader.next().await.unwrap().unwrap();
        let size = u64::decode(&mut Input::new(offer)).unwrap();
        let store = {
            let storage = cluster.running[&there].consensus.inner.storage.lock().unwrap();
            storage.as_ref().unwrap().snapshots.clone()
        };
        let living = Arc::new(cluster.running[&there].consensus.inner.lifetime.enter());
        let snapshot = receive_snapshot(&mut connection.reader, store, living, size).await.unwrap();
        let meta = decode_snapshot_meta(snapshot.meta().clone()).unwrap();
        assert!(meta.last_log_id.unwrap().index >= applied);
        drop(snapshot);
        drop(here.consensus.hold_snapshots());
        // They are told soon that there is none.
        for connection in &mut asked {
            assert!(connection.reader.next().await.unwrap().is_none());
        }
        drop((asked, connection));
        cluster.stop_all().await;
    });
}

// Found as: one vote with the highest term there is, and nobody could ever be
// elected again.
#[test]
fn a_vote_that_no_member_can_have_sent_changes_nothing() {
    within_time(async {
        let mut cluster = Cluster::start(3, 1 << 20).await;
        let leader = cluster.leader().await;
        let from = MemberId(leader.0 % 3 + 1);
        let other = (from.0 % 3) + 1;
        let term = cluster.running[&leader].consensus.status().term;
        for (voted_for, term) in
            [(from.0, u64::MAX), (from.0, 1 << 40), (other, term + 1), (9, term + 1)]
        {
            let request = VoteRequest {
                vote: vote(StoredVote { term, voted_for, committed: false }),
                last_log_id: Some(LogId::new_term_index(u64::MAX, u64::MAX)),
                // As if the leader had asked for it, so that its lease does not count.
                leadership_transfer: true,
            };
            let mut bytes = Vec::new();
            encode_vote_request(&request, &mut bytes);
            let peers = &cluster.running[&from].consensus.inner.peers;
            for kind in [CALL_VOTE, CALL_PRE_VOTE] {
                let answer = peers.call(leader, kind, bytes.clone().into()).await;
                let refused = answer.unwrap_err().to_string();
                assert!(refused.contains(&format!("member {from}")), "{refused}");
            }
        }
        assert_eq!(cluster.running[&leader].consensus.status().term, term);
        cluster.stop(leader).await;
        let next = cluster.leader().await;
        cluster.running[&next].write(&payloads(0..10)).await;
        cluster.stop_all().await;
    });
}
