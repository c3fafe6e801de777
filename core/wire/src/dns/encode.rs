//! Fitting an answer into a packet.

use std::collections::HashSet;

use domain::base::iana::{Class, OptRcode, Rcode};
use domain::base::message_builder::{HashCompressor, MessageBuilder, PushError, StaticCompressor};
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

/// Labels that the compressor for few names remembers.
const FEW_LABELS: usize = 24;

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
        let packet = Vec::with_capacity(room.bytes.min(DATAGRAM_BYTES_MIN));
        if self.has_one_name(query, findings) {
            let target = StaticCompressor::new(packet);
            let target = self.compose(target, query, room, findings, extras, marks).ok()?;
            return Some(target.into_target());
        }
        let target = HashCompressor::new(packet);
        let target = self.compose(target, query, room, findings, extras, marks).ok()?;
        Some(target.into_target())
    }

    /// Whether no name but the question's is in the packet, as in most: addresses
    /// of a service. The compressor for few names knows as much of it then as the
    /// one for many, which has more to prepare.
    fn has_one_name(&self, query: &Query, findings: &[Finding]) -> bool {
        let is_about_it = |finding: &Finding| {
            finding.extra.is_empty()
                && matches!(finding.record.data, RecordData::A(_) | RecordData::Aaaa(_))
                && finding.record.owner == query.name
        };
        self.authority.is_empty()
            && self.additional.is_empty()
            && query.name.label_count() <= FEW_LABELS
            && findings.iter().all(is_about_it)
    }

    fn compose<Target: Composer>(
        &self,
        target: Target,
        query: &Query,
        room: Room,
        findings: &[Finding],
        extras: bool,
        marks: Marks,
    ) -> Result<Target, PushError> {
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
        let of_findings = findings.iter().flat_map(|finding| &finding.extra);
        let mut extra = of_findings.chain(&self.additional).peekable();
        if extras && extra.peek().is_some() {
            let mut told: HashSet<&Record> =
                findings.iter().map(|finding| &finding.record).collect();
            for record in extra {
                if told.insert(record) {
                    additional.push(record)?;
                }
            }
        }
        if let Some(edns) = &query.edns {
            push_opt(&mut additional, edns, OptRcode::from(rcode))?;
        }
        Ok(additional.finish())
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use domain::base::Rtype;

    use super::*;
    use crate::dns::DomainName;
    use crate::dns::tests::{name, packet};

    #[test]
    fn both_compressors_make_the_same_packet_of_one_name() {
        let room = Room { bytes: STREAM_BYTES_MAX, records: RECORDS_MAX };
        let marks = Marks { cut: false, recursion: false };
        for labels in [1, 3, FEW_LABELS - 1] {
            let text = vec!["label"; labels].join(".");
            let query = Query::decode(&packet(&text, Rtype::A, Class::IN, 0)).unwrap();
            let finding = |owner: &DomainName, number: u8| {
                let data = RecordData::A(Ipv4Addr::new(10, 0, 0, number));
                Finding::from(Record { owner: owner.clone(), ttl_s: 7, data })
            };
            // Also in another case: names are compared without regard to it.
            let owners = [query.name.clone(), name(&text.to_uppercase())];
            let findings: Vec<_> =
                owners.iter().flat_map(|owner| (0..90).map(move |n| finding(owner, n))).collect();
            let answer = Answer::found(findings);
            assert!(answer.has_one_name(&query, &answer.findings));
            let few = StaticCompressor::new(Vec::new());
            let few = answer.compose(few, &query, room, &answer.findings, true, marks).unwrap();
            let many = HashCompressor::new(Vec::new());
            let many = answer.compose(many, &query, room, &answer.findings, true, marks).unwrap();
            assert_eq!(few.into_target(), many.into_target());
        }
    }

    #[test]
    fn an_answer_with_other_names_is_left_to_the_compressor_for_many() {
        let query = Query::decode(&packet("a.b", Rtype::A, Class::IN, 0)).unwrap();
        let alias = Record { owner: name("a.b"), ttl_s: 0, data: RecordData::Cname(name("c.b")) };
        let answer = Answer::found(vec![alias.into()]);
        assert!(!answer.has_one_name(&query, &answer.findings));
        let of_another =
            Record { owner: name("c.b"), ttl_s: 0, data: RecordData::A(Ipv4Addr::LOCALHOST) };
        let answer = Answer::found(vec![of_another.into()]);
        assert!(!answer.has_one_name(&query, &answer.findings));
    }
}
