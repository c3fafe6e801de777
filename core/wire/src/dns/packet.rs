//! Writing one message.
//!
//! `domain`'s builder compares names without regard to case when it looks for
//! one to point at, so that a record would have the letters of the question
//! instead of its own; and it never points at the target of an SRV record,
//! which most additional records are about. Here names are pointed at as they
//! are spelled, targets too: an answer with 120 of them is a quarter shorter.

use std::collections::HashMap;

use domain::base::Rtype;
use domain::base::iana::{Class, OptionCode};
use domain::base::opt::{ClientSubnet, ComposeOptData as _};
use foldhash::fast::RandomState;

use super::query::{Edns, Query};
use super::record::{DomainName, Record, RecordData};

/// The next thing does not fit into the room.
#[derive(Debug)]
pub(super) struct Full;

/// The sections that records go to, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Answer,
    Authority,
    Additional,
}

/// A message being written.
#[derive(Debug)]
pub(super) struct Packet<'a> {
    bytes: Vec<u8>,
    bytes_max: usize,
    /// Records in each section.
    counts: [u16; 3],
    /// The question's name. Most answers have no other.
    asked: &'a [u8],
    /// Where a name, or the end of one, stands: as bytes, so in its own spelling.
    /// Empty until there is a second name.
    names: HashMap<&'a [u8], u16, RandomState>,
}

const HEADER_BYTES: usize = 12;

/// Where the header has the counts of records.
const COUNTS_AT: usize = 6;

/// As much as most messages have.
const USUAL_BYTES: usize = 512;

/// What a pointer can reach.
const POINTER_MAX: u16 = 0x3fff;

/// The two bits that tell a pointer from a label.
const POINTER: u16 = 0xc000;

/// To the name right behind the header.
const POINTER_TO_QUESTION: u16 = POINTER | 12;

/// The longest piece of a text record.
const TEXT_PIECE_BYTES: usize = 255;

/// The first 64 KiB less a bit: a record can hold no more.
const TEXT_BYTES_MAX: usize = 60_000;

/// An OPT record's bit for a client that understands DNSSEC.
const DNSSEC_OK: u32 = 1 << 15;

impl<'a> Packet<'a> {
    /// The header, its flags as given, and the question.
    pub(super) fn new(query: &'a Query, flags: u16, bytes_max: usize) -> Result<Self, Full> {
        let bytes = Vec::with_capacity(bytes_max.min(USUAL_BYTES));
        let asked = query.name.as_slice();
        let mut packet =
            Self { bytes, bytes_max, counts: [0; 3], asked, names: HashMap::default() };
        // One question; `finish` sets the other counts.
        for word in [query.id, flags, 1, 0, 0, 0] {
            packet.u16(word);
        }
        packet.bytes.extend_from_slice(asked);
        packet.u16(query.rtype.to_int());
        packet.u16(query.class.to_int());
        packet.fits()?;
        Ok(packet)
    }

    /// Appends a record. Sections are filled in their order.
    pub(super) fn record(&mut self, section: Section, record: &'a Record) -> Result<(), Full> {
        self.name(&record.owner, true);
        self.u16(rtype(&record.data).to_int());
        self.u16(Class::IN.to_int());
        self.u32(record.ttl_s);
        self.sized(|packet| packet.data(&record.data))?;
        self.count(section);
        self.fits()
    }

    /// Appends the echo of the client's OPT record; a subnet with scope 0: no
    /// answer depends on it.
    pub(super) fn opt(&mut self, edns: &Edns) -> Result<(), Full> {
        self.bytes.push(0);
        self.u16(Rtype::OPT.to_int());
        self.u16(edns.datagram_bytes_max);
        self.u32(if edns.dnssec_ok { DNSSEC_OK } else { 0 });
        self.sized(|packet| {
            if let Some(subnet) = edns.subnet {
                let echo = ClientSubnet::new(subnet.source_prefix_len(), 0, subnet.addr());
                packet.u16(OptionCode::CLIENT_SUBNET.to_int());
                packet.u16(echo.compose_len());
                // A vector takes every option.
                let Ok(()) = echo.compose_option(&mut packet.bytes);
            }
        })?;
        self.count(Section::Additional);
        self.fits()
    }

    /// The message.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let counts = self.counts.map(u16::to_be_bytes);
        if let Some(place) = self.bytes.get_mut(COUNTS_AT..HEADER_BYTES) {
            place.copy_from_slice(counts.as_flattened());
        }
        self.bytes
    }

    fn data(&mut self, data: &'a RecordData) {
        match data {
            RecordData::A(address) => self.bytes.extend_from_slice(&address.octets()),
            RecordData::Aaaa(address) => self.bytes.extend_from_slice(&address.octets()),
            RecordData::Cname(name) | RecordData::Ns(name) | RecordData::Ptr(name) => {
                self.name(name, true);
            }
            RecordData::Srv { priority, weight, port, target } => {
                for word in [*priority, *weight, *port] {
                    self.u16(word);
                }
                // RFC 2782: this name is written out. It may be pointed at.
                self.name(target, false);
            }
            RecordData::Txt(text) => self.text(text),
            RecordData::Soa {
                primary,
                mailbox,
                serial,
                refresh_s,
                retry_s,
                expire_s,
                absence_s,
            } => {
                self.name(primary, true);
                self.name(mailbox, true);
                for word in [*serial, *refresh_s, *retry_s, *expire_s, *absence_s] {
                    self.u32(word);
                }
            }
        }
    }

    /// In pieces, and at least one.
    fn text(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let bytes = bytes.get(..TEXT_BYTES_MAX).unwrap_or(bytes);
        if bytes.is_empty() {
            self.bytes.push(0);
        }
        for piece in bytes.chunks(TEXT_PIECE_BYTES) {
            self.bytes.push(u8::try_from(piece.len()).unwrap_or(u8::MAX));
            self.bytes.extend_from_slice(piece);
        }
    }

    /// Label by label, until the rest has been written before.
    fn name(&mut self, name: &'a DomainName, may_point: bool) {
        let mut rest: &'a [u8] = name.as_slice();
        if may_point && rest == self.asked && rest.len() > 1 {
            self.u16(POINTER_TO_QUESTION);
            return;
        }
        if self.names.is_empty() {
            self.remember(self.asked, HEADER_BYTES);
        }
        while let Some((label, behind)) = split_label(rest) {
            if may_point && let Some(place) = self.names.get(rest) {
                self.u16(POINTER | place);
                return;
            }
            self.remember_one(rest, self.bytes.len());
            self.bytes.extend_from_slice(label);
            rest = behind;
        }
        self.bytes.push(0);
    }

    /// A name and each end of it, written from `place` on.
    fn remember(&mut self, name: &'a [u8], mut place: usize) {
        let mut rest = name;
        while let Some((label, behind)) = split_label(rest) {
            self.remember_one(rest, place);
            place += label.len();
            rest = behind;
        }
    }

    fn remember_one(&mut self, name: &'a [u8], place: usize) {
        if let Ok(place) = u16::try_from(place)
            && place <= POINTER_MAX
        {
            self.names.entry(name).or_insert(place);
        }
    }

    /// Runs `write` and puts the number of bytes it wrote before them.
    fn sized(&mut self, write: impl FnOnce(&mut Self)) -> Result<(), Full> {
        let place = self.bytes.len();
        self.u16(0);
        write(self);
        let len = u16::try_from(self.bytes.len() - place - 2).map_err(|_| Full)?;
        if let Some(space) = self.bytes.get_mut(place..place + 2) {
            space.copy_from_slice(&len.to_be_bytes());
        }
        Ok(())
    }

    fn count(&mut self, section: Section) {
        if let Some(count) = self.counts.get_mut(section as usize) {
            *count = count.saturating_add(1);
        }
    }

    fn fits(&self) -> Result<(), Full> {
        if self.bytes.len() <= self.bytes_max { Ok(()) } else { Err(Full) }
    }

    fn u16(&mut self, word: u16) {
        self.bytes.extend_from_slice(&word.to_be_bytes());
    }

    fn u32(&mut self, word: u32) {
        self.bytes.extend_from_slice(&word.to_be_bytes());
    }
}

/// The first label with its length, and what follows; `None` at the root.
fn split_label(name: &[u8]) -> Option<(&[u8], &[u8])> {
    match name.first() {
        None | Some(0) => None,
        Some(len) => name.split_at_checked(usize::from(*len) + 1),
    }
}

fn rtype(data: &RecordData) -> Rtype {
    match data {
        RecordData::A(_) => Rtype::A,
        RecordData::Aaaa(_) => Rtype::AAAA,
        RecordData::Cname(_) => Rtype::CNAME,
        RecordData::Ns(_) => Rtype::NS,
        RecordData::Ptr(_) => Rtype::PTR,
        RecordData::Srv { .. } => Rtype::SRV,
        RecordData::Txt(_) => Rtype::TXT,
        RecordData::Soa { .. } => Rtype::SOA,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use domain::base::{Message, ParsedName, Record as Parsed};
    use domain::rdata::AllRecordData;

    use super::*;
    use crate::dns::tests::{name, packet};

    fn srv(owner: &str, target: &str) -> Record {
        let data = RecordData::Srv { priority: 1, weight: 2, port: 3, target: name(target) };
        Record { owner: name(owner), ttl_s: 7, data }
    }

    fn address(owner: &str) -> Record {
        Record { owner: name(owner), ttl_s: 7, data: RecordData::A([10, 0, 0, 1].into()) }
    }

    fn written(records: &[(Section, Record)]) -> Vec<u8> {
        let asked = packet("WEB.service.CONSUL", Rtype::SRV, Class::IN, 0);
        let query = Query::decode(&asked).unwrap();
        let mut packet = Packet::new(&query, 0, 65_535).unwrap();
        for (section, record) in records {
            packet.record(*section, record).unwrap();
        }
        packet.finish()
    }

    fn read(packet: &[u8]) -> Vec<String> {
        let message = Message::from_slice(packet).unwrap();
        let told = message.iter().map(|record| {
            let (record, _) = record.unwrap();
            let record: Parsed<_, AllRecordData<&[u8], ParsedName<&[u8]>>> =
                record.into_any_record().unwrap();
            format!("{} {}", record.owner(), record.data())
        });
        told.collect()
    }

    #[test]
    fn names_are_spelled_as_they_are_stored_whatever_was_asked() {
        let packet = written(&[
            (Section::Answer, srv("WEB.service.CONSUL", "N1.node.dc1.consul")),
            (Section::Additional, address("N1.node.dc1.consul")),
            (Section::Additional, address("n1.node.dc1.consul")),
            (Section::Additional, address("web.service.consul")),
        ]);
        assert_eq!(
            read(&packet),
            [
                "WEB.service.CONSUL 1 2 3 N1.node.dc1.consul",
                "N1.node.dc1.consul 10.0.0.1",
                "n1.node.dc1.consul 10.0.0.1",
                "web.service.consul 10.0.0.1",
            ]
        );
    }

    #[test]
    fn a_target_is_written_out_and_pointed_at() {
        let target = "n1.node.dc1.consul";
        let alone = written(&[(Section::Answer, srv("WEB.service.CONSUL", target))]);
        let uncompressed = target.len() + 2;
        let question = HEADER_BYTES + "WEB.service.CONSUL".len() + 2 + 4;
        assert_eq!(alone.len(), question + 2 + 10 + 6 + uncompressed);
        let with = written(&[
            (Section::Answer, srv("WEB.service.CONSUL", target)),
            (Section::Additional, address(target)),
        ]);
        assert_eq!(with.len(), alone.len() + 2 + 10 + 4);
        // A second one is written out again.
        let twice = [(); 2].map(|()| (Section::Answer, srv("WEB.service.CONSUL", target)));
        assert_eq!(written(&twice).len(), question + 2 * (2 + 10 + 6 + uncompressed));
    }

    #[test]
    fn nothing_is_pointed_at_that_is_out_of_reach() {
        let far: Vec<_> = (0..1000)
            .map(|number| {
                (Section::Answer, srv("WEB.service.CONSUL", &format!("n{number}.consul")))
            })
            .chain((0..1000).map(|n| (Section::Additional, address(&format!("n{n}.consul")))))
            .collect();
        let packet = written(&far);
        assert!(packet.len() > 2 * usize::from(POINTER_MAX), "{}", packet.len());
        let told = read(&packet);
        assert_eq!(told.len(), 2000);
        assert_eq!(told[999], "WEB.service.CONSUL 1 2 3 n999.consul");
        assert_eq!(told[1999], "n999.consul 10.0.0.1");
    }

    #[test]
    fn a_question_for_the_root_is_answered() {
        let asked = packet(".", Rtype::NS, Class::IN, 0);
        let query = Query::decode(&asked).unwrap();
        let record = address(".");
        let mut packet = Packet::new(&query, 0, 512).unwrap();
        packet.record(Section::Answer, &record).unwrap();
        packet.opt(query.edns.as_ref().unwrap()).unwrap();
        let packet = packet.finish();
        let message = Message::from_slice(&packet).unwrap();
        let counts = message.header_counts();
        assert_eq!((counts.ancount(), counts.nscount(), counts.arcount()), (1, 0, 1));
        assert_eq!(message.opt().unwrap().udp_payload_size(), 1400);
    }
}
