//! What the hub promises: nothing lost, nothing twice, nobody held up by another, everybody reached by a close.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use readalong_model::Seq;
use tokio::{runtime::Handle, time::Instant};

use super::{Audience, Channel, Next, Outlet, Standing, Subscription, seat::Seat};
use crate::protocol::{
    BEAT_INTERVAL_MS, CloseCode, EncodedFrame, FRAME_BYTES_MAX, Frame, JOIN_WINDOW_MS, Op,
    RING_BURST_BYTES_MAX, RING_BYTES_MAX, SEND_TIMEOUT_MS, VIEWERS_INTERVAL_MS,
};

const EPOCH: &str = "8c1f52a09be3d471";

fn channel() -> Channel {
    Channel::new(Handle::current(), EPOCH, (0, 0), None)
}

fn put(item: &str, html: &str, new: bool) -> Op {
    Op::Put {
        item: item.to_owned(),
        after: None,
        page: "index.html".to_owned(),
        html: html.to_owned(),
        new,
    }
}

fn remove(item: &str) -> Op {
    Op::Remove {
        item: item.to_owned(),
    }
}

fn join(channel: &Channel, after: Seq) -> Subscription {
    let (subscription, standing) = channel.subscribe(Some((EPOCH, after)), None);
    assert_eq!(standing, Standing::Joined);
    subscription
}

/// The next frame that is no reader count.
async fn change(subscription: &mut Subscription) -> Result<Frame, CloseCode> {
    loop {
        match subscription.next().await {
            Next::Close(code) => return Err(code),
            Next::Rest => panic!("nothing was left over"),
            Next::Frame { seq, text } => {
                let frame = Frame::decode(&text).unwrap();
                assert_eq!(frame.seq, seq);
                if frame.ops.is_some() {
                    return Ok(frame);
                }
            }
        }
    }
}

async fn count(subscription: &mut Subscription) -> u32 {
    loop {
        let Next::Frame { text, .. } = subscription.next().await else {
            panic!("closed");
        };
        if let Some(viewers) = Frame::decode(&text).unwrap().viewers {
            return viewers;
        }
    }
}

async fn comes_nothing(subscription: &mut Subscription, within_ms: u64) -> bool {
    let pause = Duration::from_millis(within_ms);
    tokio::time::timeout(pause, subscription.next())
        .await
        .is_err()
}

fn items(frame: &Frame) -> Vec<String> {
    let ops = frame.ops.iter().flatten();
    ops.filter_map(|op| match op {
        Op::Put { item, .. } | Op::Remove { item } => Some(item.clone()),
        _ => None,
    })
    .collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_goes_out_at_once_and_what_follows_is_joined() {
    let channel = channel();
    let mut viewer = join(&channel, 0);
    let begin = Instant::now();
    channel.publish(1, None, vec![put("a", "1", true)]);
    assert_eq!(change(&mut viewer).await.unwrap().seq, Some(1));
    assert_eq!(begin.elapsed(), Duration::ZERO);
    for seq in 2..=9 {
        channel.publish(seq, None, vec![remove(&seq.to_string())]);
        tokio::time::advance(Duration::from_millis(3)).await;
    }
    let frame = change(&mut viewer).await.unwrap();
    assert_eq!(frame.seq, Some(9));
    assert_eq!(frame.ops.unwrap().len(), 8);
    assert!(begin.elapsed() >= Duration::from_millis(JOIN_WINDOW_MS));
    assert!(begin.elapsed() <= Duration::from_millis(JOIN_WINDOW_MS + 2));
}

#[tokio::test(start_paused = true)]
async fn fifty_appends_a_second_are_at_most_twenty_five_frames() {
    let channel = channel();
    let mut viewer = join(&channel, 0);
    let reader = tokio::spawn(async move {
        let mut frames = 0;
        while let Ok(frame) = change(&mut viewer).await {
            frames += 1;
            if frame.seq == Some(500) {
                break;
            }
        }
        frames
    });
    for seq in 1..=500 {
        channel.publish(seq, None, vec![remove(&seq.to_string())]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let frames = reader.await.unwrap();
    assert!(frames <= 251, "{frames} frames in ten seconds");
}

#[tokio::test]
async fn who_comes_with_a_number_gets_exactly_what_follows() {
    let channel = channel();
    for seq in 1..=3 {
        channel.publish(seq, None, vec![remove(&seq.to_string())]);
        let mut last = join(&channel, seq - 1);
        assert_eq!(change(&mut last).await.unwrap().seq, Some(seq));
    }
    for (after, wanted) in [
        (0, vec!["1", "2", "3"]),
        (1, vec!["2", "3"]),
        (2, vec!["3"]),
        (3, vec![]),
    ] {
        let mut viewer = join(&channel, after);
        for item in wanted {
            assert_eq!(items(&change(&mut viewer).await.unwrap()), [item]);
        }
        assert!(comes_nothing(&mut viewer, 1).await);
    }
}

#[tokio::test]
async fn a_place_that_is_of_no_use_is_said_to_be_so() {
    let channel = Channel::new(Handle::current(), EPOCH, (10, 10), None);
    channel.publish(11, None, vec![remove("a")]);
    let standing = |place| channel.subscribe(place, None).1;
    assert_eq!(standing(Some((EPOCH, 11))), Standing::Joined);
    assert_eq!(standing(Some((EPOCH, 10))), Standing::Joined);
    assert_eq!(standing(Some((EPOCH, 9))), Standing::Behind);
    assert_eq!(standing(Some((EPOCH, 12))), Standing::Lost);
    assert_eq!(standing(Some(("0000000000000000", 11))), Standing::Lost);
    assert_eq!(standing(None), Standing::Lost);
}

#[tokio::test]
async fn who_lacks_what_will_not_be_sent_is_behind() {
    let channel = Channel::new(Handle::current(), EPOCH, (10, 12), None);
    let standing = |after| channel.subscribe(Some((EPOCH, after)), None).1;
    assert_eq!(standing(10), Standing::Behind);
    for seq in 11..=13 {
        channel.publish(seq, None, vec![]);
    }
    assert_eq!(standing(11), Standing::Behind);
    assert_eq!(standing(12), Standing::Joined);
}

#[tokio::test]
async fn hello_reset_and_catch_up_say_where_the_server_stands() {
    let channel = Channel::new(
        Handle::current(),
        EPOCH,
        (7, 7),
        "2026-11-20T14:02:11Z".parse().ok(),
    );
    let (viewer, _) = channel.subscribe(None, None);
    let (_second, _) = channel.subscribe(None, None);
    let hello = Frame::decode(&viewer.hello()).unwrap().hello.unwrap();
    assert_eq!((hello.protocol, hello.epoch.as_str()), (1, EPOCH));
    assert_eq!((hello.seq, hello.viewers), (7, 2));
    assert_eq!(hello.at.unwrap().to_string(), "2026-11-20T14:02:11.000Z");
    let reset = Frame::decode(&viewer.reset()).unwrap().reset.unwrap();
    assert_eq!((reset.epoch.as_str(), reset.seq), (EPOCH, 7));
    let frame = Frame::decode(&viewer.catch_up(vec![remove("a")])).unwrap();
    assert_eq!((frame.seq, items(&frame)), (Some(7), vec!["a".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn what_waits_on_the_desk_does_not_come_to_those_who_have_it() {
    let channel = channel();
    channel.publish(1, None, vec![remove("1")]);
    channel.publish(2, None, vec![remove("2")]); // waits
    let mut has_it = join(&channel, 2);
    let mut lacks_it = join(&channel, 1);
    assert_eq!(items(&change(&mut lacks_it).await.unwrap()), ["2"]);
    channel.publish(3, None, vec![remove("3")]);
    assert_eq!(items(&change(&mut has_it).await.unwrap()), ["3"]);
}

/// Many viewers that come and go at random while changes come from another thread: each sees each change once and in order. What the ring has not any more
/// comes from a list in the part of the book, under the lock under which changes are published.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_or_doubled_whoever_comes_and_goes() {
    const CHANGES: Seq = 20_000;
    let channel = channel();
    let book = Arc::new(Mutex::new(0));
    let viewers: Vec<_> = (0..60)
        .map(|viewer| tokio::spawn(restless(channel.clone(), book.clone(), viewer, CHANGES)))
        .collect();
    let writer = {
        let (channel, book) = (channel.clone(), book.clone());
        let (mut first, runtime) = (join(&channel, 0), Handle::current());
        std::thread::spawn(move || {
            for seq in 1..=CHANGES {
                let mut book = book.lock().unwrap();
                *book = seq;
                channel.publish(seq, None, vec![remove(&seq.to_string())]);
                drop(book);
                std::thread::yield_now();
                // Nobody who reads all falls behind, however slow the machine is.
                if seq % 512 == 0 {
                    while runtime.block_on(change(&mut first)).unwrap().seq < Some(seq) {}
                }
            }
        })
    };
    tokio::task::spawn_blocking(|| writer.join().unwrap())
        .await
        .unwrap();
    for viewer in viewers {
        viewer.await.unwrap();
    }
    assert_eq!(channel.viewers(), 0);
}

async fn restless(channel: Channel, book: Arc<Mutex<Seq>>, viewer: u64, until: Seq) {
    let mut random = viewer * 7919 + 1;
    let mut have: Seq = 0;
    while have < until {
        let (mut subscription, missing) = {
            let book = book.lock().unwrap();
            let (subscription, standing) = channel.subscribe(Some((EPOCH, have)), Some(viewer));
            let missing = match standing {
                Standing::Joined => 0..0,
                Standing::Behind => have + 1..*book + 1,
                Standing::Lost => panic!("lost at {have}"),
            };
            if standing == Standing::Behind {
                assert_eq!(subscription.seq(), *book);
            }
            (subscription, missing)
        };
        have = missing.last().unwrap_or(have);
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1);
        for _ in 0..random >> 60 {
            if have == until {
                return;
            }
            let Ok(frame) = change(&mut subscription).await else {
                break;
            };
            for item in items(&frame) {
                let seq: Seq = item.parse().unwrap();
                // A frame may hold what came with the missing ones.
                assert!(seq <= have + 1, "viewer {viewer}: {seq} after {have}");
                have = have.max(seq);
            }
            assert_eq!(frame.seq, Some(have));
        }
        drop(subscription);
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_that_does_not_read_is_cut_and_holds_up_nobody() {
    let channel = channel();
    let mut sleeper = join(&channel, 0);
    let mut reader = join(&channel, 0);
    let html = "x".repeat(RING_BYTES_MAX);
    let mut sent = 0;
    for seq in 1.. {
        channel.publish(seq, None, vec![put(&seq.to_string(), &html, true)]);
        assert_eq!(change(&mut reader).await.unwrap().seq, Some(seq));
        sent += html.len();
        if sent > RING_BURST_BYTES_MAX {
            break;
        }
    }
    assert_eq!(sleeper.next().await, Next::Close(CloseCode::Slow));
    let kept = channel.0.ring().size_bytes;
    assert!(kept <= RING_BURST_BYTES_MAX, "{kept} bytes kept");
}

#[tokio::test(start_paused = true)]
async fn old_frames_leave_the_ring() {
    let channel = channel();
    let _viewer = join(&channel, 0);
    for seq in 1..=20 {
        let html = "x".repeat(RING_BYTES_MAX / 4);
        channel.publish(seq, None, vec![put(&seq.to_string(), &html, true)]);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(channel.0.ring().size_bytes <= RING_BYTES_MAX);
    assert_eq!(
        channel.subscribe(Some((EPOCH, 1)), None).1,
        Standing::Behind
    );
    assert_eq!(
        channel.subscribe(Some((EPOCH, 18)), None).1,
        Standing::Joined
    );
}

#[tokio::test(start_paused = true)]
async fn a_viewer_to_whom_nothing_can_be_written_is_cut() {
    let channel = channel();
    let mut viewer = join(&channel, 0);
    let begin = Instant::now();
    let stuck = viewer.attend(|| 0, std::future::pending::<()>()).await;
    assert_eq!(stuck, Err(CloseCode::Slow));
    let timeout = Duration::from_millis(SEND_TIMEOUT_MS);
    assert!(begin.elapsed() >= timeout && begin.elapsed() < timeout * 2);
    assert_eq!(viewer.attend(|| 0, async { 3 }).await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_takes_a_frame_little_by_little_gets_it() {
    let channel = channel();
    let mut viewer = join(&channel, 0);
    let taken = std::cell::Cell::new(0);
    let slow = async {
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(SEND_TIMEOUT_MS / 2)).await;
            taken.set(taken.get() + 1);
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(viewer.attend(|| taken.get(), slow).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_reaches_all_within_a_moment() {
    let channel = channel();
    let mut viewers = Vec::new();
    for number in 0..3_000 {
        let mut viewer = join(&channel, 0);
        viewers.push(tokio::spawn(async move {
            match number % 3 {
                0 => viewer.attend(|| 0, std::future::pending::<()>()).await,
                _ => change(&mut viewer).await.map(|_| ()),
            }
        }));
    }
    while channel.viewers() < 3_000 {
        tokio::task::yield_now().await;
    }
    let begin = std::time::Instant::now();
    channel.close(Audience::Everyone, CloseCode::Gone);
    for viewer in viewers {
        assert_eq!(viewer.await.unwrap(), Err(CloseCode::Gone));
    }
    channel.emptied().await;
    assert!(begin.elapsed() < Duration::from_secs(1));
    let (mut late, _) = channel.subscribe(Some((EPOCH, 0)), Some(1));
    assert_eq!(late.next().await, Next::Close(CloseCode::Gone));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_share_says_nothing_that_was_waiting() {
    let channel = channel();
    let mut viewer = join(&channel, 0);
    channel.publish(1, None, vec![remove("1")]);
    channel.publish(2, None, vec![remove("2")]);
    channel.close(Audience::Everyone, CloseCode::Gone);
    assert_eq!(viewer.next().await, Next::Close(CloseCode::Gone));
    assert_eq!(channel.0.ring().size_bytes, 0);
}

#[tokio::test(start_paused = true)]
async fn a_frozen_share_says_its_last_words_first() {
    let channel = channel();
    let mut viewer = join(&channel, 0);
    let end = Op::End {
        reason: "frozen".to_owned(),
        html: "<footer>".to_owned(),
    };
    channel.publish(1, None, vec![remove("1")]);
    channel.publish(2, None, vec![end.clone()]);
    channel.close(Audience::Everyone, CloseCode::Frozen);
    for mut viewer in [viewer, join(&channel, 0)] {
        assert_eq!(items(&change(&mut viewer).await.unwrap()), ["1"]);
        assert_eq!(
            change(&mut viewer).await.unwrap().ops,
            Some(vec![end.clone()])
        );
        assert_eq!(viewer.next().await, Next::Close(CloseCode::Frozen));
    }
    viewer = join(&channel, 2);
    assert_eq!(viewer.next().await, Next::Close(CloseCode::Frozen));
}

#[tokio::test(start_paused = true)]
async fn a_share_made_private_keeps_those_who_are_signed_in() {
    let channel = channel();
    let (mut stranger, _) = channel.subscribe(Some((EPOCH, 0)), None);
    let (mut one, _) = channel.subscribe(Some((EPOCH, 0)), Some(1));
    let (mut two, _) = channel.subscribe(Some((EPOCH, 0)), Some(2));
    channel.close(Audience::Anonymous, CloseCode::SignIn);
    assert_eq!(stranger.next().await, Next::Close(CloseCode::SignIn));
    channel.publish(1, None, vec![remove("1")]);
    assert_eq!(items(&change(&mut one).await.unwrap()), ["1"]);
    channel.close(Audience::Session(1), CloseCode::SignIn);
    assert_eq!(change(&mut one).await, Err(CloseCode::SignIn));
    assert_eq!(items(&change(&mut two).await.unwrap()), ["1"]);
    // The share may be public again: who comes later is let in.
    let (mut stranger, _) = channel.subscribe(Some((EPOCH, 0)), None);
    assert_eq!(items(&change(&mut stranger).await.unwrap()), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn readers_are_counted_at_most_once_a_second_and_only_when_the_number_changed() {
    let channel = channel();
    let mut viewer = join(&channel, 0);
    assert!(comes_nothing(&mut viewer, BEAT_INTERVAL_MS - 1).await);
    assert_eq!(count(&mut viewer).await, 1, "the beat");
    let others: Vec<_> = (0..5).map(|_| join(&channel, 0)).collect();
    let begin = Instant::now();
    assert_eq!(count(&mut viewer).await, 6);
    drop(others);
    assert_eq!(count(&mut viewer).await, 1);
    assert!(begin.elapsed() >= Duration::from_millis(VIEWERS_INTERVAL_MS));
    drop(join(&channel, 0));
    assert!(comes_nothing(&mut viewer, BEAT_INTERVAL_MS - 10).await);
}

#[tokio::test(start_paused = true)]
async fn a_reader_count_from_before_does_not_reach_those_who_come_later() {
    let channel = channel();
    let mut first = join(&channel, 0);
    let _second = join(&channel, 0);
    assert_eq!(count(&mut first).await, 2);
    channel.publish(1, None, vec![remove("1")]);
    change(&mut first).await.unwrap();
    let mut third = join(&channel, 0);
    let Next::Frame { seq, .. } = third.next().await else {
        panic!("closed");
    };
    assert_eq!(seq, Some(1));
    assert_eq!(count(&mut third).await, 3);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_grows_while_it_waits_is_sent_once() {
    let channel = channel();
    let mut viewer = join(&channel, 0);
    channel.publish(1, None, vec![remove("x")]);
    change(&mut viewer).await.unwrap();
    channel.publish(2, None, vec![put("a", "o", true), put("b", "b", true)]);
    channel.publish(3, None, vec![put("a", "on", false)]);
    channel.publish(4, None, vec![put("a", "one", false)]);
    let ops = change(&mut viewer).await.unwrap().ops.unwrap();
    assert_eq!(ops, [put("a", "one", true), put("b", "b", true)]);
    channel.publish(5, None, vec![put("a", "1", false), remove("a")]);
    channel.publish(6, None, vec![put("a", "2", false)]);
    let ops = change(&mut viewer).await.unwrap().ops.unwrap();
    assert_eq!(ops.len(), 3, "nothing moves over a removal");
}

#[tokio::test(start_paused = true)]
async fn what_is_too_much_for_a_frame_is_a_reload() {
    let channel = channel();
    let mut viewer = join(&channel, 0);
    channel.publish(1, None, vec![put("a", "a", true)]);
    change(&mut viewer).await.unwrap();
    let html = "x".repeat(FRAME_BYTES_MAX / 4);
    for seq in 2..8 {
        channel.publish(seq, None, vec![put(&seq.to_string(), &html, true)]);
    }
    let frame = change(&mut viewer).await.unwrap();
    assert_eq!((frame.seq, frame.ops), (Some(7), Some(vec![Op::Reload {}])));
    channel.publish(8, None, vec![put("a", "a", true)]);
    assert_eq!(items(&change(&mut viewer).await.unwrap()), ["a"]);
}

#[tokio::test]
async fn a_viewer_that_leaves_lets_go_of_its_task() {
    struct Flag(AtomicBool);
    impl std::task::Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let channel = channel();
    let mut viewer = join(&channel, 0);
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let waker = flag.clone().into();
    let mut context = std::task::Context::from_waker(&waker);
    for _ in 0..3 {
        assert!(viewer.poll_next(&mut context).is_pending());
    }
    assert_eq!(Arc::strong_count(&flag), 3, "listed once");
    drop(viewer);
    assert_eq!(Arc::strong_count(&flag), 2);
    assert!(!flag.0.load(Ordering::Relaxed));
}

#[test]
fn a_place_in_a_channel_is_small() {
    assert!(size_of::<Subscription>() + size_of::<Seat>() <= 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sleeper_is_woken_by_every_frame() {
    let channel = channel();
    let viewers: Vec<_> = (0..500)
        .map(|_| {
            let mut viewer = join(&channel, 0);
            tokio::spawn(async move {
                let mut seen = BTreeSet::new();
                while let Ok(frame) = change(&mut viewer).await {
                    seen.extend(items(&frame));
                }
                seen.len()
            })
        })
        .collect();
    let mut first = join(&channel, 0);
    for seq in 1..=100 {
        channel.publish(seq, None, vec![remove(&seq.to_string())]);
        if seq % 10 == 0 {
            while change(&mut first).await.unwrap().seq != Some(seq) {}
        }
    }
    channel.close(Audience::Everyone, CloseCode::GoingAway);
    for viewer in viewers {
        assert_eq!(viewer.await.unwrap(), 100);
    }
}

/// An outlet that writes down what went, and takes only part of a frame when its room is used up.
#[derive(Default)]
struct Pipe {
    went: Mutex<Vec<Frame>>,
    room: AtomicUsize,
    /// A frame was begun and is for the task to finish.
    is_unfinished: AtomicBool,
    /// The task writes.
    is_taken: AtomicBool,
    /// Times that something was written into something else.
    faults: AtomicUsize,
}

impl Pipe {
    fn with_room(frames: usize) -> Arc<Self> {
        let pipe = Self::default();
        pipe.room.store(frames, Ordering::Relaxed);
        Arc::new(pipe)
    }

    fn write(&self, frame: &[u8]) {
        if self.is_unfinished.load(Ordering::SeqCst) {
            self.faults.fetch_add(1, Ordering::Relaxed);
        }
        let frame = Frame::decode(frame).unwrap();
        self.went.lock().unwrap().push(frame);
    }

    /// The changes that went.
    fn items(&self) -> Vec<String> {
        self.went.lock().unwrap().iter().flat_map(items).collect()
    }

    /// What a task does in its turn, in two steps as on a socket that is full.
    async fn in_turn(&self, write: impl FnOnce(&Self)) {
        self.is_taken.store(true, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.is_unfinished.store(false, Ordering::SeqCst);
        write(self);
        self.is_taken.store(false, Ordering::SeqCst);
    }
}

impl Outlet for Pipe {
    fn offer(&self, frame: &EncodedFrame) -> bool {
        if self.is_taken.load(Ordering::SeqCst) {
            self.faults.fetch_add(1, Ordering::Relaxed);
        }
        self.write(frame);
        let room = self.room.load(Ordering::Relaxed);
        self.room.store(room.saturating_sub(1), Ordering::Relaxed);
        self.is_unfinished.store(room == 0, Ordering::SeqCst);
        room > 0
    }
}

/// Counts how often a task was woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl std::task::Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sends a change as a frame of its own, and waits until all have been served.
async fn bring(channel: &Channel, seq: Seq) {
    channel.publish(seq, None, vec![remove(&seq.to_string())]);
    tokio::time::sleep(Duration::from_millis(JOIN_WINDOW_MS + 10)).await;
}

#[tokio::test(start_paused = true)]
async fn frames_go_past_a_task_that_sleeps() {
    let channel = channel();
    let mut viewer = join(&channel, 0);
    let (pipe, wakes) = (Pipe::with_room(usize::MAX), Arc::new(Wakes::default()));
    viewer.send_through(pipe.clone());
    let waker = wakes.clone().into();
    let mut context = std::task::Context::from_waker(&waker);
    bring(&channel, 1).await;
    assert!(pipe.items().is_empty(), "it does not sleep yet");
    let Poll::Ready(Next::Frame { seq: Some(1), .. }) = viewer.poll_next(&mut context) else {
        panic!("the task's own turn");
    };
    assert!(viewer.poll_next(&mut context).is_pending());
    bring(&channel, 2).await;
    bring(&channel, 3).await;
    assert_eq!(
        (pipe.items(), wakes.count()),
        (vec!["2".into(), "3".into()], 0)
    );
    assert!(viewer.poll_next(&mut context).is_pending());
    channel.close(Audience::Everyone, CloseCode::Frozen);
    bring(&channel, 4).await;
    assert_eq!(wakes.count(), 1);
    assert_eq!(
        viewer.poll_next(&mut context),
        Poll::Ready(Next::Close(CloseCode::Frozen))
    );
}

#[tokio::test(start_paused = true)]
async fn what_goes_only_in_part_is_for_the_task() {
    let channel = channel();
    let mut viewer = join(&channel, 0);
    let (pipe, wakes) = (Pipe::with_room(1), Arc::new(Wakes::default()));
    viewer.send_through(pipe.clone());
    let waker = wakes.clone().into();
    let mut context = std::task::Context::from_waker(&waker);
    assert!(viewer.poll_next(&mut context).is_pending());
    for seq in 1..=4 {
        bring(&channel, seq).await;
    }
    assert_eq!(pipe.items(), ["1", "2"], "the second in part");
    assert_eq!(
        wakes.count(),
        1,
        "once, and left alone until it sleeps again"
    );
    assert_eq!(viewer.poll_next(&mut context), Poll::Ready(Next::Rest));
    pipe.is_unfinished.store(false, Ordering::SeqCst);
    pipe.room.store(usize::MAX, Ordering::Relaxed);
    for wanted in ["3", "4"] {
        assert_eq!(items(&change(&mut viewer).await.unwrap()), [wanted]);
    }
    assert!(viewer.poll_next(&mut context).is_pending());
    bring(&channel, 5).await;
    assert_eq!(pipe.items(), ["1", "2", "5"]);
    assert_eq!(pipe.faults.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_past_a_task_that_is_busy_and_only_an_end_wakes_it() {
    let channel = channel();
    let mut viewer = join(&channel, 0);
    let (pipe, wakes) = (Pipe::with_room(usize::MAX), Arc::new(Wakes::default()));
    viewer.send_through(pipe.clone());
    let waker = wakes.clone().into();
    let mut context = std::task::Context::from_waker(&waker);
    assert!(viewer.poll_next(&mut context).is_pending());
    {
        let mut busy = pin!(viewer.attend(|| 0, std::future::pending::<()>()));
        assert!(busy.as_mut().poll(&mut context).is_pending());
        bring(&channel, 1).await;
        assert_eq!((pipe.items(), wakes.count()), (vec![], 0));
        channel.close(Audience::Anonymous, CloseCode::SignIn);
        bring(&channel, 2).await;
        assert_eq!((pipe.items(), wakes.count()), (vec![], 1));
        let cut = busy.as_mut().poll(&mut context);
        assert_eq!(cut, Poll::Ready(Err(CloseCode::SignIn)));
    }
    assert_eq!(viewer.next().await, Next::Close(CloseCode::SignIn));
    drop(viewer);
    assert_eq!(Arc::strong_count(&pipe), 1, "nobody else can write");
}

/// Frames of their own from another thread, tasks that are busy at random, sockets that are full at random: what goes to a viewer, by whichever way, goes
/// whole, once and in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_two_ways_of_a_frame_never_cross() {
    // So few that the ring holds all of them, however slow the machine is.
    const CHANGES: Seq = 3_000;
    let channel = channel();
    let viewers: Vec<_> = (0..40)
        .map(|viewer| tokio::spawn(busy(channel.clone(), viewer)))
        .collect();
    while channel.viewers() < 40 {
        tokio::task::yield_now().await;
    }
    let writer = {
        let channel = channel.clone();
        std::thread::spawn(move || {
            for seq in 1..=CHANGES {
                let frame = Frame {
                    seq: Some(seq),
                    ops: Some(vec![remove(&seq.to_string())]),
                    ..Frame::default()
                };
                channel.0.send(Some(seq), frame.encode());
                std::thread::yield_now();
            }
            channel.close(Audience::Everyone, CloseCode::GoingAway);
        })
    };
    let wanted: Vec<String> = (1..=CHANGES).map(|seq| seq.to_string()).collect();
    let mut past = 0;
    for viewer in viewers {
        let (pipe, by_task) = viewer.await.unwrap();
        assert_eq!(pipe.faults.load(Ordering::Relaxed), 0);
        assert!(pipe.items() == wanted);
        past += CHANGES as usize - by_task;
    }
    writer.join().unwrap();
    assert!(past > 0, "some went past their tasks");
}

/// A viewer's task until the end, with what went to the viewer, and how much of it went by the task.
async fn busy(channel: Channel, viewer: u64) -> (Arc<Pipe>, usize) {
    let mut random = viewer * 7919 + 1;
    let mut subscription = join(&channel, 0);
    let pipe = Pipe::with_room(3);
    subscription.send_through(pipe.clone());
    let mut by_task = 0;
    loop {
        let pause = tokio::time::sleep(Duration::from_micros(random >> 55));
        tokio::select! {
            biased;
            next = subscription.next() => match next {
                Next::Frame { text, .. } => {
                    by_task += items(&Frame::decode(&text).unwrap()).len();
                    subscription.attend(|| 0, pipe.in_turn(|pipe| pipe.write(&text))).await.unwrap();
                }
                Next::Rest => {
                    random = random.wrapping_mul(6364136223846793005).wrapping_add(1);
                    let room = (random >> 59) as usize;
                    let finish = pipe.in_turn(|pipe| pipe.room.store(room, Ordering::Relaxed));
                    subscription.attend(|| 0, finish).await.unwrap();
                }
                Next::Close(code) => {
                    assert_eq!(code, CloseCode::GoingAway);
                    return (pipe, by_task);
                }
            },
            // A ping is due.
            () = pause => subscription.attend(|| 0, pipe.in_turn(|_| {})).await.unwrap(),
        }
    }
}
