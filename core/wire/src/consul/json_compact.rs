//! Compact JSON, in one pass into one buffer.
//!
//! What goes through here is most of what a member says over HTTP. The names of
//! fields are constants of this program, so they are copied as they stand, and
//! a text is looked at once for all that must be escaped in it, be it by JSON or
//! for HTML. Numbers are printed by `serde_json`. Pretty output is not made
//! here: nobody waits for it.
//!
//! Invariant: the bytes are those of `serde_json`'s compact form with the
//! escapes of [`super::json`], which a test compares.

use serde::ser::{self, Error as _, Serialize};
use serde_json::Error;

/// Appends the value to bytes.
pub(super) struct Compact<'a>(pub(super) &'a mut Vec<u8>);

/// Appends the inside of a text, without the quotes around it.
pub(super) fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    while let Some(at) = position_of_special(rest) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        rest = push_special(out, special);
    }
    out.extend_from_slice(rest);
}

/// Appends a text with its quotes.
fn push_text(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    push_escaped(out, text);
    out.push(b'"');
}

/// Whether a byte must be escaped, or may begin a character that must.
fn is_special(byte: u8) -> bool {
    // The line separators U+2028 and U+2029 are e2 80 a8 and e2 80 a9.
    matches!(byte, 0..=0x1f | b'"' | b'\\' | b'<' | b'>' | b'&' | 0xe2)
}

/// Bytes looked at together: the compiler makes one comparison of that many.
const LANES: usize = 16;

fn position_of_special(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    for lanes in bytes.chunks_exact(LANES) {
        if lanes.iter().fold(false, |found, byte| found | is_special(*byte)) {
            break;
        }
        at += LANES;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().position(|byte| is_special(*byte)).map(|place| at + place)
}

/// Escapes the first byte or character, if it needs to be; gives what follows it.
fn push_special<'a>(out: &mut Vec<u8>, special: &'a [u8]) -> &'a [u8] {
    if let [0xe2, 0x80, last @ (0xa8 | 0xa9), rest @ ..] = special {
        out.extend_from_slice(if *last == 0xa8 { br"\u2028" } else { br"\u2029" });
        return rest;
    }
    let Some((first, rest)) = special.split_first() else { return special };
    match first {
        b'"' => out.extend_from_slice(br#"\""#),
        b'\\' => out.extend_from_slice(br"\\"),
        b'\n' => out.extend_from_slice(br"\n"),
        b'\r' => out.extend_from_slice(br"\r"),
        b'\t' => out.extend_from_slice(br"\t"),
        0x08 => out.extend_from_slice(br"\b"),
        0x0c => out.extend_from_slice(br"\f"),
        0xe2 => out.push(*first),
        _ => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            let digit = |nibble: u8| DIGITS[usize::from(nibble & 0xf)];
            out.extend_from_slice(br"\u00");
            out.extend_from_slice(&[digit(first >> 4), digit(*first)]);
        }
    }
    rest
}

impl<'a> Compact<'a> {
    /// The same buffer, for a value inside this one.
    #[inline]
    fn inner(&mut self) -> Compact<'_> {
        Compact(self.0)
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// `{"variant":`
    fn open_variant(&mut self, variant: &str) {
        self.push(b"{");
        push_text(self.0, variant);
        self.push(b":");
    }

    #[inline]
    fn list(mut self, open: &[u8], close: &'static [u8]) -> Rows<'a> {
        self.push(open);
        Rows { out: self, is_first: true, close }
    }
}

macro_rules! by_serde_json {
    ($($method:ident: $type:ty,)*) => {
        $(fn $method(self, value: $type) -> Result<(), Error> {
            ser::Serializer::$method(&mut serde_json::Serializer::new(self.0), value)
        })*
    };
}

impl<'a> ser::Serializer for Compact<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Rows<'a>;
    type SerializeTuple = Rows<'a>;
    type SerializeTupleStruct = Rows<'a>;
    type SerializeTupleVariant = Rows<'a>;
    type SerializeMap = Rows<'a>;
    type SerializeStruct = Rows<'a>;
    type SerializeStructVariant = Rows<'a>;

    by_serde_json! {
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
        serialize_f32: f32,
        serialize_f64: f64,
        serialize_bytes: &[u8],
    }

    fn serialize_bool(mut self, value: bool) -> Result<(), Error> {
        self.push(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        push_text(self.0, value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(mut self) -> Result<(), Error> {
        self.push(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.open_variant(variant);
        value.serialize(self.inner())?;
        self.push(b"}");
        Ok(())
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Rows<'a>, Error> {
        Ok(self.list(b"[", b"]"))
    }

    fn serialize_tuple(self, _len: usize) -> Result<Rows<'a>, Error> {
        Ok(self.list(b"[", b"]"))
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Rows<'a>, Error> {
        Ok(self.list(b"[", b"]"))
    }

    fn serialize_tuple_variant(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Rows<'a>, Error> {
        self.open_variant(variant);
        Ok(self.list(b"[", b"]}"))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Rows<'a>, Error> {
        Ok(self.list(b"{", b"}"))
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Rows<'a>, Error> {
        Ok(self.list(b"{", b"}"))
    }

    fn serialize_struct_variant(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Rows<'a>, Error> {
        self.open_variant(variant);
        Ok(self.list(b"{", b"}}"))
    }
}

/// The inside of a list or an object.
pub(super) struct Rows<'a> {
    out: Compact<'a>,
    is_first: bool,
    close: &'static [u8],
}

impl Rows<'_> {
    #[inline]
    fn separate(&mut self) {
        if !std::mem::replace(&mut self.is_first, false) {
            self.out.push(b",");
        }
    }

    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.separate();
        value.serialize(self.out.inner())
    }

    /// Where it becomes part of the caller, so does the name: what is left of it
    /// are a few stores.
    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Error> {
        debug_assert_eq!(position_of_special(name.as_bytes()), None, "fields have plain names");
        self.out.push(if std::mem::replace(&mut self.is_first, false) { b"\"" } else { b",\"" });
        self.out.push(name.as_bytes());
        self.out.push(b"\":");
        value.serialize(self.out.inner())
    }

    #[inline]
    fn close(mut self) {
        self.out.push(self.close);
    }
}

macro_rules! elements {
    ($($trait:ident::$method:ident,)*) => {
        $(impl ser::$trait for Rows<'_> {
            type Ok = ();
            type Error = Error;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.element(value)
            }

            fn end(self) -> Result<(), Error> {
                self.close();
                Ok(())
            }
        })*
    };
}

elements! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

macro_rules! fields {
    ($($trait:ident,)*) => {
        $(impl ser::$trait for Rows<'_> {
            type Ok = ();
            type Error = Error;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.field(name, value)
            }

            fn end(self) -> Result<(), Error> {
                self.close();
                Ok(())
            }
        })*
    };
}

fields! {
    SerializeStruct,
    SerializeStructVariant,
}

impl ser::SerializeMap for Rows<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.separate();
        let begins = self.out.0.len();
        key.serialize(self.out.inner())?;
        if self.out.0.get(begins) != Some(&b'"') {
            return Err(Error::custom("a key that is no text"));
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.out.push(b":");
        value.serialize(self.out.inner())
    }

    fn end(self) -> Result<(), Error> {
        self.close();
        Ok(())
    }
}
