//! Rejections of Consul commands. The texts are Consul's own: clients match on
//! them.

use alloc::boxed::Box;

use crate::consul::{
    CONFIG_BYTES_MAX, CONFIG_ENTRIES_MAX, DEPENDENCIES_MAX, DEPENDENCY_BYTES_MAX, EDGES_MAX,
    INTENTIONS_MAX, IntentionId, QueryId,
};

/// What the tags of one service may take together, 8 bytes for each added: every
/// check of the service has a copy of them.
pub const SERVICE_TAGS_BYTES_MAX: usize = 64 << 10;

/// Checks of one service, and checks of one node itself: those of a node are
/// told with each of its services.
pub const CHECKS_MAX: usize = 256;

impl ConsulRejection {
    /// Whether a service is refused for what it depends on.
    pub fn is_about_dependencies(&self) -> bool {
        matches!(
            self,
            Self::DependencyCycle(_)
                | Self::TooManyDependencies
                | Self::BadDependency
                | Self::TooManyEdges
        )
    }
}

/// A refused Consul command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConsulRejection {
    /// A lock for a session that is not live.
    #[error("invalid session \"{0}\"")]
    InvalidSession(Box<str>),
    /// A session on an unknown node, or a check on one.
    #[error("Missing node registration")]
    MissingNode,
    /// A session that depends on an unknown check.
    #[error("Missing check '{0}' registration")]
    MissingCheck(Box<str>),
    /// A session that depends on a critical check.
    #[error("Check '{0}' is in critical state")]
    CriticalCheck(Box<str>),
    /// A check of a service that is not there.
    #[error("failed inserting check: Missing service registration on node \"{0}\"")]
    MissingService(Box<str>),
    /// As [`Self::MissingService`], where no registration is around the check.
    #[error("Missing service registration on node \"{0}\"")]
    NoSuchService(Box<str>),
    /// A registration without a node.
    #[error("Must provide node")]
    NodeNameRequired,
    /// A registration that would make a node without address.
    #[error("Must provide address if SkipNodeUpdate is not set")]
    AddressRequired,
    /// A service without a name.
    #[error("Must provide service name with ID")]
    ServiceNameRequired,
    /// A service with longer tags than it may have.
    #[error("the tags of a service may have at most {SERVICE_TAGS_BYTES_MAX} bytes in total")]
    TagsTooLong,
    /// A check too many, of a service or of a node itself.
    #[error("\"{0}\" already has the maximum of {CHECKS_MAX} checks")]
    TooManyChecks(Box<str>),
    /// The name or id belongs to another live node.
    #[error("Node name {name} is reserved by node {holder_id} with name {holder} ({address})")]
    NodeNameReserved {
        /// The name asked for.
        name: Box<str>,
        /// The holder's UUID.
        holder_id: Box<str>,
        /// The holder's name.
        holder: Box<str>,
        /// The holder's address.
        address: Box<str>,
    },
    /// A session with that id is there already.
    #[error("session id is in use")]
    SessionExists,
    /// A prepared query with the name of another.
    #[error("name '{0}' aliases an existing query name")]
    QueryNameTaken(Box<str>),
    /// A change of a prepared query that is not there.
    #[error("Cannot modify non-existent prepared query: '{0}'")]
    NoSuchQuery(QueryId),
    /// A service that would depend on itself by way of others: they are named
    /// in order.
    #[error("dependency cycle: {0}")]
    DependencyCycle(Box<str>),
    /// A service with more dependencies than it may have.
    #[error("a service may depend on at most {DEPENDENCIES_MAX} others")]
    TooManyDependencies,
    /// A dependency whose name or tag is none.
    #[error(
        "the name of a dependency must have 1 to {DEPENDENCY_BYTES_MAX} bytes, its tag at most \
         as many"
    )]
    BadDependency,
    /// More dependencies in the whole catalog than there may be.
    #[error("the catalog already has the maximum of {EDGES_MAX} dependencies between services")]
    TooManyEdges,
    /// A config entry too many.
    #[error(
        "too many config entries: at most {CONFIG_ENTRIES_MAX}, with {CONFIG_BYTES_MAX} bytes in \
         total: delete some"
    )]
    TooManyConfigEntries,
    /// An intention too many.
    #[error("too many intentions: at most {INTENTIONS_MAX}: delete some")]
    TooManyIntentions,
    /// An intention about two services that have one.
    #[error("duplicate intention found: {from} => {destination} (ID: {id})")]
    IntentionExists {
        /// Who may connect.
        from: Box<str>,
        /// To whom.
        destination: Box<str>,
        /// The one there is.
        id: IntentionId,
    },
    /// A change of an intention that is not there.
    #[error("Cannot {verb} non-existent intention: '{id}'")]
    NoSuchIntention {
        /// What was to be done with it.
        verb: &'static str,
        /// The one asked for.
        id: IntentionId,
    },
}
