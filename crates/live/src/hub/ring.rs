//! The frames that a channel keeps, and a viewer's place among them.

use std::{collections::VecDeque, time::Duration};

use readalong_model::Seq;
use tokio::time::Instant;

use super::{Audience, Next};
use crate::protocol::{
    CloseCode, EncodedFrame, RING_AGE_MIN_MS, RING_BURST_BYTES_MAX, RING_BYTES_MAX,
};

/// What a share keeps while nobody looks.
const RING_BYTES_UNWATCHED_MAX: usize = 32 << 10;

/// Recent frames and how the channel ends.
#[derive(Default)]
pub(super) struct Ring {
    /// Number of the first frame that is kept.
    pub(super) first: u64,
    pub(super) frames: VecDeque<Kept>,
    pub(super) size_bytes: usize,
    /// Every change above this number is in `frames` or on the desk.
    pub(super) floor: Seq,
    pub(super) closings: Vec<Closing>,
}

pub(super) struct Kept {
    pub(super) seq: Option<Seq>,
    pub(super) text: EncodedFrame,
    pub(super) at: Instant,
}

#[derive(Clone, Copy)]
pub(super) struct Closing {
    pub(super) whom: Audience,
    pub(super) code: CloseCode,
    /// The frame before which it stands.
    pub(super) before: u64,
}

/// How far a viewer has come.
pub(super) struct Place {
    /// Number of the frame that comes next.
    pub(super) next: u64,
    /// Reader counts before this frame are old.
    pub(super) counts_from: u64,
    /// Frames up to this number of the log bring nothing new.
    pub(super) after: Seq,
    pub(super) closings_seen: u32,
    pub(super) session: Option<u64>,
}

impl Ring {
    /// Number of the frame that comes after the last.
    pub(super) fn end(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    fn frame(&self, number: u64) -> Option<&Kept> {
        self.frames.get(number.checked_sub(self.first)? as usize)
    }

    /// The first frame that brings something beyond a number of the log.
    pub(super) fn place_after(&self, after: Seq) -> u64 {
        let newer = self
            .frames
            .iter()
            .position(|kept| kept.seq.is_some_and(|seq| seq > after));
        newer.map_or(self.end(), |at| self.first + at as u64)
    }

    pub(super) fn push(&mut self, seq: Option<Seq>, text: EncodedFrame, is_watched: bool) {
        let now = Instant::now();
        self.size_bytes += text.len();
        self.frames.push_back(Kept { seq, text, at: now });
        let kept_max = if is_watched {
            RING_BYTES_MAX
        } else {
            RING_BYTES_UNWATCHED_MAX
        };
        let age_min = Duration::from_millis(RING_AGE_MIN_MS);
        while self.size_bytes > kept_max && self.frames.len() > 1 {
            let oldest = &self.frames[0];
            let is_young = is_watched && now.duration_since(oldest.at) < age_min;
            if is_young && self.size_bytes <= RING_BURST_BYTES_MAX {
                break;
            }
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.frames.pop_front() {
            self.first += 1;
            self.size_bytes -= oldest.text.len();
            self.floor = oldest.seq.map_or(self.floor, |seq| seq.max(self.floor));
        }
    }

    pub(super) fn clear(&mut self, head: Seq) {
        self.first = self.end();
        self.frames.clear();
        self.size_bytes = 0;
        self.floor = head;
    }
}

impl Place {
    /// What comes next from the ring; `None` where everything was given.
    pub(super) fn take(&mut self, ring: &Ring) -> Option<Next> {
        loop {
            if let Some(code) = self.closed(ring) {
                return Some(Next::Close(code));
            }
            if self.next < ring.first {
                return Some(Next::Close(CloseCode::Slow));
            }
            let kept = ring.frame(self.next)?;
            let is_wanted = match kept.seq {
                Some(seq) => seq > self.after,
                None => self.next >= self.counts_from,
            };
            self.next += 1;
            if is_wanted {
                self.after = kept.seq.unwrap_or(self.after);
                let (seq, text) = (kept.seq, kept.text.clone());
                return Some(Next::Frame { seq, text });
            }
        }
    }

    /// True where nothing comes next but what is not in the ring yet.
    pub(super) fn is_at_end(&self, ring: &Ring) -> bool {
        self.next == ring.end() && self.closings_seen as usize == ring.closings.len()
    }

    /// The code of a close that has its turn.
    fn closed(&mut self, ring: &Ring) -> Option<CloseCode> {
        while let Some(closing) = ring.closings.get(self.closings_seen as usize) {
            if self.is_meant(closing.whom) {
                let has_turn = closing.code.is_final_at_once() || self.next >= closing.before;
                return has_turn.then_some(closing.code);
            }
            self.closings_seen += 1;
        }
        None
    }

    /// The code where the viewer is to be cut in the middle of what it does.
    pub(super) fn cut(&self, ring: &Ring) -> Option<CloseCode> {
        let closings = ring.closings.iter().skip(self.closings_seen as usize);
        let mut mine = closings.filter(|closing| self.is_meant(closing.whom));
        let closing = mine.find(|closing| closing.code.is_final_at_once());
        let slow = (self.next < ring.first).then_some(CloseCode::Slow);
        closing.map(|closing| closing.code).or(slow)
    }

    fn is_meant(&self, whom: Audience) -> bool {
        match whom {
            Audience::Everyone => true,
            Audience::Anonymous => self.session.is_none(),
            Audience::Session(session) => self.session == Some(session),
        }
    }
}
