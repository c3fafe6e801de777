//! What a server without a service mesh answers: nothing is connected, nothing
//! is forbidden, nothing is configured.

use coord_state::event::Topic;
use hyper::Method;
use serde_json::{Map, Value, json};

use super::Front;
use super::answer::{Answer, Meta};
use super::call::Call;
use super::error_map::HttpError;

const NO_CONNECT: &str = "Connect must be enabled in order to use this endpoint";

/// Certificates and discovery chains. The headers are those Consul sends with
/// an error raised this late.
pub(super) fn connect_disabled() -> Answer {
    let meta = Meta { index: Some(1), known_leader: false, last_contact_ms: 0, consistency: None };
    Answer::from(HttpError::internal(NO_CONNECT)).with_meta(meta)
}

impl Front {
    /// Lists that are always empty: peerings, exported and imported services. Who
    /// waits for a change waits its whole time, and does not ask in a loop.
    pub(super) async fn empty_list(&self, call: Call) -> Result<Answer, HttpError> {
        self.nothing(&call, "[]").await
    }

    /// JSON that never changes, for those who may wait for a change of it.
    pub(super) async fn nothing(&self, call: &Call, json: &str) -> Result<Answer, HttpError> {
        let options = self.read_options(call)?;
        let never = vec![Topic::Restoration];
        let (mut meta, ()) = self.blocking(&options, never, |_| 1, |_| ()).await?;
        meta.consistency = Some(options.consistency());
        let pretty = if call.pretty() { "\n" } else { "" };
        Ok(Answer::json_bytes(format!("{json}{pretty}").into_bytes()).with_meta(meta))
    }

    /// Intentions: there is none, so everything is allowed.
    pub(super) async fn intentions(&self, call: Call) -> Result<Answer, HttpError> {
        if call.method != Method::GET {
            return Err(HttpError::internal(NO_CONNECT));
        }
        let missing = |name: &str| {
            HttpError::bad_request(format!("required query parameter '{name}' not set"))
        };
        match call.name().as_str() {
            "" => self.empty_list(call).await,
            "match" => {
                if !matches!(call.params.get("by"), Some("source" | "destination")) {
                    return Err(HttpError::bad_request(
                        "'by' parameter must be one of 'source' or 'destination'",
                    ));
                }
                let names = call.params.all("name").map(|name| (name.to_owned(), json!([])));
                let matched: Map<String, Value> = names.collect();
                if matched.is_empty() {
                    return Err(missing("name"));
                }
                Ok(Answer::json(&matched, call.pretty()))
            }
            "check" => {
                for name in ["source", "destination"] {
                    call.params.nonempty(name).ok_or_else(|| missing(name))?;
                }
                Ok(Answer::json(&json!({"Allowed": true}), call.pretty()))
            }
            _ => Err(HttpError::not_found("Intention not found")),
        }
    }

    /// Configuration entries: none is there, and none is taken.
    pub(super) async fn config_entries(&self, call: Call) -> Result<Answer, HttpError> {
        let path = call.name();
        let (kind, name) = path.split_once('/').unwrap_or((&path, ""));
        if call.method == Method::PUT {
            return Err(HttpError::internal("config entries are not supported by this server"));
        }
        if !KINDS.contains(&kind) {
            return Err(HttpError::bad_request(format!("invalid config entry kind: {kind}")));
        }
        match (call.method == Method::DELETE, name) {
            (true, _) => Ok(Answer::json(&json!({}), call.pretty())),
            (false, "") => self.empty_list(call).await,
            (false, name) => {
                Err(HttpError::not_found(format!("Config entry not found for {kind:?} / {name:?}")))
            }
        }
    }
}

const KINDS: &[&str] = &[
    "service-defaults",
    "proxy-defaults",
    "service-router",
    "service-splitter",
    "service-resolver",
    "service-intentions",
    "ingress-gateway",
    "terminating-gateway",
    "mesh",
    "exported-services",
    "api-gateway",
    "http-route",
    "tcp-route",
    "bound-api-gateway",
    "inline-certificate",
    "file-system-certificate",
    "sameness-group",
    "control-plane-request-limit",
    "jwt-provider",
];
