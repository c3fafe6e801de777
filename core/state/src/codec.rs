//! Primitives of the storage formats: little-endian integers, length-prefixed
//! bytes. Every record that is written to disk or sent to a member consists of
//! these and begins with a version byte; an existing version is never changed.
//!
//! Decoding is total: damaged input is a [`CodecError`], never a panic (D1), and a
//! length is limited by the bytes that are actually present.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

/// Stored bytes that do not decode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The record ended early.
    #[error("record ends {missing} bytes early while reading {what}")]
    Truncated {
        /// The field being read.
        what: &'static str,
        /// How many bytes were missing.
        missing: usize,
    },
    /// A tag or version byte has no meaning in this release.
    #[error("{what} has unknown tag {tag}")]
    UnknownTag {
        /// The field being read.
        what: &'static str,
        /// The value found.
        tag: u64,
    },
    /// Text that is not UTF-8.
    #[error("{what} is not UTF-8")]
    NotUtf8 {
        /// The field being read.
        what: &'static str,
    },
    /// Bytes behind the end of the record.
    #[error("{extra} bytes after the end of {what}")]
    TrailingBytes {
        /// The record.
        what: &'static str,
        /// How many.
        extra: usize,
    },
    /// A value that breaks a rule of the record.
    #[error("{what} is invalid")]
    Invalid {
        /// The field.
        what: &'static str,
    },
}

/// Something with a stored form.
pub trait Encode {
    /// Appends the stored form.
    fn encode(&self, out: &mut Vec<u8>);
}

/// Something that can be read back from its stored form.
pub trait Decode: Sized {
    /// Reads one value.
    ///
    /// # Errors
    /// [`CodecError`] if the bytes are not one.
    fn decode(input: &mut Input) -> Result<Self, CodecError>;
}

/// Bytes being read, front to back. Slices taken from it share its memory.
#[derive(Debug, Clone)]
pub struct Input {
    bytes: Bytes,
}

impl Input {
    /// Reads from `bytes`.
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes the next `len` bytes.
    ///
    /// # Errors
    /// [`CodecError::Truncated`] if fewer are left.
    pub fn take(&mut self, len: usize, what: &'static str) -> Result<Bytes, CodecError> {
        if len > self.bytes.len() {
            return Err(CodecError::Truncated { what, missing: len - self.bytes.len() });
        }
        Ok(self.bytes.split_to(len))
    }

    /// Fails unless everything was read.
    ///
    /// # Errors
    /// [`CodecError::TrailingBytes`] if something is left.
    pub fn finish(self, what: &'static str) -> Result<(), CodecError> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        Err(CodecError::TrailingBytes { what, extra: self.bytes.len() })
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], CodecError> {
        let taken = self.take(N, what)?;
        let mut array = [0; N];
        array.copy_from_slice(&taken);
        Ok(array)
    }
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Encode for $integer {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }

        impl Decode for $integer {
            fn decode(input: &mut Input) -> Result<Self, CodecError> {
                Ok(Self::from_le_bytes(input.array(stringify!($integer))?))
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, u128, i32, i64);

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Decode for bool {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        match u8::decode(input)? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(CodecError::UnknownTag { what: "bool", tag: tag.into() }),
        }
    }
}

/// Appends a `u32` length. Panics past 4 GiB, which every limit above forbids.
pub fn encode_len(len: usize, out: &mut Vec<u8>) {
    let len = u32::try_from(len).expect("limits keep every stored length below 4 GiB");
    len.encode(out);
}

/// Reads a `u32` length.
///
/// # Errors
/// [`CodecError::Truncated`].
pub fn decode_len(input: &mut Input) -> Result<usize, CodecError> {
    u32::decode(input)?.try_into().map_err(|_| CodecError::Invalid { what: "length" })
}

impl Encode for [u8] {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_len(self.len(), out);
        out.extend_from_slice(self);
    }
}

impl Encode for Bytes {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_ref().encode(out);
    }
}

impl Decode for Bytes {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        let len = decode_len(input)?;
        input.take(len, "bytes")
    }
}

impl Encode for str {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_bytes().encode(out);
    }
}

impl Encode for String {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_str().encode(out);
    }
}

impl Encode for Box<str> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_ref().encode(out);
    }
}

impl Decode for String {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        let bytes = Bytes::decode(input)?;
        let text =
            core::str::from_utf8(&bytes).map_err(|_| CodecError::NotUtf8 { what: "text" })?;
        Ok(Self::from(text))
    }
}

impl Decode for Box<str> {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        String::decode(input).map(String::into_boxed_str)
    }
}

impl<const N: usize> Encode for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl<const N: usize> Decode for [u8; N] {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        input.array("fixed bytes")
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.encode(out);
            }
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        match u8::decode(input)? {
            0 => Ok(None),
            1 => T::decode(input).map(Some),
            tag => Err(CodecError::UnknownTag { what: "option", tag: tag.into() }),
        }
    }
}

impl<T: Encode> Encode for Arc<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        T::encode(self, out);
    }
}

impl<T: Decode> Decode for Arc<T> {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        T::decode(input).map(Self::new)
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_len(self.len(), out);
        for item in self {
            item.encode(out);
        }
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        let len = decode_len(input)?;
        // A damaged length must not reserve memory for items that are not there.
        let mut items = Self::with_capacity(len.min(input.remaining()).min(1024));
        for _ in 0..len {
            items.push(T::decode(input)?);
        }
        Ok(items)
    }
}

impl<A: Encode, B: Encode> Encode for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
}

impl<A: Decode, B: Decode> Decode for (A, B) {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        Ok((A::decode(input)?, B::decode(input)?))
    }
}

/// Appends a number in groups of seven bits, lowest first, as many as it needs.
pub fn encode_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Reads what [`encode_varint`] wrote.
///
/// # Errors
/// [`CodecError::Truncated`], or `Invalid` if the number has more than 64 bits.
pub fn decode_varint(input: &mut Input) -> Result<u64, CodecError> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = u8::decode(input)?;
        let group = u64::from(byte & 0x7f);
        if group << shift >> shift != group {
            break;
        }
        value |= group << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(CodecError::Invalid { what: "varint" })
}

/// Appends bytes behind their length as a varint.
pub fn encode_blob(bytes: &[u8], out: &mut Vec<u8>) {
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Reads what [`encode_blob`] wrote.
///
/// # Errors
/// [`CodecError`] if the bytes are not one.
pub fn decode_blob(input: &mut Input) -> Result<Bytes, CodecError> {
    let len = decode_varint(input)?;
    input.take(usize::try_from(len).unwrap_or(usize::MAX), "bytes")
}

/// Appends text behind its length as a varint.
pub fn encode_text(text: &str, out: &mut Vec<u8>) {
    encode_blob(text.as_bytes(), out);
}

/// Reads what [`encode_text`] wrote.
///
/// # Errors
/// [`CodecError`] if the bytes are not one.
pub fn decode_text(input: &mut Input) -> Result<Box<str>, CodecError> {
    let bytes = decode_blob(input)?;
    let text = core::str::from_utf8(&bytes).map_err(|_| CodecError::NotUtf8 { what: "text" })?;
    Ok(text.into())
}

/// Appends items behind their count as a varint.
pub fn encode_items<T: Encode>(items: &[T], out: &mut Vec<u8>) {
    encode_varint(items.len() as u64, out);
    for item in items {
        item.encode(out);
    }
}

/// Reads what [`encode_items`] wrote.
///
/// # Errors
/// [`CodecError`] if the bytes are not one.
pub fn decode_items<T: Decode>(input: &mut Input) -> Result<Vec<T>, CodecError> {
    // Every item takes a byte at least, so a damaged count ends with the input.
    let count = decode_varint(input)?;
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(T::decode(input)?);
    }
    Ok(items)
}

/// Implements [`Encode`] and [`Decode`] for a struct, field by field in the
/// order named. The order is the stored format. What was added since is stored
/// `beside` it, by whoever knows how, and begins as its default.
#[macro_export]
macro_rules! record {
    ($name:ty { $($field:tt),* $(,)? }) => {
        $crate::record!($name { $($field),* } beside {});
    };
    ($name:ty { $($field:tt),* $(,)? } beside { $($other:ident),* }) => {
        impl $crate::codec::Encode for $name {
            fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
                $($crate::codec::Encode::encode(&self.$field, out);)*
            }
        }

        impl $crate::codec::Decode for $name {
            fn decode(
                input: &mut $crate::codec::Input,
            ) -> Result<Self, $crate::codec::CodecError> {
                Ok(Self {
                    $($field: $crate::codec::Decode::decode(input)?,)*
                    $($other: Default::default(),)*
                })
            }
        }
    };
}

record!(crate::id::MemberId { 0 });
record!(crate::id::Revision { 0 });
record!(crate::id::SessionId { 0 });
record!(crate::id::Attachment { 0 });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_read_back_in_the_fewest_bytes() {
        for (value, len) in
            [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (1 << 63, 10), (u64::MAX, 10)]
        {
            let mut out = Vec::new();
            encode_varint(value, &mut out);
            assert_eq!(out.len(), len, "{value}");
            assert_eq!(decode_varint(&mut Input::new(out.into())), Ok(value));
        }
    }

    #[test]
    fn a_varint_of_more_than_64_bits_is_an_error() {
        let mut long = [0xff; 11];
        assert!(decode_varint(&mut Input::new(Bytes::copy_from_slice(&long))).is_err());
        long[9] = 2;
        assert!(decode_varint(&mut Input::new(Bytes::copy_from_slice(&long))).is_err());
    }

    #[test]
    fn a_length_is_believed_only_up_to_the_bytes_that_are_there() {
        let mut out = Vec::new();
        encode_varint(u64::MAX, &mut out);
        let input = || Input::new(Bytes::copy_from_slice(&out));
        assert!(decode_blob(&mut input()).is_err());
        assert!(decode_items::<u8>(&mut input()).is_err());
    }
}
