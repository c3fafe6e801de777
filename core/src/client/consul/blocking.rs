//! The blocking client, for callers without a runtime.
//!
//! It owns a runtime with one worker thread named `coord-consul`; closing or
//! dropping the client joins it. Several threads may make calls at the same
//! time, but calls from a thread of an async runtime fail with `Invalid`.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::registration::{GivenId, RegistrationRules, Resolved};
use super::{
    Answer, Check, FireOptions, GraphFormat, KvDelete, KvPair, KvPut, ReadOptions, Readiness,
    Request, Response, ServiceDefinition, SessionDefinition, Settings, TxnOutcome, WriteOptions,
};
use crate::Error;
use crate::client::runtime::OwnRuntime;

/// A [`super::Client`] with a thread of its own.
#[derive(Debug)]
pub struct Client {
    client: super::Client,
    runtime: OwnRuntime,
}

impl Client {
    /// Starts the thread; nothing is connected yet.
    ///
    /// # Errors
    /// `Invalid` for an invalid address, `Unavailable` if no thread can be
    /// started.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let client = super::Client::new(settings)?;
        Ok(Self { client, runtime: OwnRuntime::start("coord-consul")? })
    }

    /// The inner async client. Its futures only work in [`Self::call`].
    pub fn inner(&self) -> &super::Client {
        &self.client
    }

    /// Waits for any future of [`Self::inner`].
    ///
    /// # Errors
    /// The future's own; `Invalid` on a thread of an async runtime; `Closed`.
    pub fn call<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.runtime.run(work)
    }

    /// Like [`Self::call`], but calls `go_on` every `interval` and, once it
    /// returns false, drops the future and returns `None`. For host programs
    /// that handle signals.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn call_while<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
        interval: Duration,
        go_on: impl FnMut() -> bool,
    ) -> Result<Option<T>, Error> {
        self.runtime.run_while(work, interval, go_on)
    }

    /// Ends calls in progress like [`super::Client::close`], then stops and joins the thread.
    /// Idempotent.
    ///
    /// # Errors
    /// `Invalid` on a thread of an async runtime: calls are ended, but the
    /// thread is not joined.
    pub fn close(&self) -> Result<(), Error> {
        self.client.close();
        self.runtime.close()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.client.close();
    }
}

macro_rules! blocking {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) -> $gives:ty;)*) => {
        impl Client {
            $(
                #[doc = concat!("[`super::Client::", stringify!($name), "`], waited for.")]
                ///
                /// # Errors
                /// As there, and those of [`Self::call`].
                pub fn $name(&self, $($argument: $kind),*) -> Result<$gives, Error> {
                    self.call(self.client.$name($($argument),*))
                }
            )*
        }
    };
}

blocking! {
    fn request(request: Request) -> Response;
    fn expect_success(request: Request) -> Response;

    fn kv_get(key: &str, options: &ReadOptions) -> Answer<Option<KvPair>>;
    fn kv_list(prefix: &str, options: &ReadOptions) -> Answer<Option<Vec<KvPair>>>;
    fn kv_keys(prefix: &str, separator: Option<&str>, options: &ReadOptions)
        -> Answer<Option<Vec<String>>>;
    fn kv_raw(key: &str, options: &ReadOptions) -> Answer<Option<Bytes>>;
    fn kv_put(key: &str, value: Bytes, put: &KvPut) -> bool;
    fn kv_delete(key: &str, delete: &KvDelete) -> bool;
    fn txn(operations: &Value, options: &WriteOptions) -> TxnOutcome;

    fn agent_self() -> Value;
    fn agent_services(filter: Option<&str>) -> Value;
    fn agent_checks(filter: Option<&str>) -> Value;
    fn agent_service(id: &str, options: &ReadOptions) -> Option<Value>;
    fn agent_members(wan: bool) -> Value;
    fn agent_join(address: &str, wan: bool) -> ();
    fn agent_leave() -> ();
    fn agent_force_leave(node: &str, prune: bool) -> ();
    fn agent_maintenance(enable: bool, reason: Option<&str>) -> ();
    fn agent_service_register(service: &ServiceDefinition, token: Option<&str>) -> ();
    fn agent_service_deregister(id: &str, token: Option<&str>) -> bool;
    fn agent_service_maintenance(id: &str, enable: bool, reason: Option<&str>) -> ();
    fn agent_check_register(name: &str, definition: &Check, token: Option<&str>) -> ();
    fn agent_check_deregister(id: &str, token: Option<&str>) -> bool;
    fn agent_check_pass(id: &str, note: Option<&str>) -> ();
    fn agent_check_warn(id: &str, note: Option<&str>) -> ();
    fn agent_check_fail(id: &str, note: Option<&str>) -> ();
    fn register_service(rules: &RegistrationRules, service: &ServiceDefinition, id: GivenId<'_>,
        token: Option<&str>) -> Resolved;
    fn deregister_service(rules: &RegistrationRules, id_or_name: &str, token: Option<&str>) -> bool;

    fn catalog_register(body: &Value, options: &WriteOptions) -> bool;
    fn catalog_deregister(body: &Value, options: &WriteOptions) -> bool;
    fn catalog_datacenters() -> Value;
    fn catalog_nodes(options: &ReadOptions) -> Answer;
    fn catalog_services(options: &ReadOptions) -> Answer;
    fn catalog_node(node: &str, options: &ReadOptions) -> Answer;
    fn catalog_service(service: &str, options: &ReadOptions) -> Answer;

    fn health_node(node: &str, options: &ReadOptions) -> Answer;
    fn health_checks(service: &str, options: &ReadOptions) -> Answer;
    fn health_service(service: &str, options: &ReadOptions) -> Answer;
    fn health_state(state: &str, options: &ReadOptions) -> Answer;

    fn graph(options: &ReadOptions) -> Answer;
    fn graph_of(name: &str, options: &ReadOptions) -> Answer<Option<Value>>;
    fn graph_drawn(name: Option<&str>, format: GraphFormat, options: &ReadOptions) -> String;
    fn wait_ready(name: &str, limit: Option<Duration>, token: Option<&str>) -> Readiness;
    fn start_order(names: Option<&[String]>, options: &ReadOptions) -> Vec<String>;

    fn session_create(session: &SessionDefinition, options: &WriteOptions) -> String;
    fn session_destroy(id: &str, options: &WriteOptions) -> bool;
    fn session_renew(id: &str, options: &WriteOptions) -> Option<Value>;
    fn session_info(id: &str, options: &ReadOptions) -> Answer<Option<Value>>;
    fn session_list(options: &ReadOptions) -> Answer;
    fn session_node(node: &str, options: &ReadOptions) -> Answer;

    fn status_leader() -> String;
    fn status_peers() -> Vec<String>;
    fn event_fire(name: &str, payload: Bytes, fire: &FireOptions) -> Value;
    fn event_list(name: Option<&str>, options: &ReadOptions) -> Answer;

    fn query_list(options: &ReadOptions) -> Answer;
    fn query_create(body: &Value, options: &WriteOptions) -> String;
    fn query_update(id: &str, body: &Value, options: &WriteOptions) -> ();
    fn query_get(id: &str, options: &ReadOptions) -> Answer<Option<Value>>;
    fn query_delete(id: &str, options: &WriteOptions) -> ();
    fn query_execute(query: &str, limit: Option<u32>, options: &ReadOptions) -> Option<Value>;

    fn coordinate_datacenters() -> Answer;
    fn coordinate_nodes(options: &ReadOptions) -> Answer;
    fn coordinate_node(node: &str, options: &ReadOptions) -> Answer;
}
