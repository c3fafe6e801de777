//! A request as passed to handlers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use coord_wire::consul::filter::{Filter, Shape};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::header::{HeaderMap, HeaderName};
use hyper::{Method, StatusCode};

use super::error_map::HttpError;
use super::kept::Kept;
use super::params::Params;

/// How long a client may pause within a body.
const BODY_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Who asked a proxy, as it tells.
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// One request, routed.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// What follows the route's path, decoded.
    pub(crate) tail: Bytes,
    pub(crate) params: Params,
    pub(crate) headers: HeaderMap,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) body: Incoming,
    /// What is kept for it counts there.
    pub(crate) kept: Arc<Kept>,
}

/// A body longer than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLarge {
    /// As far as known.
    pub(crate) bytes: u64,
}

impl Call {
    /// Who asks, as far as the connection tells.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.peer.map(|peer| peer.ip().to_canonical())
    }

    pub(crate) fn pretty(&self) -> bool {
        self.params.has("pretty")
    }

    /// What follows the route's path, as text.
    pub(crate) fn name(&self) -> String {
        String::from_utf8_lossy(&self.tail).into_owned()
    }

    /// The same, but not empty.
    pub(crate) fn required_name(&self, missing: &'static str) -> Result<String, HttpError> {
        if self.tail.is_empty() {
            return Err(HttpError::bad_request(missing));
        }
        Ok(self.name())
    }

    /// Which rows of the answer are wanted.
    pub(crate) fn filter(&self, shape: &Shape) -> Result<Filter, HttpError> {
        let text = self.params.get("filter").unwrap_or_default();
        Filter::compile(text, shape).map_err(|error| HttpError::internal(error.to_string()))
    }

    /// Reads the body. What exceeds `bytes_max` is never kept, but up to
    /// `drained_max` it is read away, so that the client gets to the answer.
    pub(crate) async fn read_body(
        &mut self,
        bytes_max: usize,
        drained_max: usize,
    ) -> Result<Result<Bytes, TooLarge>, HttpError> {
        let announced = self.body.size_hint().exact();
        let fits = |bytes: u64, max: usize| usize::try_from(bytes).is_ok_and(|bytes| bytes <= max);
        if let Some(bytes) = announced
            && !fits(bytes, drained_max.max(bytes_max))
        {
            return Ok(Err(TooLarge { bytes }));
        }
        let mut kept = BytesMut::new();
        let mut seen: u64 = 0;
        while let Some(data) = self.next_data().await? {
            seen += data.len() as u64;
            if fits(seen, bytes_max) {
                kept.extend_from_slice(&data);
                self.kept.body(kept.len()).map_err(|_| HttpError::too_much_is_kept())?;
            } else if !fits(seen, drained_max) {
                break;
            }
        }
        if fits(seen, bytes_max) {
            Ok(Ok(kept.freeze()))
        } else {
            Ok(Err(TooLarge { bytes: seen }))
        }
    }

    /// The next piece of the body, `None` at its end.
    pub(crate) async fn next_data(&mut self) -> Result<Option<Bytes>, HttpError> {
        loop {
            let frame = tokio::time::timeout(BODY_PAUSE_MAX, self.body.frame()).await;
            match frame {
                Err(_) => {
                    return Err(HttpError::new(
                        StatusCode::REQUEST_TIMEOUT,
                        "request body timeout",
                    ));
                }
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(HttpError::bad_request(error.to_string())),
                Ok(Some(Ok(frame))) => {
                    self.kept.took();
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}
