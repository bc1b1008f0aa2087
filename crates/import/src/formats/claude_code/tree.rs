//! The tree that a session's records form by `parentUuid`, and the few real forks in it.
//!
//! Rule, found by measuring real transcripts: parents are resolved through records that are no messages; a fork exists only where two children's subtrees
//! both begin with a human prompt or assistant text and are not joined by tool ids. All else is read in file order: walking the tree
//! from root to leaf would lose a sixth of all messages.

use std::collections::{HashMap, HashSet};

use readalong_model::ThreadId;

/// Alternatives that are looked for, at most; a hostile file with more is read in file order. Real files have a handful.
const ALTERNATIVES_MAX: usize = 256;

/// A record that made messages.
pub(super) struct Node {
    pub(super) parent: Option<u32>,
    pub(super) thread: ThreadId,
    /// Places of the first and last message that it made or joined.
    pub(super) first: usize,
    pub(super) last: usize,
    /// Begins with a prompt or with words of the model, in a message of its own.
    pub(super) begins: bool,
}

#[derive(Clone, Copy)]
struct Anchor {
    node: Option<u32>,
    /// The record made the node itself; otherwise it hangs below it.
    own: bool,
}

/// All records by their ids.
#[derive(Default)]
pub(super) struct Tree {
    anchors: HashMap<Box<str>, Anchor>,
    nodes: Vec<Node>,
    /// Calls and results by the node they stand in.
    calls: HashMap<String, u32>,
    results: Vec<(u32, String)>,
}

impl Tree {
    /// True where a record of that id was seen.
    pub(super) fn has(&self, uuid: &str) -> bool {
        self.anchors.contains_key(uuid)
    }

    /// The node that the record of that id made.
    pub(super) fn made_by(&self, uuid: &str) -> Option<&Node> {
        let anchor = self.anchors.get(uuid).filter(|anchor| anchor.own)?;
        self.nodes.get(anchor.node? as usize)
    }

    /// The node above a record with that parent.
    pub(super) fn above(&self, parent: Option<&str>) -> Option<u32> {
        self.anchors.get(parent?)?.node
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
                .insert(uuid.into(), Anchor { node, own: false });
        }
    }

    /// Notes a record that made messages.
    pub(super) fn add(&mut self, uuid: Option<&str>, node: Node) -> u32 {
        let number = self.nodes.len() as u32;
        self.nodes.push(node);
        if let Some(uuid) = uuid {
            let anchor = self.anchors.entry(uuid.into()).or_insert(Anchor {
                node: None,
                own: false,
            });
            if !anchor.own {
                *anchor = Anchor {
                    node: Some(number),
                    own: true,
                };
            }
        }
        number
    }

    pub(super) fn note_call(&mut self, node: u32, call_id: String) {
        self.calls.insert(call_id, node);
    }

    pub(super) fn note_result(&mut self, node: u32, call_id: String) {
        self.results.push((node, call_id));
    }

    /// What was read as the main thread belongs to another one.
    pub(super) fn move_thread(&mut self, from: ThreadId, to: ThreadId) {
        self.nodes
            .iter_mut()
            .filter(|node| node.thread == from)
            .for_each(|node| node.thread = to);
    }

    /// Pairs of messages that are alternatives: the first of them and a later one.
    pub(super) fn forks(&self) -> Vec<(usize, usize)> {
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
            let place = |node: u32| self.node(node).map(|node| node.first);
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
            let call = tree.calls.get(call);
            call.is_some_and(|call| {
                (one.contains(result) && other.contains(call))
                    || (other.contains(result) && one.contains(call))
            })
        })
    }
}
