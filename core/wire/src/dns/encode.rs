//! Fitting an answer into a packet.

use std::collections::HashSet;

use domain::base::iana::{Class, OptRcode, Rcode};
use domain::base::message_builder::{HashCompressor, MessageBuilder, PushError};
use domain::base::record::ComposeRecord;
use domain::base::wire::Composer;
use domain::base::{Serial, Ttl};
use domain::rdata::{A, Aaaa, Cname, Ns, Ptr, Soa, Srv, Txt};

use super::answer::{Answer, Finding, Outcome};
use super::query::{Query, push_opt};
use super::record::{Record, RecordData};

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
pub struct Room {
    /// The whole packet. Bytes.
    pub bytes: usize,
    /// Records of the answer section.
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

/// The largest datagram sent, whatever the client says it can take: larger
/// ones come apart on the way. What does not fit is had over TCP.
const DATAGRAM_BYTES_MAX: usize = 4096;

/// Answers in any packet.
const RECORDS_MAX: usize = 4096;

const STREAM_BYTES_MAX: usize = u16::MAX as usize;

impl Room {
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

/// Bits of the header that depend on how the answer is given.
#[derive(Debug, Clone, Copy)]
struct Marks {
    cut: bool,
    recursion: bool,
}

impl Answer {
    /// The packet that answers `query`: as many findings from the front as
    /// there is room for, each with its additional records, and the truncation
    /// bit if that is not all of them.
    pub fn encode(&self, query: &Query, transport: Transport, manner: Manner) -> Vec<u8> {
        self.encode_into(query, Room::of(query, transport, manner), manner)
    }

    /// The same for a room of any size.
    pub(super) fn encode_into(&self, query: &Query, room: Room, manner: Manner) -> Vec<u8> {
        let most = self.findings.len().min(room.records);
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
        room: Room,
        manner: Manner,
        kept: usize,
        extras: bool,
    ) -> Option<Vec<u8>> {
        let findings = self.findings.get(..kept)?;
        let cut = kept < self.findings.len() || !extras;
        let marks = Marks { cut: cut && manner.tells_cut, recursion: manner.recursion_available };
        self.compose(query, room, findings, extras, marks).ok()
    }

    fn compose(
        &self,
        query: &Query,
        room: Room,
        findings: &[Finding],
        extras: bool,
        marks: Marks,
    ) -> Result<Vec<u8>, PushError> {
        let target = HashCompressor::new(Vec::new());
        let mut builder = MessageBuilder::from_target(target).map_err(|_| PushError::ShortBuf)?;
        // The builder refuses what reaches its limit.
        builder.set_push_limit(room.bytes + 1);
        let rcode = self.outcome.rcode();
        let header = builder.header_mut();
        header.set_id(query.id);
        header.set_qr(true);
        header.set_aa(matches!(self.outcome, Outcome::Found | Outcome::NoSuchName));
        header.set_tc(marks.cut);
        header.set_ra(marks.recursion);
        header.set_rd(query.recursion_desired);
        header.set_rcode(rcode);
        let mut question = builder.question();
        question.push((&query.name, query.rtype, query.class))?;
        let mut answer = question.answer();
        findings.iter().try_for_each(|finding| answer.push(&finding.record))?;
        let mut authority = answer.authority();
        self.authority.iter().try_for_each(|record| authority.push(record))?;
        let mut additional = authority.additional();
        if extras {
            let mut told: HashSet<&Record> =
                findings.iter().map(|finding| &finding.record).collect();
            let of_findings = findings.iter().flat_map(|finding| &finding.extra);
            for record in of_findings.chain(&self.additional) {
                if told.insert(record) {
                    additional.push(record)?;
                }
            }
        }
        if let Some(edns) = &query.edns {
            push_opt(&mut additional, edns, OptRcode::from(rcode))?;
        }
        Ok(additional.finish().into_target())
    }
}

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

impl ComposeRecord for Record {
    fn compose_record<Target: Composer + ?Sized>(
        &self,
        target: &mut Target,
    ) -> Result<(), Target::AppendError> {
        let ttl = Ttl::from_secs(self.ttl_s);
        let owner = &self.owner;
        macro_rules! compose {
            ($data:expr) => {
                (owner, Class::IN, ttl, $data).compose_record(target)
            };
        }
        match &self.data {
            RecordData::A(address) => compose!(A::new(*address)),
            RecordData::Aaaa(address) => compose!(Aaaa::new(*address)),
            RecordData::Cname(name) => compose!(Cname::new(name)),
            RecordData::Ns(name) => compose!(Ns::new(name)),
            RecordData::Ptr(name) => compose!(Ptr::new(name)),
            RecordData::Srv { priority, weight, port, target: machine } => {
                compose!(Srv::new(*priority, *weight, *port, machine))
            }
            RecordData::Txt(text) => compose!(text_data(text)),
            RecordData::Soa {
                primary,
                mailbox,
                serial,
                refresh_s,
                retry_s,
                expire_s,
                absence_s,
            } => compose!(Soa::new(
                primary,
                mailbox,
                Serial::from(*serial),
                Ttl::from_secs(*refresh_s),
                Ttl::from_secs(*retry_s),
                Ttl::from_secs(*expire_s),
                Ttl::from_secs(*absence_s),
            )),
        }
    }
}

/// The first 64 KiB less a bit: a record can hold no more.
const TEXT_BYTES_MAX: usize = 60_000;

fn text_data(text: &str) -> Txt<Vec<u8>> {
    let bytes = text.as_bytes();
    let bytes = &bytes[..bytes.len().min(TEXT_BYTES_MAX)];
    Txt::build_from_slice(bytes).expect("60000 bytes and their lengths fit into a record")
}
