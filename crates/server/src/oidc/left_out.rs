//! In place of `oidc.rs` where readalong is built without OpenID Connect: a server that is to use it does not start, so nothing of this is reached.

use crate::{accounts::Secret, signin::OidcOptions};

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
#[allow(dead_code, reason = "the variants are those that routes know")]
pub(crate) enum OidcError {
    /// As it is always here.
    #[error("built without OpenID Connect")]
    Provider {},
    /// As in `oidc.rs`.
    #[error("unknown")]
    Unknown,
    /// As in `oidc.rs`.
    #[error("{0}")]
    Refused(String),
    /// As in `oidc.rs`.
    #[error("{0}")]
    Invalid(String),
}

/// A provider that is not used.
pub(crate) struct Oidc(OidcOptions);

/// As in `oidc.rs`.
pub(crate) struct Begun {
    pub(crate) url: String,
    pub(crate) cookie: Secret,
}

/// As in `oidc.rs`.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Answer {}

/// As in `oidc.rs`.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) name: String,
    pub(crate) next: String,
}

impl Oidc {
    pub(crate) fn new(options: OidcOptions) -> Self {
        Self(options)
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn begin(&self, _back: &str, _next: String) -> Result<Begun, OidcError> {
        Err(OidcError::Provider {})
    }

    pub(crate) fn finish(&self, _: &str, _: &str, _: Answer) -> Result<Person, OidcError> {
        Err(OidcError::Provider {})
    }
}
