//! Which place each message of a transcript has in its chat, and which messages the chat has already.
//!
//! A chat that is read again keeps its places where its order is as it was; what is new stands at the end. Where the order is another one, all
//! messages are numbered anew.

use std::collections::HashMap;

use readalong_model::{Digest, Message, MessageId, ThreadId};

use crate::sink::IndexEntry;

/// No message of that number came yet.
const NOWHERE: u32 = u32::MAX;

/// The places of a chat's messages by their numbers in the transcript.
#[derive(Default)]
pub(crate) struct Placing {
    /// What the chat had before and the transcript did not tell yet.
    known: HashMap<MessageId, (Digest, u32)>,
    places: Vec<u32>,
    next: u32,
    /// While there are known messages: the last place of each thread.
    last: HashMap<ThreadId, u32>,
    numbered_anew: bool,
    is_out_of_order: bool,
}

impl Placing {
    /// Places for a chat that has these messages.
    pub(crate) fn new(index: Vec<IndexEntry>) -> Self {
        let next = index.iter().map(|entry| entry.place + 1).max().unwrap_or(0);
        let known = index
            .into_iter()
            .map(|entry| (entry.id, (entry.digest, entry.place)))
            .collect();
        Self {
            known,
            next,
            ..Self::default()
        }
    }

    /// The same, with all messages numbered as they stand in the transcript.
    pub(crate) fn anew(index: Vec<IndexEntry>) -> Self {
        Self {
            numbered_anew: true,
            ..Self::new(index)
        }
    }

    /// The place of the message with that number; `None` where the chat has it there as it is.
    pub(crate) fn place(&mut self, number: u32, message: &Message, digest: &Digest) -> Option<u32> {
        if let Some(place) = self.places.get(number as usize)
            && *place != NOWHERE
        {
            return Some(*place);
        }
        let known = self.known.remove(&message.id);
        let last = self.last.get(&message.thread).copied();
        let place = match known {
            _ if self.numbered_anew => number,
            Some((_, place)) => {
                self.is_out_of_order |= last.is_some_and(|last| last > place);
                place
            }
            None => {
                self.next += 1;
                self.next - 1
            }
        };
        self.last.insert(message.thread, place);
        if self.places.len() <= number as usize {
            self.places.resize(number as usize + 1, NOWHERE);
        }
        self.places[number as usize] = place;
        Some(place).filter(|place| known != Some((*digest, *place)))
    }

    /// True where a message stands before one that it stood behind: the transcript is to be read once more, its messages
    /// [numbered anew](Self::anew).
    pub(crate) fn is_out_of_order(&self) -> bool {
        self.is_out_of_order
    }

    /// Messages that the transcript does not have any more, once it was read to its end.
    pub(crate) fn take_left_over(&mut self) -> Vec<MessageId> {
        self.last = HashMap::new();
        let mut left: Vec<(u32, MessageId)> = std::mem::take(&mut self.known)
            .into_iter()
            .map(|(id, (_, place))| (place, id))
            .collect();
        left.sort_unstable();
        left.into_iter().map(|(_, id)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use readalong_model::Role;

    use super::*;

    fn index(ids: &[&str]) -> Vec<IndexEntry> {
        let entry = |(place, id): (usize, &&str)| IndexEntry {
            id: MessageId((*id).to_owned()),
            digest: Message::new(*id, Role::User).digest(),
            place: place as u32,
        };
        ids.iter().enumerate().map(entry).collect()
    }

    fn read(placing: &mut Placing, ids: &[&str]) -> Vec<Option<u32>> {
        let place = |(number, id): (usize, &&str)| {
            let message = Message::new(*id, Role::User);
            placing.place(number as u32, &message, &message.digest())
        };
        ids.iter().enumerate().map(place).collect()
    }

    #[test]
    fn known_messages_stay_and_new_ones_stand_at_the_end() {
        let mut placing = Placing::new(index(&["a", "b", "c"]));
        assert_eq!(
            read(&mut placing, &["a", "c", "d", "e"]),
            [None, None, Some(3), Some(4)]
        );
        assert!(!placing.is_out_of_order());
        assert_eq!(placing.take_left_over(), [MessageId("b".to_owned())]);
        let again = Message::new("c", Role::Tool);
        assert_eq!(placing.place(1, &again, &again.digest()), Some(2));
    }

    #[test]
    fn another_order_is_numbered_anew() {
        let mut placing = Placing::new(index(&["a", "b", "c"]));
        read(&mut placing, &["a", "new", "b", "c"]);
        assert!(placing.is_out_of_order());
        let mut placing = Placing::anew(index(&["a", "b", "c", "new"]));
        assert_eq!(
            read(&mut placing, &["a", "new", "b", "c"]),
            [None, Some(1), Some(2), Some(3)]
        );
        assert!(!placing.is_out_of_order() && placing.take_left_over().is_empty());
    }
}
