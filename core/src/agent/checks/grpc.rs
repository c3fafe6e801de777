//! gRPC checks: the standard health service must answer SERVING.

use std::time::Duration;

use bytes::Bytes;
use coord_wire::consul::check::CheckDefinition;
use h2::RecvStream;
use h2::client::SendRequest;
use hyper::header::{CONTENT_TYPE, HeaderMap, TE, USER_AGENT};
use hyper::{Method, Request};

use super::dial::{dial, driven};
use super::probe::{self, Finding};
use super::secure::Secure;
use crate::clock;

const METHOD: &str = "/grpc.health.v1.Health/Check";
/// An answer is a few bytes; more is none.
const ANSWER_BYTES_MAX: usize = 4096;
/// Not compressed, then four bytes of length.
const PREFIX_BYTES: usize = 5;
const SERVING: u64 = 1;

#[derive(Debug)]
pub(super) struct GrpcProbe {
    /// As given: `host:port[/service]`.
    target: String,
    secure: Option<Secure>,
    timeout: Duration,
}

impl GrpcProbe {
    pub(super) fn of(definition: &CheckDefinition, secure: Option<Secure>) -> Self {
        Self { target: definition.grpc.clone(), secure, timeout: probe::timeout(definition) }
    }

    pub(super) async fn run(&self) -> Finding {
        match clock::timeout(self.timeout, self.ask()).await {
            Some(Ok(())) => Finding::passing(format!("gRPC check {}: success", self.target)),
            Some(Err(failure)) => Finding::critical(failure),
            None => Finding::critical(
                "rpc error: code = DeadlineExceeded desc = context deadline exceeded",
            ),
        }
    }

    async fn ask(&self) -> Result<(), String> {
        let (address, service) = self.target.split_once('/').unwrap_or((&self.target, ""));
        let stream = dial(address, self.secure.as_ref()).await?;
        let (sender, connection) = h2::client::handshake(stream).await.map_err(broken)?;
        let scheme = if self.secure.is_some() { "https" } else { "http" };
        driven(connection, check(sender, scheme, address, service)).await
    }
}

async fn check(
    sender: SendRequest<Bytes>,
    scheme: &str,
    address: &str,
    service: &str,
) -> Result<(), String> {
    // An address without a host is this machine.
    let this_machine = if address.starts_with(':') { "localhost" } else { "" };
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{scheme}://{this_machine}{address}{METHOD}"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, "Consul Health Check")
        .body(())
        .map_err(|error| error.to_string())?;
    let mut sender = sender.ready().await.map_err(broken)?;
    let (response, mut body) = sender.send_request(request, false).map_err(broken)?;
    body.send_data(question(service), true).map_err(broken)?;
    let response = response.await.map_err(broken)?;
    if !response.status().is_success() {
        return Err(format!("rpc error: unexpected HTTP status {}", response.status()));
    }
    // An answer without a message has its status here.
    refusal(response.headers())?;
    let mut body = response.into_body();
    let answer = collect(&mut body).await?;
    let trailers = body.trailers().await.map_err(broken)?;
    refusal(&trailers.unwrap_or_default())?;
    if status(&answer) == Some(SERVING) {
        return Ok(());
    }
    Err("gRPC application didn't report service healthy".to_owned())
}

async fn collect(body: &mut RecvStream) -> Result<Vec<u8>, String> {
    let mut answer = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(broken)?;
        if answer.len() + data.len() > ANSWER_BYTES_MAX {
            return Err("the answer is too long for a health check response".to_owned());
        }
        answer.extend_from_slice(&data);
        body.flow_control().release_capacity(data.len()).map_err(broken)?;
    }
    Ok(answer)
}

/// `HealthCheckRequest { service }`, field 1, as a gRPC message.
fn question(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.push(low_bits(length) | 0x80);
            length >>= 7;
        }
        message.push(low_bits(length));
        message.extend_from_slice(service.as_bytes());
    }
    // A name longer than that does not fit into a definition.
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], &message].concat().into()
}

fn low_bits(value: usize) -> u8 {
    u8::try_from(value & 0x7f).unwrap_or(0)
}

/// `HealthCheckResponse { status }`, field 1; `None` if it is no such answer.
fn status(answer: &[u8]) -> Option<u64> {
    let (prefix, message) = answer.split_at_checked(PREFIX_BYTES)?;
    if prefix[0] != 0 {
        return None;
    }
    match message {
        // Zero is left out.
        [] => Some(0),
        [0x08, value, ..] => Some(u64::from(*value)),
        _ => None,
    }
}

/// Fails if a gRPC status is given that is not OK.
fn refusal(headers: &HeaderMap) -> Result<(), String> {
    let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    match text("grpc-status") {
        None => Ok(()),
        Some(code) if code == "0" => Ok(()),
        Some(code) => {
            let message = text("grpc-message").unwrap_or_default();
            Err(format!("rpc error: code = {} desc = {message}", code_name(&code)))
        }
    }
}

fn code_name(code: &str) -> &str {
    match code {
        "1" => "Canceled",
        "2" => "Unknown",
        "3" => "InvalidArgument",
        "4" => "DeadlineExceeded",
        "5" => "NotFound",
        "7" => "PermissionDenied",
        "8" => "ResourceExhausted",
        "12" => "Unimplemented",
        "13" => "Internal",
        "14" => "Unavailable",
        "16" => "Unauthenticated",
        other => other,
    }
}

fn broken(error: h2::Error) -> String {
    format!("rpc error: code = Unavailable desc = {error}")
}

#[cfg(test)]
mod tests {
    use hyper::Response;
    use hyper::header::HeaderValue;
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one health question with `answer`, or refuses it; gives the address.
    async fn serve(answer: Option<&'static [u8]>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(call) = connection.accept().await {
                let (mut request, mut respond) = call.unwrap();
                assert_eq!(request.uri().path(), METHOD);
                let question = request.body_mut().data().await.unwrap().unwrap();
                assert_eq!(&question[..], b"\0\0\0\0\x05\x0a\x03web");
                let mut head = Response::new(());
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                match answer {
                    Some(answer) => {
                        let mut body = respond.send_response(head, false).unwrap();
                        body.send_data(Bytes::from_static(answer), false).unwrap();
                        body.send_trailers(trailers).unwrap();
                    }
                    None => {
                        let headers = head.headers_mut();
                        headers.insert("grpc-status", HeaderValue::from_static("5"));
                        headers.insert("grpc-message", HeaderValue::from_static("unknown service"));
                        respond.send_response(head, true).unwrap();
                    }
                }
            }
        });
        address
    }

    async fn probe(answer: Option<&'static [u8]>) -> (Finding, String) {
        let target = format!("{}/web", serve(answer).await);
        let definition = CheckDefinition { grpc: target.clone(), ..Default::default() };
        (GrpcProbe::of(&definition, None).run().await, target)
    }

    #[tokio::test]
    async fn serving_passes_and_nothing_else_does() {
        let (finding, target) = probe(Some(b"\0\0\0\0\x02\x08\x01")).await;
        assert_eq!(finding, Finding::passing(format!("gRPC check {target}: success")));
        let unhealthy = Finding::critical("gRPC application didn't report service healthy");
        assert_eq!(probe(Some(b"\0\0\0\0\x02\x08\x02")).await.0, unhealthy);
        assert_eq!(probe(Some(b"\0\0\0\0\0")).await.0, unhealthy);
        assert_eq!(
            probe(None).await.0,
            Finding::critical("rpc error: code = NotFound desc = unknown service")
        );
    }
}
