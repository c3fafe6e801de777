//! Arguments that many calls have in common.

use std::time::Duration;

use super::request::{Request, go_duration};
use super::settings::Consistency;

/// The response timeout of requests that do not block.
pub const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Consul's default wait if an index is given.
const WAIT_DEFAULT: Duration = Duration::from_secs(300);

/// Options of reads. Endpoints ignore those that do not apply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Respond only once the index is higher than this one, or after `wait`.
    pub index: Option<u64>,
    /// Maximum wait; in Consul 5 minutes unless given, at most 10.
    pub wait: Option<Duration>,
    /// Instead of the client's.
    pub consistency: Option<Consistency>,
    /// Instead of the client's.
    pub datacenter: Option<String>,
    /// Instead of the client's.
    pub token: Option<String>,
    /// Sort by distance from this node, or `_agent`.
    pub near: Option<String>,
    /// Only nodes with all of these, as key and value.
    pub node_meta: Vec<(String, String)>,
    /// A filter expression.
    pub filter: Option<String>,
    /// Only instances with all of these tags.
    pub tags: Vec<String>,
    /// Only instances whose checks all pass.
    pub passing: bool,
}

/// Options of writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Instead of the client's.
    pub datacenter: Option<String>,
    /// Instead of the client's.
    pub token: Option<String>,
}

impl ReadOptions {
    /// Options to wait up to `wait` for a change after `index`.
    pub fn waiting(index: u64, wait: Duration) -> Self {
        Self { index: Some(index), wait: Some(wait), ..Self::default() }
    }

    /// The response timeout: 30 s, plus 17/16 of the wait if an index is given,
    /// which is Consul's own jitter.
    pub fn read_timeout(&self) -> Duration {
        match self.index {
            None => READ_TIMEOUT,
            Some(_) => {
                let wait = self.wait.unwrap_or(WAIT_DEFAULT);
                READ_TIMEOUT.saturating_add(wait).saturating_add(wait / 16)
            }
        }
    }

    /// Adds them to `request`, with the client's defaults.
    pub(super) fn put_on(
        &self,
        mut request: Request,
        datacenter: Option<&str>,
        consistency: Consistency,
    ) -> Request {
        request = request
            .param_if("dc", self.datacenter.as_deref().or(datacenter))
            .param_if("index", self.index.map(|index| index.to_string()))
            .param_if("wait", self.wait.map(go_duration))
            .param_if("near", self.near.as_deref())
            .param_if("filter", self.filter.as_deref())
            .flag("passing", self.passing)
            .token(self.token.as_deref())
            .read_timeout(Some(self.read_timeout()));
        match self.consistency.unwrap_or(consistency) {
            Consistency::Default => {}
            Consistency::Consistent => request = request.flag("consistent", true),
            Consistency::Stale => request = request.flag("stale", true),
        }
        for (key, value) in &self.node_meta {
            request = request.param("node-meta", format!("{key}:{value}"));
        }
        for tag in &self.tags {
            request = request.param("tag", tag);
        }
        request
    }
}

impl WriteOptions {
    pub(super) fn put_on(&self, request: Request, datacenter: Option<&str>) -> Request {
        request
            .param_if("dc", self.datacenter.as_deref().or(datacenter))
            .token(self.token.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::*;

    #[test]
    fn the_read_timeout_leaves_room_for_the_servers_spread() {
        let mut options = ReadOptions::waiting(5, Duration::from_secs(160));
        assert_eq!(options.read_timeout(), Duration::from_secs(30 + 160 + 10));
        options.index = None;
        assert_eq!(options.read_timeout(), READ_TIMEOUT);
    }

    #[test]
    fn options_override_the_clients_own() {
        let options = ReadOptions {
            datacenter: Some("dc2".to_owned()),
            tags: vec!["a".to_owned(), "b".to_owned()],
            node_meta: vec![("rack".to_owned(), "1".to_owned())],
            consistency: Some(Consistency::Default),
            ..ReadOptions::waiting(7, Duration::from_millis(1500))
        };
        let request = Request::new(Method::GET, "/v1/x");
        let request = options.put_on(request, Some("dc1"), Consistency::Stale);
        assert_eq!(
            request.target(),
            "/v1/x?dc=dc2&index=7&wait=1500ms&node-meta=rack%3A1&tag=a&tag=b"
        );
        let request = Request::new(Method::GET, "/v1/x");
        let request = ReadOptions::default().put_on(request, Some("dc1"), Consistency::Stale);
        assert_eq!(request.target(), "/v1/x?dc=dc1&stale");
    }
}
