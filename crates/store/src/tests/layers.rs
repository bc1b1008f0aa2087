//! What a source brings, and what the owner lays over it.

use super::*;

#[test]
fn what_is_there_already_makes_no_event() {
    let world = World::new();
    let changes = ChangeSet {
        head: Some(head("Other")),
        threads: vec![(
            0,
            Thread {
                kind: ThreadKind::Main,
                title: None,
                parent_call: None,
            },
        )],
        artifacts: vec![(0, picture("a.png", b"a"))],
        messages: vec![(0, message("a", "one")), (1, message("b", "two"))],
        removed: vec![MessageId("nobody".into())],
    };
    let first = world.apply(changes.clone());
    assert_eq!(first.events, 5);
    let again = world.apply(changes);
    assert_eq!((again.events, again.seq), (0, first.seq));
    assert_eq!(world.store.last_seq(), first.seq);
}

#[test]
fn a_message_that_grows_is_in_the_log_once() {
    let world = World::new();
    for text in ["The", "The quick", "The quick brown fox"] {
        world.put(vec![(0, message("a", text))]);
    }
    assert_eq!(world.said(), ["a: The quick brown fox"]);
    let events = world.read(|reader| reader.events(0, Some(&world.chat), 100));
    let puts = |event: &&Event| matches!(event.change, Change::MessagePut { .. });
    assert_eq!(events.iter().filter(puts).count(), 1);
    assert_eq!(world.record().messages, 1);
    let seen = world.events.lock().unwrap().clone();
    assert_eq!(seen.iter().filter(puts).count(), 3);
}

#[test]
fn messages_move_and_go() {
    let world = World::new();
    world.put(vec![
        (0, message("a", "1")),
        (1, message("b", "2")),
        (2, message("c", "3")),
    ]);
    world.apply(ChangeSet {
        messages: vec![
            (0, message("new", "0")),
            (1, message("a", "1")),
            (2, message("c", "3")),
        ],
        removed: vec![MessageId("b".into())],
        ..ChangeSet::default()
    });
    assert_eq!(world.said(), ["new: 0", "a: 1", "c: 3"]);
    let record = world.record();
    assert_eq!((record.messages, record.places), (3, 3));
    let index = world.read(|reader| reader.index(&world.chat));
    let digest = message("a", "1").digest();
    assert_eq!(index[1], (MessageId("a".into()), digest, 1));
    let stored = world.read(|reader| reader.message(&world.chat, 2)).unwrap();
    assert_eq!(line(&stored.message), "c: 3");
    assert_eq!(world.read(|reader| reader.message(&world.chat, 3)), None);
}

#[test]
fn what_the_owner_changed_outlasts_what_the_source_brings() {
    let world = World::new();
    let mut changes = ChangeSet {
        head: Some(head("From the source")),
        messages: vec![(0, message("a", "one")), (1, message("b", "two"))],
        ..ChangeSet::default()
    };
    world.apply(changes.clone());
    world.edit("a", "better");
    world.hide("b", true);
    world.write(Write::Rename {
        chat: world.chat.clone(),
        by: Some(world.owner),
        title: "Mine".into(),
    });
    changes.head = Some(head("From the source, later"));
    changes.messages[0].1.parts.push(said("and more"));
    changes.messages[1].1.parts.push(said("and more"));
    let written = world.apply(changes.clone());
    assert_eq!(written.events, 3);
    assert_eq!(world.said(), ["a: better", "[b: two]"]);
    let record = world.record();
    assert_eq!(record.head.title, "Mine");
    assert_eq!(record.source_title, "From the source, later");
    let chat = world.read(|reader| reader.whole_chat(&world.chat, None));
    assert_eq!(chat.unwrap().title, "Mine");
    let source = world.read(|reader| reader.source_message(&world.chat, &MessageId("a".into())));
    assert_eq!(source.as_ref(), Some(&changes.messages[0].1));
    let stored = world.read(|reader| reader.message(&world.chat, 0)).unwrap();
    assert!(stored.edited && !stored.hidden && !stored.erased);

    world.hide("b", false);
    assert_eq!(world.said(), ["a: better", "b: two"]);
    let seq = world
        .read(|reader| reader.message(&world.chat, 1))
        .unwrap()
        .seq;
    assert_eq!(seq, world.store.last_seq());
    assert_eq!(world.hide("b", false).events, 0);
    assert_eq!(world.edit("a", "better").events, 0);
}

#[test]
fn words_that_the_owner_keeps_from_readers_are_no_name_of_the_chat() {
    let world = World::new();
    world.apply(ChangeSet {
        head: Some(head("My secret plan…")),
        messages: vec![(0, message("a", "# My secret plan and more"))],
        ..ChangeSet::default()
    });
    let share = world.share(1, Updates::Frozen);
    let titles = || {
        let at = |at| world.read(|reader| reader.whole_chat(&world.chat, at));
        let frozen = at(share.frozen_at_seq).unwrap().title;
        let title = world.record().head.title;
        assert_eq!(at(None).unwrap().title, title);
        (title, frozen)
    };
    let all = |title: &str| (title.to_owned(), title.to_owned());
    let undo_newest = || {
        let history = world.read(|reader| reader.history(&world.chat, None, 1));
        world.write(Write::Undo {
            chat: world.chat.clone(),
            by: Some(world.owner),
            seq: history[0].seq,
        })
    };
    let rename = |title: &str| {
        world.write(Write::Rename {
            chat: world.chat.clone(),
            by: Some(world.owner),
            title: title.into(),
        })
    };
    // Whoever reads the log learns it.
    assert_eq!(world.hide("a", true).events, 2);
    assert_eq!(titles(), all("Untitled chat"));
    undo_newest();
    assert_eq!(titles(), all("My secret plan…"));
    assert_eq!(world.edit("a", "My secret plan, typo mended").events, 1);
    assert_eq!(titles(), all("My secret plan…"));
    world.edit("a", "Nothing to see");
    assert_eq!(titles(), all("Untitled chat"));
    // A name that the owner gave stays, and taking it back brings no hidden words.
    rename("Mine");
    assert_eq!(titles(), all("Mine"));
    undo_newest();
    assert_eq!(titles(), all("Untitled chat"));
    // What the source brings changes that no more than anything else.
    world.apply(ChangeSet {
        head: Some(head("Another secret")),
        messages: vec![(0, message("a", "Another secret"))],
        ..ChangeSet::default()
    });
    assert_eq!(titles(), all("Untitled chat"));
    world.edit("a", "Another secret");
    let (now, frozen) = titles();
    assert_eq!(now, "Another secret");
    assert_eq!(frozen, "My secret plan…", "the edit is none any more");
    world.hide("a", true);
    rename("Another secret");
    assert_eq!(titles(), all("Another secret"), "the owner wants it so");
    world.hide("a", false);
    world.erase("a");
    assert!(!world.is_on_disk("secret plan"));
}

#[test]
fn a_source_is_one_chat_of_its_owner() {
    let world = World::new();
    let again = world.write(Write::CreateChat {
        id: ChatId::from_random([9; 16]),
        owner: world.owner,
        source: Some("/a.jsonl".into()),
        head: head("Again"),
    });
    assert_eq!(
        (again.chat, again.created),
        (Some(world.chat.clone()), false)
    );
    let other = add_user(&world.store, "bob");
    let theirs = add_chat(&world.store, other, 9, Some("/a.jsonl"));
    assert_ne!(theirs, world.chat);
    let found = world.read(|reader| reader.chat_by_source(other, "/a.jsonl"));
    assert_eq!(found.unwrap().id, theirs);
    let taken = world.refused(Write::CreateChat {
        id: theirs,
        owner: world.owner,
        source: None,
        head: head("x"),
    });
    assert!(matches!(taken, StoreError::Exists { .. }), "{taken}");
}

#[test]
fn for_others_a_chat_is_not_there() {
    let world = World::new();
    world.put(vec![(0, message("a", "one"))]);
    let share = world.share(1, Updates::Live);
    let bob = add_user(&world.store, "bob");
    let by = Some(bob);
    let (chat, id) = (world.chat.clone(), MessageId("a".into()));
    let before = world.store.last_seq();
    for write in [
        Write::Apply {
            chat: chat.clone(),
            by,
            changes: ChangeSet::default(),
            durable: true,
        },
        Write::Edit {
            chat: chat.clone(),
            by,
            id: id.clone(),
            parts: Vec::new(),
        },
        Write::Hide {
            chat: chat.clone(),
            by,
            id: id.clone(),
            hidden: true,
        },
        Write::Erase {
            chat: chat.clone(),
            by,
            id,
        },
        Write::Rename {
            chat: chat.clone(),
            by,
            title: "x".into(),
        },
        Write::DeleteChat {
            chat: chat.clone(),
            by,
        },
        Write::CreateShare(Share {
            id: ShareId::from_random([7; 16]),
            owner: bob,
            ..share.clone()
        }),
        Write::ChangeShare {
            id: share.id.clone(),
            by,
            change: ShareChange::default(),
        },
        Write::DeleteShares {
            ids: vec![share.id.clone()],
            by,
        },
        Write::DeleteChat {
            chat: ChatId::from_random([77; 16]),
            by: None,
        },
    ] {
        let name = format!("{write:?}");
        let error = world.refused(write);
        assert!(matches!(error, StoreError::NotFound), "{name}: {error}");
    }
    assert_eq!(world.store.last_seq(), before);
    assert_eq!(world.read(|reader| reader.chat_of(bob, &chat)), None);
    assert_eq!(world.read(|reader| reader.share_of(bob, &share.id)), None);
    assert!(
        world
            .read(|reader| reader.share_of(world.owner, &share.id))
            .is_some()
    );
}

#[test]
fn who_applies_the_log_has_the_chat() {
    let world = World::new();
    world.put(vec![(0, message("a", "1")), (1, message("b", "2"))]);
    world.put(vec![(0, message("a", "1 and more"))]);
    world.share(1, Updates::Frozen);
    world.put(vec![(1, message("b", "2 and more"))]);
    world.edit("b", "edited");
    world.apply(ChangeSet {
        removed: vec![MessageId("a".into())],
        ..ChangeSet::default()
    });
    let events = world.read(|reader| reader.events(0, None, 1000));
    assert!(events.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    assert!(matches!(events[0].change, Change::ChatCreated { .. }));

    let copy = rusqlite::Connection::open_in_memory().unwrap();
    for migration in [
        include_str!("../migrations/1.sql"),
        include_str!("../migrations/2.sql"),
        include_str!("../migrations/3.sql"),
        include_str!("../migrations/4.sql"),
    ] {
        copy.execute_batch(migration).unwrap();
    }
    for event in &events {
        crate::apply::apply(&copy, event).unwrap();
    }
    let mut copy = copy;
    let reader = Reader::new(copy.transaction().unwrap());
    let chat = reader.whole_chat(&world.chat, None).unwrap().unwrap();
    assert_eq!(
        chat.messages.iter().map(line).collect::<Vec<_>>(),
        world.said()
    );
    let (there, here) = (reader.chat(&world.chat).unwrap().unwrap(), world.record());
    assert_eq!(there, here);

    let seen = world.events.lock().unwrap().clone();
    assert_eq!(seen.last(), events.last());
    let after = world.read(|reader| reader.events(events[2].seq, Some(&world.chat), 2));
    assert_eq!(after, events[3..5]);
}

#[test]
fn chats_are_listed_by_their_last_change_and_found_by_name() {
    let world = World::new();
    let second = add_chat(&world.store, world.owner, 2, None);
    world.write(Write::Rename {
        chat: second.clone(),
        by: None,
        title: "Über Größe".into(),
    });
    let ids = |filter: ChatFilter| -> Vec<ChatId> {
        let chats = world.read(|reader| reader.chats(world.owner, &filter));
        assert!(chats.chats.len() <= filter.limit as usize);
        let ids = chats.chats.into_iter().map(|found| found.chat.id);
        ids.collect()
    };
    assert_eq!(
        ids(ChatFilter::default()),
        [second.clone(), world.chat.clone()]
    );
    let filter = ChatFilter {
        text: Some("üBER gRÖ".into()),
        ..ChatFilter::default()
    };
    assert_eq!(
        world.read(|reader| reader.count_chats(world.owner, &filter)),
        1
    );
    assert_eq!(ids(filter), std::slice::from_ref(&second));
    let filter = ChatFilter {
        offset: 1,
        limit: 1,
        ..ChatFilter::default()
    };
    assert_eq!(ids(filter), std::slice::from_ref(&world.chat));
    let other = add_user(&world.store, "bob");
    assert!(
        world
            .read(|reader| reader.chats(other, &ChatFilter::default()))
            .chats
            .is_empty()
    );
}

pub(super) fn picture(name: &str, bytes: &[u8]) -> Artifact {
    Artifact {
        name: name.into(),
        media_type: "image/png".into(),
        role: ArtifactRole::Uploaded,
        content: Availability::Present {
            sha256: Digest::of(bytes),
            size_bytes: bytes.len() as u64,
        },
        dimensions: None,
    }
}

#[test]
fn a_deleted_source_is_remembered_until_it_begins_anew() {
    let world = World::new();
    let is_deleted = || world.read(|reader| reader.is_deleted_source(world.owner, "/a.jsonl"));
    assert!(!is_deleted());
    world.write(Write::DeleteChat {
        chat: world.chat.clone(),
        by: None,
    });
    assert!(is_deleted());
    add_chat(&world.store, world.owner, 2, Some("/a.jsonl"));
    assert!(!is_deleted());
}

#[test]
fn a_message_is_found_by_its_place_without_going_through_the_chat() {
    let world = World::new();
    let sql = format!("EXPLAIN QUERY PLAN {}", crate::reader::messages::AT_PLACE);
    let file = world.folder.path().join("readalong.db");
    let connection = rusqlite::Connection::open(file).unwrap();
    let mut statement = connection.prepare(&sql).unwrap();
    let plan: Vec<String> = statement
        .query_map((1, 1), |row| row.get(3))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(plan[0].contains("chat=? AND place=?"), "{plan:?}");
}

#[test]
fn what_is_told_of_a_chat_costs_the_same_however_long_it_is() {
    let world = World::new();
    let steps = || {
        let file = world.folder.path().join("readalong.db");
        let connection = crate::schema::open_reader(&file).unwrap();
        let sql = format!("{} WHERE c.id = ?1", crate::reader::chats::CHAT);
        let mut statement = connection.prepare(&sql).unwrap();
        statement
            .query_row([world.chat.as_str()], |_| Ok(()))
            .unwrap();
        statement.get_status(rusqlite::StatementStatus::VmStep)
    };
    world.put(
        (0..10)
            .map(|place| (place, message(&format!("m{place}"), "x")))
            .collect(),
    );
    let short = steps();
    world.put(
        (10..1_000)
            .map(|place| (place, message(&format!("m{place}"), "x")))
            .collect(),
    );
    assert_eq!(steps(), short);
}
