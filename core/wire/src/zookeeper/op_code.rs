//! Operation codes.

macro_rules! op_codes {
    ($($(#[$meta:meta])* $name:ident = $code:literal, $short:literal;)*) => {
        /// What a request asks for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum OpCode {
            $($(#[$meta])* $name,)*
        }

        impl OpCode {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The operation with this code.
            pub fn from_code(code: i32) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Its code on the wire.
            pub fn code(self) -> i32 {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// The four letters by which `cons` tells what a connection did last.
            pub fn short_name(self) -> &'static str {
                match self {
                    $(Self::$name => $short,)*
                }
            }
        }
    };
}

op_codes! {
    /// Create; answers the path.
    Create = 1, "CREA";
    /// Delete.
    Delete = 2, "DELE";
    /// Stat of a znode.
    Exists = 3, "EXIS";
    /// Data and stat.
    GetData = 4, "GETD";
    /// Set data.
    SetData = 5, "SETD";
    /// Access list and stat.
    GetAcl = 6, "GETA";
    /// Set the access list.
    SetAcl = 7, "SETA";
    /// Names of the children.
    GetChildren = 8, "GETC";
    /// Catch up with the leader.
    Sync = 9, "SYNC";
    /// Sign of life.
    Ping = 11, "PING";
    /// Names of the children and stat of the parent.
    GetChildren2 = 12, "GETC";
    /// Compare the version; only inside a multi.
    CheckVersion = 13, "CHEC";
    /// Several writes as one.
    Multi = 14, "MULT";
    /// Create; answers path and stat.
    Create2 = 15, "CREA";
    /// Change the members.
    Reconfig = 16, "RECO";
    /// Whether a watch is there.
    CheckWatches = 17, "CHKW";
    /// Remove watches.
    RemoveWatches = 18, "REMW";
    /// Create a container.
    CreateContainer = 19, "CREA";
    /// Delete a container; the server's own.
    DeleteContainer = 20, "DELE";
    /// Create with a time to live.
    CreateTtl = 21, "CREA";
    /// Several reads.
    MultiRead = 22, "MLTR";
    /// Prove an identity.
    Auth = 100, "NA";
    /// Watches of an earlier connection.
    SetWatches = 101, "SETW";
    /// One step of a SASL negotiation.
    Sasl = 102, "NA";
    /// The session's ephemerals.
    GetEphemerals = 103, "GETE";
    /// How many descendants a znode has.
    GetAllChildrenNumber = 104, "GETACN";
    /// Watches of an earlier connection, persistent ones too.
    SetWatches2 = 105, "STW2";
    /// A persistent watch.
    AddWatch = 106, "ADDW";
    /// Identities of the connection.
    WhoAmI = 107, "HOMI";
    /// Names of some of the children and stat of the parent; ClickHouse Keeper's.
    FilteredList = 500, "GETC";
    /// Fail if a znode is there; ClickHouse Keeper's.
    CheckNotExists = 501, "CHEC";
    /// Create unless it is there; answers the path; ClickHouse Keeper's.
    CreateIfNotExists = 502, "CREA";
    /// Delete a subtree; ClickHouse Keeper's.
    RemoveRecursive = 503, "DELE";
    /// Hash of a content; ours.
    GetHash = 10001, "HASH";
    /// Compare the hash; only inside a multi; ours.
    CheckHash = 10002, "CHEC";
    /// Open a session; the server's own.
    CreateSession = -10, "SESS";
    /// End the session.
    CloseSession = -11, "CLOS";
}
