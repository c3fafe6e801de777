//! Message authentication codes on the frames of a connection, so that nobody
//! between two members can alter, replay, reorder or insert frames. The content
//! is not encrypted; only TLS does that.
//!
//! ```text
//! sealed frame = length of the content u32 | content | seal, 16 bytes
//! seal = the first half of HMAC-SHA-256(key of the direction, number of the frame u64 | content)
//! ```

use ring::hmac;
use subtle::ConstantTimeEq as _;

/// What a sealed frame is longer by.
pub(super) const SEAL_BYTES: usize = 16;

/// Both directions of a connection, as one side of it has them.
#[derive(Debug)]
pub(super) struct Seals {
    pub(super) sending: Seal,
    pub(super) receiving: Seal,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Seal {
    key: hmac::Key,
    next: u64,
}

impl Seal {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key), next: 0 }
    }

    /// The seal of the next frame that is sent.
    pub(super) fn seal(&mut self, content: &[u8]) -> [u8; SEAL_BYTES] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&self.next.to_le_bytes());
        context.update(content);
        self.next += 1;
        let whole = context.sign();
        let mut seal = [0; SEAL_BYTES];
        seal.copy_from_slice(&whole.as_ref()[..SEAL_BYTES]);
        seal
    }

    /// Whether that is the seal of the next frame that is received.
    pub(super) fn is_intact(&mut self, content: &[u8], seal: &[u8]) -> bool {
        self.seal(content).ct_eq(seal).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_counts_in_its_place_and_as_it_was_sent() {
        let mut sending = Seal::new([1; 32]);
        let seals: Vec<_> = [b"a", b"b"].map(|content| sending.seal(content)).into();
        let receiving = || Seal::new([1; 32]);
        let mut in_order = receiving();
        assert!(in_order.is_intact(b"a", &seals[0]) && in_order.is_intact(b"b", &seals[1]));
        assert!(!receiving().is_intact(b"b", &seals[1]), "out of its place");
        assert!(!receiving().is_intact(b"x", &seals[0]), "altered");
        assert!(!receiving().is_intact(b"a", &seals[0][..8]), "cut short");
        assert!(!Seal::new([2; 32]).is_intact(b"a", &seals[0]), "of another connection");
        let mut again = receiving();
        assert!(again.is_intact(b"a", &seals[0]) && !again.is_intact(b"a", &seals[0]), "repeated");
    }
}
