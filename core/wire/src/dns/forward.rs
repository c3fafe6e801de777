//! Questions handed on to other servers, and what comes back.

use bytes::Bytes;
use domain::base::iana::{Class, Rcode};
use domain::base::name::ToName;
use domain::base::{Message, MessageBuilder, ParsedName, Rtype};
use domain::rdata::AllRecordData;

use super::record::{DomainName, Record, RecordData};

/// Where a packet has its number.
const ID_BYTES: usize = 2;

/// A question on its way to another server, under a number of ours: who has
/// not seen it cannot answer it.
#[derive(Debug, Clone)]
pub struct Forwarded {
    packet: Vec<u8>,
    /// The client's number.
    asked_as: [u8; ID_BYTES],
}

impl Forwarded {
    /// A client's question as it came, options included. `None` if it is too
    /// short for one.
    pub fn hand_on(packet: &[u8], id: u16) -> Option<Self> {
        let mut packet = packet.to_vec();
        let place = packet.first_chunk_mut::<ID_BYTES>()?;
        let asked_as = std::mem::replace(place, id.to_be_bytes());
        Some(Self { packet, asked_as })
    }

    /// A question of our own for records of `name`.
    pub fn question(name: &DomainName, rtype: Rtype, id: u16) -> Self {
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(id);
        builder.header_mut().set_rd(true);
        let mut question = builder.question();
        question.push((name, rtype, Class::IN)).expect("a vector takes every question");
        Self { packet: question.finish(), asked_as: id.to_be_bytes() }
    }

    /// What to send.
    pub fn packet(&self) -> &[u8] {
        &self.packet
    }

    /// What came back, under the client's number, if it is an answer to this
    /// question and worth passing on: the name exists or does not. Everything
    /// else is for the next server to try.
    pub fn accept(&self, mut reply: Vec<u8>) -> Result<Vec<u8>, Unfit> {
        if !self.is_answered_by(&reply) {
            return Err(Unfit::Stranger);
        }
        let message = Message::from_slice(&reply).map_err(|_| Unfit::Stranger)?;
        if !matches!(message.header().rcode(), Rcode::NOERROR | Rcode::NXDOMAIN) {
            return Err(Unfit::Failure);
        }
        if let Some(id) = reply.first_chunk_mut::<ID_BYTES>() {
            *id = self.asked_as;
        }
        Ok(reply)
    }

    fn is_answered_by(&self, reply: &[u8]) -> bool {
        let (Ok(asked), Ok(reply)) =
            (Message::from_slice(&self.packet), Message::from_slice(reply))
        else {
            return false;
        };
        let same_id = asked.header().id() == reply.header().id();
        let (Ok(mine), Ok(theirs)) = (asked.sole_question(), reply.sole_question()) else {
            return false;
        };
        let same_question = mine.qname().name_eq(theirs.qname())
            && mine.qtype() == theirs.qtype()
            && mine.qclass() == theirs.qclass();
        same_id && same_question && reply.header().qr()
    }
}

/// Why a packet is not the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It answers something else: wait on.
    Stranger,
    /// The server could not answer: ask another.
    Failure,
}

/// The aliases and addresses of an answer, at most `most`.
pub fn addresses(reply: &[u8], most: usize) -> Vec<Record> {
    let Ok(message) = Message::from_slice(reply) else { return Vec::new() };
    let Ok(answer) = message.answer() else { return Vec::new() };
    let records = answer.limit_to_in::<AllRecordData<&[u8], ParsedName<&[u8]>>>();
    let records = records.flatten().filter_map(|record| {
        let data = match record.data() {
            AllRecordData::A(address) => RecordData::A(address.addr()),
            AllRecordData::Aaaa(address) => RecordData::Aaaa(address.addr()),
            AllRecordData::Cname(name) => RecordData::Cname(owned(name.cname())),
            _ => return None,
        };
        Some(Record { owner: owned(record.owner()), ttl_s: record.ttl().as_secs(), data })
    });
    records.take(most).collect()
}

fn owned(name: &ParsedName<&[u8]>) -> DomainName {
    name.to_name::<Bytes>()
}
