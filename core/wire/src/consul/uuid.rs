//! UUIDs as text.

/// Reads a UUID of the usual 36 characters, in either case.
///
/// # Errors
/// What Consul says about one that is malformed.
pub fn parse(text: &str) -> Result<u128, &'static str> {
    if text.len() != 36 {
        return Err("UUID must be 36 characters");
    }
    let mut value: u128 = 0;
    for (at, byte) in text.bytes().enumerate() {
        if matches!(at, 8 | 13 | 18 | 23) {
            if byte != b'-' {
                return Err("UUID should have 5 parts separated by hyphens");
            }
            continue;
        }
        let digit = char::from(byte).to_digit(16).ok_or("UUID must be hexadecimal")?;
        value = value << 4 | u128::from(digit);
    }
    Ok(value)
}

/// A random (version 4) UUID from 16 random bytes.
pub fn from_random(bytes: [u8; 16]) -> u128 {
    let mut value = u128::from_be_bytes(bytes);
    value = value & !(0xf << 76) | 0x4 << 76;
    value & !(0x3 << 62) | 0x2 << 62
}

/// A UUID's text, in lower case.
pub fn format(value: u128) -> String {
    coord_state::consul::ConsulSessionId(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_survives_reading_and_writing() {
        let text = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
        assert_eq!(format(parse(text).unwrap()), text);
        assert_eq!(parse(&text.to_uppercase()), parse(text));
    }

    #[test]
    fn a_malformed_uuid_is_told_apart() {
        assert_eq!(parse("nope"), Err("UUID must be 36 characters"));
        assert!(parse("f81d4fae+7dec-11d0-a765-00a0c91e6bf6").is_err());
        assert!(parse("z81d4fae-7dec-11d0-a765-00a0c91e6bf6").is_err());
    }

    #[test]
    fn a_random_uuid_says_that_it_is_version_4() {
        let text = format(from_random([0xff; 16]));
        assert_eq!(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
