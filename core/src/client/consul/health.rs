//! Health: checks, and services with their checks.

use super::Client;
use super::options::ReadOptions;
use super::request::Answer;
use crate::Error;

impl Client {
    /// The checks of a node.
    pub async fn health_node(&self, node: &str, options: &ReadOptions) -> Result<Answer, Error> {
        self.read(&format!("/v1/health/node/{node}"), options).await
    }

    /// The checks of a service.
    pub async fn health_checks(
        &self,
        service: &str,
        options: &ReadOptions,
    ) -> Result<Answer, Error> {
        self.read(&format!("/v1/health/checks/{service}"), options).await
    }

    /// The instances of a service with their nodes and checks; with
    /// [`ReadOptions::passing`] only the healthy ones.
    pub async fn health_service(
        &self,
        service: &str,
        options: &ReadOptions,
    ) -> Result<Answer, Error> {
        self.read(&format!("/v1/health/service/{service}"), options).await
    }

    /// The checks in a state: `any`, `passing`, `warning`, `critical`, `unknown`.
    ///
    /// # Errors
    /// `Invalid` for any other state.
    pub async fn health_state(&self, state: &str, options: &ReadOptions) -> Result<Answer, Error> {
        if !["any", "unknown", "passing", "warning", "critical"].contains(&state) {
            return Err(Error::invalid(format!(
                "{state:?} is not a check state: use any, passing, warning or critical"
            )));
        }
        self.read(&format!("/v1/health/state/{state}"), options).await
    }
}
