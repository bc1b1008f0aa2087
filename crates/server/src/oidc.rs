//! Signing in with a provider of OpenID Connect: authorization code with PKCE, state and nonce. All but the issuer's address is found by discovery.
//!
//! What is begun is remembered here, for a browser that a cookie knows again, and is used once. Nothing of what the provider gives is kept but who somebody is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use openidconnect::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse,
    IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse,
    core::{
        CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreJwsSigningAlgorithm as Alg,
        CoreProviderMetadata,
    },
};
use readalong_model::Digest;
use ureq::Agent;

use crate::{accounts::Secret, signin::OidcOptions};

/// Time in which somebody signs in there: passwords, second factors, a forgotten telephone.
const PENDING_LASTS: Duration = Duration::from_secs(15 * 60);
/// Sign-ins that have begun at once; beyond it the oldest are forgotten.
const PENDING_MAX: usize = 10_000;
/// How long what a provider says of itself is taken as true: it changes its keys some days before it uses them.
const KNOWN_LASTS: Duration = Duration::from_secs(5 * 60);
/// Time for one answer of the provider.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of one answer: tokens and keys are some KB.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// What is asked of a provider besides who somebody is.
const SCOPES: [&str; 2] = ["profile", "email"];
/// How a provider may sign. What it shares with us, or leaves unsigned, proves nothing.
const ALGORITHMS: [Alg; 9] = [
    Alg::RsaSsaPkcs1V15Sha256,
    Alg::RsaSsaPkcs1V15Sha384,
    Alg::RsaSsaPkcs1V15Sha512,
    Alg::RsaSsaPssSha256,
    Alg::RsaSsaPssSha384,
    Alg::RsaSsaPssSha512,
    Alg::EcdsaP256Sha256,
    Alg::EcdsaP384Sha384,
    Alg::EdDsa,
];

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OidcError {
    /// The provider cannot be asked, or is not set up as it has to be.
    #[error("the provider {issuer} cannot be used: {reason}")]
    Provider {
        /// Its address.
        issuer: String,
        /// Why.
        reason: String,
    },
    /// The answer does not belong to anything that this browser has begun, or is too late.
    #[error("this browser has begun no such sign-in, or too long ago")]
    Unknown,
    /// The provider says no.
    #[error("the provider signed nobody in: {0}")]
    Refused(String),
    /// What the provider gave proves nothing.
    #[error("what the provider gave is not valid: {0}")]
    Invalid(String),
}

/// A provider, and who is signing in there.
pub(crate) struct Oidc {
    options: OidcOptions,
    agent: Agent,
    known: Mutex<Option<(Instant, Arc<CoreProviderMetadata>)>>,
    pending: Mutex<HashMap<Digest, Pending>>,
}

/// A sign-in that has begun.
struct Pending {
    begun: Instant,
    state: CsrfToken,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    next: String,
}

/// Where somebody goes to sign in.
pub(crate) struct Begun {
    /// The provider's page.
    pub(crate) url: String,
    /// What the browser is known by when it comes back.
    pub(crate) cookie: Secret,
}

/// What somebody comes back with.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Answer {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Who somebody is to a provider.
#[derive(Debug)]
pub(crate) struct Person {
    /// The provider.
    pub(crate) issuer: String,
    /// Who they are to it, for ever.
    pub(crate) subject: String,
    /// What they are called there at the moment.
    pub(crate) name: String,
    /// Where they wanted to go.
    pub(crate) next: String,
}

impl Oidc {
    pub(crate) fn new(options: OidcOptions) -> Self {
        let agent = Agent::config_builder()
            .timeout_global(Some(ANSWER_TIMEOUT))
            // A redirect could lead to where the server gets and others do not.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .build()
            .into();
        Self {
            options,
            agent,
            known: Mutex::default(),
            pending: Mutex::default(),
        }
    }

    /// What the provider is called on our pages.
    pub(crate) fn name(&self) -> &str {
        &self.options.name
    }

    /// Begins a sign-in that comes back to `back`, and leads to `next` then. Asks the provider, so it takes a while.
    ///
    /// # Errors
    /// The provider cannot be asked.
    pub(crate) fn begin(&self, back: &str, next: String) -> Result<Begun, OidcError> {
        let metadata = self.metadata()?;
        let client = CoreClient::from_provider_metadata(
            (*metadata).clone(),
            ClientId::new(self.options.client_id.clone()),
            None,
        );
        let back = RedirectUrl::new(back.to_owned()).map_err(|error| self.unusable(error))?;
        let client = client.set_redirect_uri(back);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = client.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        );
        for scope in SCOPES {
            request = request.add_scope(Scope::new(scope.to_owned()));
        }
        let (url, state, nonce) = request.set_pkce_challenge(challenge).url();
        let cookie = Secret::random().map_err(|error| self.unusable(error))?;
        let pending = Pending {
            begun: Instant::now(),
            state,
            nonce,
            verifier,
            next,
        };
        self.remember(cookie.digest(), pending);
        let url = url.into();
        Ok(Begun { url, cookie })
    }

    /// Ends a sign-in, for the browser that has begun it. Asks the provider, so it takes a while.
    ///
    /// # Errors
    /// It is not this browser's, not the provider's, too late, or proves nothing.
    pub(crate) fn finish(
        &self,
        cookie: &str,
        back: &str,
        answer: Answer,
    ) -> Result<Person, OidcError> {
        // Whatever it is, it is used up.
        let pending = self.take(Digest::of(cookie.as_bytes()));
        let pending = pending.ok_or(OidcError::Unknown)?;
        if answer.state.as_ref() != Some(pending.state.secret()) {
            return Err(OidcError::Unknown);
        }
        if let Some(issuer) = &answer.iss
            && *issuer != self.options.issuer
        {
            return Err(OidcError::Invalid(format!("it is of {issuer}")));
        }
        if let Some(error) = answer.error {
            return Err(OidcError::Refused(error.chars().take(100).collect()));
        }
        let code = answer.code.ok_or(OidcError::Unknown)?;
        let metadata = self.metadata()?;
        let secret = self.options.client_secret.clone().map(ClientSecret::new);
        let auth = auth_type(&metadata);
        let client = CoreClient::from_provider_metadata(
            (*metadata).clone(),
            ClientId::new(self.options.client_id.clone()),
            secret,
        );
        let back = RedirectUrl::new(back.to_owned()).map_err(|error| self.unusable(error))?;
        let client = client.set_redirect_uri(back).set_auth_type(auth);
        let ask = |request| self.ask(request);
        let tokens = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|error| self.unusable(error))?
            .set_pkce_verifier(pending.verifier)
            .request(&ask)
            .map_err(|error| OidcError::Refused(with_causes(&error)))?;
        let id = tokens
            .id_token()
            .ok_or_else(|| OidcError::Invalid("there is no ID token".to_owned()))?;
        let verifier = client.id_token_verifier().set_allowed_algs(ALGORITHMS);
        let claims = id
            .claims(&verifier, &pending.nonce)
            .map_err(|error| OidcError::Invalid(with_causes(&error)))?;
        let name = claims.preferred_username().map(|name| name.as_str());
        let mail = || claims.email().map(|mail| mail.as_str());
        Ok(Person {
            issuer: self.options.issuer.clone(),
            subject: claims.subject().as_str().to_owned(),
            name: name.or_else(mail).unwrap_or(claims.subject()).to_owned(),
            next: pending.next,
        })
    }

    /// What the provider says of itself.
    fn metadata(&self) -> Result<Arc<CoreProviderMetadata>, OidcError> {
        if let Some((at, metadata)) = &*lock(&self.known)
            && at.elapsed() < KNOWN_LASTS
        {
            return Ok(metadata.clone());
        }
        let issuer =
            IssuerUrl::new(self.options.issuer.clone()).map_err(|error| self.unusable(error))?;
        let ask = |request| self.ask(request);
        let metadata = CoreProviderMetadata::discover(&issuer, &ask)
            .map_err(|error| self.unusable(with_causes(&error)))?;
        let metadata = Arc::new(metadata);
        *lock(&self.known) = Some((Instant::now(), metadata.clone()));
        Ok(metadata)
    }

    fn ask(&self, request: HttpRequest) -> Result<HttpResponse, ureq::Error> {
        let response = self.agent.run(request)?;
        let (parts, mut body) = response.into_parts();
        let body = body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
        Ok(HttpResponse::from_parts(parts, body))
    }

    fn unusable(&self, reason: impl std::fmt::Display) -> OidcError {
        OidcError::Provider {
            issuer: self.options.issuer.clone(),
            reason: reason.to_string(),
        }
    }

    fn remember(&self, cookie: Digest, new: Pending) {
        let mut pending = lock(&self.pending);
        if pending.len() >= PENDING_MAX {
            pending.retain(|_, one| one.begun.elapsed() < PENDING_LASTS);
            let oldest = pending.iter().min_by_key(|(_, one)| one.begun);
            if let Some(oldest) = oldest.map(|(cookie, _)| *cookie)
                && pending.len() >= PENDING_MAX
            {
                pending.remove(&oldest);
            }
        }
        pending.insert(cookie, new);
    }

    fn take(&self, cookie: Digest) -> Option<Pending> {
        let pending = lock(&self.pending).remove(&cookie)?;
        (pending.begun.elapsed() < PENDING_LASTS).then_some(pending)
    }
}

/// How the server proves itself to the provider: in a header, where that takes it.
fn auth_type(metadata: &CoreProviderMetadata) -> AuthType {
    let takes = metadata.token_endpoint_auth_methods_supported();
    match takes.is_none_or(|takes| takes.contains(&CoreClientAuthMethod::ClientSecretBasic)) {
        true => AuthType::BasicAuth,
        false => AuthType::RequestBody,
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(because) = cause {
        text.push_str(&format!(": {because}"));
        cause = because.source();
    }
    text
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
