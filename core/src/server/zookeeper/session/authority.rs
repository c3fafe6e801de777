//! Which certificates, users and digests the settings accept, and which schemes they require.

use coord_state::znode::{ANY_SASL, Identity};

use super::sasl::Users;
use crate::error::Error;
use crate::settings::AuthSettings;
use crate::tls::Stream;

/// What the member's settings say.
#[derive(Debug)]
pub(crate) struct Authority {
    pub(super) users: Users,
    /// Schemes of which one must have been proven; empty for none.
    pub(super) required: Vec<String>,
    pub(super) settings: AuthSettings,
}

impl Authority {
    /// # Errors
    /// `Invalid` if the file of users cannot be used.
    pub(crate) fn new(settings: &AuthSettings) -> Result<Self, Error> {
        let required = settings.required().into_iter().map(str::to_owned).collect();
        Ok(Self { users: settings.sasl_users()?, required, settings: settings.clone() })
    }

    /// What the client's certificate stands for.
    pub(crate) fn of_stream(&self, stream: &Stream) -> Vec<Identity> {
        let Some(subject) = stream.peer_subject() else { return Vec::new() };
        let is_super = self.settings.super_x509.as_deref() == Some(&*subject);
        let superuser = is_super.then(|| identity("super", &subject));
        superuser.into_iter().chain([identity("x509", &subject)]).collect()
    }

    pub(super) fn of_sasl_user(&self, user: &str) -> Vec<Identity> {
        let is_super = self.settings.super_sasl().contains(&user);
        let any = self.settings.sasl_any_user.as_deref();
        [identity("sasl", user)]
            .into_iter()
            .chain(any.map(|name| identity(ANY_SASL, name)))
            .chain(is_super.then(|| identity("super", "")))
            .collect()
    }

    pub(super) fn of_digest(&self, digest: Identity) -> Vec<Identity> {
        let is_super = self.settings.super_digest.as_deref() == Some(&*digest.id);
        is_super.then(|| identity("super", "")).into_iter().chain([digest]).collect()
    }

    pub(super) fn requires_sasl(&self) -> bool {
        self.required.iter().any(|scheme| scheme == "sasl")
    }

    /// Whether somebody with these identities is served.
    pub(super) fn suffices(&self, identities: &[Identity]) -> bool {
        let is_required =
            |one: &Identity| self.required.iter().any(|scheme| **scheme == *one.scheme);
        identities.iter().any(is_required)
    }
}

pub(super) fn identity(scheme: &str, id: &str) -> Identity {
    Identity { scheme: scheme.into(), id: id.into() }
}
