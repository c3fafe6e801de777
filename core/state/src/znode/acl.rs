//! ACLs: permissions on znodes.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::borrow::Borrow;

use crate::codec::{
    CodecError, Decode, Encode, Input, decode_items, decode_text, decode_varint, encode_items,
    encode_text, encode_varint,
};
use crate::rejection::Rejection;
use crate::znode::scheme;

/// Permission bits of an [`Ace`].
pub mod permission {
    /// Read data, list children.
    pub const READ: u32 = 1;
    /// Set data.
    pub const WRITE: u32 = 2;
    /// Create children.
    pub const CREATE: u32 = 4;
    /// Delete children.
    pub const DELETE: u32 = 8;
    /// Set the access list.
    pub const ADMIN: u32 = 16;
    /// All of them.
    pub const ALL: u32 = 31;
}

/// Who somebody is, under one scheme.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// `world`, `auth`, `digest`, `ip`, `x509`, `sasl`, `super`.
    pub scheme: Box<str>,
    /// Meaning depends on the scheme.
    pub id: Box<str>,
}

/// One entry of an access list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ace {
    /// Bits of [`permission`]; others are kept as they are.
    pub perms: u32,
    /// To whom.
    pub identity: Identity,
}

/// An access list, shared by all znodes that have the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acl(pub Arc<[Ace]>);

impl Ace {
    /// Whether ZooKeeper would store this entry as it stands: its scheme is
    /// known and its id makes sense there. `auth` stands for others and is not.
    pub fn is_valid(&self) -> bool {
        scheme::is_valid(&self.identity)
    }

    fn world(perms: u32) -> Self {
        Self { perms, identity: Identity { scheme: "world".into(), id: "anyone".into() } }
    }
}

impl Identity {
    /// How long it is, in bytes.
    pub fn bytes(&self) -> usize {
        self.scheme.len() + self.id.len()
    }
}

impl Acl {
    /// Everything to everybody.
    pub fn open() -> Self {
        Self(Arc::new([Ace::world(permission::ALL)]))
    }

    /// Reading to everybody, nothing else to anybody.
    pub fn read_only() -> Self {
        Self(Arc::new([Ace::world(permission::READ)]))
    }

    /// Whether somebody with these proven identities has any of `perms`.
    ///
    /// An empty list allows everything, and `super` may do everything.
    pub fn allows(&self, perms: u32, identities: &[Identity]) -> bool {
        self.0.is_empty()
            || self
                .0
                .iter()
                .any(|ace| ace.perms & perms != 0 && scheme::matches(&ace.identity, identities))
            || identities.iter().any(|identity| &*identity.scheme == "super")
    }
}

/// The list that is stored when somebody with these identities asks for `list`:
/// duplicates dropped, `auth` replaced by what the asker has proven to be.
///
/// # Errors
/// `InvalidAcl` if nothing is asked for, an entry is not valid, or `auth`
/// stands for nobody.
pub(super) fn fix_up(
    list: Option<Vec<Ace>>,
    identities: &[Identity],
) -> Result<Vec<Ace>, Rejection> {
    let list = list.filter(|list| !list.is_empty()).ok_or(Rejection::InvalidAcl)?;
    if let [ace] = &*list
        && ace.is_valid()
    {
        return Ok(list);
    }
    let mut fixed = Vec::with_capacity(list.len());
    let mut seen = BTreeSet::new();
    for ace in &list {
        if !seen.insert(ace) {
            continue;
        }
        if &*ace.identity.scheme != "auth" {
            if !ace.is_valid() {
                return Err(Rejection::InvalidAcl);
            }
            fixed.push(ace.clone());
            continue;
        }
        let before = fixed.len();
        let proven = identities.iter().filter(|identity| scheme::is_authentication(identity));
        fixed.extend(proven.map(|who| Ace { perms: ace.perms, identity: who.clone() }));
        if fixed.len() == before {
            return Err(Rejection::InvalidAcl);
        }
    }
    Ok(fixed)
}

impl Borrow<[Ace]> for Acl {
    fn borrow(&self) -> &[Ace] {
        &self.0
    }
}

/// Schemes with a short stored form; their place is the stored form.
const SCHEMES: [&str; 7] = ["world", "auth", "digest", "ip", "x509", "sasl", "super"];
const OTHER_SCHEME: u8 = 255;

impl Encode for Identity {
    fn encode(&self, out: &mut Vec<u8>) {
        match (0..).zip(SCHEMES).find(|(_, scheme)| **scheme == *self.scheme) {
            Some((code, _)) => out.push(code),
            None => {
                out.push(OTHER_SCHEME);
                encode_text(&self.scheme, out);
            }
        }
        encode_text(&self.id, out);
    }
}

impl Decode for Identity {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        let scheme = match u8::decode(input)? {
            OTHER_SCHEME => decode_text(input)?,
            code => SCHEMES
                .get(usize::from(code))
                .map(|scheme| Box::from(*scheme))
                .ok_or_else(|| CodecError::UnknownTag { what: "scheme", tag: code.into() })?,
        };
        Ok(Self { scheme, id: decode_text(input)? })
    }
}

impl Encode for Ace {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_varint(self.perms.into(), out);
        self.identity.encode(out);
    }
}

impl Decode for Ace {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        let perms = u32::try_from(decode_varint(input)?)
            .map_err(|_| CodecError::Invalid { what: "permissions" })?;
        Ok(Self { perms, identity: Decode::decode(input)? })
    }
}

const NO_LIST: u8 = 0;
const OPEN_LIST: u8 = 1;
const ANY_LIST: u8 = 2;

/// Appends a list; the open one, by far the most frequent, takes one byte.
pub(crate) fn encode_list(list: Option<&[Ace]>, out: &mut Vec<u8>) {
    match list {
        None => out.push(NO_LIST),
        Some([ace])
            if ace.perms == permission::ALL
                && &*ace.identity.scheme == "world"
                && &*ace.identity.id == "anyone" =>
        {
            out.push(OPEN_LIST);
        }
        Some(list) => {
            out.push(ANY_LIST);
            encode_items(list, out);
        }
    }
}

/// Reads what [`encode_list`] wrote.
pub(crate) fn decode_list(input: &mut Input) -> Result<Option<Vec<Ace>>, CodecError> {
    Ok(match u8::decode(input)? {
        NO_LIST => None,
        OPEN_LIST => Some(vec![Ace::world(permission::ALL)]),
        ANY_LIST => Some(decode_items(input)?),
        tag => return Err(CodecError::UnknownTag { what: "access list", tag: tag.into() }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(scheme: &str, id: &str) -> Identity {
        Identity { scheme: scheme.into(), id: id.into() }
    }

    fn acl(perms: u32, scheme: &str, id: &str) -> Acl {
        Acl(Arc::new([Ace { perms, identity: identity(scheme, id) }]))
    }

    #[test]
    fn ids_are_valid_only_in_their_schemes_form() {
        for (scheme, id, valid) in [
            ("world", "anyone", true),
            ("world", "somebody", false),
            ("auth", "", false),
            ("super", "", false),
            ("nobody", "knows", false),
            ("digest", "bob:hash=", true),
            ("digest", "bob", false),
            ("digest", "bob:", false),
            ("digest", "a:b:c", false),
            ("ip", "10.0.0.1", true),
            ("ip", "10.0.0.0/8", true),
            ("ip", "10.0.0.0/33", false),
            ("ip", "10.0.0", false),
            ("ip", "::1/128", true),
            ("ip", "0:0:0:0:0:0:0:1", true),
            ("ip", "::1/129", false),
            ("sasl", "zk/host@REALM", true),
            ("sasl", "bob", true),
            ("sasl", "a@b@c", false),
            ("x509", "CN=host,OU=a\\,b", true),
            ("x509", "host", false),
            // As Java 17's X500Principal has it.
            ("x509", "", true),
            ("x509", "cn=a;OU=b+1.2.3=#0401ff", true),
            ("x509", "OID.1.2=x,EMAILADDRESS=a@b", true),
            ("x509", "CN=\"a,b\"", true),
            ("x509", "foo=bar", false),
            ("x509", "CN=a,OU", false),
            ("x509", "CN=a,", false),
            ("x509", "=a", false),
            ("sasl-any", "bob", false),
        ] {
            let ace = Ace { perms: 1, identity: identity(scheme, id) };
            assert_eq!(ace.is_valid(), valid, "{scheme}:{id}");
        }
    }

    #[test]
    fn networks_match_by_their_bits() {
        for (granted, who, allowed) in [
            ("10.1.0.0/16", "10.1.255.3", true),
            ("10.1.0.0/16", "10.2.0.1", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("0.0.0.0/0", "255.1.1.1", true),
            ("fe80::/10", "fe80:0:0:0:0:0:0:1", true),
            ("fe80::/10", "0:0:0:0:0:0:0:1", false),
            ("0.0.0.0/0", "0:0:0:0:0:0:0:1", false),
        ] {
            let acl = acl(permission::READ, "ip", granted);
            let who = [identity("ip", who)];
            assert_eq!(acl.allows(permission::READ, &who), allowed, "{granted} {who:?}");
        }
    }

    #[test]
    fn only_granted_permissions_are_allowed_except_to_super() {
        let acl = acl(permission::READ | permission::WRITE, "digest", "bob:x");
        let bob = [identity("ip", "1.1.1.1"), identity("digest", "bob:x")];
        assert!(acl.allows(permission::WRITE, &bob));
        assert!(acl.allows(permission::READ | permission::ADMIN, &bob));
        assert!(!acl.allows(permission::ADMIN, &bob));
        assert!(!acl.allows(permission::READ, &bob[..1]));
        assert!(acl.allows(permission::ADMIN, &[identity("super", "")]));
    }

    #[test]
    fn a_name_for_every_sasl_user_means_those_who_have_proven_it_and_nobody_else() {
        let everybody = acl(permission::READ, "sasl", "everybody");
        let bob = [identity("sasl", "bob"), identity(scheme::ANY_SASL, "everybody")];
        assert!(everybody.allows(permission::READ, &bob));
        assert!(!everybody.allows(permission::READ, &bob[..1]));
        assert!(!acl(permission::READ, "digest", "everybody").allows(permission::READ, &bob));
        let auth = Ace { perms: 1, identity: identity("auth", "") };
        let fixed = fix_up(Some(vec![auth]), &bob).unwrap();
        assert_eq!(fixed, [Ace { perms: 1, identity: bob[0].clone() }]);
    }

    #[test]
    fn a_subject_and_a_sasl_user_match_letter_by_letter() {
        let host = acl(permission::READ, "x509", "CN=host,O=a");
        assert!(host.allows(permission::READ, &[identity("x509", "CN=host,O=a")]));
        assert!(!host.allows(permission::READ, &[identity("x509", "CN=host, O=a")]));
        let bob = acl(permission::READ, "sasl", "bob");
        assert!(bob.allows(permission::READ, &[identity("sasl", "bob")]));
        assert!(!bob.allows(permission::READ, &[identity("sasl", "Bob")]));
        // ZooKeeper's own: the user of this name is meant by every entry.
        assert!(bob.allows(permission::READ, &[identity("sasl", "super")]));
    }

    #[test]
    fn auth_stands_for_what_was_proven_but_not_for_the_address() {
        let asker =
            [identity("ip", "1.1.1.1"), identity("digest", "a:x"), identity("digest", "b:y")];
        let auth = || Ace { perms: 3, identity: identity("auth", "") };
        let fixed = fix_up(Some(vec![auth(), auth()]), &asker).unwrap();
        let expected = asker[1..].iter().map(|who| Ace { perms: 3, identity: who.clone() });
        assert!(fixed.into_iter().eq(expected));
        assert_eq!(fix_up(Some(vec![auth()]), &asker[..1]), Err(Rejection::InvalidAcl));
        assert_eq!(fix_up(None, &asker), Err(Rejection::InvalidAcl));
        assert_eq!(fix_up(Some(Vec::new()), &asker), Err(Rejection::InvalidAcl));
    }
}
