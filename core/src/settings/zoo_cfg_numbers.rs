//! Numbers of a `zoo.cfg`.
//!
//! ZooKeeper reads some with `Integer.parseInt`, which accepts decimal only, and those that are
//! Java system properties with `Integer.getInteger`, which also accepts hexadecimal and octal. A
//! hexadecimal number is unambiguous, so it is accepted everywhere.

use std::str::FromStr;

use crate::error::Error;

/// A number, decimal or hexadecimal.
pub(super) fn number<T: FromStr + TryFrom<i64>>(key: &str, value: &str) -> Result<T, Error> {
    let parsed = match hexadecimal(value) {
        Some(digits) => i64::from_str_radix(digits, 16).ok().and_then(|it| T::try_from(it).ok()),
        None => value.parse().ok(),
    };
    parsed.ok_or_else(|| Error::invalid(format!("{key}: '{value}' is not a number in range")))
}

/// The same where Java accepts octal numbers, with a leading zero.
pub(super) fn decoded<T: FromStr + TryFrom<i64>>(key: &str, value: &str) -> Result<T, Error> {
    let octal = value.strip_prefix('0').filter(|digits| !digits.is_empty());
    match octal.filter(|_| hexadecimal(value).is_none()) {
        Some(digits) => i64::from_str_radix(digits, 8)
            .ok()
            .and_then(|it| T::try_from(it).ok())
            .ok_or_else(|| {
                let what = "has a leading zero, but is not an octal number";
                Error::invalid(format!("{key}: '{value}' {what}"))
            }),
        None => number(key, value),
    }
}

/// In ZooKeeper -1 and 0 mean the default.
pub(super) fn above_zero(key: &str, value: &str) -> Result<Option<u32>, Error> {
    let number: i64 = number(key, value)?;
    if number <= 0 {
        return Ok(None);
    }
    u32::try_from(number).map(Some).map_err(|_| Error::invalid(format!("{key} is too large")))
}

/// A listen port; in ZooKeeper 0 means no port, not any free one.
pub(super) fn port(key: &str, value: &str) -> Result<Option<u16>, Error> {
    number(key, value).map(|port: u16| (port != 0).then_some(port))
}

fn hexadecimal(value: &str) -> Option<&str> {
    let digits = ["0x", "0X", "#"].into_iter().find_map(|prefix| value.strip_prefix(prefix));
    digits.filter(|digits| digits.starts_with(|digit: char| digit.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        for (text, value) in [("7", 7), ("0x9fffff", 0x9f_ffff), ("0XA", 10), ("#ff", 255)] {
            assert_eq!(number::<u32>("k", text).unwrap(), value, "{text}");
            assert_eq!(decoded::<u32>("k", text).unwrap(), value, "{text}");
        }
        assert_eq!(number::<u32>("k", "010").unwrap(), 10);
        assert_eq!(decoded::<u32>("k", "010").unwrap(), 8, "as Integer.getInteger reads it");
        assert_eq!(decoded::<u32>("k", "0").unwrap(), 0);
        for text in ["", "x", "0x", "0x-1", "2000 # ms", "1e3", "2,000", "08h", "#"] {
            assert!(number::<u32>("k", text).is_err(), "{text}");
            assert!(decoded::<u32>("k", text).is_err(), "{text}");
        }
        assert!(number::<u16>("k", "0x10000").is_err());
        assert!(decoded::<u32>("k", "09").is_err());
        assert_eq!(above_zero("k", "-1").unwrap(), None);
    }
}
