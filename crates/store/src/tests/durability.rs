//! One writer, many who write; files of others; kills.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use super::*;

#[test]
fn many_who_write_at_once_are_all_answered_after_their_events() {
    let folder = tempfile::tempdir().unwrap();
    let told = Arc::new(AtomicU64::new(0));
    let telling = told.clone();
    let store = Store::open(folder.path(), move |events: &[Event]| {
        for event in events {
            let before = telling.swap(event.seq, Ordering::SeqCst);
            assert_eq!(before + 1, event.seq);
        }
    })
    .unwrap();
    let owner = add_user(&store, "ada");
    let chat = add_chat(&store, owner, 1, None);
    let (threads, each) = (16, 20);
    thread::scope(|scope| {
        for number in 0..threads {
            let (store, chat, told) = (&store, &chat, &told);
            scope.spawn(move || {
                for count in 0..each {
                    let place = number * each + count;
                    let written = store.write_and_wait(put(chat, place)).unwrap();
                    assert!(told.load(Ordering::SeqCst) >= written.seq);
                    assert!(store.last_seq() >= written.seq);
                    let found = store.read(|reader| reader.message(chat, place)).unwrap();
                    assert_eq!(found.unwrap().seq, written.seq);
                }
            });
        }
    });
    let record = store.read(|reader| reader.chat(&chat)).unwrap().unwrap();
    assert_eq!(record.messages, threads * each);
}

#[test]
fn a_writer_that_has_ended_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let tells = |_: &[Event]| panic!("a panic of this test");
    let store = Store::open(folder.path(), tells).unwrap();
    let owner = add_user(&store, "ada");
    assert!(store.is_writing());
    let create = |number| Write::CreateChat {
        id: ChatId::from_random([number; 16]),
        owner,
        source: None,
        head: head("Chat"),
    };
    for number in [1, 2] {
        let failed = store.write_and_wait(create(number));
        assert!(matches!(failed, Err(StoreError::Closed)), "{failed:?}");
    }
    while store.is_writing() {
        thread::yield_now();
    }
}

/// A store whose writer waits at its first commit until it is let go.
fn held(folder: &TempDir) -> (Store, ChatId, mpsc::Sender<()>, Arc<Mutex<Vec<usize>>>) {
    let (store, _) = open(folder);
    let owner = add_user(&store, "ada");
    let chat = add_chat(&store, owner, 1, None);
    drop(store);
    let (gate, held) = mpsc::channel();
    let commits: Arc<Mutex<Vec<usize>>> = Arc::default();
    let counts = commits.clone();
    let store = Store::open(folder.path(), move |events: &[Event]| {
        counts.lock().unwrap().push(events.len());
        let _ = held.recv();
    });
    (store.unwrap(), chat, gate, commits)
}

#[test]
fn what_waits_is_written_together_and_a_failure_is_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (store, chat, gate, commits) = held(&folder);
    let (sender, answers) = mpsc::channel();
    let mut writes = vec![put(&chat, 0)];
    writes.extend((1..=10).map(|place| put(&chat, place)));
    writes.insert(
        5,
        Write::Rename {
            chat: ChatId::from_random([9; 16]),
            by: None,
            title: "x".into(),
        },
    );
    let first = writes.remove(0);
    store.write(first, |_| {});
    while commits.lock().unwrap().is_empty() {
        thread::yield_now();
    }
    for write in writes {
        let sender = sender.clone();
        store.write(write, move |written| sender.send(written).unwrap());
    }
    drop(gate);
    let written: Vec<_> = answers.iter().take(11).collect();
    for (at, answer) in written.iter().enumerate() {
        match at {
            4 => assert!(matches!(answer, Err(StoreError::NotFound))),
            _ => assert_eq!(answer.as_ref().unwrap().events, 1),
        }
    }
    assert_eq!(*commits.lock().unwrap(), [1, 10]);
    let seqs = store
        .read(|reader| reader.events(0, Some(&chat), 100))
        .unwrap();
    let seqs: Vec<Seq> = seqs.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=13).collect::<Vec<_>>());
}

#[test]
fn a_write_that_fails_half_way_leaves_nothing() {
    let world = World::new();
    let share = world.share(1, Updates::Live);
    let before = world.store.last_seq();
    world.refused(Write::DeleteShares {
        ids: vec![share.id.clone(), ShareId::from_random([200; 16])],
        by: None,
    });
    assert_eq!(world.store.last_seq(), before);
    assert_eq!(world.shared(1), share);
    assert_eq!(world.put(vec![(0, message("a", "1"))]).seq, before + 1);
}

#[test]
fn a_chat_is_made_with_what_is_in_it_or_not_at_all() {
    let world = World::new();
    let id = ChatId::from_random([7; 16]);
    let with = |messages_of: &ChatId| {
        let create = Write::CreateChat {
            id: id.clone(),
            owner: world.owner,
            source: None,
            head: head("New"),
        };
        let messages = Write::Apply {
            chat: messages_of.clone(),
            by: Some(world.owner),
            changes: ChangeSet {
                messages: vec![(0, message("a", "1"))],
                ..ChangeSet::default()
            },
            durable: true,
        };
        Write::All(vec![create, messages])
    };
    let refused = world.refused(with(&ChatId::from_random([200; 16])));
    assert!(matches!(refused, StoreError::NotFound));
    assert_eq!(world.read(|reader| reader.chat(&id)), None);
    let written = world.write(with(&id));
    assert_eq!((written.chat, written.created), (Some(id.clone()), true));
    assert_eq!(written.applied.unwrap().messages, 1);
    assert_eq!(world.read(|reader| reader.chat(&id)).unwrap().messages, 1);
}

#[test]
fn what_waits_is_written_when_the_store_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, chat, gate, _) = held(&folder);
    for place in 0..50 {
        store.write(put(&chat, place), |written| {
            written.unwrap();
        });
    }
    drop(gate);
    drop(store);
    let (store, _) = open(&folder);
    let record = store.read(|reader| reader.chat(&chat)).unwrap().unwrap();
    assert_eq!(record.messages, 50);
}

#[test]
fn the_last_handle_may_go_on_the_writers_own_thread() {
    let world = World::new();
    let (sender, answer) = mpsc::channel();
    let (store, last) = (world.store.clone(), world.store);
    store.write(put(&world.chat, 0), move |written| {
        drop(last);
        sender.send(written).unwrap();
    });
    drop(store);
    answer.recv().unwrap().unwrap();
}

#[test]
fn a_reader_sees_one_moment() {
    let world = World::new();
    world.put(vec![(0, message("a", "1"))]);
    world.read(|reader| {
        let seq = reader.last_seq()?;
        world.put(vec![(1, message("b", "2"))]);
        assert!(world.store.last_seq() > seq);
        assert_eq!(reader.last_seq()?, seq);
        assert_eq!(reader.index(&world.chat)?.len(), 1);
        Ok(())
    });
    assert_eq!(world.said().len(), 2);
}

#[test]
fn an_erasure_that_a_reader_held_up_is_finished_later() {
    let world = World::new();
    world.put(vec![(0, message("a", "the secret words"))]);
    world.read(|reader| {
        reader.last_seq()?;
        world.erase("a");
        Ok(())
    });
    assert!(world.is_on_disk("the secret words"));
    let began = Instant::now();
    while world.is_on_disk("the secret words") {
        assert!(began.elapsed() < Duration::from_secs(20));
        thread::yield_now();
    }
}

#[test]
fn files_of_others_and_of_later_versions_are_refused_and_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("readalong.db");
    let refused = || Store::open(folder.path(), |_| {}).err().unwrap();
    let text = "this is no database, whatever its name says. ".repeat(100);
    std::fs::write(&path, &text).unwrap();
    let message = format!("`{}` is not a database of readalong", path.display());
    assert_eq!(refused().to_string(), message);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);

    std::fs::remove_file(&path).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE theirs (a)").unwrap();
    drop(other);
    assert_eq!(refused().to_string(), message);

    std::fs::remove_file(&path).unwrap();
    drop(open(&folder));
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 7).unwrap();
    drop(newer);
    let message =
        format!("the database has version 7; this readalong knows up to version {VERSION}");
    assert_eq!(refused().to_string(), message);
}

#[test]
fn the_epoch_is_kept_until_the_machine_starts_anew() {
    let world = World::new();
    let epoch = world.store.epoch().to_owned();
    assert_eq!(epoch.len(), 16);
    let world = world.reopened();
    assert_eq!(world.store.epoch(), epoch);
    let World { folder, store, .. } = world;
    drop(store);
    let path = folder.path().join("readalong.db");
    let connection = rusqlite::Connection::open(path).unwrap();
    let other = "UPDATE meta SET value = 'other' WHERE key = 'boot'";
    connection.execute(other, []).unwrap();
    drop(connection);
    assert_ne!(open(&folder).0.epoch(), epoch);
}

/// Names the folder to the process that is killed.
const CHILD: &str = "READALONG_STORE_TEST_FOLDER";

#[test]
fn what_was_acknowledged_outlasts_a_kill() {
    if let Some(folder) = std::env::var_os(CHILD) {
        write_until_killed(folder.as_ref());
    }
    let folder = tempfile::tempdir().unwrap();
    let name = "tests::durability::what_was_acknowledged_outlasts_a_kill";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let acknowledged = lines
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("written ")?.parse::<u32>().ok())
        .find(|&place| place >= 200);
    child.kill().unwrap();
    child.wait().unwrap();
    let last = acknowledged.unwrap();
    let (store, _) = open(&folder);
    let chat = ChatId::from_random([1; 16]);
    let index = store.read(|reader| reader.index(&chat)).unwrap();
    assert!(index.len() > last as usize);
    let record = store.read(|reader| reader.chat(&chat)).unwrap().unwrap();
    assert_eq!(record.messages as usize, index.len());
    let written = store.write_and_wait(put(&chat, 100_000)).unwrap();
    assert_eq!(written.seq, record.last_seq + 1);
}

fn write_until_killed(folder: &std::path::Path) -> ! {
    let store = Store::open(folder, |_| {}).unwrap();
    let owner = add_user(&store, "ada");
    let chat = add_chat(&store, owner, 1, None);
    for place in 0.. {
        store.write(put(&chat, place), move |written| {
            written.unwrap();
            println!("written {place}");
        });
        if place % 7 == 0 {
            store
                .write_and_wait(Write::RemoveSessionsOf(owner))
                .unwrap();
        }
    }
    unreachable!("it is killed before it comes to the end of the numbers")
}

fn put(chat: &ChatId, place: u32) -> Write {
    Write::Apply {
        chat: chat.clone(),
        by: None,
        changes: ChangeSet {
            messages: vec![(place, message(&format!("m{place}"), "text"))],
            ..ChangeSet::default()
        },
        durable: place.is_multiple_of(2),
    }
}

/// A file system of a few megabytes; `None` where this user may mount none.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn on_a_full_disk_a_share_can_still_be_taken_back() {
    let Some(disk) = SmallDisk::new() else {
        eprintln!("not checked: mounting a small file system needs root");
        return;
    };
    let store = Store::open(disk.0.path(), |_: &[Event]| {}).unwrap();
    let owner = add_user(&store, "ada");
    let chat = add_chat(&store, owner, 1, None);
    let id = ShareId::from_random([7; 16]);
    let share = Share {
        id: id.clone(),
        chat: chat.clone(),
        owner,
        name: None,
        visibility: ShareVisibility::Public,
        updates: Updates::Live,
        includes_artifacts: false,
        created_at: Timestamp::from_millis(1).unwrap(),
        expires_at: None,
        frozen_at_seq: None,
        bundle: None,
    };
    store.write_and_wait(Write::CreateShare(share)).unwrap();
    let full = (0..10_000).find_map(|place| store.write_and_wait(put(&chat, place)).err());
    assert!(matches!(full, Some(StoreError::Full)), "{full:?}");
    // The last bytes too.
    std::fs::write(disk.0.path().join("filler"), vec![0; 8 << 20]).unwrap_err();
    let delete = Write::DeleteShares {
        ids: vec![id.clone()],
        by: Some(owner),
    };
    store.write_and_wait(delete).unwrap();
    assert_eq!(store.read(|reader| reader.share(&id)).unwrap(), None);
    let full = store.write_and_wait(put(&chat, 20_000));
    assert!(matches!(full, Err(StoreError::Full)), "{full:?}");
}
