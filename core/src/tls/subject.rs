//! The subject of a certificate as text.
//!
//! RFC 2253 is ambiguous, and ACLs are compared literally, so this prints like
//! Java's `X500Principal.getName`, which ZooKeeper stores: nine short names,
//! all other attributes as OIDs with their value in hexadecimal, the most
//! specific first.

use std::fmt::Write as _;

use rustls::pki_types::CertificateDer;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::{Decode as _, Encode as _, Tag, Tagged as _};
use x509_cert::{Certificate, name::Name};

/// What RFC 2253 has a short name for.
const SHORT_NAMES: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// `None` if the certificate cannot be taken apart.
pub(super) fn of_certificate(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = Certificate::from_der(certificate)
        .inspect_err(
            |error| tracing::warn!(%error, "cannot read the subject of a client certificate"),
        )
        .ok()?;
    text(certificate.tbs_certificate().subject())
}

fn text(name: &Name) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in name.iter_rdn() {
        let attributes = part.iter().map(attribute).collect::<Option<Vec<_>>>()?;
        parts.push(attributes.join("+"));
    }
    parts.reverse();
    Some(parts.join(","))
}

fn attribute(attribute: &AttributeTypeAndValue) -> Option<String> {
    let kind = attribute.oid.to_string();
    let short = SHORT_NAMES.iter().find(|(oid, _)| *oid == kind);
    let is_text = matches!(
        attribute.value.tag(),
        Tag::PrintableString
            | Tag::TeletexString
            | Tag::Ia5String
            | Tag::BmpString
            | Tag::Utf8String
    );
    match short {
        Some((_, short)) if is_text => {
            let value = String::from_utf8_lossy(attribute.value.value());
            Some(format!("{short}={}", escaped(&value)))
        }
        _ => {
            let mut out = format!("{}=#", short.map_or(&*kind, |(_, short)| short));
            for byte in attribute.value.to_der().ok()? {
                write!(out, "{byte:02x}").ok()?;
            }
            Some(out)
        }
    }
}

fn escaped(value: &str) -> String {
    let is_blank = |character| matches!(character, ' ' | '\r');
    let inner = value.trim_matches(is_blank);
    let lead = value.len() - value.trim_start_matches(is_blank).len();
    let mut out = String::with_capacity(value.len());
    for (at, character) in value.char_indices() {
        let outside = at < lead || at >= lead + inner.len();
        match character {
            '\0' => out.push_str("\\00"),
            ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\' => out.extend(['\\', character]),
            _ if outside => out.extend(['\\', character]),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    // What is expected was printed by Java 17 for certificates made by OpenSSL.
    #[test]
    fn values_are_escaped_as_java_does() {
        for (value, expected) in [
            ("a,b", "a\\,b"),
            ("Org #1", "Org \\#1"),
            ("#lead", "\\#lead"),
            (" lead and trail ", "\\ lead and trail\\ "),
            ("ü\"q\"<>;=+z\\w", "ü\\\"q\\\"\\<\\>\\;\\=\\+z\\\\w"),
            ("  ", "\\ \\ "),
            ("", ""),
        ] {
            assert_eq!(escaped(value), expected);
        }
    }
}
