//! What chats say is found, as it is now, and what was removed is not.

use std::time::{Duration, Instant};

use super::*;

/// Waits until the index has everything.
fn wait(world: &World) {
    let begun = Instant::now();
    while !world.read(|reader| reader.is_indexed()) {
        assert!(begun.elapsed() < Duration::from_secs(20), "it never ends");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The messages of chats that are found, an empty text for one that is found by its name.
fn found(world: &World, text: &str) -> Vec<String> {
    let filter = ChatFilter {
        search: Some(text.into()),
        ..ChatFilter::default()
    };
    let page = world.read(|reader| reader.chats(world.owner, &filter));
    assert!(page.is_whole);
    let message = |found: ChatFound| {
        found
            .found
            .map_or_else(String::new, |found| found.message.0)
    };
    page.chats.into_iter().map(message).collect()
}

#[test]
fn names_and_messages_are_found_before_and_after_they_are_indexed() {
    let world = World::new();
    world.put(vec![
        (0, message("a", "The Quick\n  brown fox")),
        (1, message("b", "größer als 漢字の文 \"quoted\"")),
    ]);
    for _ in 0..2 {
        assert_eq!(found(&world, "quick BROWN"), ["a"]);
        assert_eq!(
            found(&world, "GRÖSSER"),
            [""; 0],
            "ß has no capital of one letter"
        );
        assert_eq!(found(&world, "GRÖßer"), ["b"]);
        assert_eq!(found(&world, "字の文"), ["b"]);
        assert_eq!(found(&world, "\"quoted\""), ["b"]);
        assert_eq!(found(&world, "chat 1"), [""]);
        assert_eq!(found(&world, "1"), [""]);
        assert_eq!(
            found(&world, "qu"),
            [""; 0],
            "messages from three letters on"
        );
        assert_eq!(found(&world, "brown quick"), [""; 0]);
        assert_eq!(found(&world, "OR NEAR(* ^"), [""; 0]);
        wait(&world);
    }
    let stranger = add_user(&world.store, "bob");
    let filter = ChatFilter {
        search: Some("quick".into()),
        ..ChatFilter::default()
    };
    let page = world.read(|reader| reader.chats(stranger, &filter));
    assert!(page.chats.is_empty());
}

#[test]
fn nobody_waits_for_what_others_just_wrote() {
    let world = World::new();
    let other = add_user(&world.store, "bob");
    let chat = add_chat(&world.store, other, 2, None);
    world.write(Write::Apply {
        chat,
        by: Some(other),
        changes: ChangeSet {
            messages: vec![(0, message("b", "a needle"))],
            ..ChangeSet::default()
        },
        durable: true,
    });
    // More than is read for one answer.
    world.put(vec![(0, message("a", &"straw ".repeat(5 << 20)))]);
    let filter = ChatFilter {
        search: Some("needle".into()),
        ..ChatFilter::default()
    };
    let page = world.read(|reader| reader.chats(other, &filter));
    assert!(page.is_whole);
    assert_eq!(page.chats.len(), 1);
}

#[test]
fn an_excerpt_shows_where_it_stands() {
    let world = World::new();
    let text = format!("{} the Needle {}", "hay ".repeat(50), "straw ".repeat(50));
    world.put(vec![(0, message("a", &text))]);
    let filter = ChatFilter {
        search: Some("needle".into()),
        ..ChatFilter::default()
    };
    let page = world.read(|reader| reader.chats(world.owner, &filter));
    let excerpt = page.chats[0].found.clone().unwrap().excerpt;
    assert!(
        excerpt.starts_with("…")
            && excerpt.ends_with("…")
            && excerpt.contains("hay the Needle straw"),
        "{excerpt}"
    );
    assert!(excerpt.chars().count() < 150);
}

#[test]
fn what_is_found_is_what_messages_say_now() {
    let world = World::new();
    world.put(vec![
        (0, message("a", "alphabet")),
        (1, message("b", "betamax")),
    ]);
    wait(&world);
    for is_waiting in [false, true] {
        let settle = || {
            if is_waiting {
                wait(&world)
            }
        };
        world.edit("a", "gammaray");
        settle();
        assert_eq!(found(&world, "alphabet"), [""; 0]);
        assert_eq!(found(&world, "gammaray"), ["a"]);
        assert_eq!(found(&world, "betamax"), ["b"]);
        world.put(vec![(1, message("b", "betamax delta"))]);
        settle();
        assert_eq!(found(&world, "max delta"), ["b"]);
        world.apply(ChangeSet {
            removed: vec![MessageId("b".into())],
            ..ChangeSet::default()
        });
        settle();
        assert_eq!(found(&world, "betamax"), [""; 0]);
        world.put(vec![(1, message("b", "betamax"))]);
        world.edit("a", "alphabet");
        settle();
        assert_eq!(found(&world, "alphabet"), ["a"]);
        assert_eq!(found(&world, "betamax"), ["b"]);
    }
    world.hide("a", true);
    assert_eq!(
        found(&world, "alphabet"),
        ["a"],
        "the owner finds what is hidden"
    );
    world.erase("a");
    assert_eq!(found(&world, "alphabet"), [""; 0]);
    wait(&world);
    assert_eq!(found(&world, "alphabet"), [""; 0]);
    assert_eq!(found(&world.reopened(), "betamax"), ["b"]);
}

/// Terms that the index holds, through a connection of its own.
fn has_term(world: &World, term: &str) -> bool {
    let connection = rusqlite::Connection::open(world.folder.path().join("readalong.db")).unwrap();
    connection
        .execute_batch("CREATE VIRTUAL TABLE temp.terms USING fts5vocab(main, texts, row)")
        .unwrap();
    let sql = "SELECT count(*) FROM terms WHERE term = ?1";
    let count: i64 = connection.query_row(sql, [term], |row| row.get(0)).unwrap();
    count > 0
}

/// Waits until the index holds a term no more, however it has to be written anew for that.
fn wait_until_gone(world: &World, term: &str) {
    let begun = Instant::now();
    while has_term(world, term) {
        assert!(begun.elapsed() < Duration::from_secs(20), "`{term}` stays");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_is_erased_leaves_nothing_in_the_index() {
    let world = World::new();
    let other = add_chat(&world.store, world.owner, 2, None);
    for number in 0..40 {
        world.put(vec![(
            number,
            message(&format!("m{number}"), &format!("filler {number}")),
        )]);
    }
    world.put(vec![(100, message("s", "xqzj"))]);
    world.write(Write::Apply {
        chat: other.clone(),
        by: None,
        changes: ChangeSet {
            messages: vec![(0, message("t", "wvkp"))],
            ..ChangeSet::default()
        },
        durable: true,
    });
    wait(&world);
    assert!(has_term(&world, "xqz") && has_term(&world, "wvk") && has_term(&world, "fil"));
    world.erase("s");
    wait_until_gone(&world, "xqz");
    wait(&world);
    assert!(has_term(&world, "wvk") && has_term(&world, "fil"));
    world.write(Write::DeleteChat {
        chat: other,
        by: None,
    });
    wait_until_gone(&world, "wvk");
    assert_eq!(found(&world, "filler 7"), ["m7"]);
}

#[test]
fn lists_go_on_where_they_ended() {
    let world = World::new();
    for number in 2..=9 {
        let chat = add_chat(&world.store, world.owner, number, None);
        world.write(Write::Rename {
            chat,
            by: None,
            title: format!("Name {}", number % 3),
        });
    }
    for order in [ChatOrder::Changed, ChatOrder::Created, ChatOrder::Title] {
        let whole = ChatFilter {
            order,
            ..ChatFilter::default()
        };
        let ids = |page: &ChatPage| -> Vec<ChatId> {
            page.chats
                .iter()
                .map(|found| found.chat.id.clone())
                .collect()
        };
        let page = world.read(|reader| reader.chats(world.owner, &whole));
        assert_eq!((page.chats.len(), &page.next), (9, &None));
        let all = ids(&page);
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let filter = ChatFilter {
                limit: 2,
                after,
                ..whole.clone()
            };
            let page = world.read(|reader| reader.chats(world.owner, &filter));
            seen.extend(ids(&page));
            let Some(next) = page.next else { break };
            after = Some(next.to_string().parse().unwrap());
        }
        assert_eq!(seen, all, "{order:?}");
    }
    for number in 1..=7 {
        world.write(Write::CreateShare(Share {
            name: (number % 2 == 0).then(|| format!("Share {number}")),
            ..world.new_share(number, Updates::Live)
        }));
    }
    for order in [ShareOrder::Newest, ShareOrder::Oldest, ShareOrder::Name] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let filter = ShareFilter {
                order,
                after,
                limit: 3,
                ..ShareFilter::default()
            };
            let SharePage { shares, next } =
                world.read(|reader| reader.shares(world.owner, &filter));
            seen.extend(shares.into_iter().map(|(share, _)| share.id));
            let Some(next) = next else { break };
            after = Some(next);
        }
        let whole = ShareFilter {
            order,
            ..ShareFilter::default()
        };
        let SharePage { shares: all, next } =
            world.read(|reader| reader.shares(world.owner, &whole));
        assert!(next.is_none());
        let all: Vec<ShareId> = all.into_iter().map(|(share, _)| share.id).collect();
        assert_eq!(seen, all, "{order:?}");
        assert_eq!(seen.len(), 7);
    }
}
