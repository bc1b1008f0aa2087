//! API tokens: shown once, kept as a digest.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use readalong_model::{Timestamp, UserId};
use readalong_store::{StoreError, TokenRecord, Write};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Range, users::check_name};
use crate::{
    accounts,
    auth::{Proof, SignedIn},
    error::{ApiError, ApiJson, ApiPath, ApiQuery},
    service::{Service, now},
};

/// A token, without itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenEntry {
    /// Its number.
    id: i64,
    /// What it is for.
    name: String,
    /// When it was made.
    #[schema(value_type = String)]
    created_at: Timestamp,
    /// When it ends.
    #[schema(value_type = Option<String>)]
    expires_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    #[schema(value_type = Option<String>)]
    used_at: Option<Timestamp>,
}

impl From<TokenRecord> for TokenEntry {
    fn from(token: TokenRecord) -> Self {
        Self {
            id: token.id,
            name: token.name,
            created_at: token.created_at,
            expires_at: token.expires_at,
            used_at: token.used_at,
        }
    }
}

/// Which tokens are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Listed {
    /// Whose, for admins.
    user: Option<i64>,
    /// How many to leave out.
    offset: Option<u32>,
    /// How many at most.
    limit: Option<u32>,
}

/// One's own tokens, or somebody's.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", params(Listed), responses(
    (status = 200, description = "Tokens.", body = [TokenEntry]),
))]
pub(crate) async fn list(
    State(service): State<Arc<Service>>,
    caller: SignedIn,
    ApiQuery(listed): ApiQuery<Listed>,
) -> Result<Json<Vec<TokenEntry>>, ApiError> {
    let range = Range::new(listed.offset, listed.limit)?;
    let user = listed.user.map_or(caller.user.id, UserId);
    if user != caller.user.id && !accounts::is_admin(&caller.user, caller.proof) {
        return Err(ApiError::forbidden("only admins list tokens of others"));
    }
    let tokens = service.read(move |r| r.tokens(user)).await?;
    Ok(Json(range.of(tokens).map(TokenEntry::from).collect()))
}

/// What a new token is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// What it is for.
    name: String,
    /// When it ends.
    #[schema(value_type = Option<String>)]
    expires_at: Option<Timestamp>,
    /// Whose it is to be, for admins.
    user: Option<i64>,
}

/// A new token, the only time that it is seen.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShownToken {
    /// What lists say of it.
    #[serde(flatten)]
    entry: TokenEntry,
    /// The token itself.
    token: String,
}

/// Makes a token.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", request_body = NewToken, responses(
    (status = 201, description = "The token.", body = ShownToken),
))]
pub(crate) async fn create(
    State(service): State<Arc<Service>>,
    caller: SignedIn,
    ApiJson(new): ApiJson<NewToken>,
) -> Result<(StatusCode, Json<ShownToken>), ApiError> {
    check_name(&new.name)?;
    if new.expires_at.is_some_and(|at| at <= now()) {
        return Err(ApiError::bad_request("its end has passed already"));
    }
    let user = new.user.map_or(caller.user.id, UserId);
    if user != caller.user.id && !accounts::is_admin(&caller.user, caller.proof) {
        return Err(ApiError::forbidden("only admins make tokens for others"));
    }
    check_outlived(&service, &caller, new.expires_at)?;
    let token = accounts::new_token()?;
    let create = Write::CreateToken {
        user,
        name: new.name.clone(),
        sha256: token.digest(),
        expires_at: new.expires_at,
    };
    let written = service.write(create).await;
    let written = written.map_err(|error| ApiError::from(error).about("user"))?;
    let entry = TokenEntry {
        id: written.token.unwrap_or_default(),
        name: new.name,
        created_at: now(),
        expires_at: new.expires_at,
        used_at: None,
    };
    let token = token.expose().to_owned();
    Ok((StatusCode::CREATED, Json(ShownToken { entry, token })))
}

/// Whoever found a token has what it opens as long as it lasts, and no longer.
fn check_outlived(
    service: &Service,
    caller: &SignedIn,
    expires_at: Option<Timestamp>,
) -> Result<(), ApiError> {
    let Proof::Token(sha256) = caller.proof else {
        return Ok(());
    };
    let asking = service.read_now(|r| r.token(sha256, now()))?;
    let ends_at = asking.and_then(|(token, _)| token.expires_at);
    match ends_at.is_none_or(|end| expires_at.is_some_and(|at| at <= end)) {
        true => Ok(()),
        false => Err(ApiError::forbidden(
            "a token makes none that outlives it: `expires_at` is its own end at most",
        )),
    }
}

/// Removes a token.
#[utoipa::path(delete, path = "/api/v1/tokens/{token}", tag = "tokens", params(("token" = i64, Path)), responses(
    (status = 204, description = "It is worth nothing."),
))]
pub(crate) async fn remove(
    State(service): State<Arc<Service>>,
    caller: SignedIn,
    ApiPath(id): ApiPath<i64>,
) -> Result<StatusCode, ApiError> {
    let (me, may_all) = (
        caller.user.id,
        accounts::is_admin(&caller.user, caller.proof),
    );
    let user = service
        .read(move |r| {
            let is_of = |user: UserId| -> Result<bool, StoreError> {
                Ok(r.tokens(user)?.iter().any(|token| token.id == id))
            };
            if is_of(me)? || !may_all {
                return Ok(me);
            }
            for other in r.users()? {
                if is_of(other.id)? {
                    return Ok(other.id);
                }
            }
            Ok(me)
        })
        .await?;
    let remove = Write::RemoveToken { user, id };
    let removed = service.write(remove).await;
    removed.map_err(|error| ApiError::from(error).about("token"))?;
    Ok(StatusCode::NO_CONTENT)
}
