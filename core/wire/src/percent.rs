//! Percent-encoding, as Go reads and writes it.

use std::fmt::Write as _;

/// Each `%XX` as the byte it stands for.
///
/// # Errors
/// An escape that is not complete, in Go's words.
pub fn decode(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let Some((first, rest)) = bytes.split_first() {
        bytes = rest;
        if *first != b'%' {
            out.push(*first);
            continue;
        }
        let digit = |at: usize| rest.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let value =
            digit(0).zip(digit(1)).and_then(|(high, low)| u8::try_from(high << 4 | low).ok());
        let Some(value) = value else {
            let shown = String::from_utf8_lossy(&rest[..rest.len().min(2)]).into_owned();
            return Err(format!("invalid URL escape \"%{shown}\""));
        };
        out.push(value);
        bytes = &rest[2..];
    }
    Ok(out)
}

/// Appends bytes, each as `%XX` but for ASCII that `stays` as it is.
pub fn encode_into(out: &mut String, bytes: &[u8], stays: impl Fn(u8) -> bool) {
    for byte in bytes {
        if byte.is_ascii() && stays(*byte) {
            out.push(char::from(*byte));
        } else {
            // Writing to memory cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// What never has to be escaped.
pub fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_and_half_ones_refused() {
        assert_eq!(decode("a%2Fb%ff").unwrap(), b"a/b\xff");
        assert_eq!(decode("").unwrap(), b"");
        for (text, shown) in [("a%4", "%4"), ("%", "%"), ("%zz", "%zz"), ("%2é", "%2\u{fffd}")] {
            assert_eq!(decode(text).unwrap_err(), format!("invalid URL escape \"{shown}\""));
        }
    }

    #[test]
    fn what_does_not_stay_is_escaped_and_read_back() {
        let mut out = "/".to_owned();
        encode_into(&mut out, "a b/é%".as_bytes(), |byte| is_unreserved(byte) || byte == b'/');
        assert_eq!(out, "/a%20b/%C3%A9%25");
        assert_eq!(decode(&out).unwrap(), "/a b/é%".as_bytes());
        let mut out = String::new();
        encode_into(&mut out, &[0x80, 0xff], |_| true);
        assert_eq!(out, "%80%FF");
    }
}
