//! What a page says of the share that it belongs to.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

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
