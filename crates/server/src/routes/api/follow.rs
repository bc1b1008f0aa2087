//! Transcripts on the server's own machine that it follows.

use std::{path::PathBuf, sync::Arc};

use axum::{Extension, Json, extract::State, http::StatusCode};
use readalong_live::{FollowError, FollowState, Following};
use readalong_model::ChatId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    auth::{Owner, Proof},
    error::{ApiError, ApiJson},
    routes::AskedBy,
    service::Service,
};

/// A file or folder that is followed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Followed {
    /// Its path.
    path: String,
    /// Its files; a file has itself.
    files: Vec<FollowedFile>,
}

/// A file that is followed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FollowedFile {
    /// Its path.
    path: String,
    /// Its chat, once it is known.
    #[schema(value_type = Option<String>)]
    chat: Option<ChatId>,
    /// `waiting`, `reading`, `up_to_date`, `gone`, `refused` or `failing`.
    state: &'static str,
    /// Why it is refused or failing.
    problem: Option<String>,
}

impl From<FollowState> for FollowedFile {
    fn from(file: FollowState) -> Self {
        let (state, problem) = match file.following {
            Following::Waiting => ("waiting", None),
            Following::Reading { .. } => ("reading", None),
            Following::UpToDate => ("up_to_date", None),
            Following::Gone => ("gone", None),
            Following::Refused(problem) => ("refused", Some(problem)),
            Following::Failing(problem) => ("failing", Some(problem)),
        };
        Self {
            path: file.path.display().to_string(),
            chat: file.chat,
            state,
            problem,
        }
    }
}

/// What the server follows.
#[utoipa::path(get, path = "/api/v1/follow", tag = "follow", responses(
    (status = 200, description = "Files and folders.", body = [Followed]),
))]
pub(crate) async fn list(
    State(service): State<Arc<Service>>,
    owner: Owner,
    Extension(asked_by): Extension<AskedBy>,
) -> Result<Json<Vec<Followed>>, ApiError> {
    check_is_here(&owner, asked_by)?;
    Ok(Json(followed(&service)))
}

/// What is to be followed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewFollowed {
    /// The whole path of a file or folder on the server's machine.
    #[schema(value_type = String)]
    path: PathBuf,
}

/// Follows a file or folder.
#[utoipa::path(post, path = "/api/v1/follow", tag = "follow", request_body = NewFollowed, responses(
    (status = 201, description = "It is followed.", body = Followed),
))]
pub(crate) async fn add(
    State(service): State<Arc<Service>>,
    owner: Owner,
    Extension(asked_by): Extension<AskedBy>,
    ApiJson(new): ApiJson<NewFollowed>,
) -> Result<(StatusCode, Json<Followed>), ApiError> {
    check_is_here(&owner, asked_by)?;
    if !new.path.is_absolute() {
        return Err(ApiError::bad_request("`path` is a whole path, from `/` on"));
    }
    let follow = {
        let service = service.clone();
        move || {
            let path = new.path.canonicalize().map_err(|source| FollowError::Path {
                path: new.path,
                source,
            })?;
            service.followers.follow(&service, &path)?;
            Ok(path)
        }
    };
    let path: Result<PathBuf, FollowError> = tokio::task::spawn_blocking(follow)
        .await
        .map_err(ApiError::internal)?;
    let path = path.map_err(|error| ApiError::bad_request(error.to_string()))?;
    let path = path.display().to_string();
    let entry = followed(&service).into_iter().find(|entry| entry.path == path);
    let entry = entry.ok_or_else(|| ApiError::internal("what was followed is not there"))?;
    Ok((StatusCode::CREATED, Json(entry)))
}

fn followed(service: &Service) -> Vec<Followed> {
    let states = service.followers.states().into_iter();
    let entry = |(path, files): (PathBuf, Vec<FollowState>)| Followed {
        path: path.display().to_string(),
        files: files.into_iter().map(FollowedFile::from).collect(),
    };
    states.map(entry).collect()
}

/// Files of the machine are for who has the data folder, or is an owner and sits at the machine.
fn check_is_here(owner: &Owner, AskedBy(asker): AskedBy) -> Result<(), ApiError> {
    // Nobody else asks without an address that is not this machine's: a proxy names whom it speaks for.
    match owner.proof == Proof::Local || asker.is_none() {
        true => Ok(()),
        false => Err(ApiError::forbidden(
            "files of the server are followed from its own machine only",
        )),
    }
}
