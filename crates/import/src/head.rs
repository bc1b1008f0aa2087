//! The first records of a transcript, parsed one level deep: what detection looks at.

use std::collections::HashMap;

use serde_json::value::RawValue;

/// Records that detection looks at, at most.
pub(crate) const HEAD_RECORDS_MAX: usize = 64;

/// How the records lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// One JSON value a line.
    Lines,
    /// The elements of one JSON array.
    Array,
    /// Whole JSON values, however they are broken into lines.
    Values,
}

impl Framing {
    /// What its pieces are counted by.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Lines => "line",
            Self::Array | Self::Values => "item",
        }
    }
}

/// The first records of a transcript.
pub(crate) struct Head {
    pub(crate) framing: Framing,
    pub(crate) records: Vec<HeadRecord>,
}

/// A JSON value of which only the first level was looked at.
pub(crate) enum HeadRecord {
    Object(HashMap<String, Box<RawValue>>),
    Array(Vec<Box<RawValue>>),
    Other,
}

impl HeadRecord {
    pub(crate) fn parse(json: &str) -> Self {
        if let Ok(object) = serde_json::from_str(json) {
            return Self::Object(object);
        }
        serde_json::from_str(json).map_or(Self::Other, Self::Array)
    }

    /// True where this is an object with that member.
    pub(crate) fn has(&self, key: &str) -> bool {
        matches!(self, Self::Object(object) if object.contains_key(key))
    }

    /// A member that is a string.
    pub(crate) fn string(&self, key: &str) -> Option<String> {
        match self {
            Self::Object(object) => serde_json::from_str(object.get(key)?.get()).ok(),
            _ => None,
        }
    }

    /// A member, itself looked at one level deep.
    pub(crate) fn member(&self, key: &str) -> Option<HeadRecord> {
        match self {
            Self::Object(object) => Some(Self::parse(object.get(key)?.get())),
            _ => None,
        }
    }

    /// The elements of an array, each looked at one level deep; at most as many as a head has.
    pub(crate) fn elements(&self) -> Vec<HeadRecord> {
        match self {
            Self::Array(elements) => elements
                .iter()
                .take(HEAD_RECORDS_MAX)
                .map(|element| Self::parse(element.get()))
                .collect(),
            _ => Vec::new(),
        }
    }
}
