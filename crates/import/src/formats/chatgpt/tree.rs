//! The order in which the nodes of a conversation's tree are taken: parents before children, whatever the file says.

use std::{borrow::Cow, collections::HashMap};

use super::Read;
use crate::formats::lenient;

/// A node and what it follows.
pub(super) struct Step {
    pub(super) node: usize,
    pub(super) parent: Parent,
}

/// What a node follows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Parent {
    /// Nothing: it begins the conversation.
    None,
    Node(usize),
    /// A node that is not there, or one that follows this one: it goes on after whatever was last.
    Lost,
}

/// All nodes, depth first, alternatives in the order of their parent's list. Iterative: a hostile tree may be as deep as it is long.
pub(super) fn order(nodes: &[(&Cow<'_, str>, Read<'_>)]) -> Vec<Step> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (place, (key, _)) in nodes.iter().enumerate() {
        places.entry(key.as_ref()).or_insert(place);
    }
    let listed = listed_children(nodes, &places);
    let parents = parents_of(nodes, &places, &listed);
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut placed = vec![false; nodes.len()];
    let by_list = listed
        .iter()
        .enumerate()
        .flat_map(|(parent, list)| list.iter().map(move |child| (parent, *child)));
    let by_parent = parents
        .iter()
        .enumerate()
        .filter_map(|(child, parent)| match parent {
            Parent::Node(parent) => Some((*parent, child)),
            _ => None,
        });
    for (parent, child) in by_list.chain(by_parent) {
        let is_child = parents.get(child) == Some(&Parent::Node(parent));
        if let (true, Some(list), Some(placed)) =
            (is_child, children.get_mut(parent), placed.get_mut(child))
            && !*placed
        {
            *placed = true;
            list.push(child);
        }
    }
    walk(&parents, &children)
}

/// The children that each node lists.
fn listed_children(
    nodes: &[(&Cow<'_, str>, Read<'_>)],
    places: &HashMap<&str, usize>,
) -> Vec<Vec<usize>> {
    let of_node = |read: &Read<'_>| match read {
        Read::Node(node) => {
            let keys = node
                .children
                .iter()
                .filter_map(|raw| lenient::text_of(raw).ok().flatten());
            keys.filter_map(|key| places.get(key.as_ref()).copied())
                .collect()
        }
        Read::Broken(_) => Vec::new(),
    };
    nodes.iter().map(|(_, read)| of_node(read)).collect()
}

/// What each node follows: the parent that it names, else the node that lists it.
fn parents_of(
    nodes: &[(&Cow<'_, str>, Read<'_>)],
    places: &HashMap<&str, usize>,
    listed: &[Vec<usize>],
) -> Vec<Parent> {
    let mut lister: HashMap<usize, usize> = HashMap::new();
    for (parent, list) in listed.iter().enumerate() {
        list.iter().for_each(|child| {
            lister.entry(*child).or_insert(parent);
        });
    }
    let parent_of = |(place, (_, read)): (usize, &(&Cow<'_, str>, Read<'_>))| {
        let named = match read {
            Read::Node(node) => node.parent.as_deref(),
            Read::Broken(_) => None,
        };
        let parent = named
            .and_then(|key| places.get(key))
            .or_else(|| lister.get(&place))
            .copied();
        match (parent, named) {
            (Some(parent), _) => Parent::Node(parent),
            (None, Some(_)) => Parent::Lost,
            (None, None) => Parent::None,
        }
    };
    nodes.iter().enumerate().map(parent_of).collect()
}

fn walk(parents: &[Parent], children: &[Vec<usize>]) -> Vec<Step> {
    let mut steps = Vec::with_capacity(parents.len());
    let mut taken = vec![false; parents.len()];
    let begins = |wanted: Parent| {
        (0..parents.len())
            .filter(move |place| parents.get(*place) == Some(&wanted))
            .map(move |place| (place, wanted))
    };
    // What is left after all beginnings stands in a cycle: it is entered where the file has it first.
    let in_cycles = (0..parents.len()).map(|place| (place, Parent::Lost));
    for (root, parent) in begins(Parent::None)
        .chain(begins(Parent::Lost))
        .chain(in_cycles)
    {
        let mut open = vec![(root, parent)];
        while let Some((node, parent)) = open.pop() {
            match taken.get_mut(node) {
                Some(taken) if !*taken => *taken = true,
                _ => continue,
            }
            steps.push(Step { node, parent });
            let below = children.get(node).map(Vec::as_slice).unwrap_or_default();
            open.extend(below.iter().rev().map(|child| (*child, Parent::Node(node))));
        }
    }
    steps
}
