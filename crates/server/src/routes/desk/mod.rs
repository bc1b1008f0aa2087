//! The desk: pages where owners find, share, change and take back. A page reads the store; what it changes goes through the API, as for any program.
//!
//! A new page is a file here with its route, a template in `themes/desk`, its texts in `themes/desk/texts.toml`, and a line in [`NAVIGATION`] where the
//! navigation leads to it.

mod account;
mod admin;
mod chat;
mod chats;
mod share;
mod shares;
mod showcase;
mod tokens;

use std::sync::Arc;

use axum::{
    Router,
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
    routing::get,
};
use readalong_render::{DeskEntry, DeskPage};
use readalong_store::{Cursor, User, UserRole};
use serde::Serialize;

use super::{api::encoded, errors};
use crate::{
    accounts,
    auth::{Caller, Owner, Proof},
    headers,
    service::Service,
    switches::ShowcaseMode,
};

/// Where the navigation leads, in its order. A page that is not here is not shown there.
const NAVIGATION: [Entry; 4] = [
    Entry::new("chats", "chats", UserRole::Owner),
    Entry::new("shares", "shares", UserRole::Owner),
    Entry::new(SHOWCASE, "showcase", UserRole::Viewer),
    Entry::new("admin", "admin", UserRole::Admin),
];
/// The entry that is there while there is a showcase.
const SHOWCASE: &str = "showcase";

/// The page where owners begin.
const HOME: &str = "/chats";
/// The page of the showcase, where viewers begin while there is one.
const SHOWCASE_PAGE: &str = "/showcase";
/// The page that everybody has who is signed in.
const ACCOUNT: &str = "/account";

/// An entry of the navigation.
struct Entry {
    entry: DeskEntry,
    /// Who has it: these, and those who may do more.
    least: UserRole,
}

impl Entry {
    const fn new(name: &'static str, path: &'static str, least: UserRole) -> Self {
        let entry = DeskEntry { name, path };
        Self { entry, least }
    }
}

/// The desk's pages.
pub(crate) fn router() -> Router<Arc<Service>> {
    Router::new()
        .route(HOME, get(chats::show))
        .route(ACCOUNT, get(account::show))
        .route("/tokens", get(tokens::show))
        .route("/admin", get(admin::show))
        .route(SHOWCASE_PAGE, get(showcase::show))
        .route("/showcase/manage", get(showcase::manage))
        .route("/chats/{chat}", get(chat::show))
        .route("/chats/{chat}/share", get(share::show))
        .route("/shares", get(shares::show))
}

/// Whoever is signed in and opens a page; others are led to the sign-in and back.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    user: User,
    proof: Proof,
}

impl FromRequestParts<Arc<Service>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, Response> {
        match Caller::from_request_parts(parts, service).await {
            Ok(Caller::User { user, proof }) => Ok(Self { user, proof }),
            Ok(_) => {
                let wanted = parts.uri.path_and_query();
                Err(errors::sign_in(
                    wanted.map_or(HOME, |wanted| wanted.as_str()),
                ))
            }
            Err(error) => {
                tracing::error!("a page of the desk could not be opened: {error}");
                Err(errors::failed())
            }
        }
    }
}

impl Visitor {
    /// The caller, where somebody is signed in.
    fn of(caller: Caller) -> Option<Self> {
        match caller {
            Caller::User { user, proof } => Some(Self { user, proof }),
            Caller::Nobody | Caller::BadToken => None,
        }
    }

    fn is_owner(&self) -> bool {
        accounts::is_owner(self.user.role)
    }
}

/// An owner who opens a page; viewers are told that they cannot.
#[derive(Clone, Debug)]
pub(crate) struct OwnerVisitor {
    visitor: Visitor,
    /// As the API knows them.
    owner: Owner,
}

impl FromRequestParts<Arc<Service>> for OwnerVisitor {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, Response> {
        let visitor = Visitor::from_request_parts(parts, service).await?;
        let owner = Owner {
            id: visitor.user.id,
            proof: visitor.proof,
        };
        match visitor.is_owner() {
            true => Ok(Self { visitor, owner }),
            false => Err(errors::for_owners()),
        }
    }
}

/// An admin who opens a page; others are told that they cannot.
#[derive(Clone, Debug)]
pub(crate) struct AdminVisitor(Visitor);

impl FromRequestParts<Arc<Service>> for AdminVisitor {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, Response> {
        let visitor = Visitor::from_request_parts(parts, service).await?;
        match accounts::is_admin(&visitor.user, visitor.proof) {
            true => Ok(Self(visitor)),
            false => Err(errors::for_admins()),
        }
    }
}

/// The page where whoever is signed in begins.
pub(crate) fn home(service: &Service, role: UserRole) -> &'static str {
    match service.switches().showcase {
        _ if accounts::is_owner(role) => HOME,
        ShowcaseMode::Disabled => ACCOUNT,
        ShowcaseMode::Authenticated | ShowcaseMode::Public => SHOWCASE_PAGE,
    }
}

/// The query with which a list goes on, after what it was asked for with.
fn more(asked: &[(&str, &str)], next: Option<Cursor>) -> Option<String> {
    let after = next?.to_string();
    let asked = asked.iter().filter(|(_, value)| !value.is_empty());
    let all = asked.copied().chain([("after", after.as_str())]);
    let pairs: Vec<String> = all
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    Some(format!("?{}", pairs.join("&")))
}

/// A page of the desk: the template `template` with `content`, under the entry `here` of the navigation.
pub(crate) fn page<T: Serialize>(
    service: &Service,
    visitor: &Visitor,
    what: (&str, &str),
    content: &T,
) -> Response {
    let has_showcase = service.switches().showcase != ShowcaseMode::Disabled;
    let is_theirs = |entry: &&Entry| {
        visitor.user.role >= entry.least && (has_showcase || entry.entry.name != SHOWCASE)
    };
    let nav = NAVIGATION.iter().filter(is_theirs);
    let nav: Vec<DeskEntry> = nav.map(|entry| entry.entry).collect();
    rendered(service, (&nav, Some(visitor)), what, content)
}

/// A page in the desk's look for somebody who is not signed in.
pub(crate) fn page_for_all<T: Serialize>(
    service: &Service,
    what: (&str, &str),
    content: &T,
) -> Response {
    rendered(service, (&[], None), what, content)
}

fn rendered<T: Serialize>(
    service: &Service,
    (nav, visitor): (&[DeskEntry], Option<&Visitor>),
    (template, here): (&str, &str),
    content: &T,
) -> Response {
    let around = DeskPage {
        template,
        here,
        nav,
        user: visitor.map_or("", |visitor| &visitor.user.name),
        // Whom a proxy has signed in, it signs in again.
        signs_out: visitor.is_some_and(|visitor| visitor.proof != Proof::Proxy),
        root: service.root(),
    };
    match service.renderer.desk_page(&around, content) {
        Ok(page) => {
            let mut response = (StatusCode::OK, page).into_response();
            headers::desk(response.headers_mut());
            response
        }
        Err(error) => {
            tracing::error!("a page of the desk could not be rendered: {error:?}");
            errors::failed()
        }
    }
}
