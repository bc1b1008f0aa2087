//! The tree that a session's records form by `parentUuid`, and the few real forks in it.
//!
//! Rule, found by measuring real transcripts: parents are resolved through records that are no messages; a fork exists only where two children's subtrees
//! both begin with a human prompt or assistant text and are not joined by tool ids. All else is read in file order: walking the tree
//! from root to leaf would lose a sixth of all messages.

use std::collections::{HashMap, HashSet};

use readalong_model::{MessageId, ThreadId};

use crate::{
    builder::ChatBuilder,
    names::{Names, push_tightly},
};

/// Alternatives that are looked for, at most; a hostile file with more is read in file order. Real files have a handful.
const ALTERNATIVES_MAX: usize = 256;

/// A record that made messages.
pub(super) struct Node {
    pub(super) parent: Option<u32>,
    pub(super) thread: ThreadId,
    /// Places of the first and last message that it made or joined.
    pub(super) first: u32,
    pub(super) last: u32,
    /// Begins with a prompt or with words of the model, in a message of its own.
    pub(super) begins: bool,
}

#[derive(Clone, Copy)]
struct Anchor {
    node: Option<u32>,
    /// The record made the node itself; otherwise it hangs below it.
    own: bool,
}

impl Anchor {
    /// As a number: twice the node's, and one more where the record made it.
    fn number(self) -> u32 {
        self.node
            .map_or(u32::MAX, |node| node * 2 + u32::from(self.own))
    }

    fn of(number: u32) -> Self {
        Self {
            node: (number != u32::MAX).then_some(number / 2),
            own: number != u32::MAX && number % 2 == 1,
        }
    }
}

/// All records by their ids.
#[derive(Default)]
pub(super) struct Tree {
    anchors: Names,
    nodes: Vec<Node>,
    /// Calls by the node they stand in.
    calls: Names,
    /// The nodes of results, with the keys of their calls.
    results: Vec<(u32, [u32; 2])>,
    /// The first child of each node that begins with words.
    beginnings: HashMap<u32, u32>,
    /// There may be forks: some node has several such children.
    branches: bool,
    /// Something came that may change which alternatives there are.
    unsettled: bool,
}

/// Steps that are gone up from a result to its call. It stands right below it, or a few parallel calls above.
const RESULT_STEPS_MAX: usize = 64;

impl Tree {
    /// True where a record of that id was seen.
    pub(super) fn has(&self, uuid: &str) -> bool {
        self.anchors.has(uuid)
    }

    /// The node that the record of that id made.
    pub(super) fn made_by(&self, uuid: &str) -> Option<&Node> {
        let anchor = self.anchor(uuid).filter(|anchor| anchor.own)?;
        self.nodes.get(anchor.node? as usize)
    }

    /// The node above a record with that parent.
    pub(super) fn above(&self, parent: Option<&str>) -> Option<u32> {
        self.anchor(parent?)?.node
    }

    fn anchor(&self, uuid: &str) -> Option<Anchor> {
        self.anchors.get(uuid).map(Anchor::of)
    }

    pub(super) fn node(&self, node: u32) -> Option<&Node> {
        self.nodes.get(node as usize)
    }

    /// Notes a record that made no message: what hangs below it hangs below its parent.
    pub(super) fn pass(&mut self, uuid: Option<&str>, parent: Option<&str>) {
        let Some(uuid) = uuid else { return };
        if !self.has(uuid) {
            let node = self.above(parent);
            self.anchors
                .insert(uuid, Anchor { node, own: false }.number());
        }
    }

    /// Notes a record that made messages.
    pub(super) fn add(&mut self, uuid: Option<&str>, node: Node) -> u32 {
        let number = self.nodes.len() as u32;
        if let Some(parent) = node.parent.filter(|_| node.begins)
            && self
                .node(parent)
                .is_some_and(|above| above.thread == node.thread)
            && *self.beginnings.entry(parent).or_insert(number) != number
        {
            self.branches = true;
            self.unsettled = true;
        }
        push_tightly(&mut self.nodes, node);
        if let Some(uuid) = uuid
            && !self.anchor(uuid).is_some_and(|anchor| anchor.own)
        {
            let anchor = Anchor {
                node: Some(number),
                own: true,
            };
            self.anchors.insert(uuid, anchor.number());
        }
        number
    }

    pub(super) fn note_call(&mut self, node: u32, call_id: &str) {
        if self.calls.insert(call_id, node).is_some() && self.branches {
            self.unsettled = true;
        }
    }

    pub(super) fn note_result(&mut self, node: u32, call_id: &str) {
        // A result below its call joins no alternatives.
        let key = self.calls.key(call_id);
        let call = self.calls.number(key);
        if self.branches && call.is_some_and(|call| !self.is_below(node, call)) {
            self.unsettled = true;
        }
        push_tightly(&mut self.results, (node, halves(key)));
    }

    /// True where a node is the other one or stands not far below it.
    fn is_below(&self, node: u32, above: u32) -> bool {
        let parent = |node: &u32| self.node(*node).and_then(|node| node.parent);
        std::iter::successors(Some(node), parent)
            .take(RESULT_STEPS_MAX)
            .any(|node| node == above)
    }

    /// True where the alternatives are as they were settled last.
    pub(super) fn is_settled(&self) -> bool {
        !self.unsettled
    }

    /// The alternatives, where they may be others than those that were settled last.
    pub(super) fn settle_forks(&mut self) -> Option<Vec<(usize, usize)>> {
        std::mem::take(&mut self.unsettled).then(|| self.forks())
    }

    /// What was read as the main thread belongs to another one.
    pub(super) fn move_thread(&mut self, from: ThreadId, to: ThreadId) {
        self.nodes
            .iter_mut()
            .filter(|node| node.thread == from)
            .for_each(|node| node.thread = to);
        self.branches = true;
        self.unsettled = true;
    }

    /// Pairs of messages that are alternatives: the first of them and a later one.
    fn forks(&self) -> Vec<(usize, usize)> {
        let mut beginnings: HashMap<u32, Vec<u32>> = HashMap::new();
        for (number, node) in self
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.begins)
        {
            if let Some(parent) = node.parent.filter(|parent| {
                self.node(*parent)
                    .is_some_and(|above| above.thread == node.thread)
            }) {
                beginnings.entry(parent).or_default().push(number as u32);
            }
        }
        beginnings.retain(|_, children| children.len() > 1);
        if beginnings.is_empty()
            || beginnings.values().map(Vec::len).sum::<usize>() > ALTERNATIVES_MAX
        {
            return Vec::new();
        }
        let family = Family::of(self);
        let mut forks = Vec::new();
        for children in beginnings.into_values() {
            let [first, later @ ..] = children.as_slice() else {
                continue;
            };
            let place = |node: u32| self.node(node).map(|node| node.first as usize);
            for child in later
                .iter()
                .filter(|child| !family.joined(self, *first, **child))
            {
                if let (Some(first), Some(later)) = (place(*first), place(*child)) {
                    forks.push((first, later));
                }
            }
        }
        forks.sort_unstable();
        forks
    }
}

/// The alternatives that messages were told of, so that they can be told of others.
#[derive(Default)]
pub(super) struct Forks {
    settled: Vec<(usize, usize)>,
    /// The parents that later alternatives had before, by place.
    parents: HashMap<usize, Option<MessageId>>,
}

impl Forks {
    /// Hangs each later alternative to the parent of the first one, and gives back their parents to those that are none any more.
    pub(super) fn settle(&mut self, forks: Vec<(usize, usize)>, chat: &mut ChatBuilder) {
        if forks == self.settled {
            return;
        }
        let mut parents: HashMap<usize, Option<MessageId>> = HashMap::new();
        let mut before = std::mem::take(&mut self.parents);
        for (first, later) in &forks {
            let parent = match parents.get(first).or_else(|| before.get(first)) {
                Some(parent) => parent.clone(),
                None => chat.peek_at(*first).and_then(|first| first.parent.clone()),
            };
            parents.insert(*later, parent);
        }
        let mut places: Vec<usize> = parents.keys().chain(before.keys()).copied().collect();
        places.sort_unstable();
        places.dedup();
        for place in places {
            let own = match before.remove(&place) {
                Some(own) => own,
                None => chat
                    .peek_at(place)
                    .and_then(|message| message.parent.clone()),
            };
            let is_fork = parents.contains_key(&place);
            let parent = match parents.remove(&place) {
                Some(parent) => parent,
                None => own.clone(),
            };
            if let Some(message) = chat.message_at(place) {
                message.parent = parent;
            }
            if is_fork {
                self.parents.insert(place, own);
            }
        }
        self.settled = forks;
    }
}

/// A key in two pieces, which leave no gap beside a number.
fn halves(key: u64) -> [u32; 2] {
    [(key >> 32) as u32, key as u32]
}

fn whole([high, low]: [u32; 2]) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// Who is below whom. Parents stand before their children, so that one pass numbers all.
struct Family {
    children: HashMap<u32, Vec<u32>>,
}

impl Family {
    fn of(tree: &Tree) -> Self {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for (number, node) in tree.nodes.iter().enumerate() {
            if let Some(parent) = node.parent {
                children.entry(parent).or_default().push(number as u32);
            }
        }
        Self { children }
    }

    fn below(&self, top: u32) -> HashSet<u32> {
        let mut found = HashSet::new();
        let mut open = vec![top];
        while let Some(node) = open.pop() {
            if found.insert(node) {
                open.extend(self.children.get(&node).into_iter().flatten());
            }
        }
        found
    }

    /// True where a call below one of them is answered below the other.
    fn joined(&self, tree: &Tree, one: u32, other: u32) -> bool {
        let (one, other) = (self.below(one), self.below(other));
        tree.results.iter().any(|(result, call)| {
            let call = tree.calls.number(whole(*call));
            call.is_some_and(|call| {
                (one.contains(result) && other.contains(&call))
                    || (other.contains(result) && one.contains(&call))
            })
        })
    }
}
