//! Compares the member lists of two members.
//!
//! Each member has its own list, and may write a host as a short name, a long name or an address.
//! Its own entry may be `0.0.0.0` or `[::]`, since it listens on all addresses; the others know it
//! by their lists. Numbers, ports and votes have to be equal; hosts have to resolve to the same
//! address on this machine. Hosts that do not resolve are equal only if they are written alike:
//! similar lists of two clusters with the same ports must not match.

use std::net::IpAddr;
use std::time::Duration;

use coord_state::MemberId;
use tokio::net::lookup_host;

use super::first_members::FirstMembers;
use super::lifetime::timeout;
use crate::settings::is_any;

/// How long a name may take to resolve.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(1);

/// A list, and whose it is.
pub(super) type Told<'a> = (MemberId, &'a FirstMembers);

/// Compares the list of this member with that of another.
pub(super) async fn are_same(own: Told<'_>, other: Told<'_>) -> bool {
    let Some(spellings) = spelled_differently(own, other) else { return false };
    for (one, other) in spellings {
        if !are_one_host(one, other).await {
            return false;
        }
    }
    true
}

/// The places that have to be resolved to tell; `None` if the lists differ whatever they are.
fn spelled_differently<'a>(
    (me, own): Told<'a>,
    (them, named): Told<'a>,
) -> Option<Vec<(&'a str, &'a str)>> {
    if own.observers != named.observers || !own.addresses.keys().eq(named.addresses.keys()) {
        return None;
    }
    let mut spellings = Vec::new();
    for ((member, one), other) in own.addresses.iter().zip(named.addresses.values()) {
        if one == other {
            continue;
        }
        let ((_, port), (_, other_port)) = (one.rsplit_once(':')?, other.rsplit_once(':')?);
        if port != other_port {
            return None;
        }
        let own_entry = (*member == me && is_any(one)) || (*member == them && is_any(other));
        if !own_entry {
            spellings.push((one.as_str(), other.as_str()));
        }
    }
    Some(spellings)
}

async fn are_one_host(one: &str, other: &str) -> bool {
    let (one, other) = tokio::join!(addresses_of(one), addresses_of(other));
    one.iter().any(|address| other.contains(address))
}

async fn addresses_of(place: &str) -> Vec<IpAddr> {
    match timeout(RESOLVE_TIMEOUT, lookup_host(place)).await {
        Some(Ok(found)) => found.map(|address| address.ip().to_canonical()).collect(),
        Some(Err(_)) | None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(addresses: &[&str]) -> FirstMembers {
        let numbered = (1..).map(MemberId).zip(addresses.iter().map(ToString::to_string));
        FirstMembers { addresses: numbered.collect(), ..FirstMembers::default() }
    }

    /// What member 1 thinks of the list of member 2.
    fn same(own: &[&str], named: &[&str]) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (own, named) = (list(own), list(named));
        runtime.block_on(are_same((MemberId(1), &own), (MemberId(2), &named)))
    }

    #[test]
    fn one_host_may_be_spelled_in_several_ways() {
        let own = ["localhost:1", "127.0.0.1:2", "no such name:3"];
        assert!(same(&own, &own));
        assert!(same(&own, &["127.0.0.1:1", "localhost:2", "no such name:3"]));
        assert!(same(&["[::1]:1"], &["[0:0::1]:1"]));
        assert!(same(&["[::ffff:127.0.0.1]:1"], &["127.0.0.1:1"]));
    }

    #[test]
    fn in_its_own_entry_a_member_may_be_at_every_address() {
        let (own, named) = (["0.0.0.0:1", "b:2", "c:3"], ["a:1", "[::]:2", "c:3"]);
        assert!(same(&own, &named));
        // Of another one that says nothing.
        assert!(!same(&["a:1", "b:2", "0.0.0.0:3"], &["a:1", "b:2", "c:3"]));
    }

    #[test]
    fn other_members_ports_or_votes_make_another_cluster() {
        let own = ["127.0.0.1:1", "127.0.0.1:2"];
        for named in [
            &["127.0.0.1:1"][..],
            &["127.0.0.1:1", "127.0.0.1:3"],
            &["0.0.0.0:7", "127.0.0.1:2"],
            &["127.0.0.2:1", "127.0.0.1:2"],
            &["no such name:1", "127.0.0.1:2"],
            &["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"],
        ] {
            assert!(!same(&own, named), "{named:?}");
        }
        let (own, mut named) = (list(&own), list(&own));
        named.observers.insert(MemberId(2));
        assert_eq!(spelled_differently((MemberId(1), &own), (MemberId(2), &named)), None);
    }
}
