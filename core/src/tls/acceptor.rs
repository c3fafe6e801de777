//! TLS server side.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::pem::{KeyPair, PemFile};
use super::reload::Reloading;
use super::stream::Stream;
use super::{provider, versions};
use crate::clock;
use crate::error::Error;
use crate::settings::{ClientAuth, Limits, TlsSettings, TlsVersion};

/// The first byte of a TLS connection. No frame of ZooKeeper's, no
/// four-letter word and no HTTP request begins with it.
const HANDSHAKE_RECORD: u8 = 0x16;

/// What to accept.
#[derive(Debug, Clone)]
pub struct AcceptorOptions {
    /// Who we are.
    pub key_pair: KeyPair,
    /// Whether the other side must say who it is …
    pub client_auth: ClientAuth,
    /// … and whose word for that counts.
    pub ca_file: Option<PathBuf>,
    /// The oldest version spoken.
    pub version_min: TlsVersion,
    /// How long a handshake may take, its turn waited for included.
    pub handshake_timeout: Duration,
    /// How many are under way at once; more wait for their turn.
    pub handshakes_max: usize,
    /// Protocols offered inside (ALPN), such as `http/1.1`. Empty: not spoken of.
    pub protocols: Vec<Vec<u8>>,
}

impl AcceptorOptions {
    /// As the settings have it for ZooKeeper's clients; `None` without a certificate.
    pub fn from_settings(tls: &TlsSettings, limits: &Limits) -> Option<Self> {
        let cert_file = tls.cert_file.clone()?;
        Some(Self {
            key_pair: KeyPair { cert_file, key_file: tls.key_file.clone() },
            client_auth: tls.client_auth(),
            ca_file: tls.ca_file.clone(),
            version_min: tls.version_min,
            handshake_timeout: Duration::from_millis(tls.handshake_timeout_ms.into()),
            handshakes_max: limits.tls_handshakes_max,
            protocols: Vec::new(),
        })
    }
}

/// Turns accepted connections into TLS. Clones share everything.
#[derive(Debug, Clone)]
pub struct Acceptor {
    inner: Arc<AcceptorState>,
}

#[derive(Debug)]
struct AcceptorState {
    config: Reloading<Arc<ServerConfig>>,
    turns: Semaphore,
    handshake_timeout: Duration,
}

impl Acceptor {
    /// Reads the files.
    ///
    /// # Errors
    /// `Invalid`, naming the file and what is wrong with it.
    pub fn load(options: AcceptorOptions) -> Result<Self, Error> {
        if options.client_auth != ClientAuth::None && options.ca_file.is_none() {
            return Err(Error::invalid(
                "client certificates are requested, but there is no certificate authority",
            ));
        }
        let mut paths =
            vec![options.key_pair.cert_file.clone(), options.key_pair.key_path().to_owned()];
        paths.extend(options.ca_file.clone());
        let handshake_timeout = options.handshake_timeout;
        let turns = Semaphore::new(options.handshakes_max.clamp(1, Semaphore::MAX_PERMITS));
        let make = move |files: &[PemFile]| config(&options, files).map(Arc::new);
        let config = Reloading::read(paths, Box::new(make))?;
        Ok(Self { inner: Arc::new(AcceptorState { config, turns, handshake_timeout }) })
    }

    /// Completes the handshake of a connection.
    ///
    /// # Errors
    /// `TimedOut`, what the handshake failed with, or what the socket did.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<Stream> {
        self.in_time(self.shake_hands(stream)).await
    }

    /// As [`Self::accept`] if the other side begins as TLS does; otherwise the
    /// connection stays plain, with nothing of it read.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub async fn accept_either(&self, stream: TcpStream) -> io::Result<Stream> {
        self.in_time(async {
            let mut first = [0];
            if stream.peek(&mut first).await? == 1 && first[0] == HANDSHAKE_RECORD {
                self.shake_hands(stream).await
            } else {
                Ok(Stream::Plain(stream))
            }
        })
        .await
    }

    /// Looks at the files now, not only when a second has passed and somebody
    /// connects. True if they have changed.
    ///
    /// # Errors
    /// `Invalid` if they have changed and make no sense: the old ones go on.
    pub fn look_at_files(&self) -> Result<bool, Error> {
        self.inner.config.look()
    }

    async fn shake_hands(&self, stream: TcpStream) -> io::Result<Stream> {
        // A semaphore that is never closed gives every one its turn.
        let _turn = self.inner.turns.acquire().await.map_err(io::Error::other)?;
        let config = self.config().await;
        let stream = tokio_rustls::TlsAcceptor::from(config).accept(stream).await?;
        Ok(Stream::Tls(Box::new(stream.into())))
    }

    async fn in_time<T>(&self, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let late = || Err(io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake timed out"));
        clock::timeout(self.inner.handshake_timeout, work).await.unwrap_or_else(late)
    }

    async fn config(&self) -> Arc<ServerConfig> {
        if self.inner.config.is_due() {
            let inner = Arc::clone(&self.inner);
            let looked = tokio::task::spawn_blocking(move || inner.config.look()).await;
            tell(looked.unwrap_or(Ok(false)));
        }
        (*self.inner.config.value()).clone()
    }
}

/// Tells whoever watches over the member.
fn tell(looked: Result<bool, Error>) {
    match looked {
        Ok(false) => {}
        Ok(true) => tracing::info!("reloaded the TLS certificates"),
        Err(error) => tracing::warn!(
            error = %error.chain(),
            "the TLS certificates changed but are not usable: keeping the previous ones"
        ),
    }
}

fn config(options: &AcceptorOptions, files: &[PemFile]) -> Result<ServerConfig, Error> {
    let [cert, key, ca @ ..] = files else {
        return Err(Error::internal("a certificate without its files"));
    };
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(options.version_min))
        .map_err(|error| Error::internal("no TLS version is enabled").caused_by(error))?;
    let builder = match (options.client_auth, ca) {
        (ClientAuth::None, _) | (_, []) => builder.with_no_client_auth(),
        (auth, [ca, ..]) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(
                Arc::new(ca.authorities()?),
                provider(),
            );
            let verifier = match auth {
                ClientAuth::Want => verifier.allow_unauthenticated(),
                ClientAuth::Need | ClientAuth::None => verifier,
            };
            let verifier = verifier.build().map_err(|error| {
                Error::invalid(format!("cannot use {}", ca.path.display())).caused_by(error)
            })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config =
        builder.with_single_cert(cert.certificates()?, key.private_key()?).map_err(|error| {
            let (cert, key) = (cert.path.display(), key.path.display());
            Error::invalid(format!(
                "the private key in {key} does not match the certificate in {cert}"
            ))
            .caused_by(error)
        })?;
    if options.client_auth != ClientAuth::None {
        // A session that is taken up again would not have its certificate
        // looked at again, which may have ended meanwhile.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    config.alpn_protocols.clone_from(&options.protocols);
    Ok(config)
}
