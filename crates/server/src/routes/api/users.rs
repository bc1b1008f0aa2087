//! Users: who there is, their passwords and sign-in links.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use readalong_model::{Timestamp, UserId};
use readalong_store::{User, UserRole, Write};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Paged, Range};
use crate::{
    accounts,
    auth::{Admin, Proof, SignedIn},
    error::{ApiError, ApiJson, ApiPath, ApiQuery},
    service::Service,
};

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserEntry {
    /// The number.
    #[schema(value_type = i64)]
    id: UserId,
    /// The name to sign in with.
    name: String,
    /// `owner`, `viewer` or `admin`.
    #[schema(value_type = String)]
    role: Role,
    /// True where a password is set.
    has_password: bool,
    /// When the user was made.
    #[schema(value_type = String)]
    created_at: Timestamp,
}

/// What a user may do.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Does all: also manages users, revokes anybody's shares, switches things for the whole server.
    Admin,
    /// Has chats and shares.
    Owner,
    /// Opens private shares.
    Viewer,
}

impl From<UserRole> for Role {
    fn from(role: UserRole) -> Self {
        match role {
            UserRole::Admin => Self::Admin,
            UserRole::Owner => Self::Owner,
            UserRole::Viewer => Self::Viewer,
        }
    }
}

impl From<Role> for UserRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Admin => Self::Admin,
            Role::Owner => Self::Owner,
            Role::Viewer => Self::Viewer,
        }
    }
}

impl From<User> for UserEntry {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            name: user.name,
            role: user.role.into(),
            has_password: user.has_password,
            created_at: user.created_at,
        }
    }
}

/// Who one is.
#[utoipa::path(get, path = "/api/v1/users/me", tag = "users", responses(
    (status = 200, description = "Oneself.", body = UserEntry),
))]
pub(crate) async fn me(caller: SignedIn) -> Json<UserEntry> {
    Json(caller.user.into())
}

/// All users.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", params(Paged), responses(
    (status = 200, description = "Users.", body = [UserEntry]),
))]
pub(crate) async fn list(
    State(service): State<Arc<Service>>,
    _admin: Admin,
    ApiQuery(paged): ApiQuery<Paged>,
) -> Result<Json<Vec<UserEntry>>, ApiError> {
    let range = Range::new(paged.offset, paged.limit)?;
    let users = service.read(|r| r.users()).await?;
    Ok(Json(range.of(users).map(UserEntry::from).collect()))
}

/// What a new user is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    /// The name to sign in with.
    name: String,
    /// `owner`, `viewer` or `admin`.
    #[schema(value_type = String)]
    role: Role,
    /// None for a user of tokens and sign-in links.
    password: Option<String>,
}

/// Makes a user.
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = NewUser, responses(
    (status = 201, description = "The user.", body = UserEntry),
))]
pub(crate) async fn create(
    State(service): State<Arc<Service>>,
    _admin: Admin,
    ApiJson(new): ApiJson<NewUser>,
) -> Result<(StatusCode, Json<UserEntry>), ApiError> {
    check_name(&new.name)?;
    let password_hash = match new.password {
        Some(password) => Some(accounts::hash_password(&service, password).await?),
        None => None,
    };
    let create = Write::CreateUser {
        name: new.name,
        role: new.role.into(),
        password_hash,
    };
    let written = service.write(create).await?;
    let id = written
        .user
        .ok_or_else(|| ApiError::internal("a new user has no number"))?;
    Ok((StatusCode::CREATED, Json(user(&service, id).await?.into())))
}

/// # Errors
/// It is no name.
pub(super) fn check_name(name: &str) -> Result<(), ApiError> {
    match accounts::is_name(name) {
        true => Ok(()),
        false => Err(ApiError::bad_request(format!(
            "the name is one line of 1 to {} bytes, with something to see in it and no spaces around it",
            accounts::NAME_BYTES_MAX
        ))),
    }
}

async fn user(service: &Arc<Service>, id: UserId) -> Result<User, ApiError> {
    let found = service.read(move |r| r.user(id)).await?;
    found.ok_or_else(|| ApiError::not_found("user"))
}

/// What of a user is to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserChange {
    /// The password from now on.
    password: Option<String>,
    /// The password until now.
    current_password: Option<String>,
    /// `owner`, `viewer` or `admin`.
    #[schema(value_type = Option<String>)]
    role: Option<Role>,
}

/// Sets another password, which ends all sessions of the user, or another role.
#[utoipa::path(patch, path = "/api/v1/users/{user}", tag = "users", params(("user" = i64, Path)), request_body = UserChange, responses(
    (status = 204, description = "It is set."),
))]
pub(crate) async fn change(
    State(service): State<Arc<Service>>,
    caller: SignedIn,
    ApiPath(id): ApiPath<i64>,
    ApiJson(change): ApiJson<UserChange>,
) -> Result<StatusCode, ApiError> {
    let id = UserId(id);
    if change.password.is_none() && change.role.is_none() {
        return Err(ApiError::bad_request("`password` or `role` is needed"));
    }
    let is_admin = accounts::is_admin(&caller.user, caller.proof);
    let mut writes = Vec::new();
    if let Some(role) = change.role {
        if !is_admin {
            return Err(ApiError::forbidden("only admins change roles"));
        }
        let role = UserRole::from(role);
        writes.push(Write::SetRole { user: id, role });
    }
    if let Some(password) = change.password {
        if id == caller.user.id {
            check_current(&service, &caller, change.current_password).await?;
        } else if !is_admin {
            return Err(ApiError::forbidden("only admins set passwords of others"));
        } else {
            user(&service, id).await?;
        }
        writes.push(Write::SetPassword {
            user: id,
            password_hash: Some(accounts::hash_password(&service, password).await?),
        });
    }
    service.write(Write::All(writes)).await.map_err(of_user)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whoever found an open browser or a token may not lock its owner out.
async fn check_current(
    service: &Arc<Service>,
    caller: &SignedIn,
    current: Option<String>,
) -> Result<(), ApiError> {
    if caller.proof == Proof::Local {
        return Ok(());
    }
    if !caller.user.has_password {
        // It would be a way in besides that by which they sign in elsewhere.
        return match accounts::is_admin(&caller.user, caller.proof) {
            true => Ok(()),
            false => Err(ApiError::forbidden("a first password is given by an admin")),
        };
    }
    let Some(current) = current else {
        return Err(ApiError::bad_request("the current password is needed"));
    };
    match accounts::is_password(service, &caller.user, current).await? {
        true => Ok(()),
        false => Err(ApiError::forbidden("the current password is wrong")),
    }
}

/// Removes a user with all that is theirs.
#[utoipa::path(delete, path = "/api/v1/users/{user}", tag = "users", params(("user" = i64, Path)), responses(
    (status = 204, description = "They are gone."),
))]
pub(crate) async fn remove(
    State(service): State<Arc<Service>>,
    _admin: Admin,
    ApiPath(id): ApiPath<i64>,
) -> Result<StatusCode, ApiError> {
    let remove = Write::RemoveUser {
        user: UserId(id),
        with_chats: true,
    };
    service.write(remove).await.map_err(of_user)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A link that signs a user in, once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SigninLink {
    /// The link.
    url: String,
    /// When it ends, used or not.
    #[schema(value_type = String)]
    expires_at: Timestamp,
}

/// Makes a link that signs a user in, once.
#[utoipa::path(post, path = "/api/v1/users/{user}/signin_link", tag = "users", params(("user" = i64, Path)), responses(
    (status = 201, description = "The link.", body = SigninLink),
))]
pub(crate) async fn signin_link(
    State(service): State<Arc<Service>>,
    _admin: Admin,
    ApiPath(id): ApiPath<i64>,
) -> Result<(StatusCode, Json<SigninLink>), ApiError> {
    let user = user(&service, UserId(id)).await?;
    let link = accounts::new_link(&service, user.id).await?;
    let link = SigninLink {
        url: format!("{}{}", service.link_base(), link.path),
        expires_at: link.expires_at,
    };
    Ok((StatusCode::CREATED, Json(link)))
}

fn of_user(error: impl Into<ApiError>) -> ApiError {
    error.into().about("user")
}
