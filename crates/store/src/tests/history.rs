//! What the owner did is remembered and can be taken back.

use super::{layers::picture, *};

fn history(world: &World) -> Vec<HistoryEntry> {
    world.read(|reader| reader.history(&world.chat, None, 100))
}

fn undo_newest(world: &World) {
    let seq = history(world)[0].seq;
    undo(world, seq);
}

fn undo(world: &World, seq: Seq) {
    world.write(Write::Undo {
        chat: world.chat.clone(),
        by: Some(world.owner),
        seq,
    });
}

fn rename(world: &World, title: &str) {
    world.write(Write::Rename {
        chat: world.chat.clone(),
        by: Some(world.owner),
        title: title.into(),
    });
}

#[test]
fn edits_are_undone_one_after_the_other() {
    let world = World::new();
    world.put(vec![(0, message("a", "source"))]);
    let live = world.share(1, Updates::Frozen);
    world.edit("a", "first");
    world.edit("a", "second");
    let [second, first] = &history(&world)[..] else {
        panic!("{:?}", history(&world));
    };
    assert!(second.can_undo && !first.can_undo);
    let refused = world.refused(Write::Undo {
        chat: world.chat.clone(),
        by: None,
        seq: first.seq,
    });
    assert!(matches!(refused, StoreError::NotFound));
    undo(&world, second.seq);
    assert_eq!(world.said(), ["a: first"]);
    assert_eq!(world.said_at(live.frozen_at_seq), ["a: first"]);
    // Neither of the two counts any more: the next one goes further back, to the very beginning.
    world.edit("a", "third");
    let count = history(&world).len();
    for said in ["a: first", "a: source"] {
        let can: Vec<_> = history(&world)
            .into_iter()
            .filter(|one| one.can_undo)
            .collect();
        assert_eq!(can.len(), 1, "{can:?}");
        undo(&world, can[0].seq);
        assert_eq!(world.said(), [said]);
    }
    assert!(history(&world).iter().all(|entry| !entry.can_undo));
    assert_eq!(history(&world).len(), count + 2);
    world.edit("a", "second");
    world.edit("a", "source");
    let stored = world.read(|reader| reader.message(&world.chat, 0)).unwrap();
    assert!(
        !stored.edited,
        "an edit that says what the source says is none"
    );
    world.put(vec![(0, message("a", "source goes on"))]);
    assert_eq!(world.said(), ["a: source goes on"]);
}

#[test]
fn names_and_hiding_are_undone() {
    let world = World::new();
    world.put(vec![(0, message("a", "source"))]);
    rename(&world, "Mine");
    rename(&world, "Other");
    undo_newest(&world);
    assert_eq!(world.record().head.title, "Mine");
    world.hide("a", true);
    undo_newest(&world);
    assert_eq!(world.said(), ["a: source"]);
    // What is shown again by hand is hidden again by undoing that, and shown by undoing the first.
    world.hide("a", true);
    world.hide("a", false);
    undo_newest(&world);
    assert_eq!(world.said(), ["[a: source]"]);
    let can_undo = || {
        let mut history = history(&world).into_iter();
        history.find(|entry| entry.can_undo).unwrap()
    };
    undo(&world, can_undo().seq);
    assert_eq!(world.said(), ["a: source"]);
    let named = can_undo();
    assert_eq!(
        named.done,
        Done::Renamed {
            title: "Mine".into()
        }
    );
    undo(&world, named.seq);
    assert_eq!(world.record().head.title, "Chat 1");
    rename(&world, "Mine");
    rename(&world, "Chat 1");
    world.apply(ChangeSet {
        head: Some(head("What the source says later")),
        ..ChangeSet::default()
    });
    assert_eq!(world.record().head.title, "What the source says later");
}

#[test]
fn what_is_erased_has_no_past() {
    let world = World::new();
    world.put(vec![(0, message("a", "source"))]);
    world.edit("a", "an earlier secret");
    world.edit("a", "harmless");
    world.hide("a", true);
    assert!(world.is_on_disk("an earlier secret"));
    world.erase("a");
    assert!(!world.is_on_disk("an earlier secret"));
    let [erased] = &history(&world)[..] else {
        panic!("{:?}", history(&world));
    };
    assert!(!erased.can_undo);
    assert_eq!(
        erased.done,
        Done::Erased {
            message: MessageId("a".into())
        }
    );
}

#[test]
fn the_past_of_a_thing_is_bounded() {
    let world = World::new();
    world.put(vec![(0, message("a", "source"))]);
    for number in 0..60 {
        world.edit("a", &format!("edit {number}"));
    }
    let kept = history(&world).len();
    assert!((50..=52).contains(&kept), "{kept}");
    assert_eq!(world.said(), ["a: edit 59"]);
}

#[test]
fn artifacts_are_hidden_and_removed_in_every_version() {
    let world = World::new();
    let bytes = b"bytes of a picture";
    let digest = world.store.keep_artifact(bytes).unwrap();
    world.apply(ChangeSet {
        artifacts: vec![(0, picture("a.png", bytes))],
        messages: vec![(0, message("a", "see"))],
        ..ChangeSet::default()
    });
    let share = world.share(1, Updates::Frozen);
    let artifacts = |at: Option<Seq>| {
        let chat = world.read(|reader| reader.whole_chat(&world.chat, at));
        chat.unwrap().artifacts
    };
    let write = |hidden| Write::HideArtifact {
        chat: world.chat.clone(),
        by: Some(world.owner),
        place: 0,
        hidden,
    };
    world.write(write(true));
    assert!(artifacts(None)[0].bytes().is_none());
    assert!(artifacts(share.frozen_at_seq)[0].bytes().is_none());
    assert!(
        world.read(|reader| reader.artifacts(&world.chat))[0]
            .bytes()
            .is_none()
    );
    undo_newest(&world);
    assert!(artifacts(None)[0].bytes().is_some());
    world.write(write(true));
    // What the source puts in its place is hidden as well.
    world.store.keep_artifact(b"another").unwrap();
    world.apply(ChangeSet {
        artifacts: vec![(0, picture("b.png", b"another"))],
        ..ChangeSet::default()
    });
    assert!(artifacts(None)[0].bytes().is_none());
    world.write(Write::EraseArtifact {
        chat: world.chat.clone(),
        by: Some(world.owner),
        place: 0,
    });
    assert!(!world.is_on_disk("bytes of a picture") && !world.is_on_disk("a.png"));
    assert!(!world.store.artifact_path(digest).exists());
    // Nor is it written again, whoever brings it to this chat.
    for (bytes, is_kept) in [(&bytes[..], false), (b"another", false), (b"third", true)] {
        let digest = world.store.keep_artifact_of(&world.chat, bytes).unwrap();
        assert_eq!(world.store.artifact_path(digest).exists(), is_kept);
    }
    let [erased] = &history(&world)[..] else {
        panic!("{:?}", history(&world));
    };
    assert_eq!(
        (erased.can_undo, &erased.done),
        (false, &Done::ArtifactErased { place: 0 })
    );
    let stranger = add_user(&world.store, "bob");
    let not_theirs = Write::HideArtifact {
        chat: world.chat.clone(),
        by: Some(stranger),
        place: 0,
        hidden: true,
    };
    assert!(matches!(world.refused(not_theirs), StoreError::NotFound));
}
