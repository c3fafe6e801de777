//! Commands: the content of the log.

use alloc::vec::Vec;

use crate::archive::ArchiveCommand;
use crate::codec::{CodecError, Decode, Encode, Input};
use crate::consul::ConsulCommand;
use crate::machine::ClusterIdentity;
use crate::session::SessionCommand;
use crate::znode::ZnodeCommand;

/// A decision every member takes alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The first leader founds the cluster; later ones change nothing.
    InitCluster(ClusterIdentity),
    /// ZooKeeper sessions.
    Session(SessionCommand),
    /// Znodes.
    Znode(ZnodeCommand),
    /// Keys, catalog, Consul sessions.
    Consul(ConsulCommand),
    /// Restoring an archive.
    Archive(ArchiveCommand),
}

impl Encode for Command {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::InitCluster(cluster_identity) => {
                out.push(0);
                cluster_identity.encode(out);
            }
            Self::Session(command) => {
                out.push(1);
                command.encode(out);
            }
            Self::Znode(command) => {
                out.push(2);
                command.encode(out);
            }
            Self::Consul(command) => {
                out.push(3);
                command.encode(out);
            }
            Self::Archive(command) => {
                out.push(16);
                command.encode(out);
            }
        }
    }
}

impl Decode for Command {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        Ok(match u8::decode(input)? {
            0 => Self::InitCluster(Decode::decode(input)?),
            1 => Self::Session(Decode::decode(input)?),
            2 => Self::Znode(Decode::decode(input)?),
            3 => Self::Consul(Decode::decode(input)?),
            16 => Self::Archive(Decode::decode(input)?),
            tag => return Err(CodecError::UnknownTag { what: "command", tag: tag.into() }),
        })
    }
}
