//! What an admin switches for the whole server. It is kept in the store, and read once.

use readalong_store::{Store, StoreError, Write};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Key of the switches among the store's settings.
const KEY: &str = "switches";

/// What is switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct Switches {
    /// False where public shares ask for a sign-in too, and no new ones are made.
    pub(crate) public_sharing: bool,
    /// Who sees the showcase.
    pub(crate) showcase: ShowcaseMode,
}

/// Who sees the showcase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ShowcaseMode {
    /// Nobody: there is none.
    #[default]
    Disabled,
    /// Those who are signed in.
    Authenticated,
    /// Everybody; private shares are listed to those who are signed in.
    Public,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            public_sharing: true,
            showcase: ShowcaseMode::default(),
        }
    }
}

impl Switches {
    /// What the store has of them.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn of(store: &Store) -> Result<Self, StoreError> {
        let kept = store.read(|reader| reader.setting(KEY))?;
        Ok(kept
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default())
    }

    /// What keeps them.
    pub(crate) fn write(self) -> Write {
        Write::Setting {
            key: KEY.to_owned(),
            value: serde_json::to_string(&self).ok(),
        }
    }
}
