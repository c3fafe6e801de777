//! Times as Consul's answers print them.

const DAY_S: u64 = 86_400;

/// As Go prints a time: `2026-01-31 23:59:58 +0000 UTC`.
pub(super) fn timestamp(unix_ms: u64) -> String {
    let (date, time) = date_and_time(unix_ms);
    format!("{date} {time} +0000 UTC")
}

/// As JSON has it: `2026-01-31T23:59:58Z`.
pub(super) fn rfc3339(unix_ms: u64) -> String {
    let (date, time) = date_and_time(unix_ms);
    format!("{date}T{time}Z")
}

fn date_and_time(unix_ms: u64) -> (String, String) {
    let seconds = unix_ms / 1000;
    let (hour, minute, second) = (seconds % DAY_S / 3600, seconds % 3600 / 60, seconds % 60);
    let mut days = seconds / DAY_S;
    let is_leap = |year: u64| {
        (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let day = days + 1;
    let date = format!("{year:04}-{month:02}-{day:02}");
    (date, format!("{hour:02}:{minute:02}:{second:02}"))
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
    }
}
