//! A viewer's seat in a channel: how far it has come, what its task is about, and the way past the task that most frames take.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
    task::{Context, Poll, Waker},
};

use super::{
    Next,
    ring::{Place, Ring},
};
use crate::protocol::{CloseCode, EncodedFrame};

/// Sends frames to one viewer while the viewer's task sleeps.
pub trait Outlet: Send + Sync {
    /// Sends as much of a frame as goes at once, without waiting, and says whether that was all. What is left, and what went wrong, is for the viewer's
    /// task, which is told by [`Next::Rest`]; nothing is offered before it has slept again.
    fn offer(&self, text: &EncodedFrame) -> bool;
}

/// What a viewer's task and the walk through all viewers share. Whoever has the lock may send to the viewer, but for what the task does while it is busy.
pub(super) struct Seat(Mutex<State>);

struct State {
    place: Place,
    outlet: Option<Arc<dyn Outlet>>,
    /// The outlet has something left over of which the task does not know yet.
    has_rest: bool,
    task: Task,
}

/// What the viewer's task is about.
enum Task {
    /// It runs, and looks at the ring before it sleeps.
    Awake,
    /// It waits for what comes next. As long as it does, frames may go past it.
    Waiting(Waker),
    /// It does something of which only an end can keep it.
    Busy(Waker),
}

impl Seat {
    pub(super) fn new(place: Place) -> Self {
        Self(Mutex::new(State {
            place,
            outlet: None,
            has_rest: false,
            task: Task::Awake,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the log that the viewer has come to.
    pub(super) fn after(&self) -> u64 {
        self.state().place.after
    }

    pub(super) fn set_outlet(&self, outlet: Arc<dyn Outlet>) {
        self.state().outlet = Some(outlet);
    }

    /// What comes next. The task sleeps under the lock under which it looked, so either it sees a change of the ring, or the walk that follows the change
    /// finds it asleep.
    pub(super) fn poll_next(&self, ring: &RwLock<Ring>, context: &Context<'_>) -> Poll<Next> {
        let mut state = self.state();
        state.task = Task::Awake;
        if mem::take(&mut state.has_rest) {
            return Poll::Ready(Next::Rest);
        }
        match state.place.take(&read(ring)) {
            Some(next) => Poll::Ready(next),
            None => {
                state.task = Task::Waiting(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The code where the viewer is to be cut in the middle of what it does; else the task is woken when it is.
    pub(super) fn poll_cut(&self, ring: &RwLock<Ring>, context: &Context<'_>) -> Poll<CloseCode> {
        let mut state = self.state();
        match state.place.cut(&read(ring)) {
            Some(code) => Poll::Ready(code),
            None => {
                state.task = Task::Busy(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Nothing goes past the task until it waits again.
    pub(super) fn wake(&self) {
        self.state().task = Task::Awake;
    }

    /// Nothing more comes to the viewer.
    pub(super) fn leave(&self) {
        let mut state = self.state();
        state.task = Task::Awake;
        state.outlet = None;
    }

    /// Brings the viewer what has come: past its task where that goes, else by waking it.
    pub(super) fn serve(&self, ring: &RwLock<Ring>) {
        let waker = self.state().serve(ring);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl State {
    fn serve(&mut self, ring: &RwLock<Ring>) -> Option<Waker> {
        let sleeps_on = match &self.task {
            Task::Awake => true,
            Task::Busy(_) => self.place.cut(&read(ring)).is_none(),
            Task::Waiting(_) => self.send_past_task(ring),
        };
        if sleeps_on {
            return None;
        }
        match mem::replace(&mut self.task, Task::Awake) {
            Task::Awake => None,
            Task::Waiting(waker) | Task::Busy(waker) => Some(waker),
        }
    }

    /// Sends what the viewer lacks; false where there may be something that only its task can do.
    fn send_past_task(&mut self, ring: &RwLock<Ring>) -> bool {
        let Some(outlet) = &self.outlet else {
            return false;
        };
        loop {
            // What comes while this is sent has a walk of its own, or makes this one go again.
            let (next, is_last) = {
                let ring = read(ring);
                (self.place.take(&ring), self.place.is_at_end(&ring))
            };
            match next {
                None => return true,
                Some(Next::Frame { text, .. }) => {
                    if !outlet.offer(&text) {
                        self.has_rest = true;
                        return false;
                    }
                    if is_last {
                        return true;
                    }
                }
                Some(Next::Rest | Next::Close(_)) => return false,
            }
        }
    }
}

fn read(ring: &RwLock<Ring>) -> RwLockReadGuard<'_, Ring> {
    ring.read().unwrap_or_else(PoisonError::into_inner)
}
