//! Timestamps in Consul's format.

use crate::clock::utc;

/// As Go prints a time: `2026-01-31 23:59:58 +0000 UTC`.
pub(crate) fn timestamp(unix_ms: u64) -> String {
    utc(unix_ms).format("%Y-%m-%d %H:%M:%S +0000 UTC").to_string()
}

/// As JSON has it: `2026-01-31T23:59:58Z`.
pub(crate) fn rfc3339(unix_ms: u64) -> String {
    utc(unix_ms).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_a_date_in_utc() {
        assert_eq!(timestamp(0), "1970-01-01 00:00:00 +0000 UTC");
        assert_eq!(timestamp(951_782_399_000), "2000-02-28 23:59:59 +0000 UTC");
        assert_eq!(timestamp(951_782_400_000), "2000-02-29 00:00:00 +0000 UTC");
        assert_eq!(timestamp(1_798_761_599_999), "2026-12-31 23:59:59 +0000 UTC");
        assert_eq!(rfc3339(1_798_761_599_999), "2026-12-31T23:59:59Z");
    }
}
