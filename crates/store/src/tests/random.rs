//! Random changes of a chat, beside a model that does the same the simple way.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// What the store should hold.
#[derive(Default)]
struct Model {
    source: BTreeMap<String, (u32, String)>,
    edits: BTreeMap<String, String>,
    hidden: BTreeSet<String>,
    erased: BTreeSet<String>,
    frozen: BTreeMap<u8, BTreeMap<String, (u32, String)>>,
}

impl Model {
    fn said(&self, source: &BTreeMap<String, (u32, String)>) -> Vec<String> {
        let mut lines: Vec<(u32, String)> = source
            .iter()
            .map(|(id, (place, text))| {
                let text = self.edits.get(id).unwrap_or(text);
                let line = match (self.erased.contains(id), self.hidden.contains(id)) {
                    (true, _) => format!("[{id}: ]"),
                    (_, true) => format!("[{id}: {text}]"),
                    _ => format!("{id}: {text}"),
                };
                (*place, line)
            })
            .collect();
        lines.sort();
        lines.into_iter().map(|(_, line)| line).collect()
    }

    /// True where the owner can change the message.
    fn knows(&self, id: &str) -> bool {
        let frozen = self.frozen.values().any(|source| source.contains_key(id));
        (frozen || self.source.contains_key(id)) && !self.erased.contains(id)
    }
}

#[test]
fn whatever_happens_in_whatever_order_each_share_shows_what_it_should() {
    for seed in 1..=6 {
        let (mut world, mut model, mut random) = (World::new(), Model::default(), seed);
        for step in 0..100 {
            change(&mut world, &mut model, &mut random, step);
            assert_eq!(world.said(), model.said(&model.source), "{seed}: {step}");
            for (number, source) in &model.frozen {
                let said = world.said_at(world.shared(*number).frozen_at_seq);
                assert_eq!(said, model.said(source), "{seed}: {step}: share {number}");
            }
        }
        let is_there = |id: &&String| !model.erased.contains(*id);
        let there = model.source.keys().filter(is_there).count();
        assert_eq!(world.record().messages as usize, there);
    }
}

fn change(world: &mut World, model: &mut Model, random: &mut u64, step: u32) {
    // Each message keeps to places of its own, so that the order is certain: number 7 may stand at 7, 17, 27.
    let number = next(random, 10) as u32;
    let id = format!("m{number}");
    let message_id = MessageId(id.clone());
    let (chat, by) = (world.chat.clone(), Some(world.owner));
    match next(random, 12) {
        0..4 => {
            let place = number + 10 * next(random, 3) as u32;
            let text = format!("text {step}");
            world.put(vec![(place, message(&id, &text))]);
            model.source.insert(id, (place, text));
        }
        4 => {
            world.apply(ChangeSet {
                removed: vec![message_id],
                ..ChangeSet::default()
            });
            model.source.remove(&id);
        }
        5 | 6 if model.knows(&id) => {
            world.edit(&id, &format!("edit {step}"));
            model.edits.insert(id, format!("edit {step}"));
        }
        7 if model.knows(&id) => {
            let hidden = next(random, 2) == 0;
            world.hide(&id, hidden);
            match hidden {
                true => model.hidden.insert(id),
                false => model.hidden.remove(&id),
            };
        }
        8 if model.knows(&id) && next(random, 4) == 0 => {
            world.erase(&id);
            model.edits.remove(&id);
            model.erased.insert(id);
        }
        5..=8 if !model.knows(&id) => {
            let edit = Write::Edit {
                chat,
                by,
                id: message_id,
                parts: Vec::new(),
            };
            assert!(matches!(world.refused(edit), StoreError::NotFound));
        }
        9 | 10 => {
            let number = next(random, 3) as u8 + 1;
            let id = ShareId::from_random([number; 16]);
            if model.frozen.remove(&number).is_some() {
                world.write(Write::DeleteShares { ids: vec![id], by });
            } else {
                world.share(number, Updates::Frozen);
                model.frozen.insert(number, model.source.clone());
            }
        }
        11 if next(random, 5) == 0 => {
            // The store is opened anew; the world's other parts stay.
            let folder = std::mem::replace(&mut world.folder, tempfile::tempdir().unwrap());
            let (elsewhere, _) = open(&world.folder);
            drop(std::mem::replace(&mut world.store, elsewhere));
            (world.store, world.events) = open(&folder);
            world.folder = folder;
        }
        _ => {}
    }
}

/// A number below `bound`; xorshift, so that a failure can be had again.
fn next(random: &mut u64, bound: u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    (*random >> 20) % bound
}
