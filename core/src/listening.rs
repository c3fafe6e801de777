//! Listening sockets and their error messages, the same for every protocol.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, lookup_host};

use crate::error::Error;
use crate::settings::ListenAddress;

/// Connections the system holds for us until we accept them; it may hold fewer.
/// With one too many its client waits seconds, until it tries again.
const BACKLOG: i32 = 4096;

/// Listens at the first of the addresses that the host of `address` resolves to and that can be
/// listened at; nothing if it is off. `whom` says for whom.
///
/// # Errors
/// `Invalid`, with the address and what to do about it.
pub async fn listen(whom: &str, address: &ListenAddress) -> Result<Option<TcpListener>, Error> {
    let ListenAddress::At { host, port } = address else { return Ok(None) };
    let refused = |error| refusal(whom, address, error);
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    for at in lookup_host((host.as_str(), *port)).await.map_err(refused)? {
        match open(at) {
            Ok(listener) => return Ok(Some(listener)),
            // A port that is taken is what its owner can do something about.
            Err(error) if failure.kind() != io::ErrorKind::AddrInUse => failure = error,
            Err(_) => {}
        }
    }
    Err(refused(failure))
}

/// Says why an address cannot be listened at.
pub fn refusal(whom: &str, address: &ListenAddress, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is in use by another program, or by another member on this machine"
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address",
        io::ErrorKind::PermissionDenied => "permission denied by the operating system",
        _ => "the operating system refused, or the host name does not resolve",
    };
    Error::invalid(format!("cannot listen for {whom} on {address}: {hint}")).caused_by(error)
}

fn open(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work)
    }

    fn at(host: &str, port: u16) -> ListenAddress {
        ListenAddress::At { host: host.to_owned(), port }
    }

    #[test]
    fn a_name_with_several_addresses_is_listened_at_where_that_is_possible() {
        run(async {
            // On many machines it is ::1 as well, and on some of them there is no such address.
            let listener = listen("anybody", &at("localhost", 0)).await.unwrap().unwrap();
            assert!(listener.local_addr().unwrap().ip().is_loopback());
            assert!(listen("nobody", &ListenAddress::Off).await.unwrap().is_none());
        });
    }

    #[test]
    fn what_cannot_be_listened_at_is_said_with_its_reason() {
        run(async {
            let first = listen("one", &at("127.0.0.1", 0)).await.unwrap().unwrap();
            let port = first.local_addr().unwrap().port();
            for (address, reason) in [
                (at("127.0.0.1", port), "in use"),
                (at("192.0.2.1", 0), "does not have that address"),
                (at("no such name", 0), "resolve"),
            ] {
                let error = listen("another", &address).await.unwrap_err();
                assert_eq!(*error.kind(), crate::ErrorKind::Invalid);
                assert!(error.chain().contains(reason), "{}", error.chain());
            }
        });
    }
}
