//! JSON kept as it was written: for tool input and records that nobody here understands.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One JSON value, its text untouched.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawJson(Box<RawValue>);

/// The text is not one JSON value.
#[derive(Debug, thiserror::Error)]
#[error("not a JSON value: {0}")]
pub struct RawJsonError(#[from] serde_json::Error);

impl RawJson {
    /// Takes a text that is one JSON value.
    ///
    /// # Errors
    /// The text is not JSON.
    pub fn new(text: String) -> Result<Self, RawJsonError> {
        Ok(Self(RawValue::from_string(text)?))
    }

    /// The value as text.
    pub fn get(&self) -> &str {
        self.0.get()
    }
}

impl From<&serde_json::Value> for RawJson {
    fn from(value: &serde_json::Value) -> Self {
        let text = value.to_string();
        Self(RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }
}

impl From<Box<RawValue>> for RawJson {
    fn from(value: Box<RawValue>) -> Self {
        Self(value)
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}
