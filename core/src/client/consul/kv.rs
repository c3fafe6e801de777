//! Keys and values.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;
use serde_json::Value;

use super::Client;
use super::client::truth;
use super::error::ConsulFailure;
use super::options::{ReadOptions, WriteOptions};
use super::request::{Answer, Request};
use crate::Error;

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvPair {
    /// The key, without a leading slash.
    pub key: String,
    /// The value; Consul returns an empty one as null.
    pub value: Option<Bytes>,
    /// Application-defined flags.
    pub flags: u64,
    /// The session that holds the lock.
    pub session: Option<String>,
    /// The number of times the lock was acquired.
    pub lock_index: u64,
    /// The index of its creation.
    pub create_index: u64,
    /// The index of its last change; pass it to `cas`.
    pub modify_index: u64,
}

/// Conditions of a put. At most one of `cas`, `acquire` and `release`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KvPut {
    /// Stored with the value; 0 unless given.
    pub flags: Option<u64>,
    /// Only if the key's modify index is this; 0: only if there is no key.
    pub cas: Option<u64>,
    /// Acquire the lock for this session.
    pub acquire: Option<String>,
    /// Release the lock of this session.
    pub release: Option<String>,
    /// Datacenter and token.
    pub options: WriteOptions,
}

/// Conditions of a delete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KvDelete {
    /// Delete every key with this prefix. Not together with `cas`.
    pub recurse: bool,
    /// Only if the key's modify index is this.
    pub cas: Option<u64>,
    /// Datacenter and token.
    pub options: WriteOptions,
}

impl Client {
    /// The value of `key`, `None` if there is none.
    pub async fn kv_get(
        &self,
        key: &str,
        options: &ReadOptions,
    ) -> Result<Answer<Option<KvPair>>, Error> {
        let pairs = self.kv_pairs(kv_request(Method::GET, key), options).await?;
        let body = pairs.body.and_then(|pairs| pairs.into_iter().next());
        Ok(Answer { index: pairs.index, body })
    }

    /// All keys that begin with `prefix`, in bytewise order; `None` if none does.
    pub async fn kv_list(
        &self,
        prefix: &str,
        options: &ReadOptions,
    ) -> Result<Answer<Option<Vec<KvPair>>>, Error> {
        self.kv_pairs(kv_request(Method::GET, prefix).flag("recurse", true), options).await
    }

    /// The names of all keys that begin with `prefix`, truncated after the
    /// first `separator` if one is given; `None` if there are none.
    pub async fn kv_keys(
        &self,
        prefix: &str,
        separator: Option<&str>,
        options: &ReadOptions,
    ) -> Result<Answer<Option<Vec<String>>>, Error> {
        let request = kv_request(Method::GET, prefix).flag("keys", true);
        let request = request.param_if("separator", separator);
        let response = self.read_any(request, options).await?;
        let body = match response.status {
            200..=299 => Some(typed(response.json()?)?),
            404 => None,
            _ => return Err(response.failure().into_error(false)),
        };
        Ok(Answer { index: response.index(), body })
    }

    /// The bare value of `key`, `None` if there is no such key.
    pub async fn kv_raw(
        &self,
        key: &str,
        options: &ReadOptions,
    ) -> Result<Answer<Option<Bytes>>, Error> {
        let request = kv_request(Method::GET, key).flag("raw", true);
        let response = self.read_any(request, options).await?;
        let index = response.index();
        match response.status {
            200..=299 => Ok(Answer { index, body: Some(response.body) }),
            404 => Ok(Answer { index, body: None }),
            _ => Err(response.failure().into_error(false)),
        }
    }

    /// Sets `key`; `false` if the condition did not hold.
    ///
    /// # Errors
    /// Besides the usual: `Rejected` for an unknown session, `Invalid` for
    /// conditions that exclude each other or a value that is too large.
    pub async fn kv_put(
        &self,
        key: &str,
        value: impl Into<Bytes>,
        put: &KvPut,
    ) -> Result<bool, Error> {
        let request = kv_request(Method::PUT, key)
            .param_if("flags", put.flags.map(|flags| flags.to_string()))
            .param_if("cas", put.cas.map(|index| index.to_string()))
            .param_if("acquire", put.acquire.as_deref())
            .param_if("release", put.release.as_deref())
            .body(value);
        truth(&self.write(request, &put.options).await?)
    }

    /// Deletes `key`; `false` if the condition did not hold. A missing key
    /// counts as deleted.
    pub async fn kv_delete(&self, key: &str, delete: &KvDelete) -> Result<bool, Error> {
        let request = kv_request(Method::DELETE, key)
            .flag("recurse", delete.recurse)
            .param_if("cas", delete.cas.map(|index| index.to_string()));
        truth(&self.write(request, &delete.options).await?)
    }

    async fn kv_pairs(
        &self,
        request: Request,
        options: &ReadOptions,
    ) -> Result<Answer<Option<Vec<KvPair>>>, Error> {
        let response = self.read_any(request, options).await?;
        let body = match response.status {
            200..=299 => Some(KvPair::list(response.json()?)?),
            404 => None,
            _ => return Err(response.failure().into_error(false)),
        };
        Ok(Answer { index: response.index(), body })
    }
}

impl KvPair {
    /// The pair in Consul's JSON.
    ///
    /// # Errors
    /// `Corrupt` if it is not one.
    pub fn from_json(body: Value) -> Result<Self, Error> {
        let stored: StoredPair = typed(body)?;
        let value = match stored.value {
            None => None,
            Some(text) => Some(decode_base64(&text)?),
        };
        Ok(Self {
            key: stored.key,
            value,
            flags: stored.flags,
            session: stored.session,
            lock_index: stored.lock_index,
            create_index: stored.create_index,
            modify_index: stored.modify_index,
        })
    }

    fn list(body: Value) -> Result<Vec<Self>, Error> {
        let list: Vec<Value> = typed(body)?;
        list.into_iter().map(Self::from_json).collect()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StoredPair {
    key: String,
    value: Option<String>,
    #[serde(default)]
    flags: u64,
    session: Option<String>,
    #[serde(default)]
    lock_index: u64,
    #[serde(default)]
    create_index: u64,
    #[serde(default)]
    modify_index: u64,
}

pub(super) fn decode_base64(text: &str) -> Result<Bytes, Error> {
    let bytes = STANDARD
        .decode(text)
        .map_err(|cause| ConsulFailure::Unexpected(cause.to_string()).into_error(false))?;
    Ok(bytes.into())
}

pub(super) fn typed<T: serde::de::DeserializeOwned>(body: Value) -> Result<T, Error> {
    serde_json::from_value(body)
        .map_err(|cause| ConsulFailure::Unexpected(cause.to_string()).into_error(false))
}

fn kv_request(method: Method, key: &str) -> Request {
    Request::new(method, format!("/v1/kv/{key}"))
}
