//! Texts that a rollout holds several times, as item and as event: each is shown once, whichever comes first.
//!
//! The n-th time that one source tells a text is the same saying as the n-th time that another source does.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

/// Who says a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Voice {
    Assistant,
    Reasoning,
}

/// The source that a text is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// A response item.
    Item = 0,
    /// An event of its own kind.
    Event = 1,
    /// An event about a finished item.
    Finished = 2,
}

/// Whether a text was there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Now,
    Before,
}

/// What was told how often, by source. Texts are known by their hash: a collision costs a repeated text of one chat at most.
#[derive(Default)]
pub(super) struct Twins {
    said: HashMap<(Voice, u64), [u32; 3]>,
    users: HashMap<u64, UsersText>,
    /// The user's messages that the model has not answered, while no event was seen.
    unanswered: Vec<String>,
    events_seen: bool,
}

#[derive(Default)]
struct UsersText {
    told: [usize; 3],
    /// The messages that say it, in order.
    messages: Vec<String>,
}

impl Twins {
    /// Notes that a source tells a text.
    pub(super) fn say(&mut self, voice: Voice, known: Known, text: &str) -> Said {
        let counts = self.said.entry((voice, key(text))).or_default();
        let shown = counts.iter().copied().max().unwrap_or(0);
        let Some(count) = counts.get_mut(known as usize) else {
            return Said::Now;
        };
        *count += 1;
        if *count > shown {
            Said::Now
        } else {
            Said::Before
        }
    }

    /// Notes that a source tells a user's text; the message that says it, where there is one already.
    pub(super) fn user_says(&mut self, known: Known, text: &str) -> Option<String> {
        let entry = self.users.entry(key(text)).or_default();
        let told = entry.told.get_mut(known as usize)?;
        *told += 1;
        entry.messages.get(*told - 1).cloned()
    }

    /// Notes the message that was put for a user's text.
    pub(super) fn put_user(&mut self, text: &str, message: String) {
        if !self.events_seen {
            self.unanswered.push(message.clone());
        }
        self.users
            .entry(key(text))
            .or_default()
            .messages
            .push(message);
    }

    /// True where events tell what the person wrote.
    pub(super) fn events_seen(&self) -> bool {
        self.events_seen
    }

    /// The model goes on from what the user's messages say.
    pub(super) fn answered(&mut self) {
        self.unanswered.clear();
    }

    /// With the first event: the user's messages that came before it since the model spoke. Those that it answered are of a time without events.
    pub(super) fn first_event(&mut self) -> Vec<String> {
        self.events_seen = true;
        std::mem::take(&mut self.unanswered)
    }
}

/// The words of a text: what is cut out of an event leaves blanks there that the item does not have.
fn key(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.split_whitespace()
        .for_each(|word| word.hash(&mut hasher));
    hasher.finish()
}
