//! Names of nodes and services are looked up without regard to case, and
//! printed in messages the way Consul prints them.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::Write as _;

/// The form of a name by which it is found.
pub(super) fn lower(name: &str) -> Box<str> {
    if name.is_ascii() {
        return name.to_ascii_lowercase().into_boxed_str();
    }
    name.chars().flat_map(char::to_lowercase).collect::<String>().into_boxed_str()
}

/// Double quotes around bytes that need not be text, with Go's escapes.
pub(super) fn quoted(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|char| push_escaped(char, &mut out));
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}").expect("writing to a string never fails");
        }
    }
    out.push('"');
    out
}

fn push_escaped(char: char, out: &mut String) {
    let short = match char {
        '"' | '\\' => Some(char),
        '\u{7}' => Some('a'),
        '\u{8}' => Some('b'),
        '\t' => Some('t'),
        '\n' => Some('n'),
        '\u{b}' => Some('v'),
        '\u{c}' => Some('f'),
        '\r' => Some('r'),
        _ => None,
    };
    if let Some(short) = short {
        out.push('\\');
        out.push(short);
    } else if !char.is_control() {
        out.push(char);
    } else if char.is_ascii() {
        write!(out, "\\x{:02x}", u32::from(char)).expect("writing to a string never fails");
    } else {
        write!(out, "\\u{:04x}", u32::from(char)).expect("writing to a string never fails");
    }
}

#[cfg(test)]
mod tests {
    use super::{lower, quoted};

    #[test]
    fn names_are_found_whatever_the_case() {
        assert_eq!(&*lower("WEB-1"), "web-1");
        assert_eq!(&*lower("ÄRGER"), "ärger");
    }

    #[test]
    fn messages_quote_as_go_does() {
        assert_eq!(quoted(b"a/b"), "\"a/b\"");
        assert_eq!(quoted("é\"\\\n".as_bytes()), "\"é\\\"\\\\\\n\"");
        assert_eq!(quoted(b"\xff\x01"), "\"\\xff\\x01\"");
        assert_eq!(quoted("\u{85}".as_bytes()), "\"\\u0085\"");
    }
}
