//! Responses, with their status and headers.

use std::io::Write as _;

use bytes::Bytes;
use coord_wire::consul::json;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::body::{AnswerBody, Parts};
use super::error_map::HttpError;

const INDEX: HeaderName = HeaderName::from_static("x-consul-index");
const KNOWN_LEADER: HeaderName = HeaderName::from_static("x-consul-knownleader");
const LAST_CONTACT: HeaderName = HeaderName::from_static("x-consul-lastcontact");
const CONSISTENCY: HeaderName = HeaderName::from_static("x-consul-effective-consistency");
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// What a reader learns about its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    /// To wait from; `None` where nobody can wait.
    pub(crate) index: Option<u64>,
    pub(crate) known_leader: bool,
    pub(crate) last_contact_ms: u64,
    /// Told on catalog and health reads only.
    pub(crate) consistency: Option<&'static str>,
}

/// An answer before it is put on the wire.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: AnswerBody,
}

impl Answer {
    /// 200 without a body.
    pub(crate) fn empty() -> Self {
        let body = AnswerBody::Whole(Bytes::new());
        Self { status: StatusCode::OK, headers: HeaderMap::new(), body }
    }

    /// 200 with JSON.
    pub(crate) fn json<T: Serialize + ?Sized>(value: &T, pretty: bool) -> Self {
        Self::json_bytes(json::encode(value, pretty))
    }

    /// 200 with JSON that is encoded already.
    pub(crate) fn json_bytes(body: Vec<u8>) -> Self {
        Self::of_type(JSON, body)
    }

    /// 200 with a text.
    pub(crate) fn text(body: impl Into<String>) -> Self {
        Self::of_type(TEXT, body.into())
    }

    /// 200 with any body.
    pub(crate) fn of_type(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let answer = Self { body: AnswerBody::Whole(body.into()), ..Self::empty() };
        answer.with_header(header::CONTENT_TYPE, HeaderValue::from_static(content_type))
    }

    /// 200 with a body that comes in parts, never compressed.
    pub(crate) fn stream(content_type: &'static str, parts: Parts) -> Self {
        let answer = Self { body: AnswerBody::Parts(parts), ..Self::empty() };
        answer.with_header(header::CONTENT_TYPE, HeaderValue::from_static(content_type))
    }

    /// Whether there is no body.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.body, AnswerBody::Whole(body) if body.is_empty())
    }

    /// How long the body is, as far as it is there.
    pub(crate) fn bytes(&self) -> usize {
        match &self.body {
            AnswerBody::Whole(body) => body.len(),
            AnswerBody::Parts(_) => 0,
        }
    }

    /// The same with another status.
    #[must_use]
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same with one more header.
    #[must_use]
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same with what a reader learns about it.
    #[must_use]
    pub(crate) fn with_meta(mut self, meta: Meta) -> Self {
        if let Some(index) = meta.index {
            self.headers.insert(INDEX, HeaderValue::from(index.max(1)));
        }
        let known = HeaderValue::from_static(if meta.known_leader { "true" } else { "false" });
        self.headers.insert(KNOWN_LEADER, known);
        self.headers.insert(LAST_CONTACT, HeaderValue::from(meta.last_contact_ms));
        if let Some(consistency) = meta.consistency {
            self.headers.insert(CONSISTENCY, HeaderValue::from_static(consistency));
        }
        self
    }

    /// As it goes on the wire, compressed if the client offered it.
    pub(crate) fn into_response(mut self, gzip: bool) -> Response<AnswerBody> {
        self.headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        if let AnswerBody::Whole(body) = &mut self.body
            && gzip
            && !body.is_empty()
            && let Some(compressed) = compress(body)
        {
            self.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            *body = compressed;
        }
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

impl From<HttpError> for Answer {
    fn from(error: HttpError) -> Self {
        if error.text().is_empty() {
            return Self::empty().with_status(error.status());
        }
        Self::text(error.text()).with_status(error.status())
    }
}

fn compress(body: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 2), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// Whether the client offers to take gzip.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|offer| {
            let (coding, weight) = offer.split_once(';').unwrap_or((offer, ""));
            let refused = matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
            coding.trim().eq_ignore_ascii_case("gzip") && !refused
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_of_zero_is_told_as_one() {
        let meta =
            Meta { index: Some(0), known_leader: true, last_contact_ms: 0, consistency: None };
        let response = Answer::empty().with_meta(meta).into_response(false);
        assert_eq!(response.headers()["x-consul-index"], "1");
        assert_eq!(response.headers()["x-consul-knownleader"], "true");
        assert_eq!(response.headers()["x-consul-lastcontact"], "0");
        assert!(!response.headers().contains_key("x-consul-effective-consistency"));
    }

    #[test]
    fn gzip_is_used_when_offered_and_never_on_nothing() {
        let offers = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_str(text).unwrap());
            accepts_gzip(&headers)
        };
        assert!(offers("deflate, gzip;q=0.5"));
        assert!(!offers("gzip;q=0"));
        assert!(!offers("identity"));
        let encoded = |answer: Answer| {
            answer.into_response(true).headers().contains_key(header::CONTENT_ENCODING)
        };
        assert!(encoded(Answer::text("hello")));
        assert!(!encoded(Answer::empty()));
    }

    #[test]
    fn an_error_is_plain_text() {
        let response = Answer::from(HttpError::bad_request("Invalid index")).into_response(false);
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    }
}
