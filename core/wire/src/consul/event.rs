//! `/v1/event`: user events.

use serde::Serialize;

/// One event as printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EventAnswer {
    /// Its UUID.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name.
    pub name: String,
    /// Base64, or nothing.
    pub payload: Option<String>,
    /// For which nodes.
    pub node_filter: String,
    /// For which services.
    pub service_filter: String,
    /// For which tags of them.
    pub tag_filter: String,
    /// Always 1.
    pub version: u32,
    /// Its logical time; 0 in the answer to the one who fired it.
    #[serde(rename = "LTime")]
    pub ltime: u64,
}

/// The index that a list ending with this event reports: the halves of its
/// UUID folded into each other. Not monotonic.
pub fn fold_index(id: u128) -> u64 {
    let high = u64::try_from(id >> 64).unwrap_or_default();
    let low = u64::try_from(id & u128::from(u64::MAX)).unwrap_or_default();
    high ^ low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consul::json;

    #[test]
    fn an_event_is_printed_in_consuls_order() {
        let event = EventAnswer {
            id: "i".to_owned(),
            name: "deploy".to_owned(),
            payload: None,
            node_filter: String::new(),
            service_filter: String::new(),
            tag_filter: String::new(),
            version: 1,
            ltime: 0,
        };
        assert_eq!(
            json::encode(&event, false),
            br#"{"ID":"i","Name":"deploy","Payload":null,"NodeFilter":"","ServiceFilter":"","TagFilter":"","Version":1,"LTime":0}"#
        );
    }

    #[test]
    fn the_index_folds_both_halves_of_the_id() {
        assert_eq!(fold_index(0b1100 << 64 | 0b1010), 0b0110);
    }
}
