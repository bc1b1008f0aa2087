//! Shares: the record that makes a chat visible, and what pages say of it.

use serde::{Deserialize, Serialize};

use crate::{ChatId, Digest, Seq, ShareId, Timestamp, UserId};

/// The record that makes a chat visible.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Its id, which its link is made of.
    pub id: ShareId,
    /// The chat that it shows.
    pub chat: ChatId,
    /// Who controls it.
    pub owner: UserId,
    /// What it is called, where not as the chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who can open its link.
    pub visibility: ShareVisibility,
    /// Whether later messages appear.
    pub updates: Updates,
    /// Whether images and files are in it.
    pub includes_artifacts: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on its link is dead; `None` means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The last event of the chat that a frozen share shows; a live one has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_at_seq: Option<Seq>,
    /// The bundle that a frozen share serves; `None` for a live one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Digest>,
}

impl Share {
    /// True where the link is dead at that moment.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// What the header of a shared chat's pages says of the share. A plain export has none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShareCard {
    /// Who shared the chat, as viewers see the name.
    pub shared_by: String,
    /// When it was shared.
    pub shared_at: Timestamp,
    /// Who can open the link.
    pub visibility: ShareVisibility,
    /// Whether later messages appear.
    pub updates: Updates,
}

/// Who can open a share's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShareVisibility {
    /// Anyone who has the link.
    Public,
    /// Only viewers who are signed in.
    Private,
}

/// Whether later messages appear in a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Updates {
    /// Later messages do not appear.
    Frozen,
    /// New messages appear as they come.
    Live,
}
