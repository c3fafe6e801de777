//! The secret shared by members: from the settings, or from a file that is
//! reloaded when it changes.

use std::fmt;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use ring::hmac;

use crate::error::Error;
use crate::settings::Settings;
use crate::tls::{PemFile, Reloading};

/// A secret that is shorter can be found by trying.
const GOOD_BYTES: usize = 16;
const SECRETS_MAX: usize = 2;

/// A secret, ready to prove with.
#[derive(Clone)]
pub(super) struct Key(hmac::Key);

impl Key {
    pub(super) fn new(secret: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
    }

    /// The code of a message; `label` says what for.
    pub(super) fn mac(&self, label: &str, message: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(label.as_bytes());
        context.update(message);
        let mut code = [0; 32];
        code.copy_from_slice(context.sign().as_ref());
        code
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(secret)")
    }
}

/// What counts in one handshake.
#[derive(Debug, Clone, Default)]
pub(super) struct Policy {
    /// The secrets, the present one first; none if there is none.
    pub(super) keys: Arc<[Key]>,
    /// Whether a peer that proves nothing is believed nevertheless.
    pub(super) allow_unauthenticated: bool,
}

/// How members prove to each other that they are.
#[derive(Debug, Clone, Default)]
pub struct PeerAuth {
    given: Arc<[Key]>,
    file: Option<Arc<Reloading<Arc<[Key]>>>>,
    allow_unauthenticated: bool,
    /// Whether members on other machines are none, for nothing would prove them.
    stays_on_loopback: bool,
}

impl PeerAuth {
    /// Takes the secrets that the settings give or name.
    ///
    /// # Errors
    /// `Invalid`, naming the file and what is wrong with it.
    pub fn load(settings: &Settings) -> Result<Self, Error> {
        let peers = &settings.peers;
        let given = [&peers.secret, &peers.secret_previous].into_iter().flatten();
        let given: Vec<&str> = given.map(|secret| secret.reveal().trim()).collect();
        let file = match &peers.secret_file {
            None => None,
            Some(path) => {
                let make = |files: &[PemFile]| files.first().map_or(Ok([].into()), read);
                Some(Arc::new(Reloading::read(vec![path.clone()], Box::new(make))?))
            }
        };
        if let Some(short) = given.iter().position(|secret| secret.len() < GOOD_BYTES) {
            let name = ["peers.secret", "peers.secret_previous"][short];
            warn_of_short(name);
        }
        let given = given.into_iter().map(Key::new).collect();
        let allow_unauthenticated = peers.allow_unauthenticated;
        let stays_on_loopback = !settings.peers_prove() && !allow_unauthenticated;
        Ok(Self { given, file, allow_unauthenticated, stays_on_loopback })
    }

    /// Whether a peer at this address may be one.
    pub(super) fn may_be_at(&self, address: IpAddr) -> bool {
        !self.stays_on_loopback || address.to_canonical().is_loopback()
    }

    /// What counts now. Looks at the file, but not more than once a second.
    pub(super) async fn policy(&self) -> Policy {
        let keys = match &self.file {
            None => self.given.clone(),
            Some(file) => {
                if file.is_due() {
                    let looking = Arc::clone(file);
                    let looked = tokio::task::spawn_blocking(move || looking.look()).await;
                    tell(looked.unwrap_or(Ok(false)));
                }
                (*file.value()).clone()
            }
        };
        Policy { keys, allow_unauthenticated: self.allow_unauthenticated }
    }
}

fn tell(looked: Result<bool, Error>) {
    match looked {
        Ok(false) => {}
        Ok(true) => tracing::info!("reloaded the peer secret file (peers.secret_file)"),
        Err(error) => tracing::warn!(
            error = %error.chain(),
            "the peer secret file (peers.secret_file) changed but is not usable: keeping the \
             previous secret"
        ),
    }
}

fn warn_of_short(what: &str) {
    tracing::warn!(
        "{what} is shorter than {GOOD_BYTES} characters: anyone who records a handshake could \
         find it by brute force; generate one with `openssl rand -base64 32`"
    );
}

/// The secret of a cluster is nobody's business on a machine of it.
fn warn_of_readers(path: &Path) {
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o007 != 0 {
        let path = path.display();
        tracing::warn!(
            "{path} contains the peer secret, but every user of this machine can read or change \
             it: run chmod 600 {path}"
        );
    }
}

/// The present secret on the first line, the one before on the second.
fn read(file: &PemFile) -> Result<Arc<[Key]>, Error> {
    warn_of_readers(&file.path);
    let path = file.path.display();
    // What is in it is not repeated.
    let text = str::from_utf8(&file.bytes).map_err(|_| {
        Error::invalid(format!("{path} is not a text file: it must contain the peer secret"))
    })?;
    let secrets: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if secrets.is_empty() || secrets.len() > SECRETS_MAX {
        let lines = secrets.len();
        return Err(Error::invalid(format!(
            "{path} has {lines} lines: it must have the peer secret on the first line and may \
             have the previous secret on the second"
        )));
    }
    if secrets.iter().any(|secret| secret.len() < GOOD_BYTES) {
        warn_of_short(&format!("a secret in {path}"));
    }
    Ok(secrets.into_iter().map(Key::new).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &[u8]) -> PemFile {
        PemFile { path: "/etc/secret".into(), bytes: text.to_vec() }
    }

    #[test]
    fn a_file_has_the_secret_and_perhaps_the_one_before() {
        let code = |key: &Key| key.mac("", b"message");
        let keys = read(&file(b"  new secret of all \r\n\nold secret of all\n")).unwrap();
        let expected = ["new secret of all", "old secret of all"].map(Key::new);
        assert_eq!(keys.iter().map(code).collect::<Vec<_>>(), expected.each_ref().map(code));
        assert_eq!(read(&file(b"only one, and no end of line")).unwrap().len(), 1);
        for wrong in [&b""[..], b" \n\n", b"one\ntwo\nthree\n", b"\xff\xfe hush"] {
            let refused = read(&file(wrong)).unwrap_err().to_string();
            assert!(refused.contains("/etc/secret") && !refused.contains("hush"), "{refused}");
        }
    }

    #[test]
    fn nothing_shows_a_secret() {
        let mut settings = Settings::default();
        settings.set("peers.secret", "hush, hush, hush").unwrap();
        let auth = PeerAuth::load(&settings).unwrap();
        assert!(!format!("{auth:?}").contains("hush"));
    }
}
