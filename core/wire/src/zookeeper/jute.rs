//! Jute, the encoding of ZooKeeper's records.
//!
//! | type | bytes |
//! |---|---|
//! | boolean | 1, any but 0 is true |
//! | int, long | 4, 8, big-endian |
//! | buffer, ustring | int length, then that many; -1 is null |
//! | vector | int count, then the elements; -1 is null |

use bytes::{Buf, Bytes};

use super::Text;
use crate::DecodeError;

/// A message being read, front to back. What it hands out shares its memory.
#[derive(Debug, Clone)]
pub struct Reader {
    bytes: Bytes,
}

impl Reader {
    /// Reads from `bytes`.
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// What is left.
    pub fn rest(self) -> Bytes {
        self.bytes
    }

    /// An int.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn int(&mut self, what: &'static str) -> Result<i32, DecodeError> {
        self.need(4, what)?;
        Ok(self.bytes.get_i32())
    }

    /// A long.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn long(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        self.need(8, what)?;
        Ok(self.bytes.get_i64())
    }

    /// A boolean.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn boolean(&mut self, what: &'static str) -> Result<bool, DecodeError> {
        Ok(self.byte(what)? != 0)
    }

    /// A byte, as no record of ZooKeeper has one.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn byte(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        self.need(1, what)?;
        Ok(self.bytes.get_u8())
    }

    /// A buffer, `None` for null.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], [`DecodeError::NegativeLength`].
    pub fn buffer(&mut self, what: &'static str) -> Result<Option<Bytes>, DecodeError> {
        let Some(length) = self.length(what)? else { return Ok(None) };
        self.need(length, what)?;
        Ok(Some(self.bytes.split_to(length)))
    }

    /// A ustring, `None` for null.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], [`DecodeError::NegativeLength`].
    pub fn nullable_text(&mut self, what: &'static str) -> Result<Option<Text>, DecodeError> {
        Ok(self.buffer(what)?.map(Text::from_wire))
    }

    /// A ustring that must not be null.
    ///
    /// # Errors
    /// As [`Self::nullable_text`], and [`DecodeError::Null`].
    pub fn text(&mut self, what: &'static str) -> Result<Text, DecodeError> {
        self.nullable_text(what)?.ok_or(DecodeError::Null { what })
    }

    /// A vector, `None` for null. Grows with the elements really there, not
    /// with the count.
    ///
    /// # Errors
    /// Those of the elements, and [`DecodeError::NegativeLength`].
    pub fn nullable_vector<T>(
        &mut self,
        what: &'static str,
        mut element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(count) = self.length(what)? else { return Ok(None) };
        let mut elements = Vec::with_capacity(count.min(self.remaining() / 4).min(1024));
        for _ in 0..count {
            if self.remaining() == 0 {
                return Err(DecodeError::Truncated { what, missing: 1 });
            }
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    /// A vector, null read as empty.
    ///
    /// # Errors
    /// As [`Self::nullable_vector`].
    pub fn vector<T>(
        &mut self,
        what: &'static str,
        element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        Ok(self.nullable_vector(what, element)?.unwrap_or_default())
    }

    fn length(&mut self, what: &'static str) -> Result<Option<usize>, DecodeError> {
        match self.int(what)? {
            -1 => Ok(None),
            length => match usize::try_from(length) {
                Ok(length) => Ok(Some(length)),
                Err(_) => Err(DecodeError::NegativeLength { what, length }),
            },
        }
    }

    fn need(&self, length: usize, what: &'static str) -> Result<(), DecodeError> {
        match length.checked_sub(self.bytes.len()) {
            None | Some(0) => Ok(()),
            Some(missing) => Err(DecodeError::Truncated { what, missing }),
        }
    }
}

/// Appends an int.
pub fn put_int(out: &mut Vec<u8>, value: i32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a long.
pub fn put_long(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a boolean.
pub fn put_boolean(out: &mut Vec<u8>, value: bool) {
    out.push(u8::from(value));
}

/// Appends a buffer, null for `None`.
pub fn put_buffer(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        None => put_int(out, -1),
        Some(bytes) => {
            put_length(out, bytes.len());
            out.extend_from_slice(bytes);
        }
    }
}

/// Appends a ustring.
pub fn put_text(out: &mut Vec<u8>, value: &str) {
    put_buffer(out, Some(value.as_bytes()));
}

/// Appends a ustring, null for `None`.
pub fn put_nullable_text(out: &mut Vec<u8>, value: Option<&str>) {
    put_buffer(out, value.map(str::as_bytes));
}

/// Appends a vector of ustrings.
pub fn put_texts<T: AsRef<str>>(
    out: &mut Vec<u8>,
    values: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
) {
    let values = values.into_iter();
    put_length(out, values.len());
    for value in values {
        put_text(out, value.as_ref());
    }
}

/// Appends the length of a buffer or the count of a vector.
pub fn put_length(out: &mut Vec<u8>, length: usize) {
    put_int(out, int_length(length));
}

pub(super) fn int_length(length: usize) -> i32 {
    i32::try_from(length).expect("limits keep every message below 2 GiB")
}
