//! Live shares that somebody looks at: a book that grows with the log, and the channel that its viewers read from.
//!
//! A live share comes into memory when it is opened and leaves some time after the last viewer. What is committed reaches it in the order of the log:
//! the writer's thread puts events into its queue, and one worker at a time makes operations of them and publishes these. The book, the
//! pages and the places of viewers are under one lock, so nothing falls between a page and the stream that follows it.

mod library;
mod whole;

use std::{
    collections::HashMap,
    fs,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use readalong_live::{
    hub::{Audience, Channel, Standing, Subscription},
    protocol::{self, CloseCode, EncodedFrame, Op},
};
use readalong_model::{
    Change, ChatId, Digest, Event, Seq, Share, ShareId, ShareVisibility, Snapshot, Updates,
};
use readalong_render::{self as render, LiveBook, Moment, Page};
use readalong_store::{Reader, StoreError};
use tokio::{runtime::Handle, sync::OnceCell};

use self::{
    library::StoreLibrary,
    whole::{FolderOutput, Whole},
};
use crate::{
    auth::Caller,
    content::{Content, Packing, Source, Takes},
    gate::{self, Link},
    headers,
    limits::Limits,
    metrics::Metrics,
    packing::brotli,
    service::{Service, ServiceError},
    underway::Cut,
};

/// Events that wait for one share before their order is given up: its viewers are told to fetch their pages again.
const QUEUE_MAX: usize = 50_000;
/// Pages above this are packed before they are sent; below it nothing is gained.
const PACKED_BYTES_MIN: usize = 4 << 10;
/// How old a rendering of the whole chat may be that is served for what no book has: other branches, threads, copies.
pub const WHOLE_AGE_MAX: Duration = Duration::from_secs(5);
/// Live shares without a viewer that may stay in memory for as long as the limit says.
const UNWATCHED_MAX: usize = 64;
/// How long they stay where there are more, as when a robot opens one after the other.
const IDLE_WHERE_MANY: Duration = Duration::from_secs(5);
/// Sweeps between two looks at whether sign-ins have run out.
const CHECK_RIGHTS_EVERY: u64 = 10;

/// All live shares that are in memory.
pub(crate) struct LiveShares {
    open: Mutex<HashMap<ShareId, Arc<LiveShare>>>,
    idle: Duration,
    page_cache_bytes: usize,
    metrics: Arc<Metrics>,
    sweeps: AtomicU64,
    begun: Instant,
}

/// One live share.
pub(crate) struct LiveShare {
    chat: ChatId,
    link: Link,
    /// The record as the log has it now.
    share: Mutex<Arc<Share>>,
    /// Where the book stands.
    seq: AtomicU64,
    /// The last event that it was told of.
    heard: AtomicU64,
    line: OnceCell<Line>,
    book: Mutex<Option<Bound>>,
    queue: Mutex<Queue>,
    pages: Mutex<Pages>,
    whole: tokio::sync::Mutex<Option<Arc<Whole>>>,
    /// Who watches with a sign-in, so that it can be asked for again.
    signed_in: Mutex<HashMap<u64, Box<HeaderMap>>>,
    next_session: AtomicU64,
    /// When it was last used, in milliseconds since the table was made.
    used_at_ms: AtomicU64,
    /// How it ended for everybody, once it has.
    ended: OnceLock<CloseCode>,
    metrics: Arc<Metrics>,
}

/// What a live share has once it is read.
struct Line {
    channel: Channel,
    runtime: Handle,
    service: Weak<Service>,
}

/// The book and where it stands in the log.
struct Bound {
    book: LiveBook,
    /// The record that the book was made for.
    share: Arc<Share>,
    seq: Seq,
    /// The last event that took something back or changed who may see what.
    owner_seq: Seq,
}

/// What was committed and is not in the book yet.
#[derive(Default)]
struct Queue {
    events: Vec<(Instant, Event)>,
    has_worker: bool,
    /// True where events were dropped because there were too many.
    is_broken: bool,
}

/// Pages as they are at one number of the log.
#[derive(Default)]
struct Pages {
    seq: Seq,
    pages: HashMap<String, Arc<LivePage>>,
    bytes: usize,
}

/// A page of a live share, rendered once.
pub(crate) struct LivePage {
    bytes: Bytes,
    sha256: Digest,
    media_type: &'static str,
    packed: OnceLock<Option<Bytes>>,
}

/// What is found in a live share under a name.
pub(crate) enum Found {
    /// A page or a file of the theme.
    Page(Arc<LivePage>),
    /// A file on disk.
    File(Content),
    /// An artifact, with the name under which it is kept.
    Artifact(Content, String),
}

/// The frames that stand before all others, with the numbers that they bring the viewer to.
type FirstFrames = Vec<(Option<Seq>, EncodedFrame)>;

/// A viewer who has come in.
pub(crate) struct Viewer {
    /// Forgets the viewer's sign-in when it is dropped.
    pub(crate) _session: SessionGuard,
    /// The frames that stand before all others, with the numbers that they bring the viewer to.
    pub(crate) first: FirstFrames,
    /// What comes after them.
    pub(crate) frames: Subscription,
}

impl LiveShares {
    pub(crate) fn new(limits: &Limits, metrics: Arc<Metrics>) -> Self {
        Self {
            open: Mutex::default(),
            idle: limits.idle_share,
            page_cache_bytes: limits.page_cache_bytes,
            metrics,
            sweeps: AtomicU64::new(0),
            begun: Instant::now(),
        }
    }

    /// The live share behind a link; its book is bound first where it is not in memory.
    ///
    /// # Errors
    /// The chat is gone or cannot be read or rendered.
    pub(crate) async fn open(
        &self,
        service: &Arc<Service>,
        share: &Arc<Share>,
        link: &Link,
    ) -> Result<Arc<LiveShare>, ServiceError> {
        let live = {
            let mut open = lock(&self.open);
            match open.get(&share.id) {
                Some(live) if live.ended.get().is_none() => live.clone(),
                _ => {
                    let new = LiveShare::new(share.clone(), link.clone(), self.metrics.clone());
                    let new = Arc::new(new);
                    // From here on it hears of what is committed, before it is read for the first time.
                    open.insert(share.id.clone(), new.clone());
                    new
                }
            }
        };
        live.used_at_ms.store(self.now_ms(), Ordering::Relaxed);
        if !live.line.initialized() {
            // As a task of its own: where the first who asks goes away, the others wait for the same book.
            let bound = tokio::spawn(live.clone().bind_once(service.clone()));
            bound.await.map_err(|_| ServiceError::Stopping)??;
        }
        match live.ended.get() {
            Some(code) => Err(ServiceError::Ended(*code)),
            None => {
                live.begin_work();
                Ok(live)
            }
        }
    }

    /// Takes in what was written, in log order, before whoever wrote it is told.
    pub(crate) fn on_commit(&self, events: &[Event]) {
        let open = lock(&self.open);
        if open.is_empty() {
            return;
        }
        let now = Instant::now();
        for live in open.values() {
            let ours = events.iter().filter(|event| event.chat == live.chat);
            live.take(ours, now);
        }
    }

    /// Asks for every sign-in again: one has ended.
    pub(crate) fn check_rights_of_all(&self, service: &Service) {
        for live in self.all() {
            live.check_rights(service);
        }
    }

    /// Sends those to the sign-in who are not signed in: nothing is public any more.
    pub(crate) fn end_public(&self) {
        for live in self.all() {
            if let Some(line) = live.line.get() {
                line.channel.close(Audience::Anonymous, CloseCode::SignIn);
            }
        }
    }

    /// Ends what has expired, lets go of what nobody looks at.
    pub(crate) fn sweep(&self, service: &Service) {
        let time = self.sweeps.fetch_add(1, Ordering::Relaxed);
        if time.is_multiple_of(CHECK_RIGHTS_EVERY) {
            self.check_rights_of_all(service);
        }
        let now_ms = self.now_ms();
        let mut unwatched = 0;
        for live in self.all() {
            live.check_life(service);
            match live.viewers() {
                0 => unwatched += 1,
                _ => live.used_at_ms.store(now_ms, Ordering::Relaxed),
            }
        }
        let idle_ms = match unwatched > UNWATCHED_MAX {
            true => IDLE_WHERE_MANY.as_millis() as u64,
            false => self.idle.as_millis() as u64,
        };
        let let_go = |_: &ShareId, live: &mut Arc<LiveShare>| {
            let is_idle = now_ms.saturating_sub(live.used_at_ms.load(Ordering::Relaxed)) > idle_ms;
            // Whoever holds it is just coming in.
            let is_held = Arc::strong_count(live) > 1 || live.viewers() > 0;
            live.ended.get().is_some() || (is_idle && !is_held)
        };
        let gone: Vec<_> = lock(&self.open).extract_if(let_go).collect();
        if !gone.is_empty() {
            // Their files go with them, which takes its time; nobody waits for that.
            tokio::task::spawn_blocking(move || drop(gone));
        }
    }

    /// Publishes what was committed and has not reached the books yet. May take long, and blocks.
    pub(crate) fn catch_up(&self, service: &Service) {
        for live in self.all() {
            drop(live.book_now(service));
        }
    }

    /// Sends all viewers away: the server stops. What was published before still reaches them.
    pub(crate) fn close_all(&self) {
        for live in self.all() {
            if let Some(line) = live.line.get() {
                line.channel
                    .close(Audience::Everyone, CloseCode::Restarting);
            }
        }
    }

    /// How many watch a share.
    pub(crate) fn readers(&self, id: &ShareId) -> usize {
        lock(&self.open)
            .get(id)
            .map_or(0, |live| live.viewers() as usize)
    }

    /// Viewers of all shares, and shares in memory.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let all = self.all();
        let viewers = all.iter().map(|live| u64::from(live.viewers())).sum();
        (viewers, all.len() as u64)
    }

    fn all(&self) -> Vec<Arc<LiveShare>> {
        lock(&self.open).values().cloned().collect()
    }

    fn now_ms(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }
}

impl LiveShare {
    fn new(share: Arc<Share>, link: Link, metrics: Arc<Metrics>) -> Self {
        Self {
            chat: share.chat.clone(),
            link,
            share: Mutex::new(share),
            line: OnceCell::new(),
            seq: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            book: Mutex::default(),
            // Until the book is there its builder is the worker.
            queue: Mutex::new(Queue {
                has_worker: true,
                ..Queue::default()
            }),
            pages: Mutex::default(),
            whole: tokio::sync::Mutex::default(),
            signed_in: Mutex::default(),
            next_session: AtomicU64::new(1),
            used_at_ms: AtomicU64::new(0),
            ended: OnceLock::new(),
            metrics,
        }
    }

    /// Reads the chat where nobody has done so yet.
    async fn bind_once(self: Arc<Self>, service: Arc<Service>) -> Result<(), ServiceError> {
        let bind = async || match self.ended.get() {
            Some(code) => Err(ServiceError::Ended(*code)),
            None => self.clone().bind(service).await,
        };
        let bound = self.line.get_or_try_init(bind).await.map(drop);
        if bound.is_err() {
            // Who waits beside it begins anew, too.
            self.end(CloseCode::Restarting);
        }
        bound
    }

    /// Reads the chat for the first time and opens the channel.
    async fn bind(self: Arc<Self>, service: Arc<Service>) -> Result<Line, ServiceError> {
        let runtime = Handle::current();
        let bind = move || {
            let bound = self.bound(&service)?;
            let at = bound.book.last_message_at();
            let place = (bound.seq, bound.book.known_from());
            let line = Line {
                channel: Channel::new(runtime.clone(), service.store.epoch(), place, at),
                runtime,
                service: Arc::downgrade(&service),
            };
            if bound.share.updates == Updates::Frozen {
                self.end(CloseCode::Frozen);
            }
            self.seq.store(bound.seq, Ordering::Release);
            *lock(&self.book) = Some(bound);
            // What was committed meanwhile waits in the queue.
            self.work(&service, &line.channel);
            Ok::<_, ServiceError>(line)
        };
        tokio::task::spawn_blocking(bind)
            .await
            .map_err(|_| ServiceError::Stopping)?
    }

    /// The chat as a book, as it is now.
    fn bound(&self, service: &Service) -> Result<Bound, ServiceError> {
        let store = &service.store;
        let known = self.share();
        // What the book reads is this event's state or a later one; what comes after it is in the queue.
        let now = store.last_seq();
        let (share, what, changed) = store.read(|reader| {
            let share = match self.link {
                Link::Share(_) => reader.share(&self.share().id)?.map(Arc::new),
                Link::Legacy(_) => Some(self.share()),
            };
            let share = share.ok_or(StoreError::NotFound)?;
            let chat = reader.chat(&self.chat)?.ok_or(StoreError::NotFound)?;
            let what = shown(reader, &share)?;
            Ok((share, what, chat.last_seq))
        })?;
        {
            // It may have changed before this was told of changes; what it was told is newer.
            let mut told = lock(&self.share);
            if Arc::ptr_eq(&told, &known) {
                *told = share.clone();
            }
        }
        // Whoever comes back after a restart, and whose chat did not change meanwhile, lacks nothing.
        let seq = now.min(changed);
        let library = StoreLibrary::new(store, &self.chat);
        let mut book = LiveBook::build(&service.renderer, &library, what, seq)?;
        // Reading takes its time, and others write meanwhile.
        let chat = store.read(|reader| reader.chat(&self.chat))?;
        book.read_ahead(chat.ok_or(StoreError::NotFound)?.last_seq);
        Ok(Bound {
            book,
            share,
            seq,
            owner_seq: seq,
        })
    }

    /// Puts what was committed into the queue. What ends rights does so at once.
    fn take<'a>(self: &Arc<Self>, events: impl Iterator<Item = &'a Event>, now: Instant) {
        for event in events {
            self.end_rights(event);
            let mut queue = lock(&self.queue);
            if queue.events.len() >= QUEUE_MAX {
                queue.events.clear();
                queue.is_broken = true;
            }
            queue.events.push((now, event.clone()));
            self.heard.store(event.seq, Ordering::SeqCst);
        }
        self.begin_work();
    }

    /// Starts a worker where there is something to do and nobody does it. As long as there is no line, whoever makes it calls this afterwards.
    fn begin_work(self: &Arc<Self>) {
        let Some(line) = self.line.get() else { return };
        {
            let mut queue = lock(&self.queue);
            if queue.events.is_empty() || std::mem::replace(&mut queue.has_worker, true) {
                return;
            }
        }
        let (live, service, channel) = (self.clone(), line.service.clone(), line.channel.clone());
        line.runtime.spawn_blocking(move || {
            if let Some(service) = service.upgrade() {
                live.work(&service, &channel);
            }
        });
    }

    /// Cuts whoever may not see it any more, before the owner is told that it is done.
    fn end_rights(&self, event: &Event) {
        let id = self.share().id.clone();
        match &event.change {
            Change::ChatDeleted => self.end(CloseCode::Gone),
            Change::ShareDeleted(gone) if *gone == id => self.end(CloseCode::Gone),
            Change::ShareChanged(share) if share.id == id => {
                *lock(&self.share) = Arc::new(share.clone());
                if share.visibility == ShareVisibility::Private
                    && let Some(line) = self.line.get()
                {
                    line.channel.close(Audience::Anonymous, CloseCode::SignIn);
                }
            }
            _ => {}
        }
    }

    /// Ends it for everybody.
    fn end(&self, code: CloseCode) {
        // The first is what those hear who are just coming in.
        let _ = self.ended.set(code);
        if let Some(line) = self.line.get() {
            line.channel.close(Audience::Everyone, code);
        }
    }

    /// Brings the book up to date with the queue and publishes what that changes, until the queue is empty. One at a time does this.
    fn work(&self, service: &Service, channel: &Channel) {
        loop {
            {
                let mut queue = lock(&self.queue);
                if queue.events.is_empty() {
                    queue.has_worker = false;
                    return;
                }
            }
            self.drain(&mut lock(&self.book), service, channel);
        }
    }

    /// Brings the book up to date with the queue. Whoever holds the book may do so: what is taken from the queue under its lock stays in order.
    fn drain(&self, book: &mut Option<Bound>, service: &Service, channel: &Channel) {
        let (events, is_broken) = {
            let mut queue = lock(&self.queue);
            let is_broken = std::mem::take(&mut queue.is_broken);
            (std::mem::take(&mut queue.events), is_broken)
        };
        let Some(since) = events.first().map(|(at, _)| *at) else {
            return;
        };
        let events = events.into_iter().map(|(_, event)| event).collect();
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.apply(book, (service, channel), events, is_broken)
        }));
        let failed = match worked {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("it panicked".to_owned()),
        };
        if let Some(failed) = failed {
            tracing::error!("a live share could not follow its chat: {failed}");
            // Viewers come back and find a book that is bound anew.
            self.end(CloseCode::Restarting);
        }
        let lag_us = since.elapsed().as_micros() as u64;
        self.metrics.lag_us.add(lag_us);
        self.metrics.lags.add(1);
    }

    /// The book with all that was committed before; `None` where there is none.
    fn book_now(&self, service: &Service) -> MutexGuard<'_, Option<Bound>> {
        let mut book = lock(&self.book);
        if let Some(line) = self.line.get() {
            self.drain(&mut book, service, &line.channel);
        }
        book
    }

    fn apply(
        &self,
        book: &mut Option<Bound>,
        (service, channel): (&Service, &Channel),
        mut events: Vec<Event>,
        is_broken: bool,
    ) -> Result<(), ServiceError> {
        let Some(bound) = book.as_mut() else {
            return Ok(());
        };
        events.retain(|event| event.seq > bound.seq);
        let is_redacted = |event: &Event| event.change.concerns_all();
        let is_broken = is_broken || events.iter().any(is_redacted);
        let is_frozen = |share: &Share| share.updates == Updates::Frozen;
        let id = bound.share.id.clone();
        let of_share = |event: &Event| match &event.change {
            Change::ShareChanged(share) if share.id == id => Some(share.clone()),
            _ => None,
        };
        // What comes after it was frozen is not for its viewers.
        let frozen_at = events
            .iter()
            .position(|event| of_share(event).as_ref().is_some_and(is_frozen));
        events.truncate(frozen_at.map_or(usize::MAX, |at| at + 1));
        let Some(seq) = events.last().map(|event| event.seq) else {
            return Ok(());
        };
        if let Some(last) = events.iter().rfind(|event| is_owners(event)) {
            bound.owner_seq = last.seq;
        }
        let share = events.iter().rev().find_map(of_share);
        let (store, renderer) = (&service.store, &service.renderer);
        let library = StoreLibrary::new(store, &self.chat);
        if let Some(share) = share.as_ref().filter(|share| is_frozen(share)) {
            let what = store.read(|reader| shown(reader, share))?;
            let card = what.card.clone();
            // The last event is the one that froze it.
            let before = events.split_last().map_or(&[][..], |(_, before)| before);
            let mut ops = match is_broken {
                true => vec![render::Op::Reload {}],
                false => bound.book.apply(renderer, &library, before)?,
            };
            ops.extend(bound.book.set_share(renderer, &library, what, seq)?);
            ops.push(bound.book.frozen(renderer, &card)?);
            channel.publish(seq, None, ops.into_iter().map(op).collect());
            self.end(CloseCode::Frozen);
            return Ok(());
        }
        let ops = match is_broken {
            true => {
                *bound = self.bound(service)?;
                vec![render::Op::Reload {}]
            }
            false => {
                let mut ops = bound.book.apply(renderer, &library, &events)?;
                if let Some(share) = share {
                    let what = store.read(|reader| shown(reader, &share))?;
                    ops.extend(bound.book.set_share(renderer, &library, what, seq)?);
                    bound.share = Arc::new(share);
                }
                bound.seq = seq;
                ops
            }
        };
        let (seq, at) = (bound.seq, bound.book.last_message_at());
        self.seq.store(seq, Ordering::Release);
        channel.publish(seq, at, ops.into_iter().map(op).collect());
        Ok(())
    }

    /// Lets a viewer in. `place` is the epoch and the number that its page has.
    ///
    /// # Errors
    /// The code to close with, where the viewer may not come in.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        service: &Arc<Service>,
        headers: &HeaderMap,
        place: Option<(String, Seq)>,
    ) -> Result<Viewer, CloseCode> {
        let session = self.sign_in(service, headers);
        let guard = SessionGuard {
            share: self.clone(),
            session,
        };
        let is_up_to_date = |place: &(String, Seq)| place.1 == self.seq.load(Ordering::Acquire);
        let joined = match place.as_ref().is_none_or(is_up_to_date) {
            true => self.try_join(service, place.as_ref(), session),
            false => None,
        };
        let (first, frames) = match joined {
            Some(joined) => joined,
            None => {
                let (live, service) = (self.clone(), service.clone());
                let join = move || {
                    let mut book = live.book_now(&service);
                    live.join(&service, book.as_mut(), place.as_ref(), session)
                };
                let joined = tokio::task::spawn_blocking(join).await;
                joined
                    .map_err(|_| CloseCode::Restarting)?
                    .ok_or(CloseCode::Restarting)?
            }
        };
        // Asked once more now that nothing can be missed: the right may have ended while it came in.
        let is_private = service.visibility(&self.share()) == ShareVisibility::Private;
        if let Some(code) = self.ended.get() {
            return Err(*code);
        }
        if is_private && (session.is_none() || !is_signed_in(service, headers)) {
            return Err(CloseCode::SignIn);
        }
        Ok(Viewer {
            _session: guard,
            first,
            frames,
        })
    }

    /// Joins where the book is free and nothing has to be rendered.
    fn try_join(
        &self,
        service: &Service,
        place: Option<&(String, Seq)>,
        session: Option<u64>,
    ) -> Option<(FirstFrames, Subscription)> {
        let mut book = self.book.try_lock().ok()?;
        self.join(service, book.as_mut(), place, session)
    }

    fn join(
        &self,
        service: &Service,
        bound: Option<&mut Bound>,
        place: Option<&(String, Seq)>,
        session: Option<u64>,
    ) -> Option<(FirstFrames, Subscription)> {
        let (bound, line) = (bound?, self.line.get()?);
        let place = place.map(|(epoch, after)| (epoch.as_str(), *after));
        let (frames, standing) = line.channel.subscribe(place, session);
        let mut first = vec![(None, frames.hello())];
        match standing {
            Standing::Joined => {}
            Standing::Lost => first.push((None, frames.reset())),
            Standing::Behind => {
                let after = place.map_or(0, |(_, after)| after);
                first.push(match self.since(service, bound, after) {
                    Some(ops) => (Some(frames.seq()), frames.catch_up(ops)),
                    None => (None, frames.reset()),
                });
            }
        }
        Some((first, frames))
    }

    /// What changed since a number; `None` where that is too much or not known.
    fn since(&self, service: &Service, bound: &Bound, after: Seq) -> Option<Vec<Op>> {
        let library = StoreLibrary::new(&service.store, &self.chat);
        let bytes_max = protocol::CATCH_UP_BYTES_MAX;
        let ops = bound
            .book
            .since(&service.renderer, &library, after, bytes_max);
        let ops = ops.unwrap_or_else(|error| failed(&error))?;
        Some(ops.into_iter().map(op).collect())
    }

    /// Remembers a viewer's sign-in, where there is one.
    fn sign_in(&self, service: &Service, headers: &HeaderMap) -> Option<u64> {
        let credentials = gate::credentials(headers)?;
        if !is_signed_in(service, headers) {
            return None;
        }
        let session = self.next_session.fetch_add(1, Ordering::Relaxed);
        lock(&self.signed_in).insert(session, credentials);
        Some(session)
    }

    /// Cuts those whose sign-in has ended.
    fn check_rights(&self, service: &Service) {
        let Some(line) = self.line.get() else { return };
        let signed_in: Vec<(u64, Box<HeaderMap>)> = {
            let signed_in = lock(&self.signed_in);
            signed_in
                .iter()
                .map(|(session, headers)| (*session, headers.clone()))
                .collect()
        };
        for (session, headers) in signed_in {
            if !is_signed_in(service, &headers) {
                let code = match service.visibility(&self.share()) {
                    ShareVisibility::Private => CloseCode::SignIn,
                    // Comes back as one who is not signed in.
                    ShareVisibility::Public => CloseCode::Restarting,
                };
                lock(&self.signed_in).remove(&session);
                line.channel.close(Audience::Session(session), code);
            }
        }
    }

    /// Ends it when its time has come.
    fn check_life(&self, service: &Service) {
        let id = self.share().id.clone();
        if self.ended.get().is_none() && !gate::leads_to(service, &self.link, &id) {
            self.end(CloseCode::Gone);
        }
    }

    /// How many watch it.
    pub(crate) fn viewers(&self) -> u32 {
        self.line.get().map_or(0, |line| line.channel.viewers())
    }

    /// What it has under a name; the empty name is the page with the newest messages. Files go as far as they are not cut.
    ///
    /// # Errors
    /// The chat cannot be read or rendered.
    pub(crate) async fn find(
        self: &Arc<Self>,
        service: &Arc<Service>,
        name: &str,
        (takes, cut): (Takes, Cut),
    ) -> Result<Option<Found>, ServiceError> {
        if let Some(page) = Page::parse(name) {
            return self.page(service, (name, page), takes).await;
        }
        if name.starts_with("assets/") {
            let asset = service.asset(name);
            return Ok(asset.map(|asset| {
                if takes.brotli {
                    asset.pack();
                }
                Found::Page(asset)
            }));
        }
        if name.starts_with("files/") {
            return self.artifact(service, name, cut).await;
        }
        let is_whole = [
            "branch-",
            "thread-",
            "data/search-branch-",
            "data/search-thread-",
            "chat.",
        ];
        if !is_whole.iter().any(|start| name.starts_with(start)) {
            return Ok(None);
        }
        let whole = self.whole(service).await?;
        Ok(whole.file(name, cut))
    }

    async fn page(
        self: &Arc<Self>,
        service: &Arc<Service>,
        (name, page): (&str, Page),
        takes: Takes,
    ) -> Result<Option<Found>, ServiceError> {
        if let Some(kept) = self.kept(name)
            && (!takes.brotli || kept.packed.get().is_some())
        {
            return Ok(Some(Found::Page(kept)));
        }
        let (live, service, name) = (self.clone(), service.clone(), name.to_owned());
        let render = move || {
            let found = match live.kept(&name) {
                Some(found) => Some(found),
                None => live.rendered(&service, (&name, page))?,
            };
            if let Some(found) = &found
                && takes.brotli
            {
                found.pack();
            }
            Ok::<_, ServiceError>(found.map(Found::Page))
        };
        tokio::task::spawn_blocking(render)
            .await
            .map_err(|_| ServiceError::Stopping)?
    }

    /// An artifact that something in the share shows.
    async fn artifact(
        self: &Arc<Self>,
        service: &Arc<Service>,
        name: &str,
        cut: Cut,
    ) -> Result<Option<Found>, ServiceError> {
        let (live, path, reading) = (self.clone(), name.to_owned(), service.clone());
        let find = move || {
            let book = live.book_now(&reading);
            book.as_ref()
                .and_then(|bound| bound.book.artifact(&path).cloned())
        };
        let artifact = tokio::task::spawn_blocking(find).await;
        let artifact = artifact.map_err(|_| ServiceError::Stopping)?;
        let Some((artifact, (sha256, size_bytes))) = artifact
            .and_then(|artifact| Some((artifact.bytes()?, artifact)))
            .map(|(bytes, artifact)| (artifact, bytes))
        else {
            return Ok(None);
        };
        let media_type = match name.ends_with(".txt") {
            true => "text/plain; charset=utf-8",
            false => &artifact.media_type,
        };
        let content = Content {
            media_type: HeaderValue::from_static(headers::artifact_type(media_type)),
            sha256,
            packing: Packing::Plain,
            source: Source::File {
                path: service.store.artifact_path(sha256),
                size_bytes,
                cut,
            },
        };
        Ok(Some(Found::Artifact(content, artifact.name)))
    }

    /// The page as it is now, if it was rendered already.
    fn kept(&self, name: &str) -> Option<Arc<LivePage>> {
        let pages = lock(&self.pages);
        let seq = self.seq.load(Ordering::SeqCst);
        // What was committed and is not in the book yet may take something back.
        match pages.seq == seq && self.heard.load(Ordering::SeqCst) <= seq {
            true => pages.pages.get(name).cloned(),
            false => None,
        }
    }

    fn rendered(
        &self,
        service: &Service,
        (name, page): (&str, Page),
    ) -> Result<Option<Arc<LivePage>>, ServiceError> {
        let book = self.book_now(service);
        if let Some(kept) = self.kept(name) {
            return Ok(Some(kept));
        }
        let Some(bound) = book.as_ref() else {
            return Err(StoreError::NotFound.into());
        };
        let library = StoreLibrary::new(&service.store, &self.chat);
        let signin = match &self.link {
            Link::Share(id) => service.path(&format!("/signin?next=/s/{id}/")),
            Link::Legacy(_) => service.path("/signin"),
        };
        let moment = Moment {
            epoch: service.store.epoch(),
            // The page is for all who ask before the next change; the stream says how many they are.
            viewers: 0,
            signin: &signin,
        };
        let bytes = bound
            .book
            .page(&service.renderer, &library, page, &moment)?;
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        let page = Arc::new(LivePage::new(page.media_type(), bytes));
        let mut pages = lock(&self.pages);
        let room = service.live.page_cache_bytes;
        if pages.seq != bound.seq || pages.bytes + page.bytes.len() > room {
            *pages = Pages {
                seq: bound.seq,
                ..Pages::default()
            };
        }
        pages.bytes += page.bytes.len();
        pages.pages.insert(name.to_owned(), page.clone());
        Ok(Some(page))
    }

    /// The whole chat as files, rendered now or a moment ago; what the owner took back since is not in it.
    async fn whole(self: &Arc<Self>, service: &Arc<Service>) -> Result<Arc<Whole>, ServiceError> {
        let mut kept = self.whole.lock().await;
        let owner_seq = {
            let (live, service) = (self.clone(), service.clone());
            // The book may be at work; whoever waits for it does not hold up others.
            let seq = tokio::task::spawn_blocking(move || {
                let book = live.book_now(&service);
                book.as_ref().map_or(Seq::MAX, |bound| bound.owner_seq)
            });
            seq.await.map_err(|_| ServiceError::Stopping)?
        };
        let now_seq = self.seq.load(Ordering::Acquire);
        if let Some(whole) = kept.as_ref()
            && whole.seq >= owner_seq
            && (whole.seq >= now_seq || whole.at.elapsed() < WHOLE_AGE_MAX)
        {
            return Ok(whole.clone());
        }
        let _turn = service.frozen.turn().await?;
        let (live, service) = (self.clone(), service.clone());
        let render = move || live.rendered_whole(&service);
        let whole = tokio::task::spawn_blocking(render).await;
        let whole = Arc::new(whole.map_err(|_| ServiceError::Stopping)??);
        *kept = Some(whole.clone());
        Ok(whole)
    }

    fn rendered_whole(&self, service: &Service) -> Result<Whole, ServiceError> {
        let store = &service.store;
        let share = self.share();
        let (chat, seq) = store.read(|reader| {
            let mut chat = reader
                .whole_chat(&self.chat, None)?
                .ok_or(StoreError::NotFound)?;
            chat.share = Some(Service::card(reader, &share)?);
            Ok((chat, reader.last_seq()?))
        })?;
        let snapshot = Snapshot::take(chat, &Service::options(&share));
        let parent = service.data.join("cache").join("live");
        let made = fs::create_dir_all(&parent).and_then(|()| tempfile::tempdir_in(&parent));
        let folder = made.map_err(ServiceError::io("making a folder in", &parent))?;
        let blob = |digest| fs::read(store.artifact_path(digest)).ok();
        let mut output = FolderOutput(folder.path());
        service.renderer.render(&snapshot, &blob, &mut output)?;
        Ok(Whole {
            folder,
            seq,
            at: Instant::now(),
        })
    }

    fn share(&self) -> Arc<Share> {
        lock(&self.share).clone()
    }
}

/// Forgets a viewer's sign-in when the viewer is gone.
pub(crate) struct SessionGuard {
    share: Arc<LiveShare>,
    session: Option<u64>,
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        if let Some(session) = self.session {
            lock(&self.share.signed_in).remove(&session);
        }
    }
}

impl LivePage {
    pub(crate) fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self {
            sha256: Digest::of(&bytes),
            media_type,
            bytes: bytes.into(),
            packed: OnceLock::new(),
        }
    }

    /// Makes the packed form, where there is none yet.
    pub(crate) fn pack(&self) {
        self.packed.get_or_init(|| {
            let packed = match self.bytes.len() >= PACKED_BYTES_MIN {
                true => brotli(&self.bytes).ok(),
                false => None,
            };
            packed
                .filter(|packed| packed.len() < self.bytes.len())
                .map(Bytes::from)
        });
    }

    /// The page as an answer has it.
    pub(crate) fn content(&self, takes: Takes) -> Content {
        let packed = self.packed.get().and_then(Option::as_ref);
        let (packing, bytes) = match packed.filter(|_| takes.brotli) {
            Some(packed) => (Packing::Brotli, packed),
            None => (Packing::Plain, &self.bytes),
        };
        Content {
            media_type: HeaderValue::from_static(self.media_type),
            sha256: self.sha256,
            packing,
            source: Source::Bytes(bytes.clone()),
        }
    }
}

/// What a book has to know of its share.
fn shown(reader: &Reader<'_>, share: &Share) -> Result<render::LiveShare, StoreError> {
    Ok(render::LiveShare {
        card: Service::card(reader, share)?,
        options: Service::options(share),
    })
}

fn failed<T>(error: &dyn std::error::Error) -> Option<T> {
    tracing::error!("a live share cannot read its chat: {error}");
    None
}

fn is_signed_in(service: &Service, headers: &HeaderMap) -> bool {
    matches!(Caller::of(service, headers), Caller::User { .. })
}

/// True for what takes something back or changes what is to be seen, other than new messages.
fn is_owners(event: &Event) -> bool {
    !matches!(
        event.change,
        Change::Head(_)
            | Change::ThreadPut { .. }
            | Change::ArtifactPut { .. }
            | Change::MessagePut { .. }
    )
}

/// An operation as the protocol has it.
fn op(op: render::Op) -> Op {
    match op {
        render::Op::Put {
            item,
            after,
            page,
            html,
            new,
        } => Op::Put {
            item,
            after,
            page,
            html,
            new,
        },
        render::Op::Remove { item } => Op::Remove { item },
        render::Op::Header { html, title } => Op::Header { html, title },
        render::Op::End { reason, html } => Op::End { reason, html },
        render::Op::TakenBack {} => Op::TakenBack {},
        render::Op::Reload {} => Op::Reload {},
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
