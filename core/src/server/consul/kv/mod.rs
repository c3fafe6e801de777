//! `/v1/kv`, `/v1/session` and `/v1/txn`: keys, the sessions that lock them, and
//! transactions.

mod keys;
mod session;
mod txn;
