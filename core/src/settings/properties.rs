//! The format of Java properties, which `zoo.cfg` uses.
//!
//! ```text
//! key=value   key: value   key value     a separator is =, : or blanks
//! # comment   ! comment                  to the end of the line, never continued
//! key=first,\                            a backslash before the end of the line
//!     second                             continues it without the blanks of the next
//! \t \n \r \f \u0041                     letters; before any other a backslash vanishes
//! ```
//!
//! Java reads such a file as ISO 8859-1. Here a file that is valid UTF-8 is read as UTF-8, so that
//! a path outside ASCII is the one in the user's editor; any other file is read as in Java.

use std::borrow::Cow;

use crate::error::Error;

/// The properties of a file, in file order, with all values of a repeated key.
///
/// # Errors
/// `Invalid`, with the line, for `\u` without four hexadecimal digits, half of a surrogate pair,
/// or a byte order mark, which Java takes for a part of the first key.
pub(super) fn parse(file: &[u8]) -> Result<Vec<(String, String)>, Error> {
    if file.starts_with("\u{feff}".as_bytes()) {
        return Err(Error::invalid(
            "the file begins with a byte order mark, which would become a part of the first key: \
             save it as UTF-8 without one",
        ));
    }
    let text = match std::str::from_utf8(file) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(file.iter().map(|byte| char::from(*byte)).collect::<String>()),
    };
    let mut properties = Vec::new();
    for (number, line) in logical_lines(&text) {
        let at = |what: &str| Error::invalid(format!("line {number}: {what}"));
        let (key, value) = split(&line);
        properties.push((unescaped(key).map_err(at)?, unescaped(value).map_err(at)?));
    }
    Ok(properties)
}

const BLANKS: [char; 3] = [' ', '\t', '\u{c}'];

/// The lines that are not blank or a comment, with continued lines joined, each with the number of
/// its first line.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let text = text.replace("\r\n", "\n");
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut continued = false;
    for (number, line) in text.split(['\n', '\r']).enumerate() {
        let line = line.trim_start_matches(BLANKS);
        if !continued && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        // An even number of backslashes is literal.
        let backslashes = line.len() - line.trim_end_matches('\\').len();
        let goes_on = backslashes % 2 == 1;
        let content = &line[..line.len() - usize::from(goes_on)];
        match lines.last_mut().filter(|_| continued) {
            Some((_, begun)) => begun.push_str(content),
            None => lines.push((number + 1, content.to_owned())),
        }
        continued = goes_on;
    }
    // A continuation may have been empty.
    lines.retain(|(_, line)| !line.is_empty());
    lines
}

/// Splits a line at its first separator; both parts keep their escapes.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|letter: char| {
        let ends = !escaped && (letter == '=' || letter == ':' || BLANKS.contains(&letter));
        escaped = letter == '\\' && !escaped;
        ends
    });
    let Some(end) = end else { return (line, "") };
    let rest = line[end..].trim_start_matches(BLANKS);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..end], value.trim_start_matches(BLANKS))
}

fn unescaped(text: &str) -> Result<String, &'static str> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut letters = text.chars();
    let put = |letter: char, units: &mut Vec<u16>| {
        units.extend_from_slice(letter.encode_utf16(&mut [0; 2]));
    };
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            put(letter, &mut units);
            continue;
        }
        match letters.next() {
            Some('t') => units.push(b'\t'.into()),
            Some('n') => units.push(b'\n'.into()),
            Some('r') => units.push(b'\r'.into()),
            Some('f') => units.push(0xc),
            Some('u') => {
                let mut unit = 0;
                for _ in 0..4 {
                    let digit = letters.next().and_then(|letter| letter.to_digit(16));
                    let digit = digit.ok_or("\\u must be followed by four hexadecimal digits")?;
                    unit = unit << 4 | u16::try_from(digit).unwrap_or_default();
                }
                units.push(unit);
            }
            Some(other) => put(other, &mut units),
            None => {}
        }
    }
    String::from_utf16(&units).map_err(|_| "a \\u escape is half of a surrogate pair")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_separator_is_an_equals_sign_a_colon_or_blanks() {
        for text in ["k=v", "k:v", "k v", "k\tv", "k = v", "k : v", "  k   v", "\u{c}k= v", "k=v\r"]
        {
            assert_eq!(read(text), [("k".to_owned(), "v".to_owned())], "{text:?}");
        }
        for (text, value) in [("k==v", "=v"), ("k=:v", ":v"), ("k  = = v", "= v"), ("k v ", "v ")] {
            assert_eq!(read(text), [("k".to_owned(), value.to_owned())], "{text:?}");
        }
        assert_eq!(read("server.2:a:1:2"), [("server.2".to_owned(), "a:1:2".to_owned())]);
        for text in ["k", "k=", "k:", "k "] {
            assert_eq!(read(text), [("k".to_owned(), String::new())], "{text:?}");
        }
    }

    #[test]
    fn comments_and_empty_lines_say_nothing_and_are_not_continued() {
        let text = "# a=1\\\n  ! b=2\n\n \t\r\nc=3\r# d=4\ne=5#6\n";
        assert_eq!(read(text), [("c", "3"), ("e", "5#6")].map(|(k, v)| (k.into(), v.into())));
    }

    #[test]
    fn a_backslash_at_its_end_continues_a_line() {
        for (text, value) in [
            ("k=a,\\\n   b", "a,b"),
            ("k=a\\\r\n\tb\\\r\nc", "abc"),
            ("k\\\n=a", "a"),
            ("k=\\\n# no comment", "# no comment"),
            ("k=a\\\\\nl=b", "a\\"),
            ("k=a\\\\\\\nb", "a\\b"),
            ("k=a\\\n\nl=b", "a"),
            ("k=a\\", "a"),
        ] {
            let first = ("k".to_owned(), value.to_owned());
            assert_eq!(read(text)[0], first, "{text:?}");
        }
        assert_eq!(read("\\"), []);
    }

    #[test]
    fn escapes_are_letters() {
        for (text, key, value) in [
            ("a\\=b\\:c\\ d=e", "a=b:c d", "e"),
            ("server.2=10.0.0.1\\:1\\:2\\:observer", "server.2", "10.0.0.1:1:2:observer"),
            ("k=\\t\\n\\r\\f\\q\\\\", "k", "\t\n\r\u{c}q\\"),
            ("\\u006b=\\u00e4\\ud83d\\uDE00", "k", "\u{e4}\u{1f600}"),
            ("k=\u{e4}", "k", "\u{e4}"),
        ] {
            assert_eq!(read(text), [(key.to_owned(), value.to_owned())], "{text:?}");
        }
        assert_eq!(parse(b"k=\xe4\n").unwrap(), [("k".to_owned(), "\u{e4}".to_owned())]);
    }

    #[test]
    fn what_java_refuses_or_misreads_is_refused_with_its_line() {
        for (text, line) in [("a=1\nk=\\u00g0", 2), ("k=\\u12", 1), ("\n\nk=\\ud83d", 3)] {
            let refused = parse(text.as_bytes()).unwrap_err().chain();
            assert!(refused.contains(&format!("line {line}")), "{refused}");
        }
        assert!(parse(b"\xef\xbb\xbfdataDir=/x\n").is_err());
    }
}
