//! Bytes to messages and back, for every protocol spoken, without a socket in
//! sight.
//!
//! Decoding is total: any input gives a message or a [`DecodeError`], never a
//! panic, and no memory is reserved on the word of a length that the bytes
//! behind it do not back. Whoever reads from the network states the limits.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop at the first surprise"))]

pub mod address;
mod decode_error;

pub mod consul;
pub mod dns;
pub mod percent;
pub mod url;
pub mod zookeeper;

pub use decode_error::DecodeError;
