//! Text that is to be JSON, made so that it can be read.
//!
//! A program that cuts its output at some byte, or writes in an older encoding,
//! sends bytes that are not UTF-8 and halves of surrogate pairs. Go's decoder reads
//! U+FFFD for each of them, and a health check that carries such an output keeps
//! working; `serde_json` refuses the whole body. So they are replaced beforehand.

use std::borrow::Cow;

/// In JSON it may stand where an escape stood.
const REPLACEMENT_ESCAPE: &[u8] = br"\ufffd";

/// `body` as text in which every escape is a character.
pub(super) fn text(body: &[u8]) -> Cow<'_, str> {
    match utf8(body) {
        Cow::Borrowed(text) => paired(text),
        Cow::Owned(text) => Cow::Owned(paired(&text).into_owned()),
    }
}

/// One U+FFFD for every byte that belongs to no character, as Go counts them:
/// `String::from_utf8_lossy` would have one for all bytes of a character cut off.
fn utf8(body: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(body) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(body.len() + 16);
    for chunk in body.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(out)
}

/// Replaces escapes of surrogates that are no pair.
fn paired(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut out: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == b'\\') {
        at += found;
        match unit(bytes, at) {
            Some(0xd800..=0xdbff) if matches!(unit(bytes, at + 6), Some(0xdc00..=0xdfff)) => {
                at += 12;
            }
            Some(0xd800..=0xdfff) => {
                let out = out.get_or_insert_with(|| bytes.to_vec());
                out[at..at + 6].copy_from_slice(REPLACEMENT_ESCAPE);
                at += 6;
            }
            // Also a backslash behind a backslash, which begins no escape.
            _ => at = (at + 2).min(bytes.len()),
        }
    }
    // An escape replaces one of the same length, all of it ASCII.
    match out.map(String::from_utf8) {
        Some(Ok(text)) => Cow::Owned(text),
        _ => Cow::Borrowed(text),
    }
}

/// What an escape of four digits at this place stands for, if it is one.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| {
        let value = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(value).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unicode_stays_as_it_is() {
        for body in ["", "{}", r#""\ud83d\ude00 \\ud83d \n \u00e9 \""#, "\u{1f600}é", "\\", "\\u12"]
        {
            assert!(matches!(text(body.as_bytes()), Cow::Borrowed(same) if same == body), "{body}");
        }
    }

    #[test]
    fn half_of_a_pair_is_replaced_and_what_follows_stays() {
        for (given, made) in [
            (r"\ud83d", r"\ufffd"),
            (r"\uDE00x", r"\ufffdx"),
            (r"\ud83d\n", r"\ufffd\n"),
            (r"\ud83dA", r"\ufffdA"),
            (r"\ud83d\ud83d\ude00", r"\ufffd\ud83d\ude00"),
            (r"\\\ud83d", r"\\\ufffd"),
        ] {
            assert_eq!(text(given.as_bytes()), made, "{given}");
        }
    }

    #[test]
    fn every_byte_of_no_character_is_replaced() {
        assert_eq!(text(b"caf\xe9!"), "caf\u{fffd}!");
        assert_eq!(text(b"\xf0\x9f\x98"), "\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(text(b"\xff\\ud83d"), "\u{fffd}\\ufffd");
    }
}
