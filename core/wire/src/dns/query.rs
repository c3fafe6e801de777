//! A packet as a question.

use domain::base::iana::{Class, Opcode, OptRcode, Rcode};
use domain::base::message_builder::{AdditionalBuilder, PushError};
use domain::base::name::ToName;
use domain::base::opt::{ClientSubnet, Opt};
use domain::base::{Message, MessageBuilder, ParsedRecord, Rtype};

use super::record::DomainName;

/// A question that can be answered.
#[derive(Debug, Clone)]
pub struct Query {
    /// Chosen by the client.
    pub id: u16,
    /// Whether the client would like recursion; echoed.
    pub recursion_desired: bool,
    /// Whether the client checks signatures itself; echoed.
    pub checking_disabled: bool,
    /// The name, in the case asked.
    pub name: DomainName,
    /// The type of record asked for.
    pub rtype: Rtype,
    /// What the client said about itself, if it speaks EDNS.
    pub edns: Option<Edns>,
    pub(super) class: Class,
}

/// What an OPT record says.
#[derive(Debug, Clone)]
pub struct Edns {
    /// The largest datagram the client can take.
    pub datagram_bytes_max: u16,
    pub(super) dnssec_ok: bool,
    pub(super) subnet: Option<ClientSubnet>,
}

/// A packet that is no question for us: what to send back, if anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The packet to send, or `None` to stay silent.
    pub reply: Option<Vec<u8>>,
}

impl Query {
    /// Reads one packet.
    ///
    /// # Errors
    /// [`Refusal`] for everything but one well-formed question: silence for
    /// what has no header or is itself a response, FORMERR for damage, NOTIMP
    /// for other operations and zone transfers, REFUSED for other classes,
    /// BADVERS for an EDNS that is not version 0.
    pub fn decode(packet: &[u8]) -> Result<Self, Refusal> {
        let silence = Refusal { reply: None };
        let message = Message::from_slice(packet).map_err(|_| silence.clone())?;
        let header = message.header();
        if header.qr() {
            // Answering a response could make two servers talk for ever.
            return Err(silence);
        }
        if header.opcode() != Opcode::QUERY {
            return Err(refuse(message, None, Rcode::NOTIMP.into()));
        }
        let malformed = || refuse(message, None, Rcode::FORMERR.into());
        let question = message.sole_question().map_err(|_| malformed())?;
        let mut query = Self {
            id: header.id(),
            recursion_desired: header.rd(),
            checking_disabled: header.cd(),
            name: question.qname().to_bytes(),
            rtype: question.qtype(),
            edns: None,
            class: question.qclass(),
        };
        let (edns, version) = read_edns(message).map_err(|()| malformed())?;
        query.edns = edns;
        let rcode = if version != 0 {
            OptRcode::BADVERS
        } else if matches!(query.rtype, Rtype::AXFR | Rtype::IXFR) {
            OptRcode::NOTIMP
        } else if !matches!(query.class, Class::IN | Class::ANY) {
            OptRcode::REFUSED
        } else {
            return Ok(query);
        };
        Err(refuse(message, Some(&query), rcode))
    }
}

/// The OPT record and its version, having walked over every record of the message.
fn read_edns(message: &Message<[u8]>) -> Result<(Option<Edns>, u8), ()> {
    let mut edns = None;
    let mut version = 0;
    let mut section = Some(message.answer().map_err(|_| ())?);
    let mut is_additional = 0;
    while let Some(mut records) = section {
        is_additional += 1;
        for record in &mut records {
            let record: ParsedRecord<'_, [u8]> = record.map_err(|_| ())?;
            if record.rtype() != Rtype::OPT {
                continue;
            }
            if is_additional != 3 || edns.is_some() || !record.owner().is_root() {
                return Err(());
            }
            let opt = record.into_record::<Opt<_>>().map_err(|_| ())?.ok_or(())?;
            let opt = domain::base::opt::OptRecord::from_record(opt);
            version = opt.version();
            let options = opt.opt();
            edns = Some(Edns {
                datagram_bytes_max: opt.udp_payload_size(),
                dnssec_ok: opt.dnssec_ok(),
                // A subnet that cannot be read is not echoed, nothing worse.
                subnet: options.iter::<ClientSubnet>().find_map(Result::ok),
            });
        }
        section = records.next_section().map_err(|_| ())?;
    }
    Ok((edns, version))
}

fn refuse(message: &Message<[u8]>, query: Option<&Query>, rcode: OptRcode) -> Refusal {
    let header = message.header();
    let mut builder = MessageBuilder::new_vec();
    let out = builder.header_mut();
    out.set_id(header.id());
    out.set_qr(true);
    out.set_opcode(header.opcode());
    out.set_rd(header.rd());
    out.set_cd(header.cd());
    out.set_rcode(rcode.rcode());
    let mut question = builder.question();
    let mut fits = Ok(());
    if let Some(query) = query {
        fits = question.push((&query.name, query.rtype, query.class));
    }
    let mut additional = question.additional();
    if let Some(edns) = query.and_then(|query| query.edns.as_ref()) {
        fits = fits.and_then(|()| push_opt(&mut additional, edns, rcode));
    }
    Refusal { reply: fits.is_ok().then(|| additional.finish()) }
}

/// Echoes the client's OPT record in a refusal; a subnet with scope 0.
fn push_opt(
    additional: &mut AdditionalBuilder<Vec<u8>>,
    edns: &Edns,
    rcode: OptRcode,
) -> Result<(), PushError> {
    additional.opt(|opt| {
        opt.set_udp_payload_size(edns.datagram_bytes_max);
        opt.set_dnssec_ok(edns.dnssec_ok);
        opt.set_rcode(rcode);
        if let Some(subnet) = edns.subnet {
            let echo = ClientSubnet::new(subnet.source_prefix_len(), 0, subnet.addr());
            opt.push(&echo)?;
        }
        Ok(())
    })
}
