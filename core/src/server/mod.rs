//! Protocol front ends: each reads one protocol, translates to the node handle, and answers.

mod byte_budget;
pub mod consul;
mod descriptors;
pub mod dns;
mod extra_routes;
mod log_feed;
mod prepared_query;
mod proxies;
mod series;
mod tags;
pub mod zookeeper;

pub use extra_routes::{ExtraRoutes, Page};
pub use log_feed::{LogFeed, LogLine};
pub use series::DnsTimes;
