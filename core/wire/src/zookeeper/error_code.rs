//! Error codes of reply headers.

use std::fmt;

use coord_state::Rejection;

macro_rules! error_codes {
    ($($(#[$meta:meta])* $name:ident = $code:literal;)*) => {
        /// Why a request failed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ErrorCode {
            $($(#[$meta])* $name,)*
            /// A code this library does not know; never one of the others.
            Unknown(i32),
        }

        impl ErrorCode {
            /// All known ones.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The error with this code.
            pub fn from_code(code: i32) -> Self {
                match code {
                    $($code => Self::$name,)*
                    other => Self::Unknown(other),
                }
            }

            /// Its code on the wire.
            pub fn code(self) -> i32 {
                match self {
                    $(Self::$name => $code,)*
                    Self::Unknown(code) => code,
                }
            }

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                    Self::Unknown(_) => "Unknown",
                }
            }
        }
    };
}

error_codes! {
    /// No error.
    Ok = 0;
    /// Marks a range; not sent.
    SystemError = -1;
    /// An operation of a failed multi after the one that failed it.
    RuntimeInconsistency = -2;
    /// Not sent.
    DataInconsistency = -3;
    /// Made by clients: the connection broke, the outcome is unknown.
    ConnectionLoss = -4;
    /// The request could not be decoded.
    MarshallingError = -5;
    /// Unknown or forbidden operation.
    Unimplemented = -6;
    /// Not sent.
    OperationTimeout = -7;
    /// Invalid path, flags or other argument.
    BadArguments = -8;
    /// Made by clients: the handle is closed.
    InvalidState = -9;
    /// Not sent.
    UnknownSession = -12;
    /// No connected quorum of the new members.
    NewConfigNoQuorum = -13;
    /// Another change of members is not finished.
    ReconfigInProgress = -14;
    /// Made by clients.
    SslConnectionError = -15;
    /// Marks a range; not sent.
    ApiError = -100;
    /// No such znode.
    NoNode = -101;
    /// The access list forbids it.
    NoAuth = -102;
    /// Another version than the expected one.
    BadVersion = -103;
    /// Ephemerals have no children.
    NoChildrenForEphemerals = -108;
    /// The znode is there already.
    NodeExists = -110;
    /// The znode has children.
    NotEmpty = -111;
    /// The session ended.
    SessionExpired = -112;
    /// Made by clients.
    InvalidCallback = -113;
    /// The access list is empty or names somebody impossible.
    InvalidAcl = -114;
    /// The identity was not proven.
    AuthFailed = -115;
    /// Made by clients.
    Closing = -116;
    /// Made by clients.
    Nothing = -117;
    /// The session belongs to another connection; the server closes instead of sending it.
    SessionMoved = -118;
    /// A write to a read-only server.
    NotReadOnly = -119;
    /// An ephemeral of a local session.
    EphemeralOnLocalSession = -120;
    /// No such watch.
    NoWatcher = -121;
    /// Made by clients.
    RequestTimeout = -122;
    /// Changes of members are switched off.
    ReconfigDisabled = -123;
    /// The connection must prove an identity first.
    SessionClosedRequireSaslAuth = -124;
    /// A hard quota would be exceeded.
    QuotaExceeded = -125;
    /// The request waited too long and was not executed.
    ThrottledOp = -127;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.name(), self.code())
    }
}

impl std::error::Error for ErrorCode {}

/// What ZooKeeper calls a refusal.
impl From<&Rejection> for ErrorCode {
    fn from(rejection: &Rejection) -> Self {
        match rejection {
            Rejection::BadArguments(_) => Self::BadArguments,
            Rejection::Unimplemented => Self::Unimplemented,
            Rejection::NoNode => Self::NoNode,
            Rejection::NoAuth => Self::NoAuth,
            Rejection::BadVersion => Self::BadVersion,
            Rejection::NoChildrenForEphemerals => Self::NoChildrenForEphemerals,
            Rejection::NodeExists => Self::NodeExists,
            Rejection::NotEmpty => Self::NotEmpty,
            Rejection::SessionExpired => Self::SessionExpired,
            Rejection::SessionMoved => Self::SessionMoved,
            Rejection::InvalidAcl => Self::InvalidAcl,
            Rejection::QuotaExceeded => Self::QuotaExceeded,
            Rejection::MultiFailed { cause, .. } => Self::from(&**cause),
            // No ZooKeeper request is refused so; it would be a fault of ours.
            Rejection::Consul(_) | Rejection::Archive(_) => Self::SystemError,
        }
    }
}
