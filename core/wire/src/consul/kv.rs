//! `/v1/kv`: entries, and what `keys` and a separator make of a prefix.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coord_state::consul::KvEntry;
use serde::Serialize;

/// One entry as printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct KvAnswer {
    lock_index: u64,
    key: String,
    flags: u64,
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    create_index: u64,
    modify_index: u64,
}

impl KvAnswer {
    /// `entry` at `key`. An empty value is printed as null.
    pub fn new(key: &[u8], entry: &KvEntry) -> Self {
        let value = (!entry.value.is_empty()).then(|| STANDARD.encode(&entry.value));
        Self { value, ..Self::without_value(key, entry) }
    }

    /// About how many bytes that takes as JSON; keys are taken for plain text.
    pub fn printed_bytes(key: &[u8], entry: &KvEntry) -> usize {
        FRAME_BYTES + key.len() + entry.value.len().div_ceil(3) * 4
    }

    /// As a transaction prints what it wrote.
    pub fn without_value(key: &[u8], entry: &KvEntry) -> Self {
        Self {
            lock_index: entry.lock_index,
            key: String::from_utf8_lossy(key).into_owned(),
            flags: entry.flags,
            value: None,
            session: entry.session.map(|session| session.to_string()),
            create_index: entry.create_index,
            modify_index: entry.modify_index,
        }
    }

    /// As `get-or-empty` prints a key that is not there.
    pub fn absent(key: &[u8]) -> Self {
        Self {
            lock_index: 0,
            key: String::from_utf8_lossy(key).into_owned(),
            flags: 0,
            value: None,
            session: None,
            create_index: 0,
            modify_index: 0,
        }
    }
}

/// About what the names of the fields and the numbers of an entry take.
const FRAME_BYTES: usize = 128;

/// Adds `key`, cut after the first `separator` past `prefix_len` bytes, unless
/// it equals the last one.
pub fn push_cut_key(keys: &mut Vec<String>, key: &[u8], prefix_len: usize, separator: &[u8]) {
    let cut = if separator.is_empty() {
        key
    } else {
        key.get(prefix_len..)
            .and_then(|tail| tail.windows(separator.len()).position(|part| part == separator))
            .and_then(|at| key.get(..prefix_len + at + separator.len()))
            .unwrap_or(key)
    };
    let cut = String::from_utf8_lossy(cut);
    if keys.last().is_none_or(|last| *last != cut) {
        keys.push(cut.into_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consul::json;
    use bytes::Bytes;
    use coord_state::consul::ConsulSessionId;

    fn entry(value: &'static [u8]) -> KvEntry {
        KvEntry {
            value: Bytes::from_static(value),
            flags: 7,
            lock_index: 1,
            session: None,
            create_index: 13,
            modify_index: 14,
        }
    }

    fn text(answer: &KvAnswer) -> String {
        String::from_utf8(json::encode(answer, false)).unwrap()
    }

    #[test]
    fn an_unlocked_entry_has_no_session_field() {
        assert_eq!(
            text(&KvAnswer::new(b"a/k", &entry(b"hi"))),
            r#"{"LockIndex":1,"Key":"a/k","Flags":7,"Value":"aGk=","CreateIndex":13,"ModifyIndex":14}"#
        );
    }

    #[test]
    fn a_locked_entry_names_its_session_after_the_value() {
        let locked = KvEntry { session: Some(ConsulSessionId(1)), ..entry(b"") };
        assert_eq!(
            text(&KvAnswer::new(b"k", &locked)),
            r#"{"LockIndex":1,"Key":"k","Flags":7,"Value":null,"Session":"00000000-0000-0000-0000-000000000001","CreateIndex":13,"ModifyIndex":14}"#
        );
    }

    #[test]
    fn an_absent_entry_is_all_zeros() {
        assert_eq!(
            text(&KvAnswer::absent(b"a&b<")),
            "{\"LockIndex\":0,\"Key\":\"a\\u0026b\\u003c\",\"Flags\":0,\"Value\":null,\"CreateIndex\":0,\"ModifyIndex\":0}"
        );
    }

    #[test]
    fn keys_are_cut_at_the_separator_past_the_prefix() {
        let stored: [&[u8]; 5] = [b"p", b"p/", b"p/a", b"p/a/b", b"pa"];
        let cut = |prefix: &[u8]| {
            let mut keys = Vec::new();
            for key in stored.iter().filter(|key| key.starts_with(prefix)) {
                push_cut_key(&mut keys, key, prefix.len(), b"/");
            }
            keys
        };
        assert_eq!(cut(b"p"), ["p", "p/", "pa"]);
        assert_eq!(cut(b"p/"), ["p/", "p/a", "p/a/"]);
    }
}
