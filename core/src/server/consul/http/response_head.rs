//! Writes responses without hyper, in the same form: header names in title
//! case, then content length, connection close and date.

use std::time::SystemTime;

use bytes::{Buf, Bytes};
use hyper::http::response;

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// By its bytes.
    Known(usize),
    /// By an empty chunk.
    Chunked,
}

/// The head of an answer over HTTP/1.1, with the empty line behind it.
pub(crate) fn head(
    parts: &response::Parts,
    length: Length,
    ends: bool,
    date: SystemTime,
) -> Vec<u8> {
    let reason = parts.status.canonical_reason().unwrap_or("<none>");
    let mut head = Vec::with_capacity(512);
    let mut line = |name: &str, value: &[u8]| {
        let mut starts = true;
        head.extend(name.bytes().map(|byte| {
            let cased = if starts { byte.to_ascii_uppercase() } else { byte };
            starts = byte == b'-';
            cased
        }));
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    };
    line("HTTP/1.1 ", format!("{} {reason}", parts.status.as_str()).as_bytes());
    for (name, value) in &parts.headers {
        line(name.as_str(), &[b": ", value.as_bytes()].concat());
    }
    match length {
        Length::Known(bytes) => line("content-length", format!(": {bytes}").as_bytes()),
        Length::Chunked => line("transfer-encoding", b": chunked"),
    }
    if ends {
        line("connection", b": close");
    }
    line("date", format!(": {}", httpdate::HttpDate::from(date)).as_bytes());
    line("", b"");
    head
}

/// A part of a body whose length nobody knows beforehand; an empty one ends it.
pub(super) fn chunk(part: Bytes) -> impl Buf {
    let size = Bytes::from(format!("{:x}\r\n", part.len()));
    size.chain(part).chain(&b"\r\n"[..])
}

#[cfg(test)]
mod tests {
    use hyper::{Response, StatusCode};

    use super::*;

    fn parts(status: StatusCode) -> response::Parts {
        let response = Response::builder().status(status).header("x-consul-index", 7);
        response.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_head_has_its_names_in_title_case_and_says_where_its_body_ends() {
        let head = |status, length, ends| {
            String::from_utf8(head(&parts(status), length, ends, SystemTime::UNIX_EPOCH)).unwrap()
        };
        assert_eq!(
            head(StatusCode::NOT_FOUND, Length::Known(0), false),
            "HTTP/1.1 404 Not Found\r\nX-Consul-Index: 7\r\nContent-Length: 0\r\n\
             Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"
        );
        let ends = head(StatusCode::OK, Length::Chunked, true);
        assert!(ends.contains("\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"), "{ends}");
    }

    #[test]
    fn a_body_in_parts_ends_with_an_empty_one() {
        let text = |part: &'static str| {
            let mut chunk = chunk(Bytes::from(part));
            chunk.copy_to_bytes(chunk.remaining())
        };
        assert_eq!(text("0123456789abcdef"), "10\r\n0123456789abcdef\r\n");
        assert_eq!(text(""), "0\r\n\r\n");
    }
}
