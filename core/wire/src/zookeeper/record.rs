//! Records inside requests and replies.

use coord_state::znode::{Ace, Identity, Stat};
use coord_state::{Revision, SessionId};

use super::Text;
use super::jute::{Reader, put_int, put_length, put_long, put_text};
use crate::DecodeError;

/// Reads a stat.
///
/// # Errors
/// [`DecodeError::Truncated`].
pub fn stat(input: &mut Reader) -> Result<Stat, DecodeError> {
    Ok(Stat {
        czxid: revision(input, "czxid")?,
        mzxid: revision(input, "mzxid")?,
        ctime: input.long("ctime")?,
        mtime: input.long("mtime")?,
        version: input.int("version")?,
        cversion: input.int("cversion")?,
        aversion: input.int("aversion")?,
        ephemeral_owner: SessionId(input.long("ephemeral owner")?),
        data_length: input.int("data length")?,
        num_children: input.int("number of children")?,
        pzxid: revision(input, "pzxid")?,
    })
}

/// Appends a stat.
pub fn put_stat(out: &mut Vec<u8>, stat: &Stat) {
    put_long(out, stat.czxid.zxid());
    put_long(out, stat.mzxid.zxid());
    put_long(out, stat.ctime);
    put_long(out, stat.mtime);
    put_int(out, stat.version);
    put_int(out, stat.cversion);
    put_int(out, stat.aversion);
    put_long(out, stat.ephemeral_owner.0);
    put_int(out, stat.data_length);
    put_int(out, stat.num_children);
    put_long(out, stat.pzxid.zxid());
}

/// Reads an access list, `None` for null. A null scheme or id is an empty one:
/// some clients write every empty text as null.
///
/// # Errors
/// [`DecodeError`] if it is not one.
pub fn acl(input: &mut Reader) -> Result<Option<Vec<Ace>>, DecodeError> {
    input.nullable_vector("access list", |input| {
        Ok(Ace {
            perms: input.int("permissions")?.cast_unsigned(),
            identity: Identity {
                scheme: input.nullable_text("scheme")?.unwrap_or_default().into(),
                id: input.nullable_text("id")?.unwrap_or_default().into(),
            },
        })
    })
}

/// Appends an access list, null for `None`.
pub fn put_acl(out: &mut Vec<u8>, acl: Option<&[Ace]>) {
    let Some(acl) = acl else { return put_int(out, -1) };
    put_length(out, acl.len());
    for ace in acl {
        put_int(out, ace.perms.cast_signed());
        put_text(out, &ace.identity.scheme);
        put_text(out, &ace.identity.id);
    }
}

/// One identity of a connection, as `whoAmI` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientInfo {
    /// How it was proven.
    pub scheme: Text,
    /// The user's name, without any proof.
    pub user: Text,
}

impl ClientInfo {
    pub(super) fn decode(input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self { scheme: input.text("scheme")?, user: input.text("user")? })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_text(out, &self.scheme);
        put_text(out, &self.user);
    }
}

fn revision(input: &mut Reader, what: &'static str) -> Result<Revision, DecodeError> {
    Ok(Revision(input.long(what)?.cast_unsigned()))
}
