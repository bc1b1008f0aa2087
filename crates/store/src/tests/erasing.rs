//! What is removed is nowhere any more.

use super::{layers::picture, *};

const SECRET: &str = "correct horse battery staple";

#[test]
fn an_erased_message_is_in_no_file_and_stays_away() {
    let world = World::new();
    let long = format!("{SECRET} {}", "x".repeat(20_000));
    let secret = |text: &str| Message {
        parent: Some(MessageId("a".into())),
        ..message("b", text)
    };
    let mut after = message("c", "after");
    after.parent = Some(MessageId("b".into()));
    world.put(vec![
        (0, message("a", "before")),
        (1, secret(&long)),
        (2, after),
    ]);
    world.share(1, Updates::Frozen);
    world.put(vec![(1, secret(&format!("{long} more")))]);
    world.edit("b", &format!("edited {SECRET}"));
    world.hide("b", true);
    assert!(world.is_on_disk(SECRET));

    let written = world.erase("b");
    assert_eq!(written.events, 1);
    assert!(!world.is_on_disk(SECRET));
    assert_eq!(world.said(), ["a: before", "[b: ]", "c: after"]);
    assert_eq!(world.record().messages, 2);
    let stored = world.read(|reader| reader.message(&world.chat, 1)).unwrap();
    assert!(stored.erased && !stored.edited);
    assert_eq!(stored.seq, written.seq);
    assert_eq!(stored.message.parent, Some(MessageId("a".into())));

    let again = world.put(vec![(1, secret(&long))]);
    assert_eq!(again.events, 0);
    let moved = world.put(vec![(5, secret(&long))]);
    assert_eq!(moved.events, 1);
    assert_eq!(world.said(), ["a: before", "c: after", "[b: ]"]);
    assert_eq!(world.record().messages, 2);
    assert!(!world.is_on_disk(SECRET));
    assert_eq!(world.erase("b").events, 0);
    for write in [
        Write::Edit {
            chat: world.chat.clone(),
            by: None,
            id: MessageId("b".into()),
            parts: vec![said("x")],
        },
        Write::Hide {
            chat: world.chat.clone(),
            by: None,
            id: MessageId("b".into()),
            hidden: false,
        },
    ] {
        assert!(matches!(world.refused(write), StoreError::NotFound));
    }
    let world = world.reopened();
    assert!(!world.is_on_disk(SECRET));
    assert_eq!(world.said(), ["a: before", "c: after", "[b: ]"]);
}

#[test]
fn what_only_a_frozen_share_shows_can_be_erased() {
    let world = World::new();
    world.put(vec![(0, message("a", SECRET))]);
    let share = world.share(1, Updates::Frozen);
    world.apply(ChangeSet {
        removed: vec![MessageId("a".into())],
        ..ChangeSet::default()
    });
    assert!(world.said().is_empty());
    assert_eq!(world.said_at(share.frozen_at_seq), [format!("a: {SECRET}")]);
    world.erase("a");
    assert_eq!(world.said_at(share.frozen_at_seq), ["[a: ]"]);
    assert!(!world.is_on_disk(SECRET));
}

#[test]
fn the_files_of_an_erased_message_go_with_it() {
    let world = World::new();
    let keep = |bytes: &[u8]| world.store.keep_artifact(bytes).unwrap();
    let digests = [keep(b"mine"), keep(b"ours")];
    let changes = ChangeSet {
        artifacts: vec![
            (0, picture("secret name.png", b"mine")),
            (1, picture("ours.png", b"ours")),
        ],
        messages: vec![
            (0, shows("a", &[0, 1])),
            (1, shows("b", &[1])),
            (2, message("c", "\"artifact\":0}")),
        ],
        ..ChangeSet::default()
    };
    world.apply(changes.clone());
    world.share(1, Updates::Frozen);
    assert!(
        digests
            .iter()
            .all(|&digest| world.store.artifact_path(digest).exists())
    );
    world.erase("a");
    assert_eq!(world.store.artifact(digests[0]).unwrap(), None);
    assert_eq!(
        world.store.artifact(digests[1]).unwrap(),
        Some(b"ours".to_vec())
    );
    assert!(!world.is_on_disk("secret name"));
    let artifacts = world.read(|reader| reader.artifacts(&world.chat));
    assert_eq!(artifacts[0].content, Availability::Missing);
    assert_eq!(artifacts[1], changes.artifacts[1].1);
    assert_eq!(world.apply(changes).events, 0);
}

#[test]
fn a_name_that_an_erased_message_gave_the_chat_goes_with_it() {
    let world = World::new();
    let changes = ChangeSet {
        head: Some(head(&format!("{SECRET}…"))),
        messages: vec![(0, message("a", &format!("# {SECRET} and so on")))],
        ..ChangeSet::default()
    };
    world.apply(changes.clone());
    let share = world.share(1, Updates::Frozen);
    world.apply(ChangeSet {
        head: Some(ChatHead {
            damaged_records: 1,
            ..head(&format!("{SECRET}…"))
        }),
        ..ChangeSet::default()
    });
    let written = world.erase("a");
    assert_eq!(written.events, 2);
    assert!(!world.is_on_disk(SECRET));
    assert_eq!(world.record().head.title, "Untitled chat");
    let frozen = world.read(|reader| reader.whole_chat(&world.chat, share.frozen_at_seq));
    assert_eq!(frozen.unwrap().title, "Untitled chat");
    world.apply(changes);
    assert_eq!(world.record().head.title, "Untitled chat");
    assert!(!world.is_on_disk(SECRET));
}

#[test]
fn a_name_that_an_erased_message_gave_a_thread_goes_with_it() {
    let world = World::new();
    let call = ToolCall {
        call_id: "c1".into(),
        name: "Task".into(),
        action: Action::Other,
        input: None,
        state: CallState::Done,
    };
    let thread = |title: &str, call: &str| Thread {
        kind: ThreadKind::Subagent,
        title: Some(title.into()),
        parent_call: Some(call.into()),
    };
    let calls = Message {
        parts: vec![Part::ToolCall(call)],
        ..Message::new("a", Role::Assistant)
    };
    let prompt = Message {
        thread: ThreadId(2),
        ..message("b", &format!("{SECRET} and so on"))
    };
    let changes = ChangeSet {
        threads: vec![
            (1, thread(&format!("Look at {SECRET}"), "c1")),
            (2, thread(SECRET, "c2")),
            (3, thread("Another", "c3")),
        ],
        messages: vec![(0, calls), (1, prompt)],
        ..ChangeSet::default()
    };
    world.apply(changes.clone());
    world.share(1, Updates::Frozen);
    assert_eq!(world.erase("a").events, 2);
    assert_eq!(world.erase("b").events, 2);
    assert!(!world.is_on_disk(SECRET));
    world.apply(changes);
    assert!(!world.is_on_disk(SECRET));
    let threads = world.read(|reader| reader.threads(&world.chat));
    let titles: Vec<_> = threads.iter().map(|thread| &thread.title).collect();
    assert_eq!(titles, [&None, &None, &None, &Some("Another".into())]);
}

#[test]
fn a_chat_goes_with_its_shares_and_its_files() {
    let world = World::new();
    let other = add_chat(&world.store, world.owner, 2, None);
    let keep = |bytes: &[u8]| world.store.keep_artifact(bytes).unwrap();
    let (mine, both) = (keep(b"mine"), keep(b"both"));
    let changes = ChangeSet {
        artifacts: vec![(0, picture("a", b"mine")), (1, picture("b", b"both"))],
        messages: vec![(0, message("a", SECRET))],
        ..ChangeSet::default()
    };
    world.apply(changes);
    world.write(Write::Apply {
        chat: other.clone(),
        by: None,
        changes: ChangeSet {
            artifacts: vec![(0, picture("b", b"both"))],
            ..ChangeSet::default()
        },
        durable: false,
    });
    let shares = [
        world.share(1, Updates::Live),
        world.share(2, Updates::Frozen),
    ];
    let expires_at = Timestamp::from_millis(5000).unwrap();
    world.write(Write::ImportLegacy(vec![LegacyLink {
        path: "/old/1".into(),
        chat: world.chat.clone(),
        expires_at,
    }]));
    world.events.lock().unwrap().clear();
    world.write(Write::DeleteChat {
        chat: world.chat.clone(),
        by: Some(world.owner),
    });
    let events = world.events.lock().unwrap().clone();
    let changes: Vec<Change> = events.iter().map(|event| event.change.clone()).collect();
    assert_eq!(
        changes,
        [
            Change::ShareDeleted(shares[0].id.clone()),
            Change::ShareDeleted(shares[1].id.clone()),
            Change::ChatDeleted,
        ]
    );
    assert_eq!(world.read(|reader| reader.chat(&world.chat)), None);
    assert_eq!(world.read(|reader| reader.share(&shares[0].id)), None);
    let now = Timestamp::from_millis(0).unwrap();
    assert_eq!(world.read(|reader| reader.legacy("/old/1", now)), None);
    assert!(!world.is_on_disk(SECRET));
    assert_eq!(world.store.artifact(mine).unwrap(), None);
    assert!(world.store.artifact(both).unwrap().is_some());
    let log = world.read(|reader| reader.events(0, None, 100));
    assert_eq!(log[log.len() - 3..], events);
    assert!(
        log.iter()
            .all(|event| event.chat == other || event.seq >= events[0].seq)
    );
    let last = world.store.last_seq();
    let world = world.reopened();
    assert_eq!(world.store.last_seq(), last);
    assert!(world.store.artifact(both).unwrap().is_some());
}

#[test]
fn a_long_chat_is_unknown_at_once_and_cleared_away_while_others_write() {
    let (world, other) = deleted_long_chat();
    world.write(Write::Rename {
        chat: other,
        by: None,
        title: "Other".into(),
    });
    let began = std::time::Instant::now();
    while world.is_on_disk(SECRET) {
        assert!(began.elapsed() < std::time::Duration::from_secs(20));
        std::thread::yield_now();
    }
}

#[test]
fn a_long_chat_is_cleared_away_before_the_store_is_closed() {
    let (world, _) = deleted_long_chat();
    let world = world.reopened();
    assert!(!world.is_on_disk(SECRET));
    let left = world.read(|reader| reader.chats(world.owner, &ChatFilter::default()));
    assert_eq!(left.chats.len(), 1);
}

/// A world whose chat of 3,000 messages was deleted a moment ago, and a chat beside it.
fn deleted_long_chat() -> (World, ChatId) {
    let world = World::new();
    let other = add_chat(&world.store, world.owner, 2, None);
    let long = |place: u32| (place, message(&format!("m{place}"), SECRET));
    world.put((0..3000).map(long).collect());
    world.write(Write::DeleteChat {
        chat: world.chat.clone(),
        by: None,
    });
    assert_eq!(world.read(|reader| reader.chat(&world.chat)), None);
    let log = world.read(|reader| reader.events(0, None, 10_000));
    assert_eq!(log.len(), 3);
    (world, other)
}

#[test]
fn a_file_that_was_just_kept_is_not_cleared_away() {
    let world = World::new();
    let digest = world.store.keep_artifact(b"file").unwrap();
    let named = ChangeSet {
        artifacts: vec![(0, picture("a", b"file"))],
        ..ChangeSet::default()
    };
    world.apply(named.clone());
    let again = world.store.keep_artifact_from(&mut &b"file"[..]).unwrap();
    assert_eq!(again, digest);
    let delete = |chat: &ChatId| Write::DeleteChat {
        chat: chat.clone(),
        by: None,
    };
    world.write(delete(&world.chat));
    assert!(world.store.artifact(digest).unwrap().is_some());
    let next = add_chat(&world.store, world.owner, 2, None);
    world.write(Write::Apply {
        chat: next.clone(),
        by: None,
        changes: named,
        durable: true,
    });
    assert!(world.store.artifact(digest).unwrap().is_some());
    world.write(delete(&next));
    assert!(world.store.artifact(digest).unwrap().is_none());
}

#[test]
fn what_an_interrupted_program_left_is_cleared_away() {
    let world = World::new();
    let digest = world.store.keep_artifact(b"nobody's").unwrap();
    let partial = world.folder.path().join("artifacts/.partial-1");
    std::fs::write(&partial, b"half").unwrap();
    let world = world.reopened();
    assert_eq!(world.store.artifact(digest).unwrap(), None);
    assert!(!partial.exists());
}

#[cfg(unix)]
#[test]
fn only_the_owner_of_the_folder_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let digest = world.store.keep_artifact(b"a").unwrap();
    let folder = world.folder.path();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.join("artifacts")), 0o700);
    assert_eq!(mode(&world.store.artifact_path(digest)), 0o600);
    for file in ["readalong.db", "readalong.db-wal", "readalong.db-shm"] {
        assert_eq!(mode(&folder.join(file)), 0o600, "{file}");
    }
}

fn shows(id: &str, artifacts: &[u32]) -> Message {
    let image = |&artifact| Part::Image {
        artifact: ArtifactId(artifact),
        alt: None,
    };
    Message {
        parts: artifacts.iter().map(image).collect(),
        ..Message::new(id, Role::User)
    }
}

#[test]
fn json_of_a_transcript_holds_no_file_that_its_message_took_along() {
    let world = World::new();
    let digest = world.store.keep_artifact(b"file").unwrap();
    let input = RawJson::new("{\"artifact\":0}".to_owned()).unwrap();
    let call = ToolCall {
        call_id: "c1".into(),
        name: "Look".into(),
        action: Action::Other,
        input: Some(input),
        state: CallState::Done,
    };
    let calls = Message {
        parts: vec![Part::ToolCall(call)],
        ..Message::new("b", Role::Assistant)
    };
    world.apply(ChangeSet {
        artifacts: vec![(0, picture("a", b"file"))],
        messages: vec![(0, shows("a", &[0])), (1, calls)],
        ..ChangeSet::default()
    });
    world.erase("a");
    assert!(world.store.artifact(digest).unwrap().is_none());
}
