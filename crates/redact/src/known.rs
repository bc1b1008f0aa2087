//! Secrets of one chat that were found already, so that they are found again where nothing around tells: in the output of a command, say.

use std::{collections::HashMap, ops::Range};

use aho_corasick::{AhoCorasick, MatchKind};

use crate::{
    Sure,
    placeholder::{entropy, is_wordy},
    scan::What,
};

/// Shorter values could be anything.
const CHARS_MIN: usize = 8;
/// Longer ones are found by themselves.
const CHARS_MAX: usize = 4_096;
/// Values that are remembered of one chat.
const VALUES_MAX: usize = 4_096;

/// What is known of one chat. Holds secrets: it is kept in memory only.
#[derive(Clone, Default)]
pub struct Known {
    values: HashMap<Box<str>, (What, Sure)>,
    finder: Option<(AhoCorasick, Vec<(What, Sure)>)>,
}

impl Known {
    /// Remembers a secret; true where it is new and will be found everywhere from now on.
    pub(crate) fn learn(&mut self, secret: &str, what: What, sure: Sure) -> bool {
        let is_telling = (CHARS_MIN..=CHARS_MAX).contains(&secret.len())
            && entropy(secret) >= 2.5
            && !is_wordy(secret)
            && secret.bytes().any(|byte| !byte.is_ascii_alphabetic());
        if !is_telling || self.values.contains_key(secret) || self.values.len() >= VALUES_MAX {
            return false;
        }
        self.values.insert(secret.into(), (what, sure));
        self.finder = None;
        true
    }

    /// Remembers a text that is to go wherever it stands, because its owner says so.
    pub fn add(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.values
                .insert(text.trim().into(), (What::Told, Sure::Certain));
            self.finder = None;
        }
    }

    /// Where known secrets stand in a text.
    pub(crate) fn find(&mut self, text: &str) -> Vec<(Range<usize>, What, Sure)> {
        if self.values.is_empty() {
            return Vec::new();
        }
        if self.finder.is_none() {
            let (words, whats): (Vec<&str>, Vec<_>) = self
                .values
                .iter()
                .map(|(value, what)| (&**value, *what))
                .unzip();
            let finder = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(words);
            self.finder = finder.ok().map(|finder| (finder, whats));
        }
        let Some((finder, whats)) = &self.finder else {
            return Vec::new();
        };
        finder
            .find_iter(text)
            .map(|found| {
                let (what, sure) = whats[found.pattern().as_usize()];
                (found.range(), what, sure)
            })
            .collect()
    }

    /// True where nothing is known.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known")
            .field("values", &self.values.len())
            .finish()
    }
}
