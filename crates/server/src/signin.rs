//! How people sign in who have their accounts elsewhere: with a proxy that stands in front, or with a provider of OpenID Connect.

use http::HeaderName;

/// How people sign in elsewhere; by default nobody does.
#[derive(Clone, Debug, Default)]
pub struct SignInOptions {
    /// The header in which a proxy names whom it has signed in. It is believed of the proxies that [`crate::Limits`] names and of nobody else, not even of this machine.
    pub user_header: Option<HeaderName>,
    /// What becomes of people who are not known here yet.
    pub new_users: NewUsers,
    /// A provider of OpenID Connect.
    pub oidc: Option<OidcOptions>,
}

/// What becomes of people who sign in elsewhere and are not known here yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NewUsers {
    /// They become viewers.
    #[default]
    Viewer,
    /// They become owners.
    Owner,
    /// They are refused; an admin makes accounts.
    Refuse,
}

/// A provider of OpenID Connect.
#[derive(Clone)]
pub struct OidcOptions {
    /// Its address, as it writes it itself; all else is found there.
    pub issuer: String,
    /// What it calls this server.
    pub client_id: String,
    /// What this server proves itself with; none for a public client.
    pub client_secret: Option<String>,
    /// What the sign-in page calls it.
    pub name: String,
}

impl std::fmt::Debug for OidcOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OidcOptions")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}
