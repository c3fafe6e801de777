//! What clients of Consul rely on, point by point, against a whole member over
//! HTTP. Each point has a weight: 3 breaks everyday clients, 2 is a visible
//! difference, 1 is polish. When all points were run, the score is printed.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod agent;
mod autopilot;
mod blocking;
mod catalog;
mod costly;
mod dns;
mod graph;
mod http_client;
mod keys;
mod mesh;
mod operators;
mod page;
mod parked;
mod queries;
mod score;
mod sessions;
mod snapshots;
mod transport;
mod txn;
