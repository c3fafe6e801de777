//! Limits the size of check output.

use coord_wire::consul::check::CheckDefinition;

/// What one check may say at most. Consul: `check_output_max_size`, as it is by default.
pub const OUTPUT_BYTES_MAX: usize = 4096;

/// The same with what the agent says around it: method, address, status.
pub(super) const WHOLE_BYTES_MAX: usize = 2 * OUTPUT_BYTES_MAX;

/// How much output of a check is kept: a definition may ask for less than the
/// agent allows, but not for more.
pub(super) fn bytes_max(definition: &CheckDefinition) -> usize {
    match usize::try_from(definition.output_max_size) {
        Ok(0) | Err(_) => OUTPUT_BYTES_MAX,
        Ok(size) => size.min(OUTPUT_BYTES_MAX),
    }
}

/// The head of `output`, and how much of it that is.
pub(super) fn clip(output: &str, bytes_max: usize) -> String {
    if output.len() <= bytes_max {
        return output.to_owned();
    }
    let mut end = bytes_max;
    while !output.is_char_boundary(end) {
        end -= 1;
    }
    format!("{} ... (captured {end} of {} bytes)", &output[..end], output.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_output_keeps_its_head_and_says_so() {
        assert_eq!(clip("abcdef", 6), "abcdef");
        assert_eq!(clip("abcdef", 4), "abcd ... (captured 4 of 6 bytes)");
        assert_eq!(clip("aé", 2), "a ... (captured 1 of 3 bytes)");
    }

    #[test]
    fn a_check_may_ask_for_less_output_than_allowed_but_not_for_more() {
        let of = |size| {
            bytes_max(&CheckDefinition { output_max_size: size, ..CheckDefinition::default() })
        };
        assert_eq!([of(0), of(10), of(4096), of(4097), of(i64::MAX)], [4096, 10, 4096, 4096, 4096]);
    }
}
