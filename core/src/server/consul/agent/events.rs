//! `/v1/event`: user events. They are stored in a ring on the agent that received them, and are
//! lost on restart.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coord_wire::consul::event::{EventAnswer, fold_index};
use coord_wire::consul::regexp::Regexp;
use coord_wire::consul::{json, uuid};
use tokio::sync::watch;

use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::{Answer, Meta};
use crate::server::consul::http::call::Call;
use crate::server::consul::http::error_map::HttpError;
use crate::sync::Mutex;

const KEPT_MAX: usize = 256;
const PAYLOAD_BYTES_MAX: usize = 64 << 10;
const WAIT_DEFAULT: Duration = Duration::from_secs(600);

/// The latest events, oldest first.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    ring: Mutex<Ring>,
    fired: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<(u128, EventAnswer)>,
    ltime: u64,
}

impl EventLog {
    fn push(&self, id: u128, mut event: EventAnswer) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.ltime += 1;
        event.ltime = ring.ltime;
        ring.events.push_back((id, event));
        if ring.events.len() > KEPT_MAX {
            ring.events.pop_front();
        }
        self.fired.send_modify(|count| *count += 1);
    }

    /// The events of that name (empty: of any), and the index of the latest of them:
    /// a watch that remembers the index must not wake for others.
    fn list(&self, name: &str) -> (u64, Vec<EventAnswer>) {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = ring.events.iter().filter(|(_, event)| name.is_empty() || event.name == name);
        let index = wanted.clone().next_back().map_or(1, |(id, _)| fold_index(*id).max(1));
        (index, wanted.map(|(_, event)| event.clone()).collect())
    }
}

impl ConsulApi {
    pub(crate) async fn event_fire(&self, mut call: Call) -> Result<Answer, HttpError> {
        let name = call.required_name("Missing name")?;
        let payload = call.read_body(PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MAX * 2).await?;
        let payload = payload.map_err(|too_large| {
            HttpError::too_large(format!(
                "Request body({} bytes) too large, max size: {PAYLOAD_BYTES_MAX} bytes.",
                too_large.bytes
            ))
        })?;
        let filter = |name: &str| call.params.get(name).unwrap_or_default().to_owned();
        let (service_filter, tag_filter) = (filter("service"), filter("tag"));
        if !tag_filter.is_empty() && service_filter.is_empty() {
            return Err(HttpError::bad_request("Cannot provide tag filter without service filter"));
        }
        let filters = EventFilters {
            node: pattern("node", &filter("node"))?,
            service: pattern("service", &service_filter)?,
            tag: pattern("tag", &tag_filter)?,
        };
        let id = uuid::from_random(self.node.random());
        let event = EventAnswer {
            id: uuid::format(id),
            name,
            payload: (!payload.is_empty()).then(|| STANDARD.encode(&payload)),
            node_filter: filter("node"),
            service_filter,
            tag_filter,
            version: 1,
            ltime: 0,
        };
        if self.concerns(&filters) {
            self.events.push(id, event.clone());
        }
        Ok(Answer::json(&event, call.pretty()))
    }

    /// Whether an event is for this agent: its node is meant and has a service
    /// that is.
    fn concerns(&self, filters: &EventFilters) -> bool {
        let matches = |filter: &Option<Regexp>, text: &str| {
            filter.as_ref().is_none_or(|filter| filter.is_match(text))
        };
        let has_service = || {
            self.agent.look(|local| {
                local.services().any(|service| {
                    matches(&filters.service, &service.name)
                        && (filters.tag.is_none()
                            || service.tags.iter().any(|tag| matches(&filters.tag, tag)))
                })
            })
        };
        matches(&filters.node, &self.agent.identity().name)
            && (filters.service.is_none() || has_service())
    }

    /// Waits only while the index is exactly the one asked with: it is a
    /// fingerprint, not a counter.
    pub(crate) async fn event_list(&self, call: Call) -> Result<Answer, HttpError> {
        let mut options = self.read_options(&call)?;
        if call.params.nonempty("wait").is_none() {
            options.wait = WAIT_DEFAULT;
        }
        let name = call.params.get("name").unwrap_or_default();
        let mut fired = self.events.fired.subscribe();
        let deadline = tokio::time::sleep(options.wait);
        tokio::pin!(deadline);
        let (index, events) = loop {
            fired.mark_unchanged();
            let (index, events) = self.events.list(name);
            if options.index == 0 || options.index != index {
                break (index, events);
            }
            tokio::select! {
                _ = fired.changed() => {}
                () = &mut deadline => break (index, events),
                () = self.stopped() => break (index, events),
            }
        };
        let known_leader = self.node.status().leader.is_some();
        let meta = Meta { index: Some(index), known_leader, last_contact_ms: 0, consistency: None };
        Ok(Answer::json_bytes(json::encode(&events, call.pretty())).with_meta(meta))
    }
}

/// For whom an event is; nothing means for all.
struct EventFilters {
    node: Option<Regexp>,
    service: Option<Regexp>,
    tag: Option<Regexp>,
}

fn pattern(what: &str, text: &str) -> Result<Option<Regexp>, HttpError> {
    if text.is_empty() {
        return Ok(None);
    }
    Regexp::compile_alone(text).map(Some).map_err(|problem| {
        HttpError::bad_request(format!(
            "Invalid {what} filter: error parsing regexp: {problem}: `{text}`"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str) -> EventAnswer {
        EventAnswer {
            id: String::new(),
            name: name.to_owned(),
            payload: None,
            node_filter: String::new(),
            service_filter: String::new(),
            tag_filter: String::new(),
            version: 1,
            ltime: 0,
        }
    }

    #[test]
    fn the_ring_keeps_the_latest_and_counts_on() {
        let log = EventLog::default();
        assert_eq!(log.list(""), (1, Vec::new()));
        for id in 0..300 {
            log.push(id, event(if id % 2 == 0 { "even" } else { "odd" }));
        }
        let (index, events) = log.list("");
        assert_eq!((index, events.len()), (299, KEPT_MAX));
        assert_eq!(events.last().map(|event| event.ltime), Some(300));
        assert!(log.list("odd").1.iter().all(|event| event.name == "odd"));
    }

    #[test]
    fn the_index_of_a_name_is_that_of_its_own_latest_event() {
        let log = EventLog::default();
        log.push(7, event("deploy"));
        log.push(9, event("unrelated"));
        assert_eq!((log.list("deploy").0, log.list("").0), (7, 9));
        assert_eq!(log.list("never"), (1, Vec::new()));
    }
}
