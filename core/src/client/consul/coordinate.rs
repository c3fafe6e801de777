//! Network coordinates.

use super::Client;
use super::options::ReadOptions;
use super::request::Answer;
use crate::Error;

impl Client {
    /// The coordinates of the servers of every datacenter.
    pub async fn coordinate_datacenters(&self) -> Result<Answer, Error> {
        self.read("/v1/coordinate/datacenters", &ReadOptions::default()).await
    }

    /// The coordinates of all nodes.
    pub async fn coordinate_nodes(&self, options: &ReadOptions) -> Result<Answer, Error> {
        self.read("/v1/coordinate/nodes", options).await
    }

    /// The coordinates of one node.
    pub async fn coordinate_node(
        &self,
        node: &str,
        options: &ReadOptions,
    ) -> Result<Answer, Error> {
        self.read(&format!("/v1/coordinate/node/{node}"), options).await
    }
}
