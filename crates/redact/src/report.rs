//! What was found and where, for the owner's eyes. Never holds a secret.

use std::{collections::BTreeMap, fmt};

use readalong_model::{Digest, MessageId};
use serde::{Deserialize, Serialize};

/// The shortest secret of which the report shows the first and last two characters: of a shorter one they would tell too much.
const HINT_CHARS_MIN: usize = 8;
/// Characters of [`SecretId`].
const ID_CHARS: usize = 12;

/// What was removed from a chat, and what was left in because its owner said so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// One for each place, in the order of the chat.
    pub findings: Vec<Finding>,
}

/// One secret in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of secret, for people.
    pub kind: String,
    /// The rule that found it.
    pub rule: String,
    /// How sure that is.
    pub sure: Sure,
    /// Where it stood.
    pub place: Place,
    /// Its first and last two characters; of a short one, nothing of it.
    pub hint: String,
    /// Names the secret, so that its owner can say of it that it may stay. The same secret has the same id everywhere.
    pub id: SecretId,
    /// True where it was left in because its owner said so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
}

/// How sure it is that something is a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sure {
    /// Its context speaks for it.
    Possible,
    /// Its shape and context speak for it.
    Likely,
    /// Nothing else looks like it.
    Certain,
}

/// Where something stands in a chat.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The message; `None` for what belongs to the chat as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// The part of the message, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<usize>,
    /// The field, in words of the model: `text`, `input`, `title`, `file`.
    pub field: String,
}

/// Names a secret without telling it: the beginning of a SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretId(String);

impl SecretId {
    pub(crate) fn of(secret: &str) -> Self {
        let digest = Digest::of(format!("readalong secret\n{secret}").as_bytes()).to_string();
        Self(digest[..ID_CHARS].to_owned())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Sure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Certain => "certain",
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "message {message}, ")?,
            None => f.write_str("the chat's ")?,
        }
        f.write_str(&self.field)
    }
}

impl Report {
    /// How many places something was removed from.
    pub fn removed(&self) -> usize {
        self.findings.iter().filter(|found| !found.kept).count()
    }

    /// How many secrets stay because the owner said so.
    pub fn kept(&self) -> usize {
        self.findings.iter().filter(|found| found.kept).count()
    }

    /// Removed secrets by kind: the kind and in how many places.
    pub fn removed_by_kind(&self) -> BTreeMap<&str, usize> {
        let mut kinds = BTreeMap::new();
        for found in self.findings.iter().filter(|found| !found.kept) {
            *kinds.entry(found.kind.as_str()).or_default() += 1;
        }
        kinds
    }

    /// Takes in what another report says.
    pub fn add(&mut self, other: Self) {
        self.findings.extend(other.findings);
    }
}

/// The first and last two characters of a secret, or nothing of a short one.
pub(crate) fn hint(secret: &str) -> String {
    let chars: Vec<char> = secret.chars().collect();
    if chars.len() < HINT_CHARS_MIN {
        return "…".to_owned();
    }
    let last = &chars[chars.len() - 2..];
    let shown = |chars: &[char]| -> String {
        let plain = |c: &char| if c.is_control() { ' ' } else { *c };
        chars.iter().map(plain).collect()
    };
    format!("{}…{}", shown(&chars[..2]), shown(last))
}
