//! Sessions: where somebody is signed in, and signing out there.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use readalong_model::Timestamp;
use readalong_store::{SessionRecord, Write};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    auth::{Proof, SignedIn},
    error::{ApiError, ApiPath},
    service::{Service, now},
};

/// A browser that somebody is signed in with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionEntry {
    /// Names it among one's own.
    id: String,
    /// The program, as it calls itself.
    agent: String,
    /// The same for people: `Firefox, Linux`.
    program: String,
    /// When it began.
    #[schema(value_type = String)]
    created_at: Timestamp,
    /// When it was used last, to the minute.
    #[schema(value_type = Option<String>)]
    used_at: Option<Timestamp>,
    /// When it ends.
    #[schema(value_type = String)]
    expires_at: Timestamp,
    /// True for the one that asks.
    is_this: bool,
}

impl SessionEntry {
    fn new(session: SessionRecord, proof: Proof) -> Self {
        let is_this = match proof {
            Proof::Session(sha256) => sha256.to_string().starts_with(&session.id),
            _ => false,
        };
        Self {
            id: session.id,
            program: program(&session.agent),
            agent: session.agent,
            created_at: session.created_at,
            used_at: session.used_at,
            expires_at: session.expires_at,
            is_this,
        }
    }
}

/// What people call a program that calls itself so: browsers call themselves by the names of others too, so the order counts.
fn program(agent: &str) -> String {
    let first = |names: &[(&str, &'static str)]| {
        let found = names.iter().find(|(sign, _)| agent.contains(sign));
        found.map(|(_, name)| *name)
    };
    let browser = first(&[
        ("Firefox/", "Firefox"),
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("Windows", "Windows"),
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser}, {system}"),
        _ => agent.to_owned(),
    }
}

/// One's own sessions.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "users", responses(
    (status = 200, description = "Sessions.", body = [SessionEntry]),
))]
pub(crate) async fn list(
    State(service): State<Arc<Service>>,
    caller: SignedIn,
) -> Result<Json<Vec<SessionEntry>>, ApiError> {
    Ok(Json(of(&service, &caller).await?))
}

/// The sessions of a caller.
///
/// # Errors
/// The store failed.
pub(crate) async fn of(
    service: &Arc<Service>,
    caller: &SignedIn,
) -> Result<Vec<SessionEntry>, ApiError> {
    let (user, proof) = (caller.user.id, caller.proof);
    let sessions = service.read(move |r| r.sessions(user, now())).await?;
    let sessions = sessions.into_iter();
    Ok(sessions
        .map(|session| SessionEntry::new(session, proof))
        .collect())
}

/// Signs out everywhere but here; without a session, everywhere.
#[utoipa::path(delete, path = "/api/v1/sessions", tag = "users", responses(
    (status = 204, description = "They have ended."),
))]
pub(crate) async fn end_others(
    State(service): State<Arc<Service>>,
    caller: SignedIn,
) -> Result<StatusCode, ApiError> {
    let user = caller.user.id;
    service
        .write(match caller.proof {
            Proof::Session(keep) => Write::RemoveOtherSessions { user, keep },
            _ => Write::RemoveSessionsOf(user),
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Signs out in one place.
#[utoipa::path(delete, path = "/api/v1/sessions/{session}", tag = "users", params(("session" = String, Path)), responses(
    (status = 204, description = "It has ended."),
))]
pub(crate) async fn end(
    State(service): State<Arc<Service>>,
    caller: SignedIn,
    ApiPath(id): ApiPath<String>,
) -> Result<StatusCode, ApiError> {
    let user = caller.user.id;
    let ended = service.write(Write::RemoveSessionOf { user, id }).await;
    ended.map_err(|error| ApiError::from(error).about("session"))?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_called_as_people_call_them() {
        let mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Safari/605.1.15";
        let edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36 Edg/120.0";
        for (agent, name) in [
            (mac, "Safari, macOS"),
            (edge, "Edge, Windows"),
            ("curl/8.5.0", "curl/8.5.0"),
            ("", ""),
        ] {
            assert_eq!(program(agent), name);
        }
    }
}
