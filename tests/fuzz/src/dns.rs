//! One datagram to the DNS port.

use coord_wire::dns::{Answer, Asked, DomainName, Manner, Query, Transport, name_under};

const HEADER_BYTES: usize = 12;

/// A packet, read, taken apart and refused.
pub(crate) fn query(packet: &[u8]) {
    match Query::decode(packet) {
        Ok(query) => {
            let zone = name_under(["consul"], &DomainName::root_bytes()).unwrap();
            let _ = Asked::read(&query.name, query.rtype, &zone, "dc1");
            for transport in [Transport::Udp, Transport::Tcp] {
                let reply = Answer::refused().encode(&query, transport, Manner::default());
                assert!(reply.len() >= HEADER_BYTES);
                assert_eq!(reply[..2], packet[..2], "the reply is not to the question");
            }
        }
        Err(refusal) => {
            let Some(reply) = refusal.reply else { return };
            assert_eq!(reply[..2], packet[..2], "the refusal is not of the question");
        }
    }
}
