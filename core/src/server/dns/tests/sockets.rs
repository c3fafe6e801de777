//! The listeners.

use std::sync::Arc;

use domain::base::Rtype;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::super::respond::{Respond, Response};
use super::super::{DnsServer, bind_both, tcp};
use super::world::{Reply, World, question, service};
use crate::error::Error;
use crate::settings::ListenAddress;

async fn server() -> DnsServer {
    let world = World::new().node("n1", "10.0.0.1").service("n1", service("web", "", 80));
    serve(
        &ListenAddress::loopback(0),
        Arc::new(move |packet, transport| Response::Now(world.packet(packet, transport))),
    )
    .await
    .unwrap()
}

async fn serve(address: &ListenAddress, respond: Respond) -> Result<DnsServer, Error> {
    let sockets = bind_both(address).await?;
    let local = sockets.1.local_addr().unwrap();
    Ok(DnsServer::serve(sockets, local, respond))
}

async fn ask(stream: &mut TcpStream, packet: &[u8]) -> Option<Reply> {
    let len = u16::try_from(packet.len()).unwrap();
    stream.write_all(&[&len.to_be_bytes(), packet].concat()).await.ok()?;
    let mut reply = vec![0; stream.read_u16().await.ok()?.into()];
    stream.read_exact(&mut reply).await.ok()?;
    Some(Reply::read(&reply))
}

#[tokio::test]
async fn both_transports_answer_on_one_port() {
    let server = server().await;
    let packet = question("web.service.consul", Rtype::A, None);

    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server.local_addr()).await.unwrap();
    socket.send(b"\x12").await.unwrap();
    socket.send(&packet).await.unwrap();
    let mut reply = [0; 512];
    let len = socket.recv(&mut reply).await.unwrap();
    assert_eq!(Reply::read(&reply[..len]).sorted(), ["10.0.0.1"]);

    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(ask(&mut stream, &packet).await.unwrap().sorted(), ["10.0.0.1"]);
    }
    server.stop().await;
}

#[tokio::test]
async fn every_question_of_a_burst_is_answered() {
    const BURST: u16 = 100;
    let server = server().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server.local_addr()).await.unwrap();
    let mut packet = question("web.service.consul", Rtype::A, None);
    for id in 0..BURST {
        packet[..2].copy_from_slice(&id.to_be_bytes());
        socket.send(&packet).await.unwrap();
    }
    let mut reply = [0; 512];
    for id in 0..BURST {
        let len = socket.recv(&mut reply).await.unwrap();
        let [high, low] = id.to_be_bytes();
        // The identity, flags without an error, and one question and one answer.
        assert_eq!(reply[..8], [high, low, 0x85, 0, 0, 1, 0, 1], "of {len} bytes");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_stopped_server_leaves_its_port_and_closes_its_connections() {
    let server = server().await;
    let address = server.local_addr();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let packet = question("web.service.consul", Rtype::A, None);
    ask(&mut stream, &packet).await.unwrap();
    server.stop().await;
    server.stop().await;
    assert_eq!(ask(&mut stream, &packet).await, None);
    UdpSocket::bind(address).await.unwrap();
    TcpListener::bind(address).await.unwrap();
}

#[tokio::test]
async fn a_question_that_is_too_long_or_is_none_closes_the_connection() {
    let server = server().await;
    for packet in [vec![0; tcp::QUERY_BYTES_MAX + 1], vec![0; 3], Vec::new()] {
        let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
        assert_eq!(ask(&mut stream, &packet).await, None);
    }
    server.stop().await;
}

#[tokio::test]
async fn idle_connections_give_way_to_whoever_has_a_question() {
    let server = server().await;
    let packet = question("web.service.consul", Rtype::A, None);
    // Half of a question is as idle as none.
    let mut idle = Vec::new();
    for number in 0..tcp::CONNECTIONS_PER_ADDRESS_MAX {
        let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
        if number % 2 == 0 {
            stream.write_all(&[0]).await.unwrap();
        }
        idle.push(stream);
    }
    let mut kept = TcpStream::connect(server.local_addr()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(ask(&mut kept, &packet).await.unwrap().sorted(), ["10.0.0.1"]);
    }
    // It was the longest idle one that left, and only that one.
    assert!(idle[0].read_u16().await.is_err());
    let last = idle.last_mut().unwrap();
    assert_eq!(ask(last, &packet).await.unwrap().sorted(), ["10.0.0.1"]);
    server.stop().await;
}

#[tokio::test]
async fn an_address_that_is_taken_or_off_is_an_error() {
    let first = server().await;
    let respond = || -> Respond { Arc::new(|_, _| Response::Now(None)) };
    let taken = ListenAddress::loopback(first.local_addr().port());
    assert!(serve(&taken, respond()).await.is_err());
    assert!(serve(&ListenAddress::Off, respond()).await.is_err());
    first.stop().await;
}
