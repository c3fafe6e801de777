//! From packet to packet.

use std::sync::Arc;

use coord_state::consul::Catalog;
use coord_wire::dns::{Answer, Query, Room, Transport};

use super::chance::Chance;
use super::lookup::Lookup;
use super::zone::Zone;
use crate::node::Node;

/// What the listeners have packets answered by; `None` is silence.
pub(super) type Respond = Arc<dyn Fn(&[u8], Transport) -> Option<Vec<u8>> + Send + Sync>;

/// What an answer depends on besides question and catalog.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstance {
    /// Seconds since the epoch.
    pub(super) time_s: u32,
    /// Decides the order of equal answers.
    pub(super) seed: u64,
}

/// Answers from a member's catalog as applied here.
pub(super) fn from_node(node: Node, zone: Zone) -> Respond {
    Arc::new(move |packet, transport| {
        let circumstance = Circumstance {
            // Serial numbers go round; so may this, in 2106.
            time_s: u32::try_from((node.clock().wall_ms() / 1000) & u64::from(u32::MAX))
                .unwrap_or_default(),
            seed: u64::from_ne_bytes(node.random()),
        };
        respond(packet, transport, |query| {
            node.read(|state| answer(state.consul().catalog(), &zone, query, circumstance))
        })
    })
}

/// Reads a packet, has its question answered, and writes the answer.
pub(super) fn respond(
    packet: &[u8],
    transport: Transport,
    answer: impl FnOnce(&Query) -> Answer,
) -> Option<Vec<u8>> {
    match Query::decode(packet) {
        Ok(query) => Some(answer(&query).encode(&query, Room::of(&query, transport))),
        Err(refusal) => refusal.reply,
    }
}

/// The answer to a question, whatever room there is for it.
pub(super) fn answer(
    catalog: &Catalog,
    zone: &Zone,
    query: &Query,
    circumstance: Circumstance,
) -> Answer {
    let chance = Chance::new(circumstance.seed);
    Lookup::new(catalog, zone, circumstance.time_s, chance).answer(&query.name, query.rtype)
}
