//! Errors of the agent.

use crate::error::Error;

/// A refused request to the agent. The texts are Consul's.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The request is wrong.
    #[error("{0}")]
    Invalid(String),
    /// It names something that is not here.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be done.
    #[error("{0}")]
    Impossible(String),
    /// The member could not do it.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl AgentError {
    /// There is no service of that id here.
    pub(super) fn unknown_service(id: &str) -> Self {
        Self::NotFound(format!(
            "Unknown service ID {id:?}. Ensure that the service ID is passed, not the service name."
        ))
    }
}
