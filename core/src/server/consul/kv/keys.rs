//! `/v1/kv/<key>`.

use bytes::Bytes;
use coord_state::consul::{
    ConsulCommand, ConsulRejection, ConsulReply, ConsulSessionId, KvEntry, KvOp,
};
use coord_state::event::Topic;
use coord_state::{Rejection, Reply, StateMachine};
use coord_wire::consul::kv::{KvAnswer, push_cut_key};
use coord_wire::consul::{json, uuid};
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, StatusCode};

use super::session::looked_up;
use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::{Answer, Meta};
use crate::server::consul::http::blocking::told;
use crate::server::consul::http::call::Call;
use crate::server::consul::http::error_map::HttpError;
use crate::server::consul::http::params::Params;
use crate::server::consul::http::printing::{BYTES_PRINTED_HERE_MAX, reserve};

const LIMIT_DOCUMENT: &str =
    "https://www.consul.io/docs/agent/config/config-files#kv_max_value_size";
/// Longer lists are printed when they have a turn.
const ROWS_PRINTED_HERE_MAX: usize = 2000;
/// Every byte of a key may be compared with all of it.
const SEPARATOR_BYTES_MAX: usize = 256;
const MISSING_KEY: &str = "Missing key name";

impl ConsulApi {
    pub(crate) async fn kv(&self, call: Call) -> Result<Answer, HttpError> {
        match call.method {
            Method::PUT => self.kv_put(call).await,
            Method::DELETE => self.kv_delete(call).await,
            _ if call.params.has("keys") => self.kv_keys(call).await,
            _ if call.params.has("recurse") => self.kv_recurse(call).await,
            _ => self.kv_get(call).await,
        }
    }

    async fn kv_get(&self, call: Call) -> Result<Answer, HttpError> {
        let options = self.read_options(&call)?;
        let key = call.tail.clone();
        if key.is_empty() {
            return Err(HttpError::bad_request(MISSING_KEY));
        }
        let topics = vec![Topic::Key(key.clone())];
        let (meta, entry) = self
            .blocking(
                &options,
                topics,
                |state| state.consul().kv().key_index(&key),
                |state| state.consul().kv().get(&key).cloned(),
            )
            .await?;
        let answer = match entry {
            None => missing(),
            Some(entry) if call.params.has("raw") => raw(&entry),
            Some(entry) => Answer::json(&[KvAnswer::new(&key, &entry)], call.pretty()),
        };
        Ok(answer.with_meta(meta))
    }

    async fn kv_recurse(&self, call: Call) -> Result<Answer, HttpError> {
        let prefix = &call.tail;
        // Printing happens later: keys and values are cheap to share.
        let take = |state: &StateMachine| -> Vec<(Bytes, KvEntry)> {
            let range = state.consul().kv().range(prefix);
            range.map(|(key, entry)| (key.clone(), entry.clone())).collect()
        };
        let pretty = call.pretty();
        let print = move |entries: &[(Bytes, KvEntry)]| {
            let answers = entries.iter().map(|(key, entry)| KvAnswer::new(key, entry));
            json::encode_rows(answers, pretty)
        };
        let bytes_of = |(key, entry): &(Bytes, KvEntry)| KvAnswer::printed_bytes(key, entry);
        match self.kv_list(&call, take, bytes_of, print).await? {
            (meta, None) => Ok(missing().with_meta(meta)),
            (meta, Some(bytes)) => Ok(Answer::json_bytes(bytes).with_meta(meta)),
        }
    }

    async fn kv_keys(&self, call: Call) -> Result<Answer, HttpError> {
        let prefix = &call.tail;
        // Consul also listens to the misspelling that old clients send.
        let separator = call.params.get("separator").or_else(|| call.params.get("seperator"));
        let separator = separator.unwrap_or_default().as_bytes();
        if separator.len() > SEPARATOR_BYTES_MAX {
            return Err(HttpError::bad_request(format!(
                "The separator is longer than {SEPARATOR_BYTES_MAX} bytes"
            )));
        }
        let take = |state: &StateMachine| {
            let mut keys = Vec::new();
            for (key, _) in state.consul().kv().range(prefix) {
                push_cut_key(&mut keys, key, prefix.len(), separator);
            }
            keys
        };
        let pretty = call.pretty();
        let print = move |keys: &[String]| json::encode(keys, pretty);
        // With quotes, a comma and a blank.
        let bytes_of = |key: &String| key.len() + 4;
        match self.kv_list(&call, take, bytes_of, print).await? {
            (meta, Some(bytes)) => Ok(Answer::json_bytes(bytes).with_meta(meta)),
            (meta, None) if prefix.is_empty() => {
                Ok(Answer::json::<[String]>(&[], pretty).with_meta(meta))
            }
            (meta, None) => Ok(missing().with_meta(meta)),
        }
    }

    /// What is below a prefix, printed; nothing if there is nothing. What is long is
    /// taken anew and printed when it has a turn, and room for it.
    async fn kv_list<T: Send + 'static>(
        &self,
        call: &Call,
        take: impl Fn(&StateMachine) -> Vec<T>,
        bytes_of: impl Fn(&T) -> usize,
        print: impl Fn(&[T]) -> Vec<u8> + Send + 'static,
    ) -> Result<(Meta, Option<Vec<u8>>), HttpError> {
        let options = self.read_options(call)?;
        let prefix = &call.tail;
        let index = |state: &StateMachine| state.consul().kv().prefix_index(prefix);
        let topics = vec![Topic::KeyPrefix(prefix.clone())];
        let (mut meta, list) = self.blocking(&options, topics, index, &take).await?;
        if list.is_empty() {
            return Ok((meta, None));
        }
        let bytes_of = |list: &[T]| list.iter().map(&bytes_of).sum::<usize>();
        if list.len() <= ROWS_PRINTED_HERE_MAX && bytes_of(&list) <= BYTES_PRINTED_HERE_MAX {
            return Ok((meta, Some(print(&list))));
        }
        drop(list);
        let again = || {
            let (later, list) = self.node.read(|state| (told(state, index), take(state)));
            reserve(&call.kept, bytes_of(&list))?;
            meta.index = Some(later);
            Ok(list)
        };
        let print = move |list: Vec<T>| Ok(print(&list));
        let bytes = self.printed_in_turn(call, false, again, print).await?;
        Ok((meta, Some(bytes)))
    }

    async fn kv_put(&self, mut call: Call) -> Result<Answer, HttpError> {
        let key = call.tail.clone();
        if key.is_empty() {
            return Err(HttpError::bad_request(MISSING_KEY));
        }
        refuse_conflict(&call.params, &["cas", "acquire", "release"])?;
        let flags = call.params.number("flags")?.unwrap_or(0);
        let cas = call.params.number("cas")?;
        let limits = &self.node.settings().limits;
        let bytes_max = limits.kv_value_bytes_max;
        let value = call.read_body(bytes_max, limits.http_body_bytes_max).await?;
        let value = value.map_err(|too_large| {
            HttpError::too_large(format!(
                "Request body({} bytes) too large, max size: {bytes_max} bytes. See {LIMIT_DOCUMENT}.",
                too_large.bytes
            ))
        })?;
        let operation = if let Some(index) = cas {
            KvOp::Cas { key, value, flags, index }
        } else if let Some(text) = call.params.get("acquire") {
            let session = session_id(text)?;
            KvOp::Acquire { key, value, flags, session }
        } else if let Some(text) = call.params.get("release") {
            if text.is_empty() {
                return Err(HttpError::internal("missing session"));
            }
            // A holder that cannot exist holds nothing.
            let Some(session) = uuid::looked_up(text).ok().flatten().map(ConsulSessionId) else {
                return Ok(Answer::json(&false, call.pretty()));
            };
            KvOp::Release { key, value, flags, session }
        } else {
            KvOp::Set { key, value, flags }
        };
        self.kv_change(operation, &call).await
    }

    async fn kv_delete(&self, call: Call) -> Result<Answer, HttpError> {
        refuse_conflict(&call.params, &["recurse", "cas"])?;
        let key = call.tail.clone();
        if call.params.has("recurse") {
            return self.kv_change(KvOp::DeleteTree { prefix: key }, &call).await;
        }
        if key.is_empty() {
            return Err(HttpError::bad_request(MISSING_KEY));
        }
        let operation = match call.params.number("cas")? {
            Some(index) => KvOp::DeleteCas { key, index },
            None => KvOp::Delete { key },
        };
        self.kv_change(operation, &call).await
    }

    async fn kv_change(&self, operation: KvOp, call: &Call) -> Result<Answer, HttpError> {
        let reply = self.change(ConsulCommand::Kv(operation)).await?;
        // Whatever else is a reply to a change of keys, it took effect.
        let done = !matches!(reply, Reply::Consul(ConsulReply::Bool(false)));
        Ok(Answer::json(&done, call.pretty()))
    }
}

/// A key that is not there: no body, but the headers of a found one.
fn missing() -> Answer {
    Answer::empty().with_status(StatusCode::NOT_FOUND)
}

fn raw(entry: &KvEntry) -> Answer {
    Answer::of_type("text/plain", entry.value.clone())
        .with_header(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"))
        .with_header(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
}

fn session_id(text: &str) -> Result<ConsulSessionId, HttpError> {
    if text.is_empty() {
        return Err(HttpError::internal("missing session"));
    }
    looked_up(text)?.ok_or_else(|| {
        HttpError::from(&Rejection::Consul(ConsulRejection::InvalidSession(text.into())))
    })
}

fn refuse_conflict(params: &Params, exclusive: &[&str]) -> Result<(), HttpError> {
    if exclusive.iter().filter(|name| params.has(name)).count() > 1 {
        return Err(HttpError::bad_request(format!("Conflicting flags: {}", params.reencoded())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_exclusive_flags_are_told_with_the_query_sorted() {
        let params = Params::parse("cas=1&acquire=x").unwrap();
        let error = refuse_conflict(&params, &["cas", "acquire", "release"]).unwrap_err();
        assert_eq!(error.text(), "Conflicting flags: acquire=x&cas=1");
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        let params = Params::parse("cas=1&flags=2").unwrap();
        assert!(refuse_conflict(&params, &["cas", "acquire", "release"]).is_ok());
    }

    #[test]
    fn an_id_that_no_session_can_have_is_told_as_an_invalid_session() {
        let digits = "0123456789abcdef0123456789abcdef0123";
        assert_eq!(session_id(digits).unwrap_err().text(), format!("invalid session {digits:?}"));
    }

    #[test]
    fn a_malformed_session_is_told_as_a_failed_lookup() {
        assert_eq!(session_id("").unwrap_err().text(), "missing session");
        assert_eq!(
            session_id("x").unwrap_err().text(),
            "failed session lookup: index error: UUID must be 36 characters"
        );
    }
}
