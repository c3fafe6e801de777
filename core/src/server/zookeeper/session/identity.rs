//! The authenticated identities of a connection.

use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use coord_state::znode::{ANY_SASL, Identity};

/// The identity every connection has from where it comes.
pub(crate) fn of_peer(client: SocketAddr) -> Identity {
    Identity { scheme: "ip".into(), id: address_text(client.ip()).into() }
}

/// The identity an auth packet proves; `None` if it proves none.
pub(super) fn prove(scheme: &str, proof: Option<&[u8]>, client: SocketAddr) -> Option<Identity> {
    match scheme {
        "digest" => proof.map(digest),
        "ip" => Some(of_peer(client)),
        _ => None,
    }
}

/// What everybody is where access lists are not checked.
pub(crate) fn unchecked() -> Identity {
    Identity { scheme: "super".into(), id: UNCHECKED.into() }
}

/// Whether `whoAmI` tells it: what nobody has proven is not told.
pub(crate) fn is_proven(identity: &Identity) -> bool {
    match &*identity.scheme {
        "super" => &*identity.id != UNCHECKED,
        scheme => scheme != ANY_SASL,
    }
}

const UNCHECKED: &str = "unchecked";

/// The name `whoAmI` tells: never the hash of a password.
pub(crate) fn user(identity: &Identity) -> &str {
    match &*identity.scheme {
        "digest" => identity.id.split(':').next().unwrap_or_default(),
        _ => &identity.id,
    }
}

/// A digest identity without its hash, for those who may not see it.
pub(crate) fn masked(identity: &Identity) -> Identity {
    let id = match identity.id.split_once(':') {
        Some((user, _)) if &*identity.scheme == "digest" => format!("{user}:x").into(),
        _ => identity.id.clone(),
    };
    Identity { scheme: identity.scheme.clone(), id }
}

/// `user:password` becomes `user:base64(sha1(user:password))`. Text without a
/// colon is accepted and hashed whole.
fn digest(proof: &[u8]) -> Identity {
    let hash = STANDARD.encode(sha1_smol::Sha1::from(proof).digest().bytes());
    let text = String::from_utf8_lossy(proof);
    let user = text.split(':').next().unwrap_or_default();
    Identity { scheme: "digest".into(), id: format!("{user}:{hash}").into() }
}

/// As Java writes it: no `::` in an IPv6 address.
pub(crate) fn address_text(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => v6.segments().map(|segment| format!("{segment:x}")).join(":"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

    fn proven(scheme: &str, proof: &str) -> Option<String> {
        prove(scheme, Some(proof.as_bytes()), PEER).map(|identity| identity.id.into())
    }

    #[test]
    fn a_digest_identity_is_the_user_and_a_hash_of_both() {
        assert_eq!(proven("digest", "super:pw").unwrap(), "super:0bX78nEegDzJM3ju0iLBEJdWzjg=");
        assert_eq!(proven("digest", "bob:pw").unwrap(), "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=");
        assert_eq!(proven("digest", "u:p").unwrap(), "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=");
    }

    #[test]
    fn only_digest_and_ip_can_be_proven() {
        assert_eq!(proven("ip", "").unwrap(), "127.0.0.1");
        for scheme in ["world", "auth", "sasl", "super", "nope", ""] {
            assert_eq!(proven(scheme, "x:y"), None);
        }
        assert_eq!(prove("digest", None, PEER), None);
    }

    #[test]
    fn addresses_are_written_as_java_does() {
        let text = |text: &str| address_text(text.parse().unwrap());
        assert_eq!(text("::1"), "0:0:0:0:0:0:0:1");
        assert_eq!(text("::ffff:10.0.0.7"), "10.0.0.7");
        assert_eq!(text("fe80::a"), "fe80:0:0:0:0:0:0:a");
    }

    #[test]
    fn masking_hides_everything_behind_the_user() {
        let digest = Identity { scheme: "digest".into(), id: "bob:hash=".into() };
        assert_eq!(&*masked(&digest).id, "bob:x");
        assert_eq!(user(&digest), "bob");
        let ip = Identity { scheme: "ip".into(), id: "0:0:0:0:0:0:0:1".into() };
        assert_eq!(masked(&ip), ip);
        assert_eq!(user(&ip), "0:0:0:0:0:0:0:1");
    }
}
