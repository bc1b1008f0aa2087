//! Fan-out: what a share's readers get, encoded once, and each reader's place in it.
//!
//! A [`Channel`] takes operations, joins what comes at short intervals, and keeps recent frames in a ring. A [`Subscription`] is a place in the
//! ring, a few words large: no queue of its own, so a viewer that stops reading holds nothing but its socket. Knows no socket, no page and
//! no sign-in: the server decides who may subscribe and writes the frames.

mod desk;
mod ring;

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use readalong_model::{Seq, Timestamp};
use tokio::{
    runtime::Handle,
    sync::Notify,
    time::{Instant, Sleep},
};

use self::{
    desk::Desk,
    ring::{Closing, Place, Ring},
};
use crate::protocol::{
    BEAT_INTERVAL_MS, CloseCode, Frame, Hello, JOIN_WINDOW_MS, Op, PROTOCOL_VERSION, Reset,
    SEND_TIMEOUT_MS, VIEWERS_INTERVAL_MS, VIEWERS_PER_INTERVAL,
};

/// Lists of sleeping viewers. Several, so that worker threads do not wait for each other; more than a few bring nothing.
const LISTS: usize = 16;
/// Viewers that are woken before they run: more would not fit into a worker's queue, and what one of them needs would have left the processor's cache.
const WOKEN_AT_ONCE: usize = 64;

/// The stream of one share. A handle: clones are the same channel.
#[derive(Clone)]
pub struct Channel(Arc<Shared>);

/// Where a viewer stands that comes with an epoch and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// What it lacks comes from the subscription.
    Joined,
    /// It lacks what the ring has not any more. It gets [`Subscription::catch_up`] with what changed after its number, or [`Subscription::reset`].
    Behind,
    /// Its place is of no use: it gets [`Subscription::reset`].
    Lost,
}

/// Whose connections a close ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All; nobody comes in after them.
    Everyone,
    /// Those who subscribed without a session.
    Anonymous,
    /// Those of one session.
    Session(u64),
}

/// What a subscription gives next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// A frame to be sent.
    Frame {
        /// The number that it brings the viewer to; a reader count has none.
        seq: Option<Seq>,
        /// The frame, shared by all viewers.
        text: Bytes,
    },
    /// The end: nothing more comes.
    Close(CloseCode),
}

/// A viewer's place in a channel. Dropping it ends the viewer.
pub struct Subscription {
    channel: Channel,
    place: Place,
    list: u32,
    /// The place in the list of sleepers, valid in that round of the list.
    slot: u32,
    round: u64,
}

struct Shared {
    epoch: String,
    runtime: Handle,
    /// Counts changes of `ring`; a sleeper that has seen them all need not look.
    version: AtomicU64,
    viewers: AtomicU32,
    ring: RwLock<Ring>,
    desk: Mutex<Desk>,
    sleepers: [Mutex<Sleepers>; LISTS],
    emptied: Notify,
}

#[derive(Default)]
struct Sleepers {
    round: u64,
    wakers: Vec<Waker>,
}

impl Channel {
    /// A channel whose share stands at a number of the log. Timers run on the runtime.
    pub fn new(runtime: Handle, epoch: &str, seq: Seq, last_at: Option<Timestamp>) -> Self {
        Self(Arc::new(Shared {
            epoch: epoch.to_owned(),
            runtime,
            version: AtomicU64::new(0),
            viewers: AtomicU32::new(0),
            ring: RwLock::new(Ring {
                floor: seq,
                ..Ring::default()
            }),
            desk: Mutex::new(Desk::new(seq, last_at)),
            sleepers: std::array::from_fn(|_| Mutex::default()),
            emptied: Notify::new(),
        }))
    }

    /// Takes what changed up to a number of the log, for all viewers. May be called from any thread, in order of the numbers, and does not wait for
    /// anybody. Without operations it only says that the share stands there now. `at` is the time of the chat's last message where that is new.
    pub fn publish(&self, seq: Seq, at: Option<Timestamp>, ops: Vec<Op>) {
        let mut desk = self.0.desk();
        desk.head = desk.head.max(seq);
        if at.is_some() {
            desk.last_at = at;
            desk.ops_at = at;
        }
        if ops.is_empty() {
            return;
        }
        for op in ops {
            desk.put(op);
        }
        if desk.is_flush_due {
            return;
        }
        let window = Duration::from_millis(JOIN_WINDOW_MS);
        match desk.flushed_at.map(|at| at + window) {
            Some(due) if due > Instant::now() => {
                desk.is_flush_due = true;
                self.later(due, |shared| shared.flush(&mut shared.desk()));
            }
            _ => self.0.flush(&mut desk),
        }
    }

    /// Adds a viewer. `place` is the epoch and number that it comes with, `session` what [`Audience::Session`] finds it by.
    ///
    /// Pages and [`Standing::Behind`] join the stream without a gap if the caller holds the lock under which it also changes the book and publishes.
    pub fn subscribe(
        &self,
        place: Option<(&str, Seq)>,
        session: Option<u64>,
    ) -> (Subscription, Standing) {
        let mut desk = self.0.desk();
        let viewers = self.0.viewers.fetch_add(1, Ordering::Relaxed) + 1;
        desk.subscribed = desk.subscribed.wrapping_add(1);
        let ring = self.0.ring();
        let standing = match place {
            Some((epoch, after)) if epoch == self.0.epoch && after <= desk.head => {
                if after >= ring.floor {
                    Standing::Joined
                } else {
                    Standing::Behind
                }
            }
            _ => Standing::Lost,
        };
        let after = match (standing, place) {
            (Standing::Joined, Some((_, after))) => after,
            _ => desk.head,
        };
        let closed = ring
            .closings
            .iter()
            .position(|closing| closing.whom == Audience::Everyone);
        let place = Place {
            next: ring.place_after(after),
            counts_from: ring.end(),
            after,
            seen: u64::MAX,
            closings_seen: closed.unwrap_or(ring.closings.len()) as u32,
            session,
        };
        let subscription = Subscription {
            channel: self.clone(),
            place,
            list: desk.subscribed % LISTS as u32,
            slot: 0,
            round: 0,
        };
        drop(ring);
        // Its own hello tells a first viewer that it is alone.
        if viewers == 1 {
            desk.viewers_told = 1;
        }
        self.count_soon(&mut desk);
        if !desk.has_beat {
            desk.has_beat = true;
            self.beat_later();
        }
        (subscription, standing)
    }

    /// Ends the connections of some or all viewers. What was published before is still sent; but where the code says that they may see no more, it ends at
    /// once, also for a viewer that does not read.
    pub fn close(&self, whom: Audience, code: CloseCode) {
        let mut desk = self.0.desk();
        if !code.is_final_at_once() {
            self.0.flush(&mut desk);
        }
        {
            let mut ring = self.0.ring_mut();
            let before = ring.end();
            ring.closings.push(Closing { whom, code, before });
            if whom == Audience::Everyone && code.is_final_at_once() {
                ring.clear(desk.head);
                desk.clear();
            }
            self.0.version.fetch_add(1, Ordering::Release);
        }
        drop(desk);
        self.0.wake();
    }

    /// How many viewers there are.
    pub fn viewers(&self) -> u32 {
        self.0.viewers.load(Ordering::Relaxed)
    }

    /// The last number that was published.
    pub fn seq(&self) -> Seq {
        self.0.desk().head
    }

    /// Waits until no viewer is left; for an orderly end after [`Channel::close`].
    pub async fn emptied(&self) {
        loop {
            let emptied = self.0.emptied.notified();
            if self.viewers() == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// Does something later, unless the channel is gone by then.
    fn later(&self, due: Instant, action: impl FnOnce(&Arc<Shared>) + Send + 'static) {
        let shared = Arc::downgrade(&self.0);
        self.0.runtime.spawn(async move {
            tokio::time::sleep_until(due).await;
            if let Some(shared) = shared.upgrade() {
                action(&shared);
            }
        });
    }

    /// Sends the reader count when the time for it has come.
    fn count_soon(&self, desk: &mut Desk) {
        if desk.is_count_due || self.viewers() == desk.viewers_told {
            return;
        }
        let intervals = 1 + u64::from(self.viewers()) / VIEWERS_PER_INTERVAL;
        let pause = Duration::from_millis(VIEWERS_INTERVAL_MS * intervals.min(10));
        let now = Instant::now();
        // Those who come together are told once.
        let soon = now + Duration::from_millis(JOIN_WINDOW_MS);
        let due = desk
            .viewers_told_at
            .map_or(soon, |at| (at + pause).max(soon));
        desk.is_count_due = true;
        self.later(due, |shared| {
            let mut desk = shared.desk();
            desk.is_count_due = false;
            match shared.viewers.load(Ordering::Relaxed) {
                0 => desk.viewers_told = 0,
                viewers if viewers != desk.viewers_told => shared.tell_viewers(&mut desk),
                _ => {}
            }
        });
    }

    /// Sends the reader count where nothing was sent for long, as long as there are viewers.
    fn beat_later(&self) {
        let shared = Arc::downgrade(&self.0);
        self.0.runtime.spawn(beat(shared));
    }
}

async fn beat(channel: Weak<Shared>) {
    let interval = Duration::from_millis(BEAT_INTERVAL_MS);
    let mut due = Instant::now() + interval;
    loop {
        tokio::time::sleep_until(due).await;
        let Some(shared) = channel.upgrade() else {
            return;
        };
        let mut desk = shared.desk();
        if shared.viewers.load(Ordering::Relaxed) == 0 {
            desk.has_beat = false;
            return;
        }
        let sent_at = shared.ring().frames.back().map(|kept| kept.at);
        let now = Instant::now();
        due = match sent_at.map(|at| at + interval) {
            Some(due) if due > now => due,
            _ => {
                shared.tell_viewers(&mut desk);
                now + interval
            }
        };
    }
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) -> RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring_mut(&self) -> RwLockWriteGuard<'_, Ring> {
        self.ring.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleepers(&self, list: u32) -> MutexGuard<'_, Sleepers> {
        self.sleepers[list as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what is on the desk as one frame.
    fn flush(self: &Arc<Self>, desk: &mut Desk) {
        if let Some(frame) = desk.take() {
            self.send(frame.seq, frame.encode());
        }
    }

    fn tell_viewers(self: &Arc<Self>, desk: &mut Desk) {
        let viewers = self.viewers.load(Ordering::Relaxed);
        desk.viewers_told = viewers;
        desk.viewers_told_at = Some(Instant::now());
        let frame = Frame {
            viewers: Some(viewers),
            ..Frame::default()
        };
        self.send(None, frame.encode());
    }

    fn send(self: &Arc<Self>, seq: Option<Seq>, text: Bytes) {
        {
            let mut ring = self.ring_mut();
            let is_watched = self.viewers.load(Ordering::Relaxed) > 0;
            ring.push(seq, text, is_watched);
            self.version.fetch_add(1, Ordering::Release);
        }
        self.wake();
    }

    /// Wakes all sleepers, on the runtime: a publisher does not wait for that, and waking is cheaper there.
    fn wake(self: &Arc<Self>) {
        let shared = self.clone();
        self.runtime.spawn(async move {
            for list in 0..LISTS as u32 {
                let mut wakers = shared.sleepers(list).take().into_iter();
                while wakers.len() > 0 {
                    wakers.by_ref().take(WOKEN_AT_ONCE).for_each(Waker::wake);
                    let_others_run().await;
                }
            }
        });
    }
}

/// Waits until the tasks have run that were woken before.
async fn let_others_run() {
    let mut has_waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        // The task goes to the end of its worker's queue.
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Sleepers {
    fn take(&mut self) -> Vec<Waker> {
        self.round += 1;
        let empty = Vec::with_capacity(self.wakers.len());
        std::mem::replace(&mut self.wakers, empty)
    }
}

impl Subscription {
    /// The first frame for the viewer.
    pub fn hello(&self) -> Bytes {
        let desk = self.channel.0.desk();
        let hello = Hello {
            protocol: PROTOCOL_VERSION,
            epoch: self.channel.0.epoch.clone(),
            seq: desk.head,
            viewers: self.channel.viewers(),
            at: desk.last_at,
        };
        drop(desk);
        let frame = Frame {
            hello: Some(hello),
            ..Frame::default()
        };
        frame.encode()
    }

    /// The second frame for a viewer who has to fetch its page again.
    pub fn reset(&self) -> Bytes {
        let reset = Reset {
            epoch: self.channel.0.epoch.clone(),
            seq: self.place.after,
        };
        let frame = Frame {
            reset: Some(reset),
            ..Frame::default()
        };
        frame.encode()
    }

    /// The second frame for a viewer who is [`Standing::Behind`]: what changed since its number.
    pub fn catch_up(&self, ops: Vec<Op>) -> Bytes {
        let frame = Frame {
            seq: Some(self.place.after),
            ops: Some(ops),
            ..Frame::default()
        };
        frame.encode()
    }

    /// The number that hello's successors begin after: for [`Standing::Behind`] the one that `catch_up` brings the viewer to.
    pub fn seq(&self) -> Seq {
        self.place.after
    }

    /// Waits for the next frame or the end. May be dropped at any time, as in a `select!`: nothing is lost.
    pub async fn next(&mut self) -> Next {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// As [`Subscription::next`], for those who poll by hand.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        loop {
            if self.sleep(context) {
                return Poll::Pending;
            }
            let shared = &self.channel.0;
            if let Some(next) = self.place.take(&shared.ring(), &shared.version) {
                return Poll::Ready(next);
            }
        }
    }

    /// Does something for the viewer, such as sending a frame, that is given up when the viewer's connection is to be closed, has fallen behind, or
    /// stands still for [`SEND_TIMEOUT_MS`].
    ///
    /// # Errors
    ///
    /// The code to close with, where it was given up.
    pub async fn attend<F: Future>(&mut self, action: F) -> Result<F::Output, CloseCode> {
        let mut action = pin!(action);
        let mut timeout: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|context| {
            if let Poll::Ready(output) = action.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            if let Some(code) = self.poll_cut(context) {
                return Poll::Ready(Err(code));
            }
            let timeout = timeout.get_or_insert_with(|| {
                Box::pin(tokio::time::sleep(Duration::from_millis(SEND_TIMEOUT_MS)))
            });
            timeout
                .as_mut()
                .poll(context)
                .map(|()| Err(CloseCode::Slow))
        })
        .await
    }

    /// The code where the viewer is to be cut in the middle of what it does; else wakes the task when the channel changes.
    fn poll_cut(&mut self, context: &mut Context<'_>) -> Option<CloseCode> {
        loop {
            let version = self.channel.0.version.load(Ordering::Acquire);
            let cut = self.place.cut(&self.channel.0.ring());
            if cut.is_some() {
                return cut;
            }
            if self.sleep_unless_changed(context, version) {
                return None;
            }
        }
    }

    /// Sleeps where everything was given; false where there may be something.
    fn sleep(&mut self, context: &mut Context<'_>) -> bool {
        let seen = self.place.seen;
        self.channel.0.version.load(Ordering::Acquire) == seen
            && self.sleep_unless_changed(context, seen)
    }

    /// Puts the task on its list. Whoever changes the ring raises the version first and then empties the lists, so either this sees the change or that
    /// finds the task.
    fn sleep_unless_changed(&mut self, context: &mut Context<'_>, version: u64) -> bool {
        let mut sleepers = self.channel.0.sleepers(self.list);
        if self.channel.0.version.load(Ordering::Acquire) != version {
            return false;
        }
        let is_listed = self.round == sleepers.round + 1;
        match sleepers.wakers.get_mut(self.slot as usize) {
            Some(waker) if is_listed => waker.clone_from(context.waker()),
            _ => {
                self.round = sleepers.round + 1;
                self.slot = sleepers.wakers.len() as u32;
                sleepers.wakers.push(context.waker().clone());
            }
        }
        true
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let shared = &self.channel.0;
        {
            let mut sleepers = shared.sleepers(self.list);
            if self.round == sleepers.round + 1
                && let Some(waker) = sleepers.wakers.get_mut(self.slot as usize)
            {
                waker.clone_from(Waker::noop());
            }
        }
        let mut desk = shared.desk();
        if shared.viewers.fetch_sub(1, Ordering::Relaxed) == 1 {
            shared.emptied.notify_waiters();
        }
        self.channel.count_soon(&mut desk);
    }
}

#[cfg(test)]
mod tests;
