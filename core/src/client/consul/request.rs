//! An HTTP request and its response, uninterpreted.

use std::time::Duration;

use bytes::Bytes;
use coord_wire::percent;
use serde_json::Value;

use super::error::ConsulFailure;
use crate::Error;

pub use hyper::Method;

/// A request. Paths and parameters are unencoded; the client percent-encodes
/// them.
#[derive(Debug, Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) params: Vec<(String, Option<String>)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) token: Option<String>,
    pub(super) body: Bytes,
    pub(super) read_timeout: Option<Duration>,
}

/// A response of any status.
#[derive(Debug, Clone)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case, in the order sent; values that are not text are left out.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

/// The result of a read: the body and the index to wait on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T = Value> {
    /// `X-Consul-Index`, if the endpoint has one. Pass it as
    /// [`super::ReadOptions::index`] to wait for a change.
    pub index: Option<u64>,
    /// The body.
    pub body: T,
}

impl Request {
    /// A request without parameters or body. `path` starts with `/v1/`.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            params: Vec::new(),
            headers: Vec::new(),
            token: None,
            body: Bytes::new(),
            read_timeout: None,
        }
    }

    /// Adds `name=value`.
    #[must_use]
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.push((name.into(), Some(value.into())));
        self
    }

    /// Adds `name=value` if there is a value.
    #[must_use]
    pub fn param_if(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.param(name, value),
            None => self,
        }
    }

    /// Adds a parameter without a value.
    #[must_use]
    pub fn flag(mut self, name: &str, set: bool) -> Self {
        if set {
            self.params.push((name.to_owned(), None));
        }
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Uses this token instead of the client's.
    #[must_use]
    pub fn token(mut self, token: Option<&str>) -> Self {
        self.token = token.map(str::to_owned);
        self
    }

    /// Sends this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends this body as JSON.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body(body.to_string())
    }

    /// Overrides the client's response timeout.
    #[must_use]
    pub fn read_timeout(mut self, time: Option<Duration>) -> Self {
        self.read_timeout = time;
        self
    }

    /// Whether the request may change something, and so must not be retried automatically.
    pub(super) fn writes(&self) -> bool {
        self.method != Method::GET && self.method != Method::HEAD
    }

    /// Encoded path and query.
    pub(super) fn target(&self) -> String {
        let mut target = String::new();
        encode(&self.path, b"/:", &mut target);
        for (place, (name, value)) in self.params.iter().enumerate() {
            target.push(if place == 0 { '?' } else { '&' });
            encode(name, b"", &mut target);
            if let Some(value) = value {
                target.push('=');
                encode(value, b"", &mut target);
            }
        }
        target
    }
}

impl Response {
    /// The first header with that name, case-insensitive.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// `X-Consul-Index`.
    pub fn index(&self) -> Option<u64> {
        self.header("x-consul-index")?.parse().ok()
    }

    /// The body as text, with invalid UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// `Corrupt` if it is none.
    pub fn json(&self) -> Result<Value, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|cause| ConsulFailure::Unexpected(cause.to_string()).into_error(false))
    }

    /// The failure for this status.
    pub(super) fn failure(&self) -> ConsulFailure {
        ConsulFailure::Status { status: self.status, body: self.text() }
    }
}

/// A duration in Consul's format.
pub(super) fn go_duration(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}

/// Percent-encodes everything but unreserved characters and those in `kept`.
fn encode(text: &str, kept: &[u8], out: &mut String) {
    percent::encode_into(out, text.as_bytes(), |byte| {
        percent::is_unreserved(byte) || kept.contains(&byte)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_keep_slashes_and_colons_and_nothing_else_special() {
        let request = Request::new(Method::GET, "/v1/kv/a b/c:d?é%2F");
        assert_eq!(request.target(), "/v1/kv/a%20b/c:d%3F%C3%A9%252F");
    }

    #[test]
    fn parameters_are_encoded_and_flags_stand_alone() {
        let request = Request::new(Method::GET, "/v1/kv/")
            .flag("recurse", true)
            .flag("stale", false)
            .param("separator", "/")
            .param_if("dc", Some("d&c"))
            .param_if("near", None::<&str>);
        assert_eq!(request.target(), "/v1/kv/?recurse&separator=%2F&dc=d%26c");
    }

    #[test]
    fn header_names_are_found_in_any_case() {
        let response = Response {
            status: 200,
            headers: vec![("x-consul-index".to_owned(), "17".to_owned())],
            body: Bytes::new(),
        };
        assert_eq!((response.index(), response.header("X-Consul-Index")), (Some(17), Some("17")));
    }
}
