//! The recorded conversation, line by line.

use bytes::Bytes;

const TEXT: &str = include_str!("../../fixtures/zookeeper-3.8/session.txt");

/// One line of it.
pub(crate) struct Line {
    /// Line number in the file.
    pub(crate) number: usize,
    /// Which TCP connection.
    pub(crate) connection: char,
    pub(crate) what: What,
    /// What the recorder said about it.
    pub(crate) remark: &'static str,
}

pub(crate) enum What {
    Sent(Bytes),
    Received(Bytes),
    Closed,
}

/// All of them, in the order they were recorded.
pub(crate) fn lines() -> Vec<Line> {
    let mut lines = Vec::new();
    for (index, text) in TEXT.lines().enumerate() {
        let (frame, remark) = text.split_once('#').unwrap_or((text, ""));
        let words: Vec<&str> = frame.split_whitespace().collect();
        let [connection, direction, hex @ ..] = &words[..] else { continue };
        let what = match (*direction, hex) {
            (_, ["CLOSED"]) => What::Closed,
            (">", [length, payload]) => What::Sent(payload_of(length, payload)),
            ("<", [length, payload]) => What::Received(payload_of(length, payload)),
            _ => panic!("line {}: {text}", index + 1),
        };
        let connection = connection.chars().next().unwrap();
        lines.push(Line { number: index + 1, connection, what, remark: remark.trim() });
    }
    lines
}

fn payload_of(length: &str, payload: &str) -> Bytes {
    let bytes: Vec<u8> = (0..payload.len() / 2)
        .map(|at| u8::from_str_radix(&payload[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    assert_eq!(usize::from_str_radix(length, 16).unwrap(), bytes.len());
    bytes.into()
}
