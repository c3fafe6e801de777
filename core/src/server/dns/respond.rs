//! Turns a query packet into a response packet.

use std::pin::Pin;
use std::sync::Arc;

use coord_state::consul::Consul;
use coord_wire::dns::{Answer, DomainName, Manner, Outcome, Query, RecordData, Rtype, Transport};
use futures_util::future::join_all;

use super::forward::Forwarder;
use super::lookup::Lookup;
use super::rng::{Rng, Seeds};
use super::zone::Zones;
use crate::node::Node;
use crate::server::DnsTimes;

/// What the listeners have packets answered by.
pub(super) type Respond = Arc<dyn Fn(&[u8], Transport) -> Response + Send + Sync>;

/// What becomes of a packet.
pub(super) enum Response {
    /// The answer is in the catalog; `None` is silence.
    Now(Option<Vec<u8>>),
    /// Other servers have to be asked.
    Later(Pin<Box<dyn Future<Output = Vec<u8>> + Send>>),
}

/// What an answer depends on besides question and catalog.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstance {
    /// Seconds since the epoch.
    pub(super) time_s: u32,
    /// Decides the order of equal answers.
    pub(super) seed: u64,
}

/// Aliases out of the zone followed for one question.
const OUTSIDE_MAX: usize = 4;

/// Answers from a member's catalog as applied here, and from other servers if
/// there are any to ask.
pub(super) fn from_node(
    node: Node,
    zones: Zones,
    forwarder: Option<Forwarder>,
    times: Arc<DnsTimes>,
) -> Respond {
    let manner = manner(&zones, forwarder.is_some());
    let forwarder = forwarder.map(Arc::new);
    let seeds = Seeds::new(u64::from_ne_bytes(node.random()));
    Arc::new(move |packet, transport| {
        let query = match Query::decode(packet) {
            Ok(query) => query,
            Err(refusal) => return Response::Now(refusal.reply),
        };
        let circumstance = Circumstance {
            // Serial numbers go round; so may this, in 2106.
            time_s: u32::try_from((node.clock().wall_ms() / 1000) & u64::from(u32::MAX))
                .unwrap_or_default(),
            seed: seeds.next(),
        };
        if !node.serves() {
            return Response::Now(Some(Answer::refused().encode(&query, transport, manner)));
        }
        let began = node.clock().monotonic();
        let answer = node.read(|state| answer(state.consul(), &zones, &query, circumstance));
        let taken = node.clock().monotonic().saturating_sub(began);
        times.record(query.rtype == Rtype::PTR, taken);
        let Some(forwarder) = &forwarder else {
            return Response::Now(Some(answer.encode(&query, transport, manner)));
        };
        let is_ours = zones.containing(&query.name).is_some();
        if !is_ours && answer.outcome != Outcome::Found {
            let (forwarder, packet) = (Arc::clone(forwarder), packet.to_vec());
            let id = u16::from_ne_bytes(node.random());
            return Response::Later(Box::pin(async move {
                forwarder.forward(&packet, &query, transport, manner, id).await
            }));
        }
        let outside = outside(&answer, &zones, query.rtype);
        if outside.is_empty() {
            return Response::Now(Some(answer.encode(&query, transport, manner)));
        }
        let forwarder = Arc::clone(forwarder);
        let id = u16::from_ne_bytes(node.random());
        Response::Later(Box::pin(async move {
            let answer = completed(answer, &outside, &forwarder, query.rtype, id).await;
            answer.encode(&query, transport, manner)
        }))
    })
}

/// How every packet is written.
pub(super) fn manner(zones: &Zones, recursion_available: bool) -> Manner {
    let settings = &zones.first().settings;
    Manner {
        plain_records_max: settings.udp_answer_limit,
        tells_cut: settings.enable_truncate,
        recursion_available,
    }
}

/// The answer to a question, whatever room there is for it.
pub(super) fn answer(
    consul: &Consul,
    zones: &Zones,
    query: &Query,
    circumstance: Circumstance,
) -> Answer {
    let rng = Rng::new(circumstance.seed);
    Lookup::new(consul, zones, circumstance.time_s, rng).answer(&query.name, query.rtype)
}

/// The names outside the zone that an answer leads to and says nothing about.
fn outside(answer: &Answer, zones: &Zones, rtype: Rtype) -> Vec<DomainName> {
    if rtype == Rtype::CNAME {
        return Vec::new();
    }
    let mut names = Vec::new();
    for finding in &answer.findings {
        let (RecordData::Cname(name) | RecordData::Srv { target: name, .. }) = &finding.record.data
        else {
            continue;
        };
        if zones.containing(name).is_none() && !names.contains(name) {
            names.push(name.clone());
        }
    }
    names.truncate(OUTSIDE_MAX);
    names
}

/// The answer with what other servers know of those names: behind an alias, or
/// beside a target.
async fn completed(
    mut answer: Answer,
    outside: &[DomainName],
    forwarder: &Forwarder,
    rtype: Rtype,
    id: u16,
) -> Answer {
    let asked = outside.iter().map(|name| forwarder.resolve(name, rtype, id));
    for (name, records) in outside.iter().zip(join_all(asked).await) {
        if rtype == Rtype::SRV {
            for finding in &mut answer.findings {
                let leads_there = matches!(
                    &finding.record.data, RecordData::Srv { target, .. } if target == name
                );
                if leads_there {
                    finding.extra.extend(records.iter().cloned());
                }
            }
        } else {
            answer.findings.extend(records.into_iter().map(Into::into));
        }
    }
    answer
}
