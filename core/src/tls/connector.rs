//! TLS client side.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;

use super::pem::{KeyPair, PemFile};
use super::reload::Reloading;
use super::stream::Stream;
use super::verify::{AnyCertificate, AnyName};
use super::{provider, versions};
use crate::error::Error;
use crate::settings::TlsVersion;

/// How to connect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectorOptions {
    /// Whose word counts for who the other side is.
    pub trust: Trust,
    /// How much of that is looked at.
    pub verify: Verify,
    /// Who we are, if the other side asks.
    pub key_pair: Option<KeyPair>,
    /// The oldest version spoken.
    pub version_min: TlsVersion,
    /// Protocols offered inside (ALPN), such as `h2`. Empty: not spoken of.
    pub protocols: Vec<Vec<u8>>,
}

/// Authorities.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// Those the system trusts.
    #[default]
    System,
    /// Those in this file.
    File(PathBuf),
    /// Those in the files that were in this folder at the start.
    Folder(PathBuf),
}

/// What must be true of the other side's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// It is good and names the host we wanted.
    #[default]
    Full,
    /// It is good, whatever it names: for servers known by their authority.
    AnyName,
    /// Nothing: anybody in between can listen.
    Nothing,
}

/// Turns opened connections into TLS. Clones share everything.
#[derive(Debug, Clone)]
pub struct Connector {
    config: Arc<Reloading<Arc<ClientConfig>>>,
}

impl Connector {
    /// Reads the files.
    ///
    /// # Errors
    /// `Invalid`, naming the file and what is wrong with it.
    pub fn load(options: ConnectorOptions) -> Result<Self, Error> {
        let mut paths = match &options.trust {
            Trust::System => Vec::new(),
            Trust::File(path) => vec![path.clone()],
            Trust::Folder(folder) => files_in(folder)?,
        };
        let trusted = paths.len();
        if let Some(pair) = &options.key_pair {
            paths.extend([pair.cert_file.clone(), pair.key_path().to_owned()]);
        }
        let make = move |files: &[PemFile]| {
            let (trusted, own) = files.split_at(trusted);
            config(&options, trusted, own).map(Arc::new)
        };
        Ok(Self { config: Arc::new(Reloading::read(paths, Box::new(make))?) })
    }

    /// Completes the handshake with `name`, a host's name or address.
    ///
    /// # Errors
    /// `InvalidInput` if `name` cannot be one; what the handshake failed with.
    pub async fn connect(&self, name: &str, stream: TcpStream) -> io::Result<Stream> {
        let name = ServerName::try_from(name.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let connector = tokio_rustls::TlsConnector::from(self.config().await);
        let stream = connector.connect(name, stream).await?;
        Ok(Stream::Tls(Box::new(stream.into())))
    }

    async fn config(&self) -> Arc<ClientConfig> {
        if self.config.is_due() {
            let config = Arc::clone(&self.config);
            let looked = tokio::task::spawn_blocking(move || config.look()).await;
            if let Ok(Err(error)) = looked {
                tracing::warn!(error = %error.chain(), "the TLS files changed and are not usable");
            }
        }
        (*self.config.value()).clone()
    }
}

fn config(
    options: &ConnectorOptions,
    trusted: &[PemFile],
    own: &[PemFile],
) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(options.version_min))
        .map_err(|error| Error::internal("no TLS version is enabled").caused_by(error))?;
    let authorities = match options.trust {
        Trust::System => system_authorities(options.verify)?,
        Trust::File(_) | Trust::Folder(_) => {
            let mut all = RootCertStore::empty();
            for file in trusted {
                all.extend(file.authorities()?.roots);
            }
            all
        }
    };
    let authorities = Arc::new(authorities);
    let good = |authorities: Arc<RootCertStore>| {
        WebPkiServerVerifier::builder_with_provider(authorities, provider()).build().map_err(
            |error| Error::invalid("cannot use the certificate authorities").caused_by(error),
        )
    };
    let builder = match options.verify {
        Verify::Full => builder.with_webpki_verifier(good(authorities)?),
        Verify::AnyName => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyName(good(authorities)?))),
        Verify::Nothing => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider()))),
    };
    let mut config = match own {
        [cert, key, ..] => builder
            .with_client_auth_cert(cert.certificates()?, key.private_key()?)
            .map_err(|error| {
                let (cert, key) = (cert.path.display(), key.path.display());
                Error::invalid(format!(
                    "the private key in {key} does not match the certificate in {cert}"
                ))
                .caused_by(error)
            })?,
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols.clone_from(&options.protocols);
    Ok(config)
}

/// The files in a folder, in order of their names.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed =
        |error| Error::invalid(format!("cannot read {}", folder.display())).caused_by(error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(Error::invalid(format!("{} contains no file", folder.display())));
    }
    paths.sort();
    Ok(paths)
}

/// What the system trusts; some of it may be unreadable, but not all.
fn system_authorities(verify: Verify) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    if verify == Verify::Nothing {
        return Ok(store);
    }
    let found = rustls_native_certs::load_native_certs();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        return Err(Error::invalid(
            "this system has no trusted certificate authorities: specify a CA file",
        ));
    }
    Ok(store)
}
