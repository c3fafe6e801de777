//! What secures a connection, by name and from text: one spelling for every
//! client and every language.

use crate::Error;
use crate::tls::{ConnectorOptions, KeyPair, Trust, Verify};

/// Sets one of the options:
///
/// | name | value |
/// |---|---|
/// | `tls` | `on`: with the authorities the system trusts; `off` |
/// | `tls.ca_file` | the authorities the server's certificate comes from, PEM; TLS is on |
/// | `tls.ca_path` | a folder of such files; TLS is on |
/// | `tls.cert_file`, `tls.key_file` | our certificate and its key, PEM; TLS is on |
/// | `tls.verify` | of the server's certificate: `full`, `any_name`, `nothing` |
///
/// # Errors
/// `Invalid` for another name or value; never says the value.
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
            return Err(Error::invalid(format!("{name} cannot have this value")));
        }
        _ => return Err(Error::invalid(format!("there is no option named {name}"))),
    }
    tls.key_pair = pair;
    *present = Some(tls);
    Ok(())
}
