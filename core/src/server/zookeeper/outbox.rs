//! Queue of frames to the client.

use coord_state::Revision;
use coord_state::event::ZnodeEventKind;
use coord_wire::zookeeper::header::{ReplyHeader, WatcherEvent, xid};
use coord_wire::zookeeper::{ErrorCode, frame};

/// Past this, no further read is evaluated until the client has taken some.
const ROOMY: usize = 1 << 20;
/// Memory an idle connection keeps.
const KEPT: usize = 16 << 10;

/// Bytes to send, front to back, all that is there with one write.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
    appended: Appended,
}

/// What was appended.
#[derive(Debug, Default)]
pub(super) struct Appended {
    pub(super) frames: u64,
    /// Sizes of the last, the smallest and the largest reply, if there was one.
    pub(super) reply_bytes: Option<(usize, usize, usize)>,
    /// Bytes of all replies.
    pub(super) response_bytes: u64,
    pub(super) watch_bytes: u64,
    /// Events: created, deleted, data changed, children changed.
    pub(super) watch_events: [u64; 4],
}

impl Outbox {
    /// Appends a reply: its header, and its body unless `body` fails, in which
    /// case whatever it appended is taken back.
    pub(super) fn reply(
        &mut self,
        xid: i32,
        zxid: i64,
        body: impl FnOnce(&mut Vec<u8>) -> Result<(), ErrorCode>,
    ) {
        let before = self.bytes.len();
        frame::put(&mut self.bytes, |out| {
            let start = out.len();
            ReplyHeader { xid, zxid, error: ErrorCode::Ok }.encode(out);
            if let Err(error) = body(out) {
                out.truncate(start);
                ReplyHeader { xid, zxid, error }.encode(out);
            }
        });
        let bytes = self.bytes.len() - before - 4;
        let (_, min, max) = self.appended.reply_bytes.unwrap_or((bytes, bytes, bytes));
        self.appended.reply_bytes = Some((bytes, min.min(bytes), max.max(bytes)));
        self.appended.response_bytes += bytes as u64;
        self.appended.frames += 1;
    }

    /// Appends a watch event of `revision`; `None` for one that only catches up.
    pub(super) fn event(&mut self, revision: Option<Revision>, kind: ZnodeEventKind, path: &str) {
        self.appended.frames += 1;
        let zxid = revision.map_or(-1, Revision::zxid);
        let before = self.bytes.len();
        frame::put(&mut self.bytes, |out| {
            ReplyHeader { xid: xid::WATCH_EVENT, zxid, error: ErrorCode::Ok }.encode(out);
            WatcherEvent::put(out, kind as i32, path);
        });
        self.appended.watch_bytes += (self.bytes.len() - before) as u64;
        let place = match kind {
            ZnodeEventKind::Created => 0,
            ZnodeEventKind::Deleted => 1,
            ZnodeEventKind::DataChanged => 2,
            ZnodeEventKind::ChildrenChanged => 3,
        };
        self.appended.watch_events[place] += 1;
    }

    /// Appends any other frame.
    pub(super) fn frame(&mut self, payload: impl FnOnce(&mut Vec<u8>)) {
        self.appended.frames += 1;
        frame::put(&mut self.bytes, payload);
    }

    /// Appends text without a frame.
    pub(super) fn text(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// What is to be sent next.
    pub(super) fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unsent().is_empty()
    }

    /// Whether the client keeps up well enough to get more replies.
    pub(super) fn is_roomy(&self) -> bool {
        self.len() < ROOMY
    }

    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// How much memory it takes.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// What was appended since this was last asked.
    pub(super) fn take_appended(&mut self) -> Appended {
        std::mem::take(&mut self.appended)
    }

    /// The first `bytes` unsent ones were sent.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.sent += bytes;
        if self.sent == self.bytes.len() {
            self.sent = 0;
            self.bytes.clear();
            self.bytes.shrink_to(KEPT);
        } else if self.sent > ROOMY {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_that_fails_half_way_has_a_header_only() {
        let mut outbox = Outbox::default();
        outbox.reply(7, 9, |out| {
            out.extend_from_slice(b"half a body");
            Err(ErrorCode::NoNode)
        });
        let mut expected = vec![0, 0, 0, 16, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9];
        expected.extend_from_slice(&(-101_i32).to_be_bytes());
        assert_eq!(outbox.unsent(), expected);
    }

    #[test]
    fn an_event_is_framed_as_captured_from_a_server() {
        let mut outbox = Outbox::default();
        outbox.event(None, ZnodeEventKind::DataChanged, "/g");
        let mut expected = vec![0, 0, 0, 0x1e];
        expected.extend_from_slice(&[0xff; 12]);
        expected.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 2, b'/', b'g']);
        assert_eq!(outbox.unsent(), expected);
    }

    #[test]
    fn sent_bytes_leave() {
        let mut outbox = Outbox::default();
        outbox.text("imok");
        outbox.advance(1);
        assert_eq!(outbox.unsent(), b"mok");
        outbox.advance(3);
        assert!(outbox.is_empty());
    }
}
