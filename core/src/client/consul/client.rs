//! The client itself: sends requests and checks their status. The calls are in
//! one file per family.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Method;
use serde_json::Value;
use tokio::sync::watch;

use super::error::ConsulFailure;
use super::http::{HttpRequest, Pool, Security};
use super::options::{ReadOptions, WriteOptions};
use super::request::{Answer, Request, Response};
use super::settings::{Settings, Target, authorization};
use crate::Error;
use crate::client::time::within;
use crate::tls::Connector;

/// A client of one agent. Clones share its connections.
///
/// # Errors
/// Every call fails with an [`Error`] whose source is a [`ConsulFailure`]:
/// `Unavailable` if nothing was sent or a read got no response, `Indeterminate`
/// if a write was sent but not answered, `Invalid` and `Rejected` as
/// [`ConsulFailure`] explains for the statuses, `Closed` after
/// [`Client::close`].
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<ClientCore>,
}

#[derive(Debug)]
struct ClientCore {
    settings: Settings,
    authority: String,
    /// Sent unless a request has its own.
    authorization: Option<String>,
    pool: Pool,
    closed: watch::Sender<bool>,
}

impl Client {
    /// A client; nothing is connected yet.
    ///
    /// # Errors
    /// `Invalid` for an invalid address or an unusable TLS file.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let target = Target::parse(&settings.address, settings.https)?;
        let authority = target.authority();
        let authorization = authorization(&settings.address);
        let security = match &target {
            Target::Tcp { host, tls: true, .. } => {
                let name = settings.tls_server_name.as_ref().unwrap_or(host).clone();
                Some(Security { connector: Connector::load(settings.tls.clone())?, name })
            }
            Target::Tcp { .. } | Target::Unix(_) => None,
        };
        let pool = Pool::new(
            target,
            security,
            settings.connect_timeout,
            settings.connections_max,
            settings.response_bytes_max,
        );
        let (closed, _) = watch::channel(false);
        Ok(Self {
            inner: Arc::new(ClientCore { settings, authority, authorization, pool, closed }),
        })
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Whether it uses TLS.
    pub fn is_secured(&self) -> bool {
        self.inner.pool.is_secured()
    }

    /// Ends all calls in progress and refuses new ones: reads with `Closed`,
    /// writes with `Indeterminate`, as they may have taken effect. Idempotent.
    pub fn close(&self) {
        self.inner.closed.send_replace(true);
        self.inner.pool.close();
    }

    /// Sends one request and returns the response, whatever its status. The
    /// client's token is added unless the request has its own; datacenter and
    /// consistency are not.
    ///
    /// Dropping the future closes its connection; a write may still happen.
    pub async fn request(&self, request: Request) -> Result<Response, Error> {
        let writes = request.writes();
        let limit = request.read_timeout.unwrap_or(self.inner.settings.read_timeout);
        let http = self.http_request(request)?;
        let mut closed = self.inner.closed.subscribe();
        if *closed.borrow() {
            return Err(Error::closed("the client is closed"));
        }
        let answered = tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => return Err(match writes {
                true => Error::indeterminate("the client was closed before the response arrived"),
                false => Error::closed("the client is closed"),
            }),
            answered = within(limit, self.inner.pool.send(http, !writes)) => answered,
        };
        match answered {
            Some(Ok(response)) => Ok(response),
            Some(Err(broken)) if broken.sent => Err(broken.failure.into_error(writes)),
            Some(Err(broken)) => Err(broken.failure.into_unsent_error(&self.inner.authority)),
            None => Err(ConsulFailure::TimedOut(limit).into_error(writes)),
        }
    }

    /// As [`Self::request`], but any status other than 2xx is an error.
    pub async fn expect_success(&self, request: Request) -> Result<Response, Error> {
        let writes = request.writes();
        let response = self.request(request).await?;
        match response.status {
            200..=299 => Ok(response),
            _ => Err(response.failure().into_error(writes)),
        }
    }

    /// GET with options, the answer of any status.
    pub(super) async fn read_any(
        &self,
        request: Request,
        options: &ReadOptions,
    ) -> Result<Response, Error> {
        let settings = &self.inner.settings;
        let mut request =
            options.put_on(request, settings.datacenter.as_deref(), settings.consistency);
        if options.index.is_none() {
            request = request.read_timeout(None);
        }
        self.request(request).await
    }

    /// GET with options, the JSON of a 2xx.
    pub(super) async fn read(&self, path: &str, options: &ReadOptions) -> Result<Answer, Error> {
        let response = self.read_any(Request::new(Method::GET, path), options).await?;
        match response.status {
            200..=299 => Ok(Answer { index: response.index(), body: response.json()? }),
            _ => Err(response.failure().into_error(false)),
        }
    }

    /// As [`Self::read`], but 404 and an empty list are `None`, and of a list
    /// the first element is given.
    pub(super) async fn read_one(
        &self,
        path: &str,
        options: &ReadOptions,
    ) -> Result<Answer<Option<Value>>, Error> {
        let response = self.read_any(Request::new(Method::GET, path), options).await?;
        let index = response.index();
        match response.status {
            200..=299 => Ok(Answer { index, body: first(response.json()?) }),
            404 => Ok(Answer { index, body: None }),
            _ => Err(response.failure().into_error(false)),
        }
    }

    /// A write with options, whose response must be 2xx.
    pub(super) async fn write(
        &self,
        request: Request,
        options: &WriteOptions,
    ) -> Result<Response, Error> {
        let datacenter = self.inner.settings.datacenter.as_deref();
        self.expect_success(options.put_on(request, datacenter)).await
    }

    /// As [`Self::write`], to the agent itself, without a datacenter.
    pub(super) async fn write_local(
        &self,
        request: Request,
        token: Option<&str>,
    ) -> Result<Response, Error> {
        self.expect_success(request.token(token)).await
    }

    fn http_request(&self, request: Request) -> Result<HttpRequest, Error> {
        let settings = &self.inner.settings;
        let mut builder = hyper::Request::builder()
            .method(request.method.clone())
            .uri(request.target())
            .header(hyper::header::HOST, &self.inner.authority);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let has_its_own = |(name, _): &(String, String)| name.eq_ignore_ascii_case("authorization");
        if let Some(basic) = &self.inner.authorization
            && !request.headers.iter().any(has_its_own)
        {
            builder = builder.header(hyper::header::AUTHORIZATION, basic);
        }
        if let Some(token) = request.token.as_ref().or(settings.token.as_ref()) {
            builder = builder.header("X-Consul-Token", token);
        }
        builder
            .body(Full::<Bytes>::new(request.body))
            .map_err(|cause| Error::invalid("cannot build the request").caused_by(cause))
    }
}

/// `true` or `false` in a response; an empty body counts as true.
pub(super) fn truth(response: &Response) -> Result<bool, Error> {
    match response.body.trim_ascii() {
        b"true" | b"" => Ok(true),
        b"false" => Ok(false),
        _ => Err(ConsulFailure::Unexpected(format!("{:?} is not a boolean", response.text()))
            .into_error(false)),
    }
}

/// The error for a missing field in a response.
pub(super) fn missing(what: &str) -> Error {
    ConsulFailure::Unexpected(format!("it has no {what}")).into_error(false)
}

fn first(body: Value) -> Option<Value> {
    match body {
        Value::Array(list) => list.into_iter().next(),
        Value::Null => None,
        other => Some(other),
    }
}
