//! Regular expressions from strangers: searched for, not anchored, as in Consul.
//!
//! The engine takes linear time whatever the expression, but for every byte of
//! the text it may look at as many states as the expression has. Both are
//! bounded: what is longer or compiles to more is refused, and [`Regexp::steps`]
//! says before a search what it may cost.

use regex::{Captures, Regex, RegexBuilder};

/// Longest expression. Bytes. Reading a class of Unicode takes thousands of
/// times as long as reading a letter.
const TEXT_BYTES_MAX: usize = 1024;

/// Sizes that one compiled expression may have, the smallest that suffices
/// counts. Bytes. The engine tells no sizes, it only keeps to them.
const SIZES: [usize; 5] = [1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20];

/// What remembered states may take beside. Bytes.
const CACHE_BYTES_MAX: usize = 256 << 10;

/// How deep groups may nest.
const NESTED_MAX: u32 = 64;

/// Bytes of a compiled expression that cost one step for each byte of a text.
const BYTES_PER_STEP: usize = 1 << 12;

/// A compiled expression of a bounded size.
#[derive(Debug, Clone)]
pub struct Regexp {
    regex: Regex,
    bytes: usize,
}

impl Regexp {
    /// Reads an expression that compiles to at most `bytes_max`.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn compile(text: &str, bytes_max: usize) -> Result<Self, String> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!("it is longer than {TEXT_BYTES_MAX} bytes"));
        }
        let mut problem = "it is too large".to_owned();
        for bytes in SIZES.into_iter().filter(|bytes| *bytes <= bytes_max) {
            let mut builder = RegexBuilder::new(text);
            builder.size_limit(bytes).dfa_size_limit(CACHE_BYTES_MAX).nest_limit(NESTED_MAX);
            match builder.build() {
                Ok(regex) => return Ok(Self { regex, bytes }),
                Err(regex::Error::CompiledTooBig(_)) => {
                    problem = format!("it compiles to more than {bytes} bytes");
                }
                Err(error) => {
                    // The last line says what is wrong, the ones before it draw where.
                    let shown = error.to_string();
                    let last = shown.lines().last().unwrap_or_default();
                    return Err(last.trim_start_matches("error: ").to_owned());
                }
            }
        }
        Err(problem)
    }

    /// The same, of any size that one expression may have.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn compile_alone(text: &str) -> Result<Self, String> {
        Self::compile(text, usize::MAX)
    }

    /// About what it takes in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many steps a search in `text` may take.
    pub fn steps(&self, text: &str) -> u64 {
        1 + (text.len() as u64).saturating_mul((self.bytes / BYTES_PER_STEP) as u64)
    }

    /// Whether it is found in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// Where it and its groups are found first in `text`.
    pub fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        self.regex.captures(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_anywhere_unless_it_is_anchored() {
        let found =
            |text: &str, within: &str| Regexp::compile_alone(text).unwrap().is_match(within);
        assert!(found("e", "web"));
        assert!(!found("^e", "web"));
        assert!(found(r"^\w+-\d{1,3}$", "web-12"));
    }

    #[test]
    fn what_is_wrong_is_told_in_one_sentence() {
        let problem = |text: &str| Regexp::compile_alone(text).unwrap_err();
        assert_eq!(problem("["), "unclosed character class");
        assert_eq!(problem(&"a".repeat(1025)), "it is longer than 1024 bytes");
        assert_eq!(problem("(a{1000}){1000}"), "it compiles to more than 1048576 bytes");
        let nested = format!("{}a{}", "(".repeat(100), ")".repeat(100));
        assert!(problem(&nested).contains("nest"), "{}", problem(&nested));
    }

    #[test]
    fn a_larger_expression_costs_more_for_the_same_text() {
        let steps = |text: &str| Regexp::compile_alone(text).unwrap().steps("0123456789");
        assert!(steps("web") < steps(r"\w{20}"));
        assert!(steps("^web-[0-9]+$") <= 41);
    }

    #[test]
    fn what_is_left_of_an_allowance_counts() {
        assert!(Regexp::compile("web", 1 << 12).is_ok());
        assert_eq!(Regexp::compile("web", 100).unwrap_err(), "it is too large");
    }
}
