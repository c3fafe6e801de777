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

/// Reads what a client looks something up by: 36 characters, of which up to four
/// are hyphens, wherever they stand. `None` is the id of nothing: it has more
/// digits than a UUID, or fewer.
///
/// # Errors
/// What Consul says about one that is malformed.
pub fn looked_up(text: &str) -> Result<Option<u128>, String> {
    if text.len() != 36 {
        return Err("UUID must be 36 characters".to_owned());
    }
    let hyphens = text.bytes().filter(|byte| *byte == b'-').count();
    if hyphens > 4 {
        return Err(format!("UUID should have maximum of 4 \"-\"; got {hyphens}"));
    }
    if hyphens % 2 == 1 {
        return Err("Input (without hyphens) must be even length".to_owned());
    }
    let mut value: u128 = 0;
    for byte in text.bytes().filter(|byte| *byte != b'-') {
        let digit = char::from(byte).to_digit(16);
        let digit = digit.ok_or_else(|| {
            format!("Invalid UUID: encoding/hex: invalid byte: {}", go_rune(byte))
        })?;
        value = value << 4 | u128::from(digit);
    }
    Ok((hyphens == 4).then_some(value))
}

/// A byte as Go's `%#U` prints it.
fn go_rune(byte: u8) -> String {
    let rune = char::from(byte);
    match rune.is_control() {
        true => format!("U+{byte:04X}"),
        false => format!("U+{byte:04X} '{rune}'"),
    }
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
    fn hyphens_may_stand_anywhere_in_what_is_looked_up() {
        let text = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
        assert_eq!(looked_up(text), Ok(Some(parse(text).unwrap())));
        let moved = "f81d4fae7dec11d0a76500a0c91e6bf6----";
        assert_eq!(looked_up(moved), Ok(Some(parse(text).unwrap())));
    }

    #[test]
    fn thirty_six_digits_are_the_id_of_nothing() {
        assert_eq!(looked_up("0123456789abcdef0123456789abcdef0123"), Ok(None));
        assert_eq!(looked_up("0123456789abcdef-0123456789abcdef-01"), Ok(None));
    }

    #[test]
    fn what_cannot_be_looked_up_is_told_in_consuls_words() {
        let error = |text: &str| looked_up(text).unwrap_err();
        assert_eq!(error("nope"), "UUID must be 36 characters");
        assert_eq!(
            error("-----6789abcdef0123456789abcdef01234"),
            "UUID should have maximum of 4 \"-\"; got 5"
        );
        assert_eq!(
            error("-123456789abcdef0123456789abcdef0123"),
            "Input (without hyphens) must be even length"
        );
        assert_eq!(
            error("z123456789abcdef0123456789abcdef0123"),
            "Invalid UUID: encoding/hex: invalid byte: U+007A 'z'"
        );
    }

    #[test]
    fn a_random_uuid_says_that_it_is_version_4() {
        let text = format(from_random([0xff; 16]));
        assert_eq!(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
