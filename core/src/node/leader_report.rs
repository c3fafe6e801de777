//! The leader's report with every append request: fingerprint of its state,
//! time, and how long ago it heard from a majority.

use std::time::Duration;

use bytes::Bytes;
use coord_state::MemberId;
use coord_state::codec::{CodecError, Decode, Encode, Input};

use super::divergence::fingerprints::StateFingerprint;
use super::node_core::NodeCore;
use super::peer_message::{answer, read_answer};

const VERSION: u8 = 1;

/// Sent by the leader, several times a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LeaderReport {
    /// What the state was after the last entry it applied; nothing at the beginning.
    pub(super) fingerprint: Option<StateFingerprint>,
    /// The state's time.
    pub(super) time_ms: u64,
    /// How long ago a majority was heard, if one was since it leads.
    pub(super) majority_ms: Option<u64>,
}

impl Encode for LeaderReport {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        self.fingerprint.encode(out);
        self.time_ms.encode(out);
        self.majority_ms.encode(out);
    }
}

impl Decode for LeaderReport {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        match u8::decode(input)? {
            VERSION => Ok(Self {
                fingerprint: Decode::decode(input)?,
                time_ms: Decode::decode(input)?,
                majority_ms: Decode::decode(input)?,
            }),
            tag => Err(CodecError::UnknownTag { what: "leader report", tag: tag.into() }),
        }
    }
}

impl NodeCore {
    /// What goes out with every append request.
    pub(super) fn leader_report(&self) -> Bytes {
        let age_ms = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        answer(&LeaderReport {
            fingerprint: self.replica.fingerprints.latest(),
            time_ms: self.replica.state_time.lead(),
            majority_ms: self.consensus.majority_heard().map(age_ms),
        })
    }

    pub(super) fn take_leader_report(&self, from: MemberId, report: Bytes) {
        match read_answer::<LeaderReport>(report) {
            Ok(report) => self.believe(from, report),
            Err(error) => {
                tracing::warn!(
                    peer = from.0, %error,
                    "the leader sent a report that this release cannot read"
                );
            }
        }
    }

    fn believe(&self, from: MemberId, report: LeaderReport) {
        if let Some(fingerprint) = report.fingerprint {
            self.compare(from, fingerprint);
        }
        // One that was deposed does not know it yet.
        if self.known_leader() != Some(from) || from == self.member {
            return;
        }
        self.replica.state_time.told(report.time_ms);
        if let Some(majority_ms) = report.majority_ms {
            let age = Duration::from_millis(majority_ms);
            if let Some(at) = self.clock.monotonic().checked_sub(age) {
                self.majority.note(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use coord_state::{Digest, Revision};

    use super::*;

    #[test]
    fn a_report_arrives_as_sent_and_never_cut_short() {
        let fingerprint = Some(StateFingerprint::new(3, Revision(2), Digest(1)));
        for report in [
            LeaderReport { fingerprint, time_ms: 5, majority_ms: Some(7) },
            LeaderReport { fingerprint: None, time_ms: 0, majority_ms: None },
        ] {
            let sent = answer(&report);
            assert_eq!(read_answer(sent.clone()), Ok(report));
            for len in 0..sent.len() {
                assert!(read_answer::<LeaderReport>(sent.slice(..len)).is_err(), "{len} bytes");
            }
        }
    }
}
