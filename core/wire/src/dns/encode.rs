//! Fitting an answer into a packet.

use std::collections::HashSet;

use domain::base::iana::Rcode;
use foldhash::fast::RandomState;

use super::answer::{Answer, Finding, Outcome};
use super::packet::{Full, Packet, Section};
use super::query::Query;
use super::record::Record;

/// How a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// One datagram.
    Udp,
    /// A stream.
    Tcp,
}

/// How much an answer may fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeLimit {
    /// The whole packet. Bytes.
    pub bytes: usize,
    /// Records of the answer section, if they are alternatives.
    pub records: usize,
}

/// What every packet has in common, whatever is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// Most answers to a datagram without EDNS. Consul: `udp_answer_limit`.
    pub plain_records_max: usize,
    /// Whether a cut answer has the truncation bit. Consul: `enable_truncate`.
    pub tells_cut: bool,
    /// Whether names outside the zone are answered too.
    pub recursion_available: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self { plain_records_max: 3, tells_cut: true, recursion_available: false }
    }
}

/// What every client can take in one datagram.
const DATAGRAM_BYTES_MIN: usize = 512;

/// The longest datagram that IPv4 carries. Up to there an answer is as long as
/// its client says that it can take.
const DATAGRAM_BYTES_MAX: usize = 65_507;

/// Answers in any packet.
const RECORDS_MAX: usize = 4096;

const STREAM_BYTES_MAX: usize = u16::MAX as usize;

impl SizeLimit {
    /// The room for an answer to `query`.
    pub fn of(query: &Query, transport: Transport, manner: Manner) -> Self {
        match (transport, &query.edns) {
            (Transport::Tcp, _) => Self { bytes: STREAM_BYTES_MAX, records: RECORDS_MAX },
            (Transport::Udp, None) => {
                Self { bytes: DATAGRAM_BYTES_MIN, records: manner.plain_records_max }
            }
            (Transport::Udp, Some(edns)) => Self {
                bytes: usize::from(edns.datagram_bytes_max)
                    .clamp(DATAGRAM_BYTES_MIN, DATAGRAM_BYTES_MAX),
                records: RECORDS_MAX,
            },
        }
    }
}

impl Answer {
    /// The packet that answers `query`: as many findings from the front as
    /// there is room for, each with its additional records, and the truncation
    /// bit if that is not all of them.
    pub fn encode(&self, query: &Query, transport: Transport, manner: Manner) -> Vec<u8> {
        self.encode_into(query, SizeLimit::of(query, transport, manner), manner)
    }

    /// The same for a room of any size.
    pub(super) fn encode_into(&self, query: &Query, room: SizeLimit, manner: Manner) -> Vec<u8> {
        let records_max = if self.are_alternatives { room.records } else { RECORDS_MAX };
        let most = self.findings.len().min(records_max);
        let attempt = |kept, extras| self.attempt(query, room, manner, kept, extras);
        if let Some(packet) = attempt(most, true) {
            return packet;
        }
        let mut fits = None;
        let (mut low, mut high) = (0, most);
        while low < high {
            let kept = low + (high - low) / 2;
            match attempt(kept, true) {
                Some(packet) => {
                    fits = Some(packet);
                    low = kept + 1;
                }
                None => high = kept,
            }
        }
        // An answer without its additional records is better than none at all.
        let bare = || attempt(most.min(1), false);
        match fits {
            Some(packet) if low > 1 => packet,
            fits => bare().or(fits).unwrap_or_default(),
        }
    }

    /// `None` if it does not fit.
    fn attempt(
        &self,
        query: &Query,
        room: SizeLimit,
        manner: Manner,
        kept: usize,
        extras: bool,
    ) -> Option<Vec<u8>> {
        let findings = self.findings.get(..kept)?;
        let is_cut = kept < self.findings.len() || !extras;
        let flags = self.flags(query, manner, is_cut);
        self.compose(query, flags, room, findings, extras).ok()
    }

    fn compose(
        &self,
        query: &Query,
        flags: u16,
        room: SizeLimit,
        findings: &[Finding],
        extras: bool,
    ) -> Result<Vec<u8>, Full> {
        let mut packet = Packet::new(query, flags, room.bytes)?;
        for finding in findings {
            packet.record(Section::Answer, &finding.record)?;
        }
        for record in &self.authority {
            packet.record(Section::Authority, record)?;
        }
        let of_findings = findings.iter().flat_map(|finding| &finding.extra);
        let mut extra = of_findings.chain(&self.additional).peekable();
        if extras && extra.peek().is_some() {
            let mut told: HashSet<&Record, RandomState> =
                findings.iter().map(|finding| &finding.record).collect();
            for record in extra {
                if told.insert(record) {
                    packet.record(Section::Additional, record)?;
                }
            }
        }
        if let Some(edns) = &query.edns {
            packet.opt(edns)?;
        }
        Ok(packet.finish())
    }

    /// The second word of the header.
    fn flags(&self, query: &Query, manner: Manner, is_cut: bool) -> u16 {
        let is_ours = matches!(self.outcome, Outcome::Found | Outcome::NoSuchName);
        let flags = [
            (QR, true),
            (AA, is_ours),
            (TC, is_cut && manner.tells_cut),
            (RD, query.recursion_desired),
            (RA, manner.recursion_available),
            (CD, query.checking_disabled),
        ];
        let set = flags.into_iter().filter(|(_, is_set)| *is_set);
        set.fold(u16::from(self.outcome.rcode().to_int()), |flags, (bit, _)| flags | bit)
    }
}

/// Flags of the header: a response, with authority, cut, recursion desired and
/// available, signatures not checked.
const QR: u16 = 1 << 15;
const AA: u16 = 1 << 10;
const TC: u16 = 1 << 9;
const RD: u16 = 1 << 8;
const RA: u16 = 1 << 7;
const CD: u16 = 1 << 4;

impl Outcome {
    fn rcode(self) -> Rcode {
        match self {
            Self::Found => Rcode::NOERROR,
            Self::NoSuchName => Rcode::NXDOMAIN,
            Self::Refused => Rcode::REFUSED,
            Self::Failed => Rcode::SERVFAIL,
        }
    }
}
