//! The one gate: every byte of a share (page, file, socket, event stream, picture of its link) passes [`admit`].
//!
//! What is unknown, deleted, expired or no id at all is answered alike. A private share is for those who are signed in.

use std::sync::Arc;

use axum::response::Response;
use http::{
    HeaderMap,
    header::{AUTHORIZATION, COOKIE},
};
use readalong_model::{Digest, Share, ShareId, ShareVisibility, Updates};
use readalong_store::{ChatRecord, LegacyLink, StoreError};

use crate::{
    accounts,
    auth::{Caller, PROXY_USER},
    routes::errors,
    service::{Service, now},
    switches::ShowcaseMode,
};

/// What is asked of a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// To open one of its pages: whoever has to sign in is led there and back.
    Open,
    /// To take one of its files, its JSON, its picture.
    Take,
    /// To watch it as it grows.
    Watch,
}

/// What a link says that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// The id of a share, or what stands in its place.
    Share(String),
    /// An old path.
    Legacy(String),
}

/// Why a share is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// Unknown, deleted, expired or invalid.
    Gone,
    /// It is private and the caller is not signed in.
    SignIn,
    /// It is private and what the caller showed is wrong.
    BadToken,
    /// The store cannot be read.
    Failed,
}

/// Lets a caller in to a share, or says why not.
///
/// # Errors
/// The share is gone, or the caller has to sign in.
pub(crate) fn admit(
    service: &Service,
    link: &Link,
    headers: &HeaderMap,
) -> Result<Arc<Share>, Denied> {
    let share = find(service, link)?;
    check(service, &share, headers)?;
    Ok(share)
}

/// Everybody may see a public share, those who are signed in a private one.
fn check(service: &Service, share: &Share, headers: &HeaderMap) -> Result<(), Denied> {
    match service.visibility(share) {
        ShareVisibility::Public => Ok(()),
        ShareVisibility::Private => match Caller::try_of(service, headers) {
            Ok(Caller::User { .. }) => Ok(()),
            Ok(Caller::BadToken) => Err(Denied::BadToken),
            Ok(Caller::Nobody) => Err(Denied::SignIn),
            Err(error) => Err(failed(&error)),
        },
    }
}

/// Which featured shares a caller sees: those with this visibility, or all.
///
/// # Errors
/// There is no showcase, or the caller has to sign in.
pub(crate) fn showcase(
    service: &Service,
    caller: &Caller,
) -> Result<Option<ShareVisibility>, Denied> {
    let switches = service.switches();
    match (switches.showcase, caller) {
        (ShowcaseMode::Disabled, _) => Err(Denied::Gone),
        (_, Caller::User { .. }) => Ok(None),
        (_, Caller::BadToken) => Err(Denied::BadToken),
        (ShowcaseMode::Public, Caller::Nobody) if switches.public_sharing => {
            Ok(Some(ShareVisibility::Public))
        }
        (_, Caller::Nobody) => Err(Denied::SignIn),
    }
}

/// True for who manages the showcase.
pub(crate) fn manages_showcase(caller: &Caller) -> bool {
    match caller {
        Caller::User { user, proof } => accounts::is_admin(user, *proof),
        Caller::Nobody | Caller::BadToken => false,
    }
}

impl Denied {
    /// What the caller gets. `path` is where a page was asked for.
    pub(crate) fn response(self, verb: Verb, path: &str) -> Response {
        match (self, verb) {
            (Self::Gone, _) => errors::gone(),
            (Self::SignIn, Verb::Open) => errors::sign_in(path),
            (Self::SignIn | Self::BadToken, _) => errors::unauthorized(),
            (Self::Failed, _) => errors::failed(),
        }
    }
}

/// The share of a link, if it is alive.
///
/// # Errors
/// It is gone.
pub(crate) fn find(service: &Service, link: &Link) -> Result<Arc<Share>, Denied> {
    let found = match link {
        Link::Share(text) => match text.parse::<ShareId>() {
            Ok(id) => service.share(&id),
            Err(_) => Ok(None),
        },
        Link::Legacy(path) => legacy(service, path),
    };
    match found {
        Ok(Some(share)) if !share.is_expired(now()) => Ok(share),
        Ok(_) => Err(Denied::Gone),
        Err(error) => Err(failed(&error)),
    }
}

/// True as long as a link leads to a share: a path can lead to another from one moment to the next.
pub(crate) fn leads_to(service: &Service, link: &Link, id: &ShareId) -> bool {
    match find(service, link) {
        Ok(found) => found.id == *id,
        Err(denied) => denied != Denied::Gone,
    }
}

fn failed(error: &StoreError) -> Denied {
    tracing::error!("the gate cannot read the store: {error}");
    Denied::Failed
}

/// A legacy link as a share: public, live, without files.
fn legacy(service: &Service, path: &str) -> Result<Option<Arc<Share>>, StoreError> {
    let Some(link) = service.read_now(|reader| reader.legacy(path, now()))? else {
        return Ok(None);
    };
    let Some(chat) = service.read_now(|reader| reader.chat(&link.chat))? else {
        return Ok(None);
    };
    Ok(Some(Arc::new(legacy_share(link, &chat))))
}

fn legacy_share(link: LegacyLink, chat: &ChatRecord) -> Share {
    // Made of the path, so that all who watch it share one book; nobody can open it under this id.
    let hex = Digest::of(format!("legacy {} {}", link.chat, link.path).as_bytes()).short(32);
    Share {
        id: hex.parse().expect("32 hexadecimal digits are an id"),
        chat: link.chat,
        owner: chat.owner,
        name: None,
        visibility: ShareVisibility::Public,
        updates: Updates::Live,
        includes_artifacts: false,
        created_at: chat.created_at,
        expires_at: Some(link.expires_at),
        frozen_at_seq: None,
        bundle: None,
    }
}

/// What a request shows of who sends it; `None` where it shows nothing.
pub(crate) fn credentials(headers: &HeaderMap) -> Option<Box<HeaderMap>> {
    let mut kept = HeaderMap::new();
    for name in [AUTHORIZATION, COOKIE, PROXY_USER] {
        for value in headers.get_all(&name) {
            kept.append(name.clone(), value.clone());
        }
    }
    (!kept.is_empty()).then(|| Box::new(kept))
}
