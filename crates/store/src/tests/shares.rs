//! Shares: frozen and live, listed and changed.

use super::*;

#[test]
fn a_frozen_share_shows_what_was_there_and_what_the_owner_changes() {
    let world = World::new();
    world.put(vec![(0, message("a", "one")), (1, message("b", "tw"))]);
    let share = world.share(1, Updates::Frozen);
    let at = share.frozen_at_seq;
    assert_eq!(at, Some(world.store.last_seq()));
    world.apply(ChangeSet {
        head: Some(head("Later name")),
        threads: vec![(
            1,
            Thread {
                kind: ThreadKind::Side,
                title: None,
                parent_call: None,
            },
        )],
        messages: vec![
            (0, message("new", "zero")),
            (1, message("a", "one")),
            (2, message("b", "two")),
            (3, message("c", "three")),
        ],
        ..ChangeSet::default()
    });
    world.apply(ChangeSet {
        messages: vec![(2, message("b", "two!"))],
        removed: vec![MessageId("a".into())],
        ..ChangeSet::default()
    });
    assert_eq!(world.said(), ["new: zero", "b: two!", "c: three"]);
    assert_eq!(world.said_at(at), ["a: one", "b: tw"]);
    let chat = world
        .read(|reader| reader.whole_chat(&world.chat, at))
        .unwrap();
    assert_eq!((chat.title.as_str(), chat.threads.len()), ("Chat 1", 1));

    world.edit("a", "edited");
    world.hide("b", true);
    assert_eq!(world.said_at(at), ["a: edited", "[b: tw]"]);
    world.erase("b");
    assert_eq!(world.said_at(at), ["a: edited", "[b: ]"]);
    let world = world.reopened();
    assert_eq!(world.said_at(at), ["a: edited", "[b: ]"]);
}

#[test]
fn versions_are_kept_for_as_long_as_a_frozen_share_shows_them() {
    let world = World::new();
    let rows = || -> i64 {
        let path = world.folder.path().join("readalong.db");
        let connection = crate::schema::open_reader(&path).unwrap();
        let sql = "SELECT count(*) FROM events WHERE kind = 5";
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    world.put(vec![(0, message("a", "1"))]);
    let first = world.share(1, Updates::Frozen);
    world.put(vec![(0, message("a", "2"))]);
    world.put(vec![(0, message("a", "3"))]);
    assert_eq!(rows(), 2);
    let second = world.share(2, Updates::Frozen);
    world.put(vec![(0, message("a", "4"))]);
    assert_eq!(rows(), 3);
    assert_eq!(world.said_at(first.frozen_at_seq), ["a: 1"]);
    assert_eq!(world.said_at(second.frozen_at_seq), ["a: 3"]);
    let now = ShareChange {
        frozen_at_seq: Some(world.store.last_seq()),
        ..ShareChange::default()
    };
    world.write(Write::ChangeShare {
        id: first.id,
        by: Some(world.owner),
        change: now,
    });
    assert_eq!(rows(), 2);
    assert_eq!(world.said_at(world.shared(1).frozen_at_seq), ["a: 4"]);
    world.write(Write::DeleteShares {
        ids: vec![second.id],
        by: Some(world.owner),
    });
    assert_eq!(rows(), 1);
}

#[test]
fn nothing_is_frozen_at_a_past_that_is_not_kept() {
    let world = World::new();
    world.put(vec![(0, message("a", "1"))]);
    let past = world.store.last_seq();
    let frozen_at = |number, seq| {
        Write::CreateShare(Share {
            frozen_at_seq: Some(seq),
            ..world.new_share(number, Updates::Frozen)
        })
    };
    world.put(vec![(1, message("b", "later"))]);
    world.write(frozen_at(1, past));
    assert_eq!(world.said_at(Some(past)), ["a: 1"]);
    world.put(vec![(1, message("b", "later and more"))]);
    let error = world.refused(frozen_at(2, past));
    assert!(
        matches!(error, StoreError::Superseded { seq } if seq == past),
        "{error}"
    );
    world.write(frozen_at(2, 1_000_000));
    assert_eq!(world.shared(2).frozen_at_seq, Some(world.store.last_seq()));
    let bundle = Digest::of(b"bundle");
    let change = ShareChange {
        bundle: Some(Some(bundle)),
        ..ShareChange::default()
    };
    world.write(Write::ChangeShare {
        id: world.shared(1).id,
        by: None,
        change,
    });
    let share = world.shared(1);
    assert_eq!(
        (share.bundle, share.frozen_at_seq),
        (Some(bundle), Some(past))
    );
    assert_eq!(world.read(|reader| reader.bundles()), [bundle]);
}

#[test]
fn a_share_changes_as_said_and_no_further() {
    let world = World::new();
    world.put(vec![(0, message("a", "1"))]);
    let share = world.share(1, Updates::Live);
    assert_eq!(share.frozen_at_seq, None);
    let change = |change: ShareChange| {
        let id = share.id.clone();
        let by = Some(world.owner);
        world.write(Write::ChangeShare { id, by, change })
    };
    assert_eq!(change(ShareChange::default()).events, 0);
    let expires_at = Timestamp::from_millis(9_000);
    let written = change(ShareChange {
        visibility: Some(ShareVisibility::Private),
        includes_artifacts: Some(false),
        name: Some(Some("Name".into())),
        expires_at: Some(expires_at.ok()),
        ..ShareChange::default()
    });
    assert_eq!(written.events, 1);
    let expected = Share {
        visibility: ShareVisibility::Private,
        includes_artifacts: false,
        name: Some("Name".into()),
        expires_at: Timestamp::from_millis(9_000).ok(),
        ..share.clone()
    };
    assert_eq!(world.shared(1), expected);
    let last = world.events.lock().unwrap().last().cloned().unwrap();
    assert_eq!(last.change, Change::ShareChanged(expected.clone()));
    assert_eq!(world.read(|reader| reader.live_shares()), [expected]);
    let frozen = change(ShareChange {
        updates: Some(Updates::Frozen),
        name: Some(None),
        ..ShareChange::default()
    });
    let share = world.shared(1);
    assert_eq!((share.frozen_at_seq, share.name), (Some(frozen.seq), None));
    change(ShareChange {
        updates: Some(Updates::Live),
        ..ShareChange::default()
    });
    assert_eq!(world.shared(1).frozen_at_seq, None);
}

#[test]
fn shares_are_deleted_all_or_none() {
    let world = World::new();
    let shares = [world.share(1, Updates::Live), world.share(2, Updates::Live)];
    let ids: Vec<ShareId> = shares.iter().map(|share| share.id.clone()).collect();
    let missing = ShareId::from_random([3; 16]);
    let error = world.refused(Write::DeleteShares {
        ids: vec![ids[0].clone(), missing],
        by: Some(world.owner),
    });
    assert!(matches!(error, StoreError::NotFound));
    assert_eq!(world.record().shares, 2);
    let written = world.write(Write::DeleteShares {
        ids: vec![ids[0].clone(), ids[1].clone(), ids[0].clone()],
        by: Some(world.owner),
    });
    assert_eq!((written.events, world.record().shares), (2, 0));
    let taken = world.share(1, Updates::Live);
    let error = world.refused(Write::CreateShare(taken));
    assert!(matches!(error, StoreError::Exists { .. }), "{error}");
}

#[test]
fn shares_are_listed_by_age_and_found() {
    let world = World::new();
    world.share(1, Updates::Live);
    world.write(Write::CreateShare(Share {
        name: Some("Straße".into()),
        visibility: ShareVisibility::Private,
        ..world.new_share(2, Updates::Frozen)
    }));
    let found = |filter: ShareFilter| -> Vec<u8> {
        let SharePage { shares, .. } = world.read(|reader| reader.shares(world.owner, &filter));
        let count = world.read(|reader| reader.count_shares(world.owner, &filter));
        assert_eq!(count as usize, shares.len() + filter.offset as usize);
        assert!(shares.iter().all(|(_, title)| title == "Chat 1"));
        let number = |share: &Share| share.id.as_str()[1..2].parse().unwrap();
        shares.iter().map(|(share, _)| number(share)).collect()
    };
    let all = ShareFilter::default;
    assert_eq!(found(all()), [2, 1]);
    assert_eq!(found(ShareFilter { offset: 1, ..all() }), [1]);
    for (text, expected) in [
        ("STRASSE", &[][..]),
        ("STRAß", &[2]),
        ("chat", &[1]),
        ("%", &[]),
    ] {
        let text = Some(text.to_owned());
        assert_eq!(found(ShareFilter { text, ..all() }), expected);
    }
    let visibility = Some(ShareVisibility::Public);
    assert_eq!(
        found(ShareFilter {
            visibility,
            ..all()
        }),
        [1]
    );
    let updates = Some(Updates::Frozen);
    assert_eq!(found(ShareFilter { updates, ..all() }), [2]);
    let other = add_chat(&world.store, world.owner, 2, None);
    for (chat, updates, expected) in [
        (&world.chat, None, &[2, 1][..]),
        (&world.chat, updates, &[2]),
        (&other, None, &[]),
    ] {
        let chat = Some(chat.clone());
        let of_chat = ShareFilter {
            chat,
            updates,
            ..all()
        };
        assert_eq!(found(of_chat.clone()), expected);
        let of_all = world.read(|reader| reader.shares_of_all(&of_chat));
        assert_eq!(of_all.len(), expected.len());
    }
    let of_chat = world.read(|reader| reader.shares_of_chat(&world.chat));
    assert_eq!(of_chat.len(), 2);
}

#[test]
fn legacy_links_answer_until_they_expire() {
    let world = World::new();
    let link = |path: &str, chat: &ChatId, millis| LegacyLink {
        path: path.into(),
        chat: chat.clone(),
        expires_at: Timestamp::from_millis(millis).unwrap(),
    };
    let missing = ChatId::from_random([9; 16]);
    let links = vec![link("/old", &world.chat, 1000), link("/x", &missing, 1000)];
    assert!(matches!(
        world.refused(Write::ImportLegacy(links)),
        StoreError::NotFound
    ));
    let at = |millis| {
        let now = Timestamp::from_millis(millis).unwrap();
        world.read(|reader| reader.legacy("/old", now))
    };
    assert_eq!(at(0), None);
    world.write(Write::ImportLegacy(vec![link("/old", &world.chat, 1000)]));
    world.write(Write::ImportLegacy(vec![link("/old", &world.chat, 2000)]));
    assert_eq!(at(1999), Some(link("/old", &world.chat, 2000)));
    assert_eq!(at(2000), None);
    assert!(
        world
            .read(|reader| reader.shares(world.owner, &ShareFilter::default()))
            .shares
            .is_empty()
    );
}

#[test]
fn a_legacy_link_is_its_owners_with_all_below_it() {
    let world = World::new();
    let other = world.write(Write::CreateUser {
        name: "other".into(),
        role: UserRole::Owner,
        password_hash: None,
    });
    let other = add_chat(&world.store, other.user.unwrap(), 2, None);
    let link = |path: &str, chat: &ChatId| LegacyLink {
        path: path.into(),
        chat: chat.clone(),
        expires_at: "2090-01-01T00:00:00Z".parse().unwrap(),
    };
    for path in ["/old/u/", "/a/b"] {
        world.write(Write::ImportLegacy(vec![link(path, &world.chat)]));
    }
    for taken in [
        "/old/u",
        "/old/u/",
        "/a/b",
        "/a/b/",
        "/a/b/1.html",
        "/a/b/files/x",
        "/old",
        "/a",
    ] {
        let refused = world.refused(Write::ImportLegacy(vec![link(taken, &other)]));
        assert!(
            matches!(refused, StoreError::Exists { .. }),
            "{taken}: {refused}"
        );
        world.write(Write::ImportLegacy(vec![link(taken, &world.chat)]));
    }
    for free in ["/older", "/a-b", "/b/a/b"] {
        world.write(Write::ImportLegacy(vec![link(free, &other)]));
    }
}
