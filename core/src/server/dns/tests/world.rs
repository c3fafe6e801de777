//! A catalog to ask, and answers as text.

use std::collections::BTreeMap;

use coord_state::consul::{
    CheckStatus, ConsulCommand, NewCheck, NewNode, NewService, Registration, Weights,
};
use coord_state::{Command, StateMachine};
use coord_wire::dns::{Query, Transport};
use domain::base::iana::Rcode;
use domain::base::message_builder::AdditionalBuilder;
use domain::base::{Message, MessageBuilder, Name, ParsedName, Record, Rtype};
use domain::rdata::AllRecordData;

use super::super::respond::{Circumstance, answer, manner};
use super::super::zone::Zones;
use crate::settings::DnsSettings;

/// A catalog and how it is shown.
pub(super) struct World {
    state: StateMachine,
    pub(super) settings: DnsSettings,
    pub(super) seed: u64,
}

/// A packet taken apart, its records as `owner ttl type data`, without the last dot.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) rcode: Rcode,
    pub(super) authoritative: bool,
    pub(super) cut: bool,
    pub(super) question: String,
    pub(super) answers: Vec<String>,
    pub(super) authority: Vec<String>,
    pub(super) additional: Vec<String>,
    pub(super) len: usize,
}

pub(super) const TIME_S: u32 = 1_700_000_000;

impl World {
    /// An empty catalog in `dc1`.
    pub(super) fn new() -> Self {
        Self { state: StateMachine::new(), settings: DnsSettings::default(), seed: 7 }
    }

    pub(super) fn register(&mut self, registration: Registration) {
        self.apply(ConsulCommand::Register(Box::new(registration)));
    }

    pub(super) fn apply(&mut self, command: ConsulCommand) {
        self.state.apply(1, Command::Consul(command)).result.unwrap();
    }

    pub(super) fn node(mut self, name: &str, address: &str) -> Self {
        self.register(registration(name, address));
        self
    }

    pub(super) fn node_with_meta(
        mut self,
        name: &str,
        address: &str,
        meta: &[(&str, &str)],
    ) -> Self {
        let meta: BTreeMap<_, _> =
            meta.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let mut registration = registration(name, address);
        registration.node.meta = Some(meta);
        self.register(registration);
        self
    }

    /// A service on a node that is registered with the address `10.0.0.1`
    /// unless it is there.
    pub(super) fn service(mut self, node: &str, service: NewService) -> Self {
        let mut registration = registration(node, "10.0.0.1");
        registration.skip_node_update = true;
        registration.services = vec![service];
        self.register(registration);
        self
    }

    /// A check of a service, or of the node if `service` is empty.
    pub(super) fn check(mut self, node: &str, service: &str, status: CheckStatus) -> Self {
        let mut registration = registration(node, "10.0.0.1");
        registration.skip_node_update = true;
        registration.checks = vec![NewCheck {
            id: format!("check-{service}").into(),
            status,
            service_id: service.into(),
            ..NewCheck::default()
        }];
        self.register(registration);
        self
    }

    pub(super) fn packet(&self, packet: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let circumstance = Circumstance { time_s: TIME_S, seed: self.seed };
        let zones = Zones::new("dc1", &self.settings).unwrap();
        match Query::decode(packet) {
            Ok(query) => {
                let answer = answer(self.state.consul(), &zones, &query, circumstance);
                Some(answer.encode(&query, transport, manner(&zones, false)))
            }
            Err(refusal) => refusal.reply,
        }
    }

    /// Asks over TCP, where there is room for everything.
    pub(super) fn ask(&self, name: &str, rtype: Rtype) -> Reply {
        self.ask_over(Transport::Tcp, name, rtype, None)
    }

    /// Asks, with EDNS if a datagram size is given.
    pub(super) fn ask_over(
        &self,
        transport: Transport,
        name: &str,
        rtype: Rtype,
        edns: Option<u16>,
    ) -> Reply {
        let reply = self.packet(&question(name, rtype, edns), transport).unwrap();
        Reply::read(&reply)
    }
}

impl Reply {
    pub(super) fn read(packet: &[u8]) -> Self {
        let message = Message::from_octets(packet.to_vec()).unwrap();
        let header = message.header();
        assert_eq!(header.id(), 4711);
        assert!(header.qr() && header.rd() && !header.ra(), "{header:?}");
        let question =
            message.question().next().map(|question| question.unwrap().qname().to_string());
        Self {
            rcode: header.rcode(),
            authoritative: header.aa(),
            cut: header.tc(),
            question: question.unwrap_or_default(),
            answers: texts(message.answer().unwrap()),
            authority: texts(message.authority().unwrap()),
            additional: texts(message.additional().unwrap()),
            len: packet.len(),
        }
    }

    /// The data of the answers, in order of the alphabet.
    pub(super) fn sorted(&self) -> Vec<&str> {
        let mut data: Vec<&str> =
            self.answers.iter().map(|text| text.splitn(4, ' ').nth(3).unwrap()).collect();
        data.sort_unstable();
        data
    }

    /// The name is not there, and the zone says so.
    pub(super) fn assert_no_such_name(&self) {
        assert_eq!(self.rcode, Rcode::NXDOMAIN, "{self:?}");
        self.assert_denied();
    }

    /// The name is there, the type is not, and the zone says so.
    pub(super) fn assert_no_data(&self) {
        assert_eq!(self.rcode, Rcode::NOERROR, "{self:?}");
        self.assert_denied();
    }

    fn assert_denied(&self) {
        assert!(self.authoritative && self.answers.is_empty(), "{self:?}");
        assert_eq!(self.authority, [format!("consul {SOA}")]);
    }
}

pub(super) const SOA: &str = "0 SOA ns.consul. hostmaster.consul. 1700000000 3600 600 86400 0";

fn texts(section: domain::base::message::RecordSection<'_, Vec<u8>>) -> Vec<String> {
    type Data<'a> = AllRecordData<&'a [u8], ParsedName<&'a [u8]>>;
    section
        .map(|record| {
            let record: Record<_, Data<'_>> = record.unwrap().into_any_record().unwrap();
            format!(
                "{} {} {} {}",
                record.owner(),
                record.ttl().as_secs(),
                record.rtype(),
                record.data().to_string().trim_end_matches('.')
            )
        })
        .collect()
}

pub(super) fn question(name: &str, rtype: Rtype, edns: Option<u16>) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(4711);
    builder.header_mut().set_rd(true);
    let mut question = builder.question();
    question.push((Name::vec_from_str(name).unwrap(), rtype)).unwrap();
    let mut additional: AdditionalBuilder<Vec<u8>> = question.additional();
    if let Some(size) = edns {
        additional
            .opt(|opt| {
                opt.set_udp_payload_size(size);
                Ok(())
            })
            .unwrap();
    }
    additional.finish()
}

pub(super) fn registration(node: &str, address: &str) -> Registration {
    Registration {
        node: NewNode { name: node.into(), address: address.into(), ..NewNode::default() },
        skip_node_update: false,
        services: Vec::new(),
        checks: Vec::new(),
    }
}

/// A service with an address of its own, or none if that is empty.
pub(super) fn service(name: &str, address: &str, port: i64) -> NewService {
    NewService {
        id: name.into(),
        name: name.into(),
        address: address.into(),
        port,
        weights: Weights { passing: 3, warning: 2 },
        ..NewService::default()
    }
}

pub(super) fn tagged(mut service: NewService, tags: &[&str]) -> NewService {
    service.tags = tags.iter().map(|tag| (*tag).into()).collect();
    service
}
