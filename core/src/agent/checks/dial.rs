//! Connecting, with the texts that Go's network library has for failures:
//! operators search for them.

use std::convert::Infallible;
use std::io;

use tokio::net::{TcpStream, lookup_host};

use super::secure::Secure;
use crate::tls::Stream;

/// Connects to `host:port`, trying each of its addresses.
pub(super) async fn dial_tcp(target: &str) -> Result<TcpStream, String> {
    let addresses = lookup_host(target)
        .await
        .map_err(|error| format!("dial tcp: lookup {}: {}", host(target), text(&error)))?;
    let mut failure = format!("dial tcp: lookup {}: no such host", host(target));
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = format!("dial tcp {address}: connect: {}", text(&error)),
        }
    }
    Err(failure)
}

/// Connects to `host:port`, and speaks TLS there if `secure` says how.
pub(super) async fn dial(target: &str, secure: Option<&Secure>) -> Result<Stream, String> {
    let stream = dial_tcp(target).await?;
    match secure {
        None => Ok(Stream::Plain(stream)),
        Some(secure) => secure.shake_hands(host(target), stream).await,
    }
}

/// Runs `exchange` while `connection` does its reading and writing; nothing of
/// either is left behind, whenever this is dropped.
pub(super) async fn driven<T>(connection: impl Future, exchange: impl Future<Output = T>) -> T {
    let drive = async {
        // Its failure shows in the exchange, which may still have to read.
        let _ = connection.await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        outcome = exchange => outcome,
        never = drive => match never {},
    }
}

/// The host of `host:port`.
pub(super) fn host(target: &str) -> &str {
    target.rsplit_once(':').map_or(target, |(host, _)| host)
}

/// An error in Go's words where they differ from Rust's.
pub(super) fn text(error: &io::Error) -> String {
    let known = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "connection reset by peer",
        io::ErrorKind::HostUnreachable => "no route to host",
        io::ErrorKind::NetworkUnreachable => "network is unreachable",
        io::ErrorKind::TimedOut => "i/o timeout",
        io::ErrorKind::UnexpectedEof => "EOF",
        io::ErrorKind::BrokenPipe => "broken pipe",
        _ => return error.to_string(),
    };
    known.to_owned()
}
