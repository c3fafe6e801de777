//! The catalog and what is derived from it: nodes, services, health checks, coordinates,
//! the dependency graph, prepared queries, intentions and config entries. Registrations
//! of this member itself are in `agent`.

mod config_entries;
mod coordinate;
mod graph;
mod health;
mod intentions;
mod internal;
pub(super) mod members;
pub(super) mod mesh;
mod query;
mod registry;
