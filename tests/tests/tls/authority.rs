//! A certificate authority for the length of a test.

use std::fs;
use std::path::PathBuf;

use coord_core::tls::KeyPair;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, date_time_ymd,
};
use tempfile::TempDir;

/// Issues certificates into its own folder.
pub(crate) struct Authority {
    issuer: Issuer<'static, rcgen::KeyPair>,
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Each has a name of its own, as found in the world.
        let mut params = named(&folder.path().display().to_string(), &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { issuer: Issuer::new(params, key), folder }
    }

    /// Its own certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for the machine that the tests run on.
    pub(crate) fn server(&self) -> KeyPair {
        self.issue("server", named("server", &["127.0.0.1", "localhost"]))
    }

    /// The same for another machine.
    pub(crate) fn elsewhere(&self) -> KeyPair {
        self.issue("elsewhere", named("elsewhere", &["elsewhere.example"]))
    }

    /// A certificate for a client of this name.
    pub(crate) fn client(&self, name: &str) -> KeyPair {
        self.issue(name, named(name, &[]))
    }

    /// One that was good long ago.
    pub(crate) fn expired(&self) -> KeyPair {
        let mut params = named("expired", &["127.0.0.1"]);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
        self.issue("expired", params)
    }

    fn issue(&self, name: &str, params: CertificateParams) -> KeyPair {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let cert_file = self.folder.path().join(format!("{name}.pem"));
        let key_file = self.folder.path().join(format!("{name}.key"));
        fs::write(&cert_file, certificate.pem()).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        KeyPair { cert_file, key_file: Some(key_file) }
    }
}

fn named(name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Example, Inc.");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
