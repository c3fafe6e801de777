//! What a user can set about who ZooKeeper's clients are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Secret;
use super::jaas;
use crate::error::Error;

/// Who ZooKeeper's clients are, beyond what they say themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthSettings {
    /// Users of SASL (DIGEST-MD5): a JAAS file with a section `Server`, as
    /// ZooKeeper takes it. Read at the start. Default none.
    /// ZooKeeper: `java.security.auth.login.config`.
    pub sasl_file: Option<PathBuf>,
    /// More of them, as `name:password`, one on each line. Never shown.
    pub sasl_users: Option<Secret>,
    /// Schemes, with commas between, of which a client must have proven one
    /// before it may do anything else; it is answered -124 and closed. Default
    /// none. ZooKeeper: `enforce.auth.schemes`; `sasl` is its
    /// `sessionRequireClientSASLAuth`.
    pub required_schemes: Option<String>,
    /// Whether a client that fails in SASL stays, without the identity. Default
    /// no. ZooKeeper: `allowSaslFailedClients`.
    pub sasl_failed_stay: bool,
    /// A name that stands for every SASL user in access lists. Default none.
    /// ZooKeeper: `letAnySaslUserDoX`.
    pub sasl_any_user: Option<String>,
    /// SASL users, with commas between, who may do everything. Default none.
    /// ZooKeeper: `superUser`.
    pub super_sasl: Option<String>,
    /// The subject of the client certificate that may do everything. Default
    /// none. ZooKeeper: `X509AuthenticationProvider.superUser`.
    pub super_x509: Option<String>,
    /// `name:hash` of the digest user who may do everything. Default none.
    /// ZooKeeper: `DigestAuthenticationProvider.superDigest`.
    pub super_digest: Option<String>,
}

/// Schemes that can be required.
const PROVABLE: [&str; 4] = ["digest", "ip", "sasl", "x509"];

impl AuthSettings {
    /// All users of SASL with their passwords.
    ///
    /// # Errors
    /// `Invalid` if the file cannot be read or is not what it should be.
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

    /// SASL users who may do everything.
    pub fn super_sasl(&self) -> Vec<&str> {
        listed(self.super_sasl.as_deref())
    }

    /// Adds what does not hold together.
    pub(super) fn check(&self, problems: &mut Vec<String>) {
        let bad = self.lines().find(|(_, line)| line.find(':').is_none_or(|colon| colon == 0));
        if let Some((number, _)) = bad {
            problems.push(not_a_user(number).to_string());
        }
        let digest = self.super_digest.as_deref().map(|digest| digest.split_once(':'));
        if digest.is_some_and(|parts| parts.is_none_or(|(_, hash)| hash.is_empty())) {
            problems.push("auth.super_digest is not of the form user:digest".to_owned());
        }
        for scheme in self.required() {
            if !PROVABLE.contains(&scheme) {
                problems
                    .push(format!("auth.required_schemes names {scheme}, which nobody can prove"));
            }
        }
        if self.required() == ["sasl"] && self.sasl_file.is_none() && self.sasl_users.is_none() {
            problems.push("auth.required_schemes is sasl, but there are no users".to_owned());
        }
    }

    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.sasl_users.as_ref().map_or("", Secret::reveal).lines();
        lines.map(str::trim).enumerate().filter(|(_, line)| !line.is_empty())
    }
}

/// Says which line, not what it says.
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
