//! `/v1/coordinate`, and sorting by distance.
//!
//! libcoord does not measure coordinates: it stores those that clients send,
//! such as `consul-esm` for external nodes.

use std::net::{IpAddr, SocketAddr};

use coord_state::StateMachine;
use coord_state::consul::ConsulCommand;
use coord_state::event::Topic;
use coord_wire::consul::coordinate::{CoordinateAnswer, Place, update};
use coord_wire::consul::json;
use hyper::StatusCode;
use hyper::header::HeaderMap;
use serde::Serialize;

use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::Answer;
use crate::server::consul::http::call::{Call, FORWARDED_FOR};
use crate::server::consul::http::error_map::HttpError;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Datacenter<'a> {
    datacenter: &'a str,
    #[serde(rename = "AreaID")]
    area_id: &'static str,
    coordinates: Vec<CoordinateAnswer<'a>>,
}

impl ConsulApi {
    pub(crate) fn coordinate_datacenters(&self, call: &Call) -> Answer {
        // The servers, by the names they have in the catalog.
        let mut names: Vec<String> = self
            .members()
            .into_iter()
            .filter(|member| member.tags.get("role").is_some_and(|role| role == "consul"))
            .map(|member| member.name)
            .collect();
        if names.is_empty() {
            names.push(self.agent.identity().name.clone());
        }
        let coordinates = names
            .iter()
            .map(|node| CoordinateAnswer { node, segment: "", coord: Place::UNKNOWN })
            .collect();
        let datacenter = Datacenter { datacenter: self.datacenter(), area_id: "wan", coordinates };
        Answer::json(&[datacenter], call.pretty())
    }

    pub(crate) async fn coordinate_nodes(&self, call: Call) -> Result<Answer, HttpError> {
        self.coordinate_read(&call, |state| {
            let all = state.consul().coordinates().iter().map(CoordinateAnswer::from);
            json::encode(&all.collect::<Vec<_>>(), call.pretty())
        })
        .await
    }

    /// A blocking read, which other than the catalog's tells no consistency.
    async fn coordinate_read(
        &self,
        call: &Call,
        body: impl Fn(&StateMachine) -> Vec<u8>,
    ) -> Result<Answer, HttpError> {
        let options = self.read_options(call)?;
        let topics = vec![Topic::Coordinates];
        let (meta, body) = self.blocking(&options, topics, coordinates_index, body).await?;
        Ok(Answer::json_bytes(body).with_meta(meta))
    }

    pub(crate) async fn coordinate_node(&self, call: Call) -> Result<Answer, HttpError> {
        let name = call.required_name("Missing node name")?;
        let answer = self
            .coordinate_read(&call, |state| {
                let found = state.consul().coordinates().of(&name);
                found.map_or_else(Vec::new, |at| {
                    json::encode(&[CoordinateAnswer::from(at)], call.pretty())
                })
            })
            .await?;
        Ok(if answer.is_empty() { answer.with_status(StatusCode::NOT_FOUND) } else { answer })
    }

    pub(crate) async fn coordinate_update(&self, mut call: Call) -> Result<Answer, HttpError> {
        let body = self.body(&mut call).await?;
        let update = update(&body).map_err(|error| HttpError::undecodable(&error))?;
        let update = update.map_err(HttpError::internal)?;
        self.change(ConsulCommand::UpdateCoordinates(vec![update])).await?;
        Ok(Answer::empty())
    }

    /// The node that an answer is to be sorted from, as `near=` names it.
    pub(super) fn near_asked(&self, call: &Call) -> Option<String> {
        let near = call.params.nonempty("near")?;
        Some(self.node.read(|state| self.node_meant(state, near, call)))
    }

    /// `_agent` is this agent's node, `_ip` the one with the asker's address.
    pub(super) fn node_meant(&self, state: &StateMachine, near: &str, call: &Call) -> String {
        match near {
            "_agent" => self.agent.identity().name.clone(),
            "_ip" => {
                let Some(address) = asker(&call.headers, call.peer) else { return String::new() };
                let mut nodes = state.consul().catalog().nodes();
                let found = nodes.find(|node| node.address.parse() == Ok(address));
                found.map(|node| node.name.to_string()).unwrap_or_default()
            }
            name => name.to_owned(),
        }
    }
}

/// Who asks: behind a proxy, whoever asked that.
fn asker(headers: &HeaderMap, peer: Option<SocketAddr>) -> Option<IpAddr> {
    let forwarded = headers.get(FORWARDED_FOR).and_then(|value| value.to_str().ok());
    let first = forwarded.and_then(|list| list.split(',').next());
    first.and_then(|text| text.trim().parse().ok()).or_else(|| peer.map(|peer| peer.ip()))
}

fn coordinates_index(state: &StateMachine) -> u64 {
    state.consul().coordinates().index()
}

/// Sorts by distance from a node; what has no coordinate comes last, in the
/// order it was in. If that node has none, the order stays.
pub(super) fn sort_by_distance<T>(
    state: &StateMachine,
    from: Option<&str>,
    rows: &mut [T],
    node: impl Fn(&T) -> &str,
) {
    let coordinates = state.consul().coordinates();
    let Some(from) = from.and_then(|name| coordinates.of(name)) else { return };
    let from = Place::of(&from.coordinate);
    rows.sort_by_cached_key(|row| {
        let at = coordinates.of(node(row));
        let distance = at.map_or(f64::INFINITY, |at| from.round_trip(&Place::of(&at.coordinate)));
        Distance(distance)
    });
}

/// A round trip that can be compared. Never less than nothing.
struct Distance(f64);

impl PartialEq for Distance {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Distance {}

impl PartialOrd for Distance {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Distance {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}
