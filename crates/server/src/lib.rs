//! Pages, API and viewer sockets behind one access gate.
//!
//! [`Server::open`] takes a data folder, [`Server::router`] answers requests for it, [`Server::serve`] does so on a socket until it is told to stop.
//! Every byte of a share passes `gate::admit`. Nothing here knows SQL, HTML of chats, or foreign transcripts.

mod accounts;
mod answers;
mod auth;
mod command;
mod content;
mod error;
mod file_cache;
mod follow;
mod frozen;
mod gate;
mod headers;
mod limits;
mod live_share;
mod metrics;
#[cfg(feature = "oidc")]
mod oidc;
#[cfg(not(feature = "oidc"))]
#[path = "oidc/left_out.rs"]
mod oidc;
mod packing;
mod redaction;
mod routes;
mod serve;
mod service;
mod setup;
mod signin;
mod switches;
mod underway;

pub use limits::Limits;
pub use live_share::WHOLE_AGE_MAX;
pub use readalong_store::StoreError;
pub use serve::{OnChange, RunningServer, ServeError, Server, ServerOptions, Touched};
pub use signin::{NewUsers, OidcOptions, SignInOptions};
