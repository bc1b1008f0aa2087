//! What a share of a chat would show, before there is one.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use readalong_model::{ArtifactId, LeftOut, Message, Part, Role, SnapshotOptions};
use readalong_redact::Redactor;
use readalong_store::{ChatRecord, Reader, StoreError};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{chat_id, chats::record};
use crate::{
    auth::Owner,
    error::{ApiError, ApiPath, ApiQuery},
    service::Service,
};

/// What the mark of a secret that was taken out begins with.
const MARK: &str = "[redacted: ";
/// Characters of the first prompt that are shown.
const FIRST_CHARS: usize = 300;

/// With what a share would be.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// With images and files.
    #[serde(default)]
    artifacts: bool,
}

/// What a share of the chat as it is now would show.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Preview {
    /// What readers see as its title, where the share has no name.
    title: String,
    /// Messages that are shown.
    messages: usize,
    /// Prompts among them.
    prompts: usize,
    /// How the first prompt begins.
    first: String,
    /// Images and files that are shown.
    artifacts: Vec<PreviewedArtifact>,
    /// Images and files that are not, because the share is without them.
    artifacts_left_out: usize,
    /// Images and files that the owner hid.
    artifacts_hidden: usize,
    /// Messages that the owner hid.
    hidden: usize,
    /// Messages that are never shown: instructions, injected context.
    never_shown: usize,
    /// Secrets that were taken out, by kind: how many marks are shown.
    redacted: BTreeMap<String, usize>,
    /// Secrets that stay in the chat because its owner said so: kinds, rules, ids.
    kept: Vec<String>,
}

/// An image or file that a share would show.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewedArtifact {
    /// Its name.
    name: String,
    /// Its bytes; null where they are not there.
    size_bytes: Option<u64>,
}

/// Tells what a share of the chat would show.
#[utoipa::path(get, path = "/api/v1/chats/{chat}/preview", tag = "shares", params(("chat" = String, Path), Asked), responses(
    (status = 200, description = "What would be seen.", body = Preview),
))]
pub(crate) async fn preview(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath(chat): ApiPath<String>,
    ApiQuery(asked): ApiQuery<Asked>,
) -> Result<Json<Preview>, ApiError> {
    let chat = record(&service, &owner, chat_id(&chat)?).await?;
    let redactions = service.redactions.clone();
    let preview = service.read(move |r| of(r, &chat, asked.artifacts, redactions.redactor()));
    Ok(Json(preview.await?))
}

/// What a share of a chat would show.
///
/// # Errors
/// The store failed.
pub(crate) fn of(
    reader: &Reader<'_>,
    chat: &ChatRecord,
    artifacts: bool,
    redactor: &Redactor,
) -> Result<Preview, StoreError> {
    let options = SnapshotOptions {
        title: None,
        artifacts,
        reasoning: true,
        tools: true,
        messages: None,
    };
    let left_out = LeftOut::of(&options, chat.head.left_out);
    let mut preview = Preview {
        title: chat.head.title.clone(),
        kept: reader.kept(&chat.id)?,
        ..Preview::default()
    };
    let own = reader.own_artifacts(&chat.id)?;
    let mut is_used = vec![false; own.len()];
    reader.messages(&chat.id, 0..u32::MAX, &mut |stored| {
        if stored.erased {
            return;
        }
        if stored.hidden {
            preview.hidden += 1;
            return;
        }
        for_each_artifact(&stored.message.parts, &mut |artifact| {
            if let Some(is_used) = is_used.get_mut(artifact.0 as usize) {
                *is_used = true;
            }
        });
        match left_out.see(stored.message) {
            Some(message) => preview.add(&message, redactor),
            None => preview.never_shown += 1,
        }
    })?;
    for ((artifact, is_hidden), _) in own.into_iter().zip(is_used).filter(|(_, used)| *used) {
        match (is_hidden, artifacts) {
            (true, _) => preview.artifacts_hidden += 1,
            (_, false) => preview.artifacts_left_out += 1,
            (_, true) => preview.artifacts.push(PreviewedArtifact {
                size_bytes: artifact.bytes().map(|(_, size_bytes)| size_bytes),
                name: artifact.name,
            }),
        }
    }
    Ok(preview)
}

impl Preview {
    fn add(&mut self, message: &Message, redactor: &Redactor) {
        self.messages += 1;
        if message.role == Role::User {
            self.prompts += 1;
        }
        for part in &message.parts {
            self.count_marks(part, redactor);
            if let Part::Text { markdown } = part
                && self.first.is_empty()
                && message.role == Role::User
            {
                self.first = markdown.trim().chars().take(FIRST_CHARS).collect();
            }
        }
    }

    fn count_marks(&mut self, part: &Part, redactor: &Redactor) {
        // Wherever in a part a mark stands: as JSON it is written the same.
        let text = serde_json::to_string(part).unwrap_or_default();
        for (at, _) in text.match_indices(MARK) {
            let kind = text[at + MARK.len()..]
                .split(']')
                .next()
                .unwrap_or_default();
            // A text may say anything in such a mark, also what would keep all secrets.
            if redactor.is_kind(kind) {
                *self.redacted.entry(kind.to_owned()).or_default() += 1;
            }
        }
    }
}

fn for_each_artifact(parts: &[Part], see: &mut impl FnMut(ArtifactId)) {
    for part in parts {
        match part {
            Part::Image { artifact, .. } | Part::File { artifact } => see(*artifact),
            Part::ToolResult { parts, .. } => for_each_artifact(parts, see),
            _ => {}
        }
    }
}
