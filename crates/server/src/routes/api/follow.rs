//! Transcripts on the server's own machine that it follows.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{Extension, Json, extract::State, http::StatusCode};
use readalong_live::{FollowError, FollowState, Following};
use readalong_model::ChatId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    accounts,
    auth::{Owner, Proof},
    error::{ApiError, ApiJson, ApiQuery},
    routes::AskedBy,
    service::Service,
};

/// A file or folder that is followed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Followed {
    /// Its path.
    path: String,
    /// Chats of its files, as far as they are known.
    #[schema(value_type = Vec<String>)]
    chats: Vec<ChatId>,
    /// As of its files: that of the one that is least far.
    state: String,
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
    /// `waiting`, `reading`, `up to date`, `gone`, or in words why it is not followed.
    state: String,
}

impl Followed {
    fn new(path: PathBuf, files: Vec<FollowState>) -> Self {
        let least = files
            .iter()
            .map(|file| &file.following)
            .min_by_key(|state| match state {
                Following::Refused(_) | Following::Failing(_) => 0,
                Following::Waiting => 1,
                Following::Reading { .. } => 2,
                Following::Gone => 3,
                Following::UpToDate => 4,
            });
        Self {
            state: words(least.unwrap_or(&Following::Waiting)),
            path: path.display().to_string(),
            chats: files.iter().filter_map(|file| file.chat.clone()).collect(),
            files: files.into_iter().map(FollowedFile::from).collect(),
        }
    }
}

impl From<FollowState> for FollowedFile {
    fn from(file: FollowState) -> Self {
        Self {
            path: file.path.display().to_string(),
            chat: file.chat,
            state: words(&file.following),
        }
    }
}

fn words(following: &Following) -> String {
    match following {
        Following::Waiting => "waiting".to_owned(),
        Following::Reading { .. } => "reading".to_owned(),
        Following::UpToDate => "up to date".to_owned(),
        Following::Gone => "gone".to_owned(),
        Following::Refused(problem) | Following::Failing(problem) => problem.clone(),
    }
}

/// What of the followed is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Listed {
    /// Only the file or folder with this path.
    #[param(value_type = Option<String>)]
    path: Option<PathBuf>,
}

/// What the server follows.
#[utoipa::path(get, path = "/api/v1/follow", tag = "follow", params(Listed), responses(
    (status = 200, description = "Files and folders.", body = [Followed]),
))]
pub(crate) async fn list(
    State(service): State<Arc<Service>>,
    owner: Owner,
    Extension(asked_by): Extension<AskedBy>,
    ApiQuery(listed): ApiQuery<Listed>,
) -> Result<Json<Vec<Followed>>, ApiError> {
    check_is_here(&service, &owner, asked_by)?;
    Ok(Json(followed(&service, listed.path.as_deref())))
}

/// What is to be followed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewFollowed {
    /// The whole path of a file or folder on the server's machine.
    #[schema(value_type = String)]
    path: PathBuf,
    /// Secrets that stay in its chats: kinds, rules, ids, or `all`.
    #[serde(default)]
    kept: Vec<String>,
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
    check_is_here(&service, &owner, asked_by)?;
    if !new.path.is_absolute() {
        return Err(ApiError::bad_request("`path` is a whole path, from `/` on"));
    }
    let follow = {
        let service = service.clone();
        move || {
            let kept = new.kept;
            let path = new
                .path
                .canonicalize()
                .map_err(|source| FollowError::Path {
                    path: new.path,
                    source,
                })?;
            service.followers.follow(&service, &path, kept)?;
            Ok(path)
        }
    };
    let path: Result<PathBuf, FollowError> = tokio::task::spawn_blocking(follow)
        .await
        .map_err(ApiError::internal)?;
    let path = path.map_err(|error| ApiError::bad_request(error.to_string()))?;
    let entry = followed(&service, Some(&path)).pop();
    let entry = entry.ok_or_else(|| ApiError::internal("what was followed is not there"))?;
    Ok((StatusCode::CREATED, Json(entry)))
}

fn followed(service: &Service, wanted: Option<&Path>) -> Vec<Followed> {
    let states = service.followers.states().into_iter();
    let states = states.filter(|(path, _)| wanted.is_none_or(|wanted| wanted == path));
    states
        .map(|(path, files)| Followed::new(path, files))
        .collect()
}

/// What is followed, for whoever may see files of the machine; nothing for others.
pub(crate) fn seen_by(service: &Service, owner: &Owner, asked_by: AskedBy) -> Vec<Followed> {
    match check_is_here(service, owner, asked_by) {
        Ok(()) => followed(service, None),
        Err(_) => Vec::new(),
    }
}

/// Files of the machine are for who has the data folder, or is the owner whose chats they become and sits at the machine.
fn check_is_here(
    service: &Service,
    owner: &Owner,
    AskedBy(asker): AskedBy,
) -> Result<(), ApiError> {
    // A proxy names whom it speaks for, unless nobody has told it to: behind one, only the local token shows that somebody is here.
    let is_here = asker.is_none() && !service.has_own_url();
    let first = accounts::first_owner(service.read_now(|reader| reader.users())?);
    let is_first = first.is_some_and(|first| first.id == owner.id);
    match owner.proof == Proof::Local || (is_here && is_first) {
        true => Ok(()),
        false => Err(ApiError::forbidden(
            "files of the server are followed from its own machine only, by the owner who was there first",
        )),
    }
}
