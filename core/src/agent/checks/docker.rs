//! Docker checks: a command inside a container, with a result like a script's.
//!
//! They use the engine's HTTP API, usually on a Unix socket: create an exec,
//! start it, read its output to the end, inspect its exit code.

use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use coord_state::consul::CheckStatus;
use coord_wire::consul::check::CheckDefinition;
use coord_wire::consul::duration;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

use super::dial::{dial_tcp, driven};
use super::probe::Finding;
use super::tail::Tail;
use crate::agent::output;
use crate::agent::registrations::nanoseconds;
use crate::clock;

const TIMEOUT: Duration = Duration::from_secs(30);
/// Answers about an execution are short; more is none.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Before each piece of output: the stream, three zeros, the length.
const PIECE_HEAD_BYTES: usize = 8;

/// Where the engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Engine {
    Socket(String),
    Tcp(String),
}

#[derive(Debug)]
pub(super) struct DockerProbe {
    engine: Engine,
    container: String,
    args: Vec<String>,
    timeout: Duration,
    output_bytes_max: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Ended {
    exit_code: Option<i64>,
}

#[derive(Deserialize)]
struct Problem {
    message: String,
}

impl Engine {
    /// `unix:///path` or `tcp://host:port`, as in Docker's own `DOCKER_HOST`.
    ///
    /// # Errors
    /// What is wrong with it.
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix://") {
            return Ok(Self::Socket(path.to_owned()));
        }
        match text.strip_prefix("tcp://") {
            Some(address) => Ok(Self::Tcp(address.to_owned())),
            None => {
                Err(format!("agent.docker_host is {text:?}, but must begin with unix:// or tcp://"))
            }
        }
    }
}

impl DockerProbe {
    /// # Errors
    /// What is wrong with the definition.
    pub(super) fn of(definition: &CheckDefinition, host: &str) -> Result<Self, String> {
        let container = definition.docker_container_id.clone();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if !container.bytes().all(is_name) {
            return Err(format!("{container:?} is not a valid container name"));
        }
        if definition.args.is_empty() {
            return Err("a Docker check needs a command to run: set Args".to_owned());
        }
        Ok(Self {
            engine: Engine::parse(host)?,
            container,
            args: definition.args.clone(),
            timeout: nanoseconds(definition.timeout_ns).unwrap_or(TIMEOUT),
            output_bytes_max: output::bytes_max(definition),
        })
    }

    pub(super) async fn run(&self) -> Finding {
        let mut tail = Tail::new(self.output_bytes_max);
        match clock::timeout(self.timeout, self.execute(&mut tail)).await {
            Some(Ok(code)) => {
                let status = match code {
                    0 => CheckStatus::Passing,
                    1 => CheckStatus::Warning,
                    _ => CheckStatus::Critical,
                };
                Finding { status, output: tail.into_text() }
            }
            Some(Err(failure)) => Finding::critical(failure),
            None => {
                let limit = i64::try_from(self.timeout.as_nanos()).unwrap_or(i64::MAX);
                let timed_out = format!("Timed out ({}) running check", duration::format(limit));
                Finding::critical(tail.behind(timed_out))
            }
        }
    }

    async fn execute(&self, tail: &mut Tail) -> Result<i64, String> {
        let path = format!("/containers/{}/exec", self.container);
        let wish = json!({
            "AttachStdin": false, "AttachStdout": true, "AttachStderr": true,
            "Tty": false, "Cmd": self.args,
        });
        let created: Created = read(&self.ask(Method::POST, &path, Some(wish)).await?)?;
        let path = format!("/exec/{}/start", created.id);
        let wish = json!({ "Detach": false, "Tty": false });
        self.output(&path, wish, tail).await?;
        let path = format!("/exec/{}/json", created.id);
        let ended: Ended = read(&self.ask(Method::GET, &path, None).await?)?;
        ended
            .exit_code
            .ok_or_else(|| "the command is still running, but closed its output".to_owned())
    }

    /// One short answer.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> Result<Bytes, String> {
        self.exchange(method, path, body, |response| async {
            let status = response.status();
            let answer = collect(response).await?;
            accept(status, &answer)?;
            Ok(answer)
        })
        .await
    }

    /// The output of a started command, both streams as they came.
    async fn output(
        &self,
        path: &str,
        body: serde_json::Value,
        tail: &mut Tail,
    ) -> Result<(), String> {
        self.exchange(Method::POST, path, Some(body), |response| async {
            let status = response.status();
            if !status.is_success() {
                return accept(status, &collect(response).await?);
            }
            let mut pieces = Pieces::default();
            let mut body = response.into_body();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(broken)?;
                if let Some(data) = frame.data_ref() {
                    pieces.push(data, tail);
                }
            }
            Ok(())
        })
        .await
    }

    async fn exchange<T, F>(
        &self,
        method: Method,
        path: &str,
        body: Option<serde_json::Value>,
        take: impl FnOnce(Response<Incoming>) -> F,
    ) -> Result<T, String>
    where
        F: Future<Output = Result<T, String>>,
    {
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "docker")
            .header(CONTENT_TYPE, "application/json")
            .header(CONNECTION, "close")
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        match &self.engine {
            Engine::Socket(path) => {
                let stream = UnixStream::connect(path).await;
                let stream = stream.map_err(|error| {
                    format!("Unable to connect to Docker at {path}: {}", super::dial::text(&error))
                })?;
                spoken(stream, request, take).await
            }
            Engine::Tcp(address) => spoken(dial_tcp(address).await?, request, take).await,
        }
    }
}

async fn spoken<T, F>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
    take: impl FnOnce(Response<Incoming>) -> F,
) -> Result<T, String>
where
    F: Future<Output = Result<T, String>>,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        take(response).await
    };
    driven(connection, exchange).await
}

/// Output as the engine sends it: pieces of two streams, each behind a head.
#[derive(Debug, Default)]
struct Pieces {
    /// A head that is not all here.
    head: BytesMut,
    /// Bytes of the current piece that are still to come.
    left: usize,
}

impl Pieces {
    fn push(&mut self, mut data: &[u8], tail: &mut Tail) {
        while !data.is_empty() {
            if self.left == 0 {
                let missing = PIECE_HEAD_BYTES - self.head.len();
                let (head, rest) = data.split_at(missing.min(data.len()));
                self.head.extend_from_slice(head);
                data = rest;
                if self.head.len() == PIECE_HEAD_BYTES {
                    self.head.advance(PIECE_HEAD_BYTES - size_of::<u32>());
                    self.left = usize::try_from(self.head.get_u32()).unwrap_or(usize::MAX);
                    self.head.clear();
                }
                continue;
            }
            let (piece, rest) = data.split_at(self.left.min(data.len()));
            tail.push(piece);
            self.left -= piece.len();
            data = rest;
        }
    }
}

async fn collect(response: Response<Incoming>) -> Result<Bytes, String> {
    let body = http_body_util::Limited::new(response.into_body(), ANSWER_BYTES_MAX);
    let collected = body.collect().await.map_err(|error| error.to_string())?;
    Ok(collected.to_bytes())
}

fn accept(status: StatusCode, answer: &[u8]) -> Result<(), String> {
    if status.is_success() {
        return Ok(());
    }
    let said = serde_json::from_slice::<Problem>(answer).map(|problem| problem.message);
    Err(format!("Docker answered {}: {}", status.as_u16(), said.unwrap_or_default()))
}

fn read<'a, T: Deserialize<'a>>(answer: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(answer).map_err(|error| format!("cannot parse Docker's answer: {error}"))
}

fn broken(error: hyper::Error) -> String {
    format!("the connection to Docker broke: {error}")
}

#[cfg(test)]
#[path = "docker_tests.rs"]
mod tests;
