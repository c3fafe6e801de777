//! The conversation recorded with a genuine ZooKeeper 3.8.0, held again: the
//! same client frames in the same order, and every frame that comes back
//! compared with the recorded one.
//!
//! What no two runs have in common is translated, not ignored: session ids by
//! the handshakes, zxids and times by their order. Lists of children have no
//! order in ZooKeeper and are compared sorted.

use std::collections::{BTreeMap, HashMap};
use std::iter::zip;

use bytes::Bytes;
use coord_state::znode::Stat;
use coord_state::{Revision, SessionId};
use coord_wire::zookeeper::connect::{ConnectRequest, ConnectResponse};
use coord_wire::zookeeper::header::{ReplyHeader, RequestHeader, WatcherEvent, xid};
use coord_wire::zookeeper::jute::Reader;
use coord_wire::zookeeper::multi::MultiResult;
use coord_wire::zookeeper::{ErrorCode, OpCode, Reply, Request};

use crate::connection::{Member, Wire};
use crate::transcript::{Line, What, lines};

/// How a frame differs from the recorded one.
enum Difference {
    /// As it should: 3.9 does it so.
    OnPurpose(&'static str),
    Otherwise(String),
}

const EVENT_ZXID: &str = "3.9 tells the zxid of what happened, 3.8 always -1";
const MULTI_STAT: &str = "3.9 answers create2 in a multi with its stat, 3.8.0 without";
/// How long a stat is.
const STAT_BYTES: usize = 68;

#[test]
fn the_recorded_conversation_goes_as_with_a_genuine_zookeeper() {
    let member = Member::start();
    let mut replay = Replay::default();
    let (mut equal, mut on_purpose, mut otherwise) = (0, BTreeMap::new(), Vec::new());
    for line in lines() {
        let difference = match &line.what {
            What::Sent(payload) => {
                replay.send(&line, payload, &member);
                continue;
            }
            What::Received(payload) => replay.receive(&line, payload).err(),
            What::Closed => replay.is_closed(&line).err(),
        };
        match difference {
            None => equal += 1,
            Some(Difference::OnPurpose(reason)) => *on_purpose.entry(reason).or_insert(0) += 1,
            Some(Difference::Otherwise(text)) => {
                let Line { number, connection, remark, .. } = line;
                otherwise.push(format!("line {number}, {connection} ({remark}): {text}"));
            }
        }
    }
    otherwise.extend(replay.ordering_complaints());
    println!("{equal:6} frames and closings equal");
    for (reason, count) in &on_purpose {
        println!("{count:6} differ on purpose: {reason}");
    }
    println!("{:6} differ otherwise", otherwise.len());
    assert!(otherwise.is_empty(), "{}", otherwise.join("\n"));
    assert!(equal > 60 && on_purpose.len() == 2, "the whole recording was replayed");
    replay.nothing_is_left();
}

/// Both conversations so far: the recorded one and ours.
#[derive(Default)]
struct Replay {
    open: HashMap<char, Open>,
    sessions: HashMap<i64, i64>,
    /// Recorded zxids of what is in a stat or was written, and ours.
    exact: Vec<(i64, i64)>,
    /// The same of replies that only tell how far the server is.
    passed: Vec<(i64, i64)>,
    times: Vec<(i64, i64)>,
}

struct Open {
    wire: Wire,
    shaken: bool,
    /// Operation by xid.
    asked: HashMap<i32, i32>,
}

impl Replay {
    fn send(&mut self, line: &Line, payload: &Bytes, member: &Member) {
        let Some(open) = self.open.get_mut(&line.connection) else {
            ConnectRequest::decode(payload.clone()).unwrap();
            let mut wire = Wire::open(member.address);
            wire.send(payload);
            let open = Open { wire, shaken: false, asked: HashMap::new() };
            self.open.insert(line.connection, open);
            return;
        };
        let mut input = Reader::new(payload.clone());
        let header = RequestHeader::decode(&mut input).unwrap();
        open.asked.insert(header.xid, header.op);
        match OpCode::from_code(header.op).map(|op| Request::decode(op, input.rest()).unwrap()) {
            // The only zxid a client sends after the handshake.
            Some(Request::SetWatches(mut watches)) => {
                let since =
                    self.exact.iter().find(|(recorded, _)| *recorded == watches.relative_zxid);
                watches.relative_zxid = since.expect("a zxid the client saw").1;
                let mut translated = Vec::new();
                header.encode(&mut translated);
                Request::SetWatches(watches).encode(&mut translated);
                open.wire.send(&translated);
            }
            _ => open.wire.send(payload),
        }
    }

    fn receive(&mut self, line: &Line, recorded: &Bytes) -> Result<(), Difference> {
        let open = self.open.get_mut(&line.connection).unwrap();
        let Some(ours) = open.wire.frame() else {
            return Err(Difference::Otherwise("ours closed the connection".to_owned()));
        };
        if !open.shaken {
            open.shaken = true;
            return self.compare_handshake(recorded, &ours);
        }
        let (mut recorded, mut ours) = (Reader::new(recorded.clone()), Reader::new(ours));
        let theirs = ReplyHeader::decode(&mut recorded).unwrap();
        let our = ReplyHeader::decode(&mut ours).unwrap();
        same("xid", theirs.xid, our.xid)?;
        same("error", theirs.error, our.error)?;
        if theirs.xid == xid::WATCH_EVENT {
            return compare_event(&theirs, &our, &mut recorded, &mut ours);
        }
        let op = OpCode::from_code(open.asked[&theirs.xid]);
        self.compare_zxid(op, &theirs, &our)?;
        if theirs.error != ErrorCode::Ok {
            return same("bytes after the error", recorded.remaining(), ours.remaining());
        }
        let lengths = (recorded.remaining(), ours.remaining());
        let op = op.expect("a known operation when there is no error");
        let mut theirs = Reply::decode(op, recorded.rest()).unwrap();
        let mut our = Reply::decode(op, ours.rest())
            .map_err(|error| Difference::Otherwise(error.to_string()))?;
        let stats_added = drop_added_stats(&mut theirs, &mut our);
        same("length", lengths.0 + stats_added * STAT_BYTES, lengths.1)?;
        self.translate(&mut theirs, &mut our);
        same("body", theirs, our)?;
        if stats_added > 0 { Err(Difference::OnPurpose(MULTI_STAT)) } else { Ok(()) }
    }

    fn compare_handshake(&mut self, recorded: &Bytes, ours: &Bytes) -> Result<(), Difference> {
        same("length", recorded.len(), ours.len())?;
        let theirs = ConnectResponse::decode(recorded.clone()).unwrap();
        let our = ConnectResponse::decode(ours.clone()).unwrap();
        same("session or none", theirs.session == 0, our.session == 0)?;
        self.sessions.insert(theirs.session, our.session);
        let password = |of: &ConnectResponse| of.password.as_ref().map(Bytes::len);
        same("length of the password", password(&theirs), password(&our))?;
        if theirs.session == 0 {
            same("no password", &theirs.password, &our.password)?;
        }
        same("protocol version", theirs.protocol_version, our.protocol_version)?;
        same("timeout", theirs.timeout_ms, our.timeout_ms)?;
        same("read only", theirs.read_only, our.read_only)
    }

    fn compare_zxid(
        &mut self,
        op: Option<OpCode>,
        theirs: &ReplyHeader,
        our: &ReplyHeader,
    ) -> Result<(), Difference> {
        if theirs.zxid <= 0 || our.zxid <= 0 {
            return same("zxid", theirs.zxid, our.zxid);
        }
        let wrote = matches!(
            op,
            Some(
                OpCode::Create
                    | OpCode::Create2
                    | OpCode::CreateContainer
                    | OpCode::CreateTtl
                    | OpCode::Delete
                    | OpCode::SetData
                    | OpCode::SetAcl
                    | OpCode::Multi
            )
        );
        let seen =
            if wrote && theirs.error == ErrorCode::Ok { &mut self.exact } else { &mut self.passed };
        seen.push((theirs.zxid, our.zxid));
        Ok(())
    }

    /// Notes what cannot be the same and makes it so.
    fn translate(&mut self, theirs: &mut Reply, our: &mut Reply) {
        match (theirs, our) {
            (Reply::Children(theirs), Reply::Children(our)) => {
                theirs.sort();
                our.sort();
            }
            (
                Reply::ChildrenWithStat { children: theirs, stat },
                Reply::ChildrenWithStat { children: our, stat: our_stat },
            ) => {
                theirs.sort();
                our.sort();
                self.translate_stat(stat, our_stat);
            }
            (Reply::Stat(stat), Reply::Stat(our))
            | (Reply::Data { stat, .. }, Reply::Data { stat: our, .. })
            | (Reply::Acl { stat, .. }, Reply::Acl { stat: our, .. })
            | (Reply::CreatedWithStat { stat, .. }, Reply::CreatedWithStat { stat: our, .. }) => {
                self.translate_stat(stat, our)
            }
            (Reply::Multi(theirs), Reply::Multi(our)) => {
                for (theirs, our) in theirs.iter_mut().zip(our) {
                    self.translate_result(theirs, our);
                }
            }
            _ => {}
        }
    }

    fn translate_result(&mut self, theirs: &mut MultiResult, our: &mut MultiResult) {
        match (theirs, our) {
            (MultiResult::Set(stat), MultiResult::Set(our))
            | (MultiResult::Data { stat, .. }, MultiResult::Data { stat: our, .. })
            | (
                MultiResult::CreatedWithStat { stat, .. },
                MultiResult::CreatedWithStat { stat: our, .. },
            ) => self.translate_stat(stat, our),
            (MultiResult::Children(theirs), MultiResult::Children(our)) => {
                theirs.sort();
                our.sort();
            }
            _ => {}
        }
    }

    fn translate_stat(&mut self, theirs: &mut Stat, our: &mut Stat) {
        for (theirs, our) in zip(zxids(theirs), zxids(our)) {
            // Nothing for both: what the server itself made at its start.
            if *theirs != Revision(0) && *our != Revision(0) {
                self.exact.push((theirs.zxid(), our.zxid()));
                *our = *theirs;
            }
        }
        for (theirs, our) in zip(times(theirs), times(our)) {
            if *theirs != 0 && *our != 0 {
                self.times.push((*theirs, *our));
                *our = *theirs;
            }
        }
        if let Some(owner) = self.sessions.get(&theirs.ephemeral_owner.0) {
            theirs.ephemeral_owner = SessionId(*owner);
        }
    }

    fn is_closed(&mut self, line: &Line) -> Result<(), Difference> {
        let open = self.open.get_mut(&line.connection).unwrap();
        same("bytes before the end", Vec::new(), open.wire.remainder())?;
        self.open.remove(&line.connection);
        Ok(())
    }

    /// What of zxids and times does not stand in the recorded order.
    fn ordering_complaints(&mut self) -> Vec<String> {
        let mut complaints = Vec::new();
        self.exact.sort_unstable();
        self.exact.dedup();
        let mut passed = [&self.exact[..], &self.passed[..]].concat();
        for pairs in [&mut passed, &mut self.times] {
            pairs.sort_unstable();
            for pair in pairs.windows(2) {
                if pair[0].0 < pair[1].0 && pair[0].1 > pair[1].1 {
                    complaints
                        .push(format!("recorded {} before {}, ours not", pair[0].0, pair[1].0));
                }
            }
        }
        for pair in self.exact.windows(2) {
            if pair[0].0 == pair[1].0 || pair[0].1 >= pair[1].1 {
                complaints.push(format!("zxids {:?} and {:?} contradict", pair[0], pair[1]));
            }
        }
        complaints
    }

    /// Connections still open have nothing more to tell.
    fn nothing_is_left(&mut self) {
        for (connection, open) in &mut self.open {
            let mut ping = Vec::new();
            RequestHeader { xid: xid::PING, op: OpCode::Ping.code() }.encode(&mut ping);
            open.wire.send(&ping);
            // A connection that found no session is closed by now.
            let Some(payload) = open.wire.frame() else { continue };
            let header = ReplyHeader::decode(&mut Reader::new(payload)).unwrap();
            assert_eq!(header.xid, xid::PING, "{connection} got more than was recorded");
        }
    }
}

/// Counts the stats that only our results of a multi have. Both sides have an empty one then:
/// there is nothing to compare it with.
fn drop_added_stats(theirs: &mut Reply, our: &mut Reply) -> usize {
    let (Reply::Multi(theirs), Reply::Multi(our)) = (theirs, our) else { return 0 };
    let mut added = 0;
    for (recorded, ours) in theirs.iter_mut().zip(our) {
        if let (MultiResult::Created(path), MultiResult::CreatedWithStat { stat, .. }) =
            (&*recorded, ours)
        {
            let path = path.clone();
            *stat = Stat::default();
            *recorded = MultiResult::CreatedWithStat { path, stat: Stat::default() };
            added += 1;
        }
    }
    added
}

fn zxids(stat: &mut Stat) -> [&mut Revision; 3] {
    [&mut stat.czxid, &mut stat.mzxid, &mut stat.pzxid]
}

fn times(stat: &mut Stat) -> [&mut i64; 2] {
    [&mut stat.ctime, &mut stat.mtime]
}

fn compare_event(
    theirs: &ReplyHeader,
    our: &ReplyHeader,
    recorded: &mut Reader,
    ours: &mut Reader,
) -> Result<(), Difference> {
    let event = |input| {
        WatcherEvent::decode(input).map_err(|error| Difference::Otherwise(error.to_string()))
    };
    same("event", event(recorded)?, event(ours)?)?;
    same("length", recorded.remaining(), ours.remaining())?;
    match (theirs.zxid, our.zxid) {
        (-1, 1..) => Err(Difference::OnPurpose(EVENT_ZXID)),
        (theirs, our) => same("zxid", theirs, our),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, theirs: T, our: T) -> Result<(), Difference> {
    if theirs == our {
        return Ok(());
    }
    Err(Difference::Otherwise(format!("{what}: recorded {theirs:?}, ours {our:?}")))
}
