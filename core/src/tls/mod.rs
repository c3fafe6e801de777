//! TLS for all sockets: certificates from PEM files, an acceptor and a
//! connector.
//!
//! ```text
//! files --read, again when changed--> Acceptor --accept(TcpStream)--> Stream
//!                                     Connector --connect(name, TcpStream)--> Stream
//! ```
//!
//! 1. Nothing process-wide: the crypto provider is passed to every
//!    configuration, and no default is installed, as the host program may have
//!    its own.
//! 2. The last valid files stay in use until valid new ones are read: a
//!    half-written file affects no connection.
//! 3. Nothing older than TLS 1.2.
//! 4. Handshakes have a timeout, and a limit on concurrent ones.
//!
//! A [`Stream`] is plaintext or TLS, so that servers handle both alike. Not
//! here: which port, who must show a certificate (settings), and what an
//! identity may do.
//!
//! See docs/adr/0011-tls-is-rustls-over-ring.md.

mod acceptor;
mod connector;
mod pem;
mod reload;
mod stream;
mod subject;
mod verify;

pub use acceptor::{Acceptor, AcceptorOptions};
pub use connector::{Connector, ConnectorOptions, Trust, Verify};
pub use pem::KeyPair;
pub(crate) use pem::PemFile;
pub(crate) use reload::Reloading;
pub use stream::Stream;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{SupportedProtocolVersion, version};

use crate::settings::TlsVersion;

/// The cryptography of every configuration here.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Those from `min` on.
fn versions(min: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    const SINCE_1_2: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
    const SINCE_1_3: &[&SupportedProtocolVersion] = &[&version::TLS13];
    match min {
        TlsVersion::V1_2 => SINCE_1_2,
        TlsVersion::V1_3 => SINCE_1_3,
    }
}
