//! Questions for addresses over UDP.

use std::io::Result;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;

use super::http::broken;
use super::{Counted, Plan};
use crate::histogram::Histogram;

const DATAGRAM_BYTES_MAX: usize = 4096;
/// After this a datagram counts as lost and another is sent.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) async fn drive(plan: &Plan, counted: Counted) -> Result<Histogram> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    socket.connect(&plan.address).await?;
    let mut question = question(&plan.path)?;
    let mut sent = vec![Instant::now(); plan.depth];
    let mut buffer = [0; DATAGRAM_BYTES_MAX];
    for (place, at) in (0u16..).zip(sent.iter_mut()) {
        *at = ask(&socket, &mut question, place).await?;
    }
    let mut latencies = Histogram::new();
    loop {
        let Ok(read) = tokio::time::timeout(PATIENCE, socket.recv(&mut buffer)).await else {
            sent[0] = ask(&socket, &mut question, 0).await?;
            continue;
        };
        let answer = &buffer[..read?];
        // The identity, flags without an error, and at least one answer.
        let (Some([high, low, _, code]), Some([0, count])) =
            (answer.first_chunk(), answer.get(6..8))
        else {
            return Err(broken("an answer shorter than its header"));
        };
        if code & 0x0F != 0 || *count == 0 {
            return Err(broken("an answer without an address"));
        }
        let place = u16::from_be_bytes([*high, *low]);
        let now = Instant::now();
        let Some(at) = sent.get_mut(usize::from(place)) else { continue };
        if counted.contains(now) {
            latencies.record(now - *at);
        }
        if now >= counted.end {
            return Ok(latencies);
        }
        *at = ask(&socket, &mut question, place).await?;
    }
}

async fn ask(socket: &UdpSocket, question: &mut [u8], place: u16) -> Result<Instant> {
    question[..2].copy_from_slice(&place.to_be_bytes());
    socket.send(question).await?;
    Ok(Instant::now())
}

/// A question for the A records of a name.
fn question(name: &str) -> Result<Vec<u8>> {
    let mut bytes = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).map_err(|_| broken("a label is too long"))?);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
    Ok(bytes)
}
