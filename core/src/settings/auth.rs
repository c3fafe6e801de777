//! Settings of the authentication of ZooKeeper clients.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Secret;
use super::jaas;
use crate::error::Error;

/// Authentication of ZooKeeper clients.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthSettings {
    /// SASL users (DIGEST-MD5): a JAAS file with a section `Server`, as for
    /// ZooKeeper. Read on startup. Default none. ZooKeeper:
    /// `java.security.auth.login.config`.
    pub sasl_file: Option<PathBuf>,
    /// More SASL users, as `name:password`, one per line. Never shown.
    pub sasl_users: Option<Secret>,
    /// Schemes, separated by commas: a client must authenticate with one of
    /// them first; other requests are answered -124 and close the connection.
    /// Default none. ZooKeeper: `enforce.auth.schemes`; `sasl` is its
    /// `sessionRequireClientSASLAuth`.
    pub required_schemes: Option<String>,
    /// Whether a client stays connected, without the identity, if SASL
    /// authentication fails. Default no. ZooKeeper: `allowSaslFailedClients`.
    pub sasl_failed_stay: bool,
    /// A name that stands for every SASL user in ACLs. Default none. ZooKeeper:
    /// `letAnySaslUserDoX`.
    pub sasl_any_user: Option<String>,
    /// SASL users with superuser rights, separated by commas. Default none.
    /// ZooKeeper: `superUser`.
    pub super_sasl: Option<String>,
    /// The subject of the client certificate with superuser rights. Default
    /// none. ZooKeeper: `X509AuthenticationProvider.superUser`.
    pub super_x509: Option<String>,
    /// `name:hash` of the digest user with superuser rights. Default none.
    /// ZooKeeper: `DigestAuthenticationProvider.superDigest`.
    pub super_digest: Option<String>,
}

/// Schemes that can be required.
const PROVABLE: [&str; 4] = ["digest", "ip", "sasl", "x509"];

impl AuthSettings {
    /// All SASL users with their passwords.
    ///
    /// # Errors
    /// `Invalid` if the file cannot be read or parsed.
    pub fn sasl_users(&self) -> Result<BTreeMap<String, Secret>, Error> {
        let mut users = match &self.sasl_file {
            Some(path) => jaas::read(path)?,
            None => BTreeMap::new(),
        };
        for (number, line) in self.lines() {
            let (name, password) = line.split_once(':').ok_or_else(|| not_a_user(number))?;
            users.insert(name.to_owned(), password.into());
        }
        Ok(users)
    }

    /// The required schemes; empty for none.
    pub fn required(&self) -> Vec<&str> {
        listed(self.required_schemes.as_deref())
    }

    /// SASL users with superuser rights.
    pub fn super_sasl(&self) -> Vec<&str> {
        listed(self.super_sasl.as_deref())
    }

    /// Adds the problems of these settings.
    pub(super) fn check(&self, problems: &mut Vec<String>) {
        let bad = self.lines().find(|(_, line)| line.find(':').is_none_or(|colon| colon == 0));
        if let Some((number, _)) = bad {
            problems.push(not_a_user(number).to_string());
        }
        let digest = self.super_digest.as_deref().map(|digest| digest.split_once(':'));
        if digest.is_some_and(|parts| parts.is_none_or(|(_, hash)| hash.is_empty())) {
            problems.push("auth.super_digest must have the form user:digest".to_owned());
        }
        for scheme in self.required() {
            if !PROVABLE.contains(&scheme) {
                problems.push(format!(
                    "auth.required_schemes contains {scheme}, which is not a supported scheme"
                ));
            }
        }
        if self.required() == ["sasl"] && self.sasl_file.is_none() && self.sasl_users.is_none() {
            problems.push(
                "auth.required_schemes is sasl, but there are no SASL users: set auth.sasl_file \
                 or auth.sasl_users"
                    .to_owned(),
            );
        }
    }

    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.sasl_users.as_ref().map_or("", Secret::reveal).lines();
        lines.map(str::trim).enumerate().filter(|(_, line)| !line.is_empty())
    }
}

/// Names the line but not its content, which may be a password.
fn not_a_user(number: usize) -> Error {
    Error::invalid(format!("auth.sasl_users: line {} is not name:password", number + 1))
}

fn listed(text: Option<&str>) -> Vec<&str> {
    text.unwrap_or_default().split(',').map(str::trim).filter(|one| !one.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;

    #[test]
    fn passwords_are_shown_nowhere() {
        let mut settings = Settings::default();
        settings.set("auth.sasl_users", "bob:hush:hush\nalice:quiet").unwrap();
        let users = settings.auth.sasl_users().unwrap();
        assert_eq!(users["bob"].reveal(), "hush:hush");
        assert_eq!(users["alice"].reveal(), "quiet");
        let shown = format!("{settings:?} {users:?} {} {:?}", settings.shown(), settings.named());
        assert!(!shown.contains("hush") && !shown.contains("quiet"));
        settings.set("auth.sasl_users", "bob:hush\nquiet").unwrap();
        let refused = settings.validate().unwrap_err().chain();
        assert!(refused.contains("line 2"), "{refused}");
        assert!(!refused.contains("quiet"), "{refused}");
    }

    #[test]
    fn only_what_can_be_proven_can_be_required() {
        let mut settings = Settings::default();
        settings.set("auth.required_schemes", "digest, x509").unwrap();
        settings.clone().validate().unwrap();
        settings.set("auth.required_schemes", "sasl").unwrap();
        settings.clone().validate().unwrap_err();
        settings.set("auth.required_schemes", "world").unwrap();
        settings.validate().unwrap_err();
    }
}
