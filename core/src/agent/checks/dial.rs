//! TCP connections of checks. Failures have the error texts of Go's network
//! library, because operators search for those.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use coord_wire::address::HostPort;
use tokio::net::{TcpStream, lookup_host};

use super::secure::Secure;
use crate::tls::Stream;

/// Connects to `host:port`, trying each of its addresses.
pub(super) async fn dial_tcp(target: &str) -> Result<TcpStream, String> {
    connect(&parse("tcp", target)?).await
}

/// Reads `host:port`.
pub(super) fn parse(network: &str, target: &str) -> Result<HostPort, String> {
    HostPort::parse(target).map_err(|problem| format!("dial {network}: {problem}"))
}

/// All its addresses, the first to be tried first.
pub(super) async fn resolve(network: &str, target: &HostPort) -> Result<Vec<SocketAddr>, String> {
    let host = target.reached_at();
    let failed = |why: &str| format!("dial {network}: lookup {host}: {why}");
    let found = lookup_host((host, target.port)).await;
    let found: Vec<_> = found.map_err(|error| failed(&text(&error)))?.collect();
    if found.is_empty() { Err(failed("no such host")) } else { Ok(found) }
}

async fn connect(target: &HostPort) -> Result<TcpStream, String> {
    let mut failure = String::new();
    for address in resolve("tcp", target).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = format!("dial tcp {address}: connect: {}", text(&error)),
        }
    }
    Err(failure)
}

/// Connects to `host:port`, and speaks TLS there if `secure` says how.
pub(super) async fn dial(target: &str, secure: Option<&Secure>) -> Result<Stream, String> {
    dial_at(&parse("tcp", target)?, secure).await
}

/// The same of an address that was read before.
pub(super) async fn dial_at(target: &HostPort, secure: Option<&Secure>) -> Result<Stream, String> {
    let stream = connect(target).await?;
    match secure {
        None => Ok(Stream::Plain(stream)),
        Some(secure) => secure.shake_hands(target.reached_at(), stream).await,
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
