use std::collections::{BTreeMap, BTreeSet};

use hyper::Method;

use super::*;
use crate::server::consul::http::params::Params;

/// The endpoints that docs/COMPATIBILITY.md lists, each with the remark on it.
fn documented() -> Vec<(String, String)> {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/COMPATIBILITY.md"));
    let (_, section) = text.split_once("## Consul: endpoints").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `/"));
    rows.map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        (cells[1].to_owned(), cells[3].to_owned())
    })
    .collect()
}

/// The rows of the table that the first cell of a documented row means: whole paths in backticks,
/// and behind one of them names that take the place of its end.
fn meant(cell: &str) -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut whole = String::new();
    let names = cell.split('`').skip(1).step_by(2);
    names
        .map(|name| {
            let candidates: Vec<String> = if name.starts_with('/') {
                whole = name.to_owned();
                vec![whole.clone()]
            } else {
                let slashes = whole.match_indices('/').skip(1);
                slashes.map(|(slash, _)| format!("{}{name}", &whole[..=slash])).collect()
            };
            let found = candidates.iter().flat_map(|path| rows_at(path)).collect();
            (name.to_owned(), found)
        })
        .collect()
}

fn rows_at(documented: &str) -> Vec<&'static str> {
    let bare = |path: &str| path.strip_suffix('/').unwrap_or(path).to_owned();
    let paths = ROUTES.iter().map(|route| route.path);
    match documented.strip_suffix('…') {
        Some(beginning) => {
            paths.filter(|path| format!("{}/", bare(path)).starts_with(beginning)).collect()
        }
        None => {
            let path = documented.trim_end_matches(|letter: char| letter.is_ascii_uppercase());
            paths.filter(|row| bare(row) == bare(path)).collect()
        }
    }
}

#[test]
fn every_row_is_found_by_its_own_path() {
    for route in ROUTES {
        assert_eq!(found(route.path), Some((route.path, &b""[..])));
        if route.path.ends_with('/') && route.path != "/" {
            let below = format!("{}x/y", route.path);
            assert_eq!(found(&below), Some((route.path, &b"x/y"[..])));
        }
    }
}

#[test]
fn no_two_rows_have_one_path() {
    let mut seen = BTreeSet::new();
    for route in ROUTES {
        assert!(seen.insert(route.path), "{} is there twice", route.path);
    }
}

#[test]
fn what_blocks_and_what_is_asked_of_a_peer_can_be_read() {
    let waits = Params::parse("index=1&hash=x").unwrap();
    for route in ROUTES {
        let reads = route.methods.contains(&GET);
        assert!(reads || !route.may_wait(&Method::GET, &waits), "{} blocks", route.path);
        assert!(reads || route.of_a_peer.is_none(), "{} answers of a peer", route.path);
        assert!(reads || !route.is_cacheable, "{} is cached", route.path);
        assert!(!route.may_wait(&Method::PUT, &waits), "{} blocks a change", route.path);
    }
}

#[test]
fn who_waits_says_what_for() {
    let waits = |path: &str, query: &str| {
        let matched = find(path.as_bytes()).unwrap();
        matched.route.may_wait(&Method::GET, &Params::parse(query).unwrap())
    };
    assert!(waits("/v1/kv/a", "index=7"));
    assert!(waits("/v1/kv/a", "wait=9s&%69ndex=7"));
    assert!(!waits("/v1/kv/a", "wait=9s"));
    assert!(!waits("/v1/kv/a", "hash=7"));
    assert!(!waits("/v1/kv/a", "not-index=7"));
    assert!(waits("/v1/agent/service/web", "hash=7"));
    assert!(!waits("/v1/agent/service/web", "index=7"));
    assert!(!waits("/v1/agent/monitor", "index=7"));
}

#[test]
fn each_method_is_listed_once_and_is_one_that_is_known() {
    for route in ROUTES {
        let once: BTreeSet<_> = route.methods.iter().copied().collect();
        assert_eq!(once.len(), route.methods.len(), "{}", route.path);
        assert!(!once.is_empty(), "{}", route.path);
        let known = BTreeSet::from([DELETE, GET, POST, PUT]);
        assert!(once.is_subset(&known), "{}", route.path);
    }
}

/// An endpoint that is forgotten here would be open to everybody.
#[test]
fn only_these_need_no_permission() {
    let open = ROUTES
        .iter()
        .filter(|route| route.methods.iter().any(|method| route.needs(method).is_empty()));
    let open: Vec<_> = open.map(|route| route.path).collect();
    let intended = [
        "/v1/catalog/datacenters",
        "/v1/agent/connect/ca/roots",
        "/v1/status/leader",
        "/v1/status/peers",
        "/v1/coordinate/datacenters",
        "/v1/connect/ca/roots",
        "/v1/internal/acl/authorize",
        "/",
        "/ui/",
    ];
    assert_eq!(open, intended);
}

#[test]
fn what_a_member_tells_of_itself_is_not_forwarded() {
    for route in ROUTES {
        let own = route.path.starts_with("/v1/agent/") || !route.path.starts_with("/v1/");
        assert!(!own || !route.is_forwarded(), "{}", route.path);
    }
    assert!(find(b"/v1/kv/a").unwrap().route.is_forwarded());
}

#[test]
fn every_row_is_documented_and_what_is_documented_is_there() {
    let mut undocumented: BTreeSet<_> = ROUTES.iter().map(|route| route.path).collect();
    for (cell, remark) in documented() {
        let is_absent = remark.starts_with("404");
        for (name, rows) in meant(&cell) {
            assert_eq!(rows.is_empty(), is_absent, "`{name}` in {cell}");
            undocumented.retain(|path| !rows.contains(path));
        }
    }
    assert!(undocumented.is_empty(), "docs/COMPATIBILITY.md does not tell of {undocumented:?}");
}

fn found(path: &str) -> Option<(&'static str, &[u8])> {
    find(path.as_bytes()).map(|matched| (matched.route.path, matched.tail))
}

#[test]
fn exact_paths_win_over_prefixes_and_long_prefixes_over_short_ones() {
    let exact = "/v1/agent/service/register";
    assert_eq!(found(exact), Some((exact, &b""[..])));
    assert_eq!(found("/v1/agent/service/web"), Some(("/v1/agent/service/", &b"web"[..])));
    assert_eq!(
        found("/v1/agent/service/deregister/a/b"),
        Some(("/v1/agent/service/deregister/", &b"a/b"[..]))
    );
}

#[test]
fn keys_are_taken_verbatim() {
    assert_eq!(found("/v1/kv/a//b/../c/"), Some(("/v1/kv/", &b"a//b/../c/"[..])));
    assert_eq!(found("/v1/kv/"), Some(("/v1/kv/", &b""[..])));
}

#[test]
fn unknown_paths_have_no_row() {
    assert_eq!(found("/v1/nope"), None);
    assert_eq!(found("/v1/txn/x"), None);
    assert_eq!(found("/nope"), None);
}

#[test]
fn a_folder_without_its_slash_is_known_and_the_root_is_none() {
    assert_eq!(folder(b"/v1/kv").map(|route| route.path), Some("/v1/kv/"));
    assert!(folder(b"").is_none());
    assert!(folder(b"/v1/txn").is_none());
}

#[test]
fn of_a_peer_nothing_is_told_and_keys_do_not_know_any() {
    let nothing = |path: &str| find(path.as_bytes()).unwrap().route.of_a_peer;
    assert_eq!(nothing("/v1/health/service/web"), Some("[]"));
    assert_eq!(nothing("/v1/catalog/services"), Some("{}"));
    assert_eq!(nothing("/v1/kv/a"), None);
}

#[test]
fn allow_lists_options_first_and_the_rest_as_registered() {
    let matched = find(b"/v1/kv/x").unwrap();
    assert_eq!(matched.route.allow(), "OPTIONS,GET,PUT,DELETE");
}
