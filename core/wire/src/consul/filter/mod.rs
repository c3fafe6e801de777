//! `filter=`: boolean expressions over the rows of a response.
//!
//! ```text
//! text --parse--> Expression --compile, against a Shape--> Filter --admits--> yes or no
//! ```
//!
//! A row is evaluated in its JSON form, so selectors are the names that clients
//! see. The [`Shape`] of an endpoint defines its selectors and their types: an
//! unknown one, or an unsuitable operator, is refused before any row is
//! evaluated. Expressions are untrusted: their length, depth and the size of
//! their regular expressions are bounded, and the steps of their evaluation are
//! counted: see [`Work`].

mod compile;
mod evaluate;
mod parse;
pub mod shape;
#[cfg(test)]
mod tests;
mod work;

use serde::Serialize;
use thiserror::Error;

use self::compile::Test;
pub use self::shape::Shape;
pub use self::work::{Ended, Work};

/// Longest expression. Bytes.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// What it costs to make the JSON form of a row. Steps.
const ROW_STEPS: u64 = 64;

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("Failed to create boolean expression evaluator: {0}")]
pub struct FilterError(String);

/// Which rows of an answer are wanted.
#[derive(Debug, Default)]
pub struct Filter(Option<Test>);

impl Filter {
    /// Reads an expression about rows of `shape`. An empty one admits all.
    ///
    /// # Errors
    /// [`FilterError`], with Consul's text.
    pub fn compile(text: &str, shape: &Shape) -> Result<Self, FilterError> {
        if text.trim().is_empty() {
            return Ok(Self(None));
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(FilterError(format!(
                "the expression is longer than {TEXT_BYTES_MAX} bytes"
            )));
        }
        let expression = parse::expression(text).map_err(FilterError)?;
        compile::test(&expression, shape).map(|test| Self(Some(test))).map_err(FilterError)
    }

    /// Whether every row is wanted.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether `row` is wanted. False too if `work` has ended, which says so.
    pub fn admits<T: Serialize>(&self, row: &T, work: &Work) -> bool {
        let Some(test) = &self.0 else { return true };
        if work.spend(ROW_STEPS).is_err() {
            return false;
        }
        // Every row type serializes; one that did not could not be answered either.
        let row = serde_json::to_value(row);
        row.is_ok_and(|row| evaluate::holds(test, &row, work).unwrap_or(false))
    }
}
