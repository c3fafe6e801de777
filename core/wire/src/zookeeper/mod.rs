//! ZooKeeper's client protocol, as version 3.9 speaks it.
//!
//! ```text
//!  frame        int length | payload
//!  first frame  ConnectRequest                >  ConnectResponse
//!  then         RequestHeader | request body  >  ReplyHeader | reply body (none after an error)
//!                                             <  ReplyHeader xid -1 | WatcherEvent
//! ```
//!
//! A server reads with [`frame::take`], [`connect::ConnectRequest::decode`],
//! [`header::RequestHeader::decode`], [`request::Request::decode`] and writes
//! with [`frame::put`]; a client the other way round. All multi-byte integers
//! are big-endian; every type of the encoding is in [`jute`].

pub mod connect;
pub mod digest_md5;
pub mod error_code;
pub mod extension;
pub mod four_letter;
pub mod frame;
pub mod header;
pub mod jute;
pub mod multi;
pub mod op_code;
pub mod record;
pub mod reply;
pub mod request;
mod text;

#[cfg(test)]
mod tests;

pub use error_code::ErrorCode;
pub use extension::Extension;
pub use op_code::OpCode;
pub use reply::Reply;
pub use request::Request;
pub use text::Text;
