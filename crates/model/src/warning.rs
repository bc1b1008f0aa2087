//! What went wrong on the way without stopping it.

use std::fmt;

/// Where in a transcript something stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Name of the file, or of the member of an archive.
    pub file: String,
    /// What `number` counts: `line` or `item`.
    pub unit: &'static str,
    /// Number of the line or item, from 1; 0 means the file as a whole.
    pub number: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            0 => f.write_str(&self.file),
            number => write!(f, "{}, {} {number}", self.file, self.unit),
        }
    }
}

/// A non-fatal problem: what is readable was taken all the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Warning {
    /// Where.
    pub place: Place,
    /// What, for people.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}
