//! Every decoder, as a function of arbitrary bytes.
//!
//! ```text
//! corpus/TARGET.hex --tests/corpus.rs--> Target::check     part of `make check`
//! libFuzzer ---------src/main.rs-------> Target::check     `make fuzz`
//! ```
//!
//! A target decodes, and whatever decodes must survive what is done with it:
//! be written and read back as the same, be looked at, be applied. A target
//! panics when that does not hold; libFuzzer looks for bytes that make it.
//!
//! The corpus is text, one input a line in hex, shortest first: the smallest
//! set that libFuzzer found to reach what it knows how to reach.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a panic is what a target reports with")]

mod consul;
mod dns;
mod state;
mod zookeeper;

/// One decoder, or a family of decoders that the first byte chooses from.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Names its corpus too.
    pub name: &'static str,
    /// Panics if the input breaks a promise.
    pub check: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "zookeeper_conversation", check: zookeeper::conversation },
    Target { name: "zookeeper_request", check: zookeeper::request },
    Target { name: "zookeeper_reply", check: zookeeper::reply },
    Target { name: "consul_json", check: consul::json },
    Target { name: "consul_text", check: consul::text },
    Target { name: "consul_filter", check: consul::filter },
    Target { name: "dns_query", check: dns::query },
    Target { name: "state_batch", check: state::batch },
    Target { name: "state_snapshot", check: state::snapshot },
];

/// The target of that name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// The inputs of a corpus: one a line, in hex; `None` if a line is not.
pub fn inputs(corpus: &str) -> Option<Vec<Vec<u8>>> {
    corpus.lines().filter(|line| !line.starts_with('#')).map(from_hex).collect()
}

fn from_hex(line: &str) -> Option<Vec<u8>> {
    let digit = |letter: u8| char::from(letter).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = line.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}
