//! Redirects paths that are not clean, as Go's `net/http` does.
//!
//! Consul redirects `/v1//catalog/nodes` and `/v1/x/../catalog/nodes` to the
//! clean path. Keys and the ids of an agent's services and checks are used
//! verbatim instead: a client that follows such a redirect of a PUT sends a
//! GET, and the write would be lost.

use coord_wire::percent;

/// Paths below these are never cleaned.
const VERBATIM: [&[u8]; 3] = [b"/v1/kv/", b"/v1/agent/service/", b"/v1/agent/check/"];

/// Where a decoded path is redirected to, if it is not clean.
pub(crate) fn redirect(path: &[u8]) -> Option<Vec<u8>> {
    if VERBATIM.iter().any(|folder| path.starts_with(folder)) {
        return None;
    }
    let clean = clean(path);
    (clean != path).then_some(clean)
}

fn clean(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut clean = vec![b'/'];
    clean.extend_from_slice(&parts.join(&b'/'));
    // What stood for a folder still does.
    if path.ends_with(b"/") && clean.len() > 1 {
        clean.push(b'/');
    }
    clean
}

/// A path as it stands in a `Location` header.
pub(crate) fn escaped(path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len());
    percent::encode_into(&mut out, path, |byte| {
        percent::is_unreserved(byte) || b"/$&+,:;=@".contains(&byte)
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_clean_is_redirected_and_keys_and_ids_never_are() {
        let to = |path: &str| redirect(path.as_bytes()).map(|to| escaped(&to));
        assert_eq!(to("/v1/catalog/nodes"), None);
        assert_eq!(to("/v1/catalog/node/"), None);
        assert_eq!(to("/"), None);
        assert_eq!(to("//v1//catalog/./nodes"), Some("/v1/catalog/nodes".into()));
        assert_eq!(to("/v1/x/../catalog/node/a b/"), Some("/v1/catalog/node/a%20b/".into()));
        assert_eq!(to("/../.."), Some("/".into()));
        assert_eq!(to("/v1/kv/a//b/../c"), None);
        assert_eq!(to("/v1/agent/service/deregister/http://h:80"), None);
    }
}
