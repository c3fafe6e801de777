//! The status of the Raft cluster.

use super::Client;
use super::kv::typed;
use super::options::ReadOptions;
use crate::Error;

impl Client {
    /// The leader's address, empty if there is none.
    pub async fn status_leader(&self) -> Result<String, Error> {
        typed(self.read("/v1/status/leader", &ReadOptions::default()).await?.body)
    }

    /// The addresses of all servers.
    pub async fn status_peers(&self) -> Result<Vec<String>, Error> {
        typed(self.read("/v1/status/peers", &ReadOptions::default()).await?.body)
    }
}
