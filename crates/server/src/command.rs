//! What commands on the server's own machine need of it: requests without a socket, the owner's first sign-in, the address of links.

use axum::body::{Body, to_bytes};
use http::{Request, header};
use readalong_store::{UserRole, Write};
use tower::ServiceExt as _;

use crate::{
    accounts,
    serve::{ServeError, Server},
};

/// Name of the owner that a data folder has from the beginning.
const FIRST_OWNER: &str = "owner";
/// Key of the address under which people reach the server, as its owner said.
const BASE_URL: &str = "base_url";
/// Key of the address at which the folder was served last.
const LAST_URL: &str = "last_url";
/// What stands for the latter in a new folder: where `readalong serve` listens without options.
const LAST_URL_AT_FIRST: &str = "http://127.0.0.1:4141";

impl Server {
    /// Answers one request as if a command on this machine had sent it, without a socket; answers with status and body.
    ///
    /// # Errors
    /// The request cannot be made, or the answer breaks off.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        media_type: Option<&str>,
        body: Vec<u8>,
    ) -> Result<(u16, Vec<u8>), ServeError> {
        let mut request = Request::builder().method(method).uri(path).header(
            header::AUTHORIZATION,
            format!("Bearer {}", self.command_token()),
        );
        if let Some(media_type) = media_type {
            request = request.header(header::CONTENT_TYPE, media_type);
        }
        let failed = |reason: String| ServeError::Call { reason };
        let request = request
            .body(Body::from(body))
            .map_err(|error| failed(error.to_string()))?;
        let answer = match self.router().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), usize::MAX)
            .await
            .map_err(|error| failed(error.to_string()))?;
        Ok((status, body.into()))
    }

    /// The path of a link that signs the owner in, once; `None` where people sign in with passwords already.
    ///
    /// # Errors
    /// The store failed.
    pub fn owner_link(&self) -> Result<Option<String>, ServeError> {
        accounts::owner_link(self.service()).map_err(|error| ServeError::Call {
            reason: error.to_string(),
        })
    }

    /// True where an owner can sign in with a password: then the server may be open to others.
    ///
    /// # Errors
    /// The store failed.
    pub fn has_owner(&self) -> Result<bool, ServeError> {
        let users = self.service().read_now(|reader| reader.users())?;
        let is_owner = |user: &readalong_store::User| accounts::is_owner(user.role);
        Ok(users.iter().any(|user| is_owner(user) && user.has_password))
    }

    /// Makes the first owner of a new data folder, and settles what links begin with: as said now, or as said before.
    pub(crate) fn begin(&self, base_url: Option<&str>) -> Result<(), ServeError> {
        let service = self.service();
        let users = service.read_now(|reader| reader.users())?;
        if accounts::first_owner(users).is_none() {
            service.store.write_and_wait(Write::CreateUser {
                name: FIRST_OWNER.to_owned(),
                role: UserRole::Owner,
                password_hash: None,
            })?;
        }
        let known = service.read_now(|reader| reader.setting(BASE_URL))?;
        if let Some(url) = base_url.filter(|url| known.as_deref() != Some(*url)) {
            self.remember(BASE_URL, url)?;
        }
        if let Some(url) = base_url.or(known.as_deref()) {
            service.set_own_url(url);
        }
        let last = service.read_now(|reader| reader.setting(LAST_URL))?;
        service.set_last_url(last.as_deref().unwrap_or(LAST_URL_AT_FIRST));
        Ok(())
    }

    /// Keeps where the folder is served: links that are printed while nobody serves begin so.
    pub(crate) fn remember_url(&self, url: &str) -> Result<(), ServeError> {
        let known = self.service().read_now(|reader| reader.setting(LAST_URL))?;
        match known.as_deref() == Some(url) {
            true => Ok(()),
            false => self.remember(LAST_URL, url),
        }
    }

    fn remember(&self, key: &str, value: &str) -> Result<(), ServeError> {
        let write = Write::Setting {
            key: key.to_owned(),
            value: Some(value.to_owned()),
        };
        self.service().store.write_and_wait(write)?;
        Ok(())
    }
}
