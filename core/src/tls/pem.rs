//! Reads certificates and keys from files, with errors that say what to do if a
//! file contains something else.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::Error;

/// Larger than any real file of certificates.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Where a certificate and its private key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The certificate, and behind it those that lead to its authority.
    pub cert_file: PathBuf,
    /// The private key, not encrypted. `None`: in `cert_file`.
    pub key_file: Option<PathBuf>,
}

impl KeyPair {
    pub(super) fn key_path(&self) -> &Path {
        self.key_file.as_deref().unwrap_or(&self.cert_file)
    }
}

/// A file as it was read.
pub(crate) struct PemFile {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
}

impl PemFile {
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let failed =
            |error| Error::invalid(format!("cannot read {}", path.display())).caused_by(error);
        if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
            return Err(Error::invalid(format!("{} is too large for PEM", path.display())));
        }
        Ok(Self { path: path.to_owned(), bytes: std::fs::read(path).map_err(failed)? })
    }

    /// Every certificate in it, at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        let found = CertificateDer::pem_slice_iter(&self.bytes)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| self.unreadable("certificates").caused_by(error))?;
        if found.is_empty() {
            return Err(self.unreadable("certificates"));
        }
        Ok(found)
    }

    /// The first private key in it.
    pub(super) fn private_key(&self) -> Result<PrivateKeyDer<'static>, Error> {
        PrivateKeyDer::from_pem_slice(&self.bytes)
            .map_err(|error| self.unreadable("private key").caused_by(error))
    }

    /// Its certificates as authorities.
    pub(super) fn authorities(&self) -> Result<RootCertStore, Error> {
        let mut store = RootCertStore::empty();
        for certificate in self.certificates()? {
            store.add(certificate).map_err(|error| {
                let path = self.path.display();
                Error::invalid(format!(
                    "{path} contains a certificate that cannot be used as a certificate authority"
                ))
                .caused_by(error)
            })?;
        }
        Ok(store)
    }

    /// Says what the file is instead, and how to get from there to PEM.
    fn unreadable(&self, wanted: &str) -> Error {
        let path = self.path.display();
        let has = |text: &str| contains(&self.bytes, text.as_bytes());
        Error::invalid(match &*self.bytes {
            [0xfe, 0xed, 0xfe, 0xed, ..] | [0xce, 0xce, 0xce, 0xce, ..] => format!(
                "{path} is a Java key store, not PEM: convert it with `keytool -importkeystore \
                 -srckeystore {path} -destkeystore store.p12 -deststoretype PKCS12`, then \
                 `openssl pkcs12 -in store.p12 -nodes -out store.pem`"
            ),
            // A sequence: PKCS12 or a bare certificate or key.
            [0x30, ..] => format!(
                "{path} is binary, not PEM: convert a PKCS12 store with `openssl pkcs12 -in {path} \
                 -nodes -out store.pem`, a certificate with `openssl x509 -inform der -in {path} \
                 -out cert.pem`"
            ),
            _ if has("ENCRYPTED") => format!(
                "the private key in {path} is encrypted, which is not supported: decrypt it with \
                 `openssl pkey -in {path} -out key.pem`, readable by this user only"
            ),
            _ => format!("{path} contains no PEM {wanted}"),
        })
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
