//! What commands on the server's own machine need of it: requests without a socket, the owner's first sign-in, the address of links.

use axum::body::{Body, to_bytes};
use http::{Request, header};
use readalong_store::{Store, UserRole, Write};
use tower::ServiceExt as _;

use crate::{
    accounts, routes,
    serve::{ServeError, Server},
};

/// Name of the owner that a data folder has from the beginning.
const FIRST_OWNER: &str = "owner";
/// Key of the address under which people reach the server, as its owner said.
const BASE_URL: &str = "base_url";
/// Key of the address at which the folder was served last, where somebody named its port.
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
        Ok(self.service().has_owner()?)
    }

    /// Serves nothing until the first account is made, and gives the path of the link by which that is done: once, within an hour.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn begin_setup(&self) -> Result<String, ServeError> {
        let link = accounts::Secret::random().map_err(|_| ServeError::Random)?;
        self.service().setup.begin(&link);
        Ok(format!("{}?token={}", routes::setup::PATH, link.expose()))
    }

    /// True as long as nothing is served but the making of the first account.
    pub fn is_in_setup(&self) -> bool {
        self.service().setup.is_pending()
    }

    /// Makes the first owner of a new data folder, and settles what links begin with as long as nobody serves.
    pub(crate) fn begin(&self) -> Result<(), ServeError> {
        let service = self.service();
        let users = service.read_now(|reader| reader.users())?;
        if accounts::first_owner(users).is_none() {
            service.store.write_and_wait(Write::CreateUser {
                name: FIRST_OWNER.to_owned(),
                role: UserRole::Admin,
                password_hash: None,
            })?;
        }
        let last = service.read_now(|reader| reader.setting(LAST_URL))?;
        service.set_last_url(last.as_deref().unwrap_or(LAST_URL_AT_FIRST));
        Ok(())
    }

    /// The address under which people reach the server: as said now, which is kept, or as said before.
    pub(crate) fn own_url(
        store: &Store,
        said: Option<String>,
    ) -> Result<Option<String>, ServeError> {
        let known = store.read(|reader| reader.setting(BASE_URL))?;
        let Some(said) = said else { return Ok(known) };
        if known.as_ref() != Some(&said) {
            store.write_and_wait(setting(BASE_URL, &said))?;
        }
        Ok(Some(said))
    }

    /// Keeps where the folder is served: links that are printed while nobody serves begin so.
    pub(crate) fn remember_url(&self, url: &str) -> Result<(), ServeError> {
        let known = self.service().read_now(|reader| reader.setting(LAST_URL))?;
        match known.as_deref() == Some(url) {
            true => Ok(()),
            false => {
                let write = setting(LAST_URL, url);
                self.service().store.write_and_wait(write)?;
                Ok(())
            }
        }
    }
}

fn setting(key: &str, value: &str) -> Write {
    Write::Setting {
        key: key.to_owned(),
        value: Some(value.to_owned()),
    }
}
