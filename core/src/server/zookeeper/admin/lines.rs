//! Text for answers to four-letter words, shared by several of them.

use std::fmt::Write;

use crate::server::zookeeper::client_connection::ClientConnection;
use crate::server::zookeeper::session::identity::address_text;

/// The ZooKeeper whose behaviour this is, and whose it really is. Clients read
/// the digits before the dash.
pub(super) const VERSION: &str =
    concat!("3.9.3-libcoord.", env!("CARGO_PKG_VERSION"), ", built on 11/22/2026 00:00 UTC");

/// ZooKeeper's default. What is logged here is not chosen by a mask, so setting
/// it changes nothing.
pub(super) const TRACE_MASK: u64 = 306;

pub(super) fn peer_text(client: &ClientConnection) -> String {
    format!("/{}:{}", address_text(client.address.ip()), client.address.port())
}

/// Text made line by line.
#[derive(Default)]
pub(crate) struct Lines(pub(crate) String);

impl Lines {
    pub(super) fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to text cannot fail.
        let _ = writeln!(self.0, "{line}");
    }
}
