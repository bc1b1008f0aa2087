//! Fan-out: what a share's readers get, encoded once, and each reader's place in it.
//!
//! A [`Channel`] takes operations, joins what comes at short intervals, and keeps recent frames in a ring. A [`Subscription`] is a place in the
//! ring, a few words large: no queue of its own, so a viewer that stops reading holds nothing but its socket. When a frame comes, a walk goes through all
//! viewers and gives it to the [`Outlet`] of each whose task sleeps; only a task that has something to do of its own is woken. Knows no socket, no page
//! and no sign-in: the server decides who may subscribe and writes the frames.

mod desk;
mod ring;
mod seat;

use std::{
    collections::BTreeMap,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use readalong_model::{Seq, Timestamp};
use tokio::{
    runtime::Handle,
    sync::Notify,
    task::yield_now,
    time::{Instant, Sleep},
};

pub use self::seat::Outlet;
use self::{
    desk::Desk,
    ring::{Closing, Place, Ring},
    seat::Seat,
};
use crate::protocol::{
    BEAT_INTERVAL_MS, CloseCode, EncodedFrame, Frame, Hello, JOIN_WINDOW_MS, Op, PROTOCOL_VERSION,
    Reset, SEND_TIMEOUT_MS, VIEWERS_INTERVAL_MS, VIEWERS_PER_INTERVAL,
};

/// Viewers who come one after the other and sit in one row, which one task goes through. More tasks would hinder each other, and those who read, on a few
/// cores; fewer would leave cores idle where a chat has very many viewers.
const ROW_VIEWERS: u64 = 1_000;
/// Rows of viewers: more cores than this are seldom there for one chat.
const ROWS: usize = 16;
/// Viewers that are served before others run: about a millisecond. At each pause the runtime asks the kernel what else there is.
const SERVED_AT_ONCE: usize = 200;

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
        text: EncodedFrame,
    },
    /// The outlet took only part of a frame: the rest is to be sent before anything else.
    Rest,
    /// The end: nothing more comes.
    Close(CloseCode),
}

/// A viewer's place in a channel. Dropping it ends the viewer.
pub struct Subscription {
    channel: Channel,
    seat: Arc<Seat>,
    /// The viewer's number: how many came before it.
    number: u64,
}

struct Shared {
    epoch: String,
    runtime: Handle,
    viewers: AtomicU32,
    ring: RwLock<Ring>,
    desk: Mutex<Desk>,
    rows: [Mutex<Row>; ROWS],
    emptied: Notify,
}

/// Some of the viewers, by their numbers.
#[derive(Default)]
struct Row {
    seats: BTreeMap<u64, Arc<Seat>>,
    walk: Walk,
}

/// Whether a task goes through a row.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Walk {
    #[default]
    Rests,
    /// It goes, and whom it has passed needs nothing.
    Goes,
    /// Something has come since it began.
    GoesAgain,
}

impl Channel {
    /// A channel whose share stands at a number of the log. Viewers with a place before `known_from` are [`Standing::Behind`], also where nothing was sent
    /// since: what they lack will not all be sent. Timers run on the runtime.
    pub fn new(
        runtime: Handle,
        epoch: &str,
        (seq, known_from): (Seq, Seq),
        last_at: Option<Timestamp>,
    ) -> Self {
        Self(Arc::new(Shared {
            epoch: epoch.to_owned(),
            runtime,
            viewers: AtomicU32::new(0),
            ring: RwLock::new(Ring {
                floor: seq.max(known_from),
                ..Ring::default()
            }),
            desk: Mutex::new(Desk::new(seq, last_at)),
            rows: std::array::from_fn(|_| Mutex::default()),
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
        let number = desk.subscribed;
        desk.subscribed += 1;
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
            closings_seen: closed.unwrap_or(ring.closings.len()) as u32,
            session,
        };
        let seat = Arc::new(Seat::new(place));
        // Before the ring can change: the walk that follows finds the viewer.
        self.0
            .row(row_of(number))
            .seats
            .insert(number, seat.clone());
        drop(ring);
        let subscription = Subscription {
            channel: self.clone(),
            seat,
            number,
        };
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
        }
        drop(desk);
        self.0.serve_all();
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

    fn row(&self, row: usize) -> MutexGuard<'_, Row> {
        self.rows[row]
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

    fn send(self: &Arc<Self>, seq: Option<Seq>, text: EncodedFrame) {
        {
            let mut ring = self.ring_mut();
            let is_watched = self.viewers.load(Ordering::Relaxed) > 0;
            ring.push(seq, text, is_watched);
        }
        self.serve_all();
    }

    /// Has all viewers served, on the runtime: whoever changed the ring does not wait for that.
    fn serve_all(self: &Arc<Self>) {
        for index in 0..ROWS {
            let mut row = self.row(index);
            row.walk = match row.walk {
                Walk::Rests if row.seats.is_empty() => Walk::Rests,
                Walk::Rests => {
                    self.runtime.spawn(walk(self.clone(), index));
                    Walk::Goes
                }
                Walk::Goes | Walk::GoesAgain => Walk::GoesAgain,
            };
        }
    }
}

/// The row of the viewer with a number.
fn row_of(viewer: u64) -> usize {
    (viewer / ROW_VIEWERS) as usize % ROWS
}

/// Serves the viewers of a row, until nothing has come since the first of them was served.
async fn walk(shared: Arc<Shared>, row: usize) {
    let mut next = 0;
    let mut served = Vec::with_capacity(SERVED_AT_ONCE);
    loop {
        if !shared.row(row).take(&mut next, &mut served) {
            return;
        }
        for seat in served.drain(..) {
            seat.serve(&shared.ring);
        }
        yield_now().await;
    }
}

impl Row {
    /// Takes the seats that are served next, from a number on; false where the walk is at its end.
    fn take(&mut self, next: &mut u64, seats: &mut Vec<Arc<Seat>>) -> bool {
        let following = self.seats.range(*next..).take(SERVED_AT_ONCE);
        for (number, seat) in following {
            seats.push(seat.clone());
            *next = number + 1;
        }
        if seats.is_empty() {
            *next = 0;
            self.walk = match self.walk {
                Walk::GoesAgain => Walk::Goes,
                Walk::Goes | Walk::Rests => Walk::Rests,
            };
        }
        self.walk != Walk::Rests
    }
}

impl Subscription {
    /// The first frame for the viewer.
    pub fn hello(&self) -> EncodedFrame {
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
    pub fn reset(&self) -> EncodedFrame {
        let reset = Reset {
            epoch: self.channel.0.epoch.clone(),
            seq: self.seq(),
        };
        let frame = Frame {
            reset: Some(reset),
            ..Frame::default()
        };
        frame.encode()
    }

    /// The second frame for a viewer who is [`Standing::Behind`]: what changed since its number.
    pub fn catch_up(&self, ops: Vec<Op>) -> EncodedFrame {
        let frame = Frame {
            seq: Some(self.seq()),
            ops: Some(ops),
            ..Frame::default()
        };
        frame.encode()
    }

    /// The number that hello's successors begin after: for [`Standing::Behind`] the one that `catch_up` brings the viewer to.
    pub fn seq(&self) -> Seq {
        self.seat.after()
    }

    /// From now on frames go to an outlet while the viewer's task waits for the next one. What the task itself sends, it sends within
    /// [`Subscription::attend`] or after the subscription was dropped: then nothing else is sent.
    pub fn send_through(&self, outlet: Arc<dyn Outlet>) {
        self.seat.set_outlet(outlet);
    }

    /// Waits for the next frame or the end. May be dropped at any time, as in a `select!`: nothing is lost.
    pub async fn next(&mut self) -> Next {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// As [`Subscription::next`], for those who poll by hand.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        self.seat.poll_next(&self.channel.0.ring, context)
    }

    /// Does something for the viewer, such as sending a frame, that is given up when the viewer's connection is to be closed, has fallen behind, or
    /// stands still for [`SEND_TIMEOUT_MS`]: `taken` says how many bytes it took by now.
    ///
    /// # Errors
    ///
    /// The code to close with, where it was given up.
    pub async fn attend<F: Future>(
        &mut self,
        taken: impl Fn() -> u64,
        action: F,
    ) -> Result<F::Output, CloseCode> {
        self.seat.wake();
        let mut action = pin!(action);
        let mut patience: Option<(Pin<Box<Sleep>>, u64)> = None;
        poll_fn(|context| {
            if let Poll::Ready(output) = action.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            if let Poll::Ready(code) = self.seat.poll_cut(&self.channel.0.ring, context) {
                return Poll::Ready(Err(code));
            }
            let (timeout, by_now) = (Duration::from_millis(SEND_TIMEOUT_MS), taken());
            let (sleep, before) =
                patience.get_or_insert_with(|| (Box::pin(tokio::time::sleep(timeout)), by_now));
            if std::mem::replace(before, by_now) != by_now {
                sleep.as_mut().reset(Instant::now() + timeout);
            }
            sleep.as_mut().poll(context).map(|()| Err(CloseCode::Slow))
        })
        .await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let shared = &self.channel.0;
        shared.row(row_of(self.number)).seats.remove(&self.number);
        self.seat.leave();
        let mut desk = shared.desk();
        if shared.viewers.fetch_sub(1, Ordering::Relaxed) == 1 {
            shared.emptied.notify_waiters();
        }
        self.channel.count_soon(&mut desk);
    }
}

#[cfg(test)]
mod tests;
