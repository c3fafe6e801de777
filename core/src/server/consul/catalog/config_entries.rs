//! `/v1/config`: stores and returns config entries.

use std::sync::Arc;

use coord_state::consul::{ConfigEntry, ConsulCommand, ConsulReply};
use coord_state::event::Topic;
use coord_state::{Reply, StateMachine};
use coord_wire::consul::config_entry::{ConfigEntryAnswer, config_entry, is_kind};
use coord_wire::consul::filter::Work;
use coord_wire::consul::json;
use hyper::Method;
use serde_json::json;

use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::Answer;
use crate::server::consul::http::call::Call;
use crate::server::consul::http::error_map::HttpError;
use crate::server::consul::http::fingerprint;

/// Longest definition of an entry: every list of its kind has all of it. Bytes.
const DEFINITION_BYTES_MAX: usize = 256 << 10;
/// An entry longer than that counts as several rows where a list is printed.
const ROW_BYTES: usize = 1024;

impl ConsulApi {
    pub(crate) async fn config_entries(&self, call: Call) -> Result<Answer, HttpError> {
        let path = call.name();
        let (kind, name) = path.split_once('/').unwrap_or((&path, ""));
        let (kind, name) = (kind.to_owned(), name.to_owned());
        match call.method {
            Method::PUT => self.set_config_entry(call).await,
            Method::DELETE => self.delete_config_entry(&call, kind, name).await,
            _ => self.read_config_entries(&call, kind, name).await,
        }
    }

    async fn set_config_entry(&self, mut call: Call) -> Result<Answer, HttpError> {
        let cas = call.params.number("cas")?;
        let body = self.body(&mut call).await?;
        let entry = config_entry(&body).map_err(|error| {
            HttpError::bad_request(format!("Bad request: Request decoding failed: {error}"))
        })?;
        if entry.name.is_empty() {
            let whose = if &*entry.kind == "service-defaults" { "serviceName" } else { "Name" };
            return Err(HttpError::internal(format!("{whose} is required")));
        }
        if entry.definition.len() > DEFINITION_BYTES_MAX {
            return Err(HttpError::too_large(format!(
                "A config entry may have at most {DEFINITION_BYTES_MAX} bytes, and this one has \
                 {}",
                entry.definition.len()
            )));
        }
        let entry = Box::new(entry);
        let done = self.change_of_config(ConsulCommand::SetConfigEntry { entry, cas }).await?;
        Ok(Answer::json(&done, call.pretty()))
    }

    async fn delete_config_entry(
        &self,
        call: &Call,
        kind: String,
        name: String,
    ) -> Result<Answer, HttpError> {
        if kind.is_empty() || name.is_empty() {
            return Err(HttpError::not_found("Must provide both a kind and name to delete"));
        }
        if !is_kind(&kind) {
            return Err(HttpError::bad_request(format!("invalid config entry kind: {kind}")));
        }
        let cas = call.params.number("cas")?;
        let (kind, name) = (kind.into(), name.into());
        let command = ConsulCommand::DeleteConfigEntry { kind, name, cas };
        let done = self.change_of_config(command).await?;
        Ok(match cas {
            Some(_) => Answer::json(&done, call.pretty()),
            None => Answer::json(&json!({}), call.pretty()),
        })
    }

    async fn change_of_config(&self, command: ConsulCommand) -> Result<bool, HttpError> {
        let reply = self.change(command).await?;
        Ok(!matches!(reply, Reply::Consul(ConsulReply::Bool(false))))
    }

    async fn read_config_entries(
        &self,
        call: &Call,
        kind: String,
        name: String,
    ) -> Result<Answer, HttpError> {
        if !kind.is_empty() && !is_kind(&kind) {
            return Err(HttpError::internal(format!("invalid config entry kind: {kind}")));
        }
        let options = self.read_options(call)?;
        let topics = vec![Topic::ConfigEntries];
        let index = |state: &StateMachine| state.consul().mesh().entries_index();
        if name.is_empty() {
            let take = |state: &StateMachine| -> Vec<Arc<ConfigEntry>> {
                let mesh = state.consul().mesh();
                match &*kind {
                    "" => mesh.entries().cloned().collect(),
                    kind => mesh.entries_of(kind).cloned().collect(),
                }
            };
            let pretty = call.pretty();
            let print = move |entries: &Vec<Arc<ConfigEntry>>, work: &Work| {
                let has_turn = |entry: &&Arc<ConfigEntry>| {
                    (0..=entry.definition.len() / ROW_BYTES).all(|_| work.row())
                };
                let rows = entries.iter().take_while(has_turn);
                json::encode_rows(rows.map(|entry| ConfigEntryAnswer::from(&**entry)), pretty)
            };
            let read = self.read_rows(call, &options, topics, index, take, print).await;
            return read.map(|(meta, body)| Answer::json_bytes(body).with_meta(meta));
        }
        let take = |state: &StateMachine| state.consul().mesh().entry(&kind, &name).cloned();
        let print = Some(|found: &Option<Arc<ConfigEntry>>| fingerprint::of(found));
        let (meta, found) = self.blocking_while_same(&options, topics, index, take, print).await?;
        let answer = match &found {
            Some(entry) => Answer::json(&ConfigEntryAnswer::from(&**entry), call.pretty()),
            None => HttpError::not_found(format!("Config entry not found for {kind:?} / {name:?}"))
                .into(),
        };
        Ok(answer.with_meta(meta))
    }
}
