//! TLS options by name and from text, with the same names for every client and
//! language.

use crate::Error;
use crate::tls::{ConnectorOptions, KeyPair, Trust, Verify};

/// Sets one of the options:
///
/// | name | value |
/// |---|---|
/// | `tls` | `on`: with the system's CAs; `off` |
/// | `tls.ca_file` | CAs for the server's certificate, PEM; enables TLS |
/// | `tls.ca_path` | a directory of such files; enables TLS |
/// | `tls.cert_file`, `tls.key_file` | client certificate and key, PEM; enables TLS |
/// | `tls.verify` | verification of the server's certificate: `full`, `any_name`, `nothing` |
///
/// # Errors
/// `Invalid` for another name or value; the error never contains the value.
pub(super) fn set(
    present: &mut Option<ConnectorOptions>,
    name: &str,
    value: &str,
) -> Result<(), Error> {
    if (name, value) == ("tls", "off") {
        *present = None;
        return Ok(());
    }
    let mut tls = present.clone().unwrap_or_default();
    let mut pair = tls.key_pair.take();
    let nobody = || KeyPair { cert_file: Default::default(), key_file: None };
    match (name, value) {
        ("tls", "on") => {}
        ("tls.ca_file", path) => tls.trust = Trust::File(path.into()),
        ("tls.ca_path", path) => tls.trust = Trust::Folder(path.into()),
        ("tls.cert_file", path) => pair.get_or_insert_with(nobody).cert_file = path.into(),
        ("tls.key_file", path) => pair.get_or_insert_with(nobody).key_file = Some(path.into()),
        ("tls.verify", "full") => tls.verify = Verify::Full,
        ("tls.verify", "any_name") => tls.verify = Verify::AnyName,
        ("tls.verify", "nothing") => tls.verify = Verify::Nothing,
        ("tls" | "tls.verify", _) => {
            return Err(Error::invalid(format!("invalid value for option {name}")));
        }
        _ => return Err(Error::invalid(format!("there is no option named {name}"))),
    }
    tls.key_pair = pair;
    *present = Some(tls);
    Ok(())
}
