//! Durations in Go's format: `1m30s`, `200ms`, `1.5h`.

const UNITS: [(&str, i64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3600 * SECOND),
];

/// One second in nanoseconds.
pub const SECOND: i64 = 1_000_000_000;

/// Reads a duration; the result is in nanoseconds.
///
/// # Errors
/// Go's sentence about what is wrong.
pub fn parse(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        if number.is_empty() {
            return Err(invalid());
        }
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("time: unknown unit {unit:?} in duration {text:?}"));
        };
        let part = scaled(number, *scale).ok_or_else(invalid)?;
        total = total.checked_add(part).ok_or_else(invalid)?;
        rest = tail;
    }
    Ok(if negative { -total } else { total })
}

/// A decimal number times `scale`, without floating point.
fn scaled(number: &str, scale: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = whole.checked_mul(scale)?;
    let mut place = scale;
    for digit in fraction.bytes() {
        place /= 10;
        total = total.checked_add(i64::from(digit - b'0') * place)?;
    }
    Some(total)
}

/// Writes a duration given in nanoseconds.
pub fn format(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let amount = nanoseconds.unsigned_abs();
    if amount == 0 {
        return "0s".to_owned();
    }
    let decimal = |scale: u64, unit: &str| {
        let whole = amount / scale;
        let fraction = amount % scale;
        if fraction == 0 {
            return format!("{sign}{whole}{unit}");
        }
        let width = scale.ilog10() as usize;
        let digits = format!("{fraction:0width$}");
        format!("{sign}{whole}.{}{unit}", digits.trim_end_matches('0'))
    };
    match amount {
        ..1_000 => return format!("{sign}{amount}ns"),
        1_000..1_000_000 => return decimal(1_000, "µs"),
        1_000_000..1_000_000_000 => return decimal(1_000_000, "ms"),
        _ => {}
    }
    let minutes = amount / 60_000_000_000;
    let seconds = amount % 60_000_000_000;
    let mut text = sign.to_owned();
    if minutes >= 60 {
        text.push_str(&format!("{}h", minutes / 60));
    }
    if minutes > 0 {
        text.push_str(&format!("{}m", minutes % 60));
    }
    let fraction = format!("{:09}", seconds % 1_000_000_000);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    text.push_str(&format!("{}{point}{fraction}s", seconds / 1_000_000_000));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read() {
        for (text, expected) in [
            ("10s", 10 * SECOND),
            ("15.0s", 15 * SECOND),
            ("1.5h", 5400 * SECOND),
            ("1m30s", 90 * SECOND),
            ("0.001s", 1_000_000),
            ("200ms", 200_000_000),
            ("-1s", -SECOND),
            ("0", 0),
            (".5s", SECOND / 2),
            ("3us", 3_000),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn nonsense_gets_gos_sentence() {
        assert_eq!(parse("zzz").unwrap_err(), "time: invalid duration \"zzz\"");
        assert_eq!(parse("").unwrap_err(), "time: invalid duration \"\"");
        assert_eq!(parse("5").unwrap_err(), "time: missing unit in duration \"5\"");
        assert_eq!(parse("5x").unwrap_err(), "time: unknown unit \"x\" in duration \"5x\"");
        assert!(parse("1..5s").is_err());
        assert!(parse("99999999999h").is_err());
    }

    #[test]
    fn durations_are_written_as_go_does() {
        for (expected, nanoseconds) in [
            ("0s", 0),
            ("1m30s", 90 * SECOND),
            ("24h0m0s", 86_400 * SECOND),
            ("10s", 10 * SECOND),
            ("1.5s", 3 * SECOND / 2),
            ("200ms", 200_000_000),
            ("1.5ms", 1_500_000),
            ("5ns", 5),
        ] {
            assert_eq!(format(nanoseconds), expected);
        }
    }
}
