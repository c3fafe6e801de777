//! `/v1/agent` and `/v1/event`: services and checks registered on this member, information
//! about the member and its host, and user events, which stay on the member that got them.

pub(super) mod events;
mod health;
mod host;
mod registrations;
mod self_info;
