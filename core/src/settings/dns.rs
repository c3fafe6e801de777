//! Settings of the DNS interface: zone, TTLs, recursors.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// The DNS interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DnsSettings {
    /// The DNS zone. Default `consul`. Consul: `domain`.
    pub domain: String,
    /// A second name of the zone, with the same answers. Default none. Consul: `alt_domain`.
    pub alt_domain: Option<String>,
    /// DNS servers to forward queries for other zones to, in order: addresses, with a port unless
    /// it is 53. Default none: such queries are refused. Consul: `recursors`.
    pub recursors: Vec<String>,
    /// Timeout for each recursor. Milliseconds, default 2000. Consul: `recursor_timeout`.
    pub recursor_timeout_ms: u32,
    /// TTL of node lookups. Seconds, default 0. Consul: `node_ttl`.
    pub node_ttl_s: u32,
    /// TTL of service lookups, by service name, by prefix (`web*`) or for all (`*`); the longest
    /// match wins. Seconds, default 0. Consul: `service_ttl`.
    pub service_ttl_s: BTreeMap<String, u32>,
    /// Whether instances with a check in the warning state are left out, too. Default no. Consul:
    /// `only_passing`.
    pub only_passing: bool,
    /// Maximum answers in a UDP response to a client without EDNS. Default 3, at most 8. Consul:
    /// `udp_answer_limit`.
    pub udp_answer_limit: usize,
    /// Maximum addresses in a response. Default 0: as many as fit. Consul: `a_record_limit`.
    pub a_record_limit: usize,
    /// Whether a truncated response has the TC flag, so that clients retry over TCP. Default yes;
    /// Consul's default is no. Consul: `enable_truncate`.
    pub enable_truncate: bool,
    /// Whether node lookups include the node metadata as TXT records. Default yes. Consul:
    /// `enable_additional_node_meta_txt`.
    pub node_meta_txt: bool,
    /// Refresh interval in the SOA record. Seconds, default 3600. Consul: `soa.refresh`.
    pub soa_refresh_s: u32,
    /// Retry interval in the SOA record. Seconds, default 600. Consul: `soa.retry`.
    pub soa_retry_s: u32,
    /// Expiry in the SOA record. Seconds, default 86400. Consul: `soa.expire`.
    pub soa_expire_s: u32,
    /// TTL of negative answers, in the SOA record. Seconds, default 0. Consul: `soa.min_ttl`.
    pub soa_min_ttl_s: u32,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self {
            domain: "consul".to_owned(),
            alt_domain: None,
            recursors: Vec::new(),
            recursor_timeout_ms: 2000,
            node_ttl_s: 0,
            service_ttl_s: BTreeMap::new(),
            only_passing: false,
            udp_answer_limit: 3,
            a_record_limit: 0,
            enable_truncate: true,
            node_meta_txt: true,
            soa_refresh_s: 3600,
            soa_retry_s: 600,
            soa_expire_s: 86_400,
            soa_min_ttl_s: 0,
        }
    }
}

/// The default port of recursors.
const PORT: u16 = 53;

/// What Consul allows for `udp_answer_limit`.
const ANSWERS_MAX: usize = 8;

impl DnsSettings {
    /// The recursors. Invalid addresses are left out; [`Self::complain`] has reported them.
    pub fn recursor_addresses(&self) -> Vec<SocketAddr> {
        self.recursors.iter().filter_map(|text| recursor(text)).collect()
    }

    pub(super) fn complain(&self, problems: &mut Vec<String>) {
        for text in &self.recursors {
            if recursor(text).is_none() {
                problems
                    .push(format!("dns.recursors contains '{text}', which is not ADDRESS[:PORT]"));
            }
        }
        if self.recursor_timeout_ms == 0 {
            problems.push("dns.recursor_timeout_ms must be above 0".to_owned());
        }
        if !(1..=ANSWERS_MAX).contains(&self.udp_answer_limit) {
            problems.push(format!(
                "dns.udp_answer_limit is {}, but must be 1 to {ANSWERS_MAX}",
                self.udp_answer_limit
            ));
        }
    }
}

fn recursor(text: &str) -> Option<SocketAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    text.parse().ok().or_else(|| Some((bare.parse::<IpAddr>().ok()?, PORT).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recursor_is_an_address_with_or_without_a_port() {
        let recursors =
            ["192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:54", "ns.example"];
        let settings = DnsSettings {
            recursors: recursors.map(str::to_owned).into(),
            ..DnsSettings::default()
        };
        let addresses: Vec<String> =
            settings.recursor_addresses().iter().map(SocketAddr::to_string).collect();
        let wanted = ["192.0.2.1:53", "192.0.2.1:5353", "[2001:db8::1]:53", "[2001:db8::1]:54"];
        assert_eq!(addresses, wanted);
        let mut problems = Vec::new();
        settings.complain(&mut problems);
        assert_eq!(problems, ["dns.recursors contains 'ns.example', which is not ADDRESS[:PORT]"]);
    }
}
