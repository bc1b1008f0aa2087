//! The tree that messages of one thread form by their parents: which branch is read first and what the alternatives are.

use std::collections::HashMap;

use crate::{Message, MessageId, ThreadId};

/// The tree of one thread's messages, as places in the chat's list of messages.
///
/// Invariant: a parent stands before its children in the list. A message that names an unknown or a later parent follows the message
/// before it, so a hostile transcript can make no cycle.
#[derive(Debug, Default)]
pub struct Branches {
    /// Parent of each message; [`ROOT`] for one that has none.
    parents: HashMap<u32, u32>,
    /// What follows each message, and under [`ROOT`] what begins the thread.
    children: HashMap<u32, Replies>,
}

/// Stands for the parent of messages that have none.
const ROOT: u32 = u32::MAX;

/// Messages that follow one message; nearly always one, which needs no list.
#[derive(Debug)]
enum Replies {
    One(usize),
    /// Apart from the map: few messages have several, and room for them would be in the entry of each.
    #[expect(clippy::box_collection)]
    Several(Box<Vec<usize>>),
}

impl Replies {
    fn as_slice(&self) -> &[usize] {
        match self {
            Self::One(place) => std::slice::from_ref(place),
            Self::Several(places) => places,
        }
    }

    fn push(&mut self, place: usize) {
        match self {
            Self::One(first) => *self = Self::Several(Box::new(vec![*first, place])),
            Self::Several(places) => places.push(place),
        }
    }
}

impl Branches {
    /// The tree of the messages of `thread`.
    pub fn of(messages: &[Message], thread: ThreadId) -> Self {
        let mut making = Making::default();
        let in_thread = |(_, message): &(usize, &Message)| message.thread == thread;
        for (place, message) in messages.iter().enumerate().filter(in_thread) {
            making.add(place, message);
        }
        making.tree
    }

    /// The trees of all threads, in one pass; a message of a thread that does not exist is in none.
    pub fn of_all(messages: &[Message], threads: usize) -> Vec<Self> {
        let mut making: Vec<Making<'_>> = (0..threads).map(|_| Making::default()).collect();
        for (place, message) in messages.iter().enumerate() {
            if let Some(making) = making.get_mut(message.thread.0 as usize) {
                making.add(place, message);
            }
        }
        making.into_iter().map(|making| making.tree).collect()
    }

    /// Adds a message that comes after all others; `parent` is one of them.
    pub fn add(&mut self, place: usize, parent: Option<usize>) {
        let parent = number(parent);
        self.parents.insert(place as u32, parent);
        self.children
            .entry(parent)
            .and_modify(|replies| replies.push(place))
            .or_insert(Replies::One(place));
    }

    /// Takes the message that was added last away again.
    pub fn remove_last(&mut self, place: usize) {
        let Some(parent) = self.parents.remove(&(place as u32)) else {
            return;
        };
        match self.children.get_mut(&parent) {
            Some(Replies::Several(places)) if places.len() > 1 => {
                places.pop();
            }
            _ => {
                self.children.remove(&parent);
            }
        }
    }

    /// The message that `place` follows; `None` where it begins the thread or is not in it.
    pub fn parent(&self, place: usize) -> Option<usize> {
        let parent = self.parents.get(&(place as u32))?;
        (*parent != ROOT).then_some(*parent as usize)
    }

    /// The messages with the same parent, itself among them, oldest first.
    pub fn alternatives(&self, place: usize) -> &[usize] {
        self.below(self.parent(place))
    }

    /// The messages that begin the thread.
    pub fn roots(&self) -> &[usize] {
        self.below(None)
    }

    /// The messages that follow `place` directly.
    pub fn replies(&self, place: usize) -> &[usize] {
        self.below(Some(place))
    }

    fn below(&self, parent: Option<usize>) -> &[usize] {
        let replies = self.children.get(&number(parent));
        replies.map_or(&[], Replies::as_slice)
    }

    /// From the thread's beginning to `leaf` and on from there along the newest replies.
    pub fn path_through(&self, leaf: usize) -> Vec<usize> {
        let mut path = Vec::new();
        let mut next = self.holds(leaf).then_some(leaf);
        while let Some(place) = next {
            path.push(place);
            next = self.parent(place);
        }
        path.reverse();
        path.extend(self.newest_after(leaf));
        path
    }

    fn holds(&self, place: usize) -> bool {
        self.parents.contains_key(&(place as u32))
    }

    /// The branch that is read first: through `active_leaf`, or through the newest message.
    pub fn active_path(&self, messages: &[Message], active_leaf: Option<&MessageId>) -> Vec<usize> {
        let leaf = active_leaf.and_then(|id| {
            let in_thread = |place: &usize| self.holds(*place);
            messages
                .iter()
                .position(|message| message.id == *id)
                .filter(in_thread)
        });
        let newest = || self.parents.keys().max().map(|place| *place as usize);
        match leaf.or_else(newest) {
            Some(leaf) => self.path_through(leaf),
            None => Vec::new(),
        }
    }

    /// `place` and what follows it along the newest replies: an alternative as it is read.
    pub fn branch_from(&self, place: usize) -> Vec<usize> {
        let mut path = vec![place];
        path.extend(self.newest_after(place));
        path
    }

    fn newest_after(&self, place: usize) -> Vec<usize> {
        let Some(newest) = self.newest_below(place) else {
            return Vec::new();
        };
        let mut path = Vec::new();
        let mut at = newest;
        while at != place {
            path.push(at);
            match self.parent(at) {
                Some(parent) => at = parent,
                None => break,
            }
        }
        path.reverse();
        path
    }

    /// The last message of the transcript below `place`.
    fn newest_below(&self, place: usize) -> Option<usize> {
        let mut newest = None;
        let mut open: Vec<usize> = self.replies(place).to_vec();
        while let Some(at) = open.pop() {
            newest = newest.max(Some(at));
            open.extend_from_slice(self.replies(at));
        }
        newest
    }
}

fn number(parent: Option<usize>) -> u32 {
    parent.map_or(ROOT, |place| place as u32)
}

/// A tree to which messages are being added, in their order.
#[derive(Default)]
struct Making<'m> {
    tree: Branches,
    places: HashMap<&'m MessageId, usize>,
    previous: Option<usize>,
}

impl<'m> Making<'m> {
    fn add(&mut self, place: usize, message: &'m Message) {
        let parent = match &message.parent {
            Some(id) => self.places.get(id).copied().or(self.previous),
            None => None,
        };
        self.tree.add(place, parent);
        self.places.insert(&message.id, place);
        self.previous = Some(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Author, Role, Status, Visibility};

    fn messages(pairs: &[(&str, Option<&str>)]) -> Vec<Message> {
        pairs
            .iter()
            .map(|(id, parent)| Message {
                id: MessageId((*id).into()),
                parent: parent.map(|p| MessageId(p.into())),
                thread: ThreadId::MAIN,
                role: Role::User,
                author: Author::default(),
                at: None,
                status: Status::Complete,
                visibility: Visibility::Shown,
                parts: vec![],
                usage: None,
            })
            .collect()
    }

    #[test]
    fn newest_branch_is_read_first_and_others_are_alternatives() {
        let list = messages(&[
            ("a", None),
            ("b", Some("a")),
            ("c", Some("b")),
            ("b2", Some("a")),
            ("d", Some("b2")),
        ]);
        let branches = Branches::of(&list, ThreadId::MAIN);
        assert_eq!(branches.active_path(&list, None), [0, 3, 4]);
        assert_eq!(
            branches.active_path(&list, Some(&MessageId("b".into()))),
            [0, 1, 2]
        );
        assert_eq!(branches.alternatives(3), [1, 3]);
        assert_eq!(branches.branch_from(1), [1, 2]);
    }

    #[test]
    fn cycles_and_lost_parents_become_a_line() {
        let list = messages(&[
            ("a", Some("c")),
            ("b", Some("gone")),
            ("c", Some("b")),
            ("d", Some("d")),
        ]);
        let branches = Branches::of(&list, ThreadId::MAIN);
        assert_eq!(branches.active_path(&list, None), [0, 1, 2, 3]);
    }
}
