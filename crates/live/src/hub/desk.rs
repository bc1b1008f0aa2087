//! What waits to be sent to the viewers of a channel.

use readalong_model::{Seq, Timestamp};
use tokio::time::Instant;

use crate::protocol::{FRAME_BYTES_MAX, Frame, Op};

/// How far back an operation is looked for that a later one replaces.
const REPLACED_WITHIN: usize = 32;

/// What waits to be sent, and when what was sent.
#[derive(Default)]
pub(super) struct Desk {
    pub(super) head: Seq,
    pub(super) last_at: Option<Timestamp>,
    pub(super) ops: Vec<Op>,
    pub(super) ops_bytes: usize,
    pub(super) ops_at: Option<Timestamp>,
    pub(super) is_flush_due: bool,
    pub(super) flushed_at: Option<Instant>,
    pub(super) viewers_told: u32,
    pub(super) viewers_told_at: Option<Instant>,
    pub(super) is_count_due: bool,
    pub(super) has_beat: bool,
    /// Subscriptions so far.
    pub(super) subscribed: u64,
}

impl Desk {
    pub(super) fn new(head: Seq, last_at: Option<Timestamp>) -> Self {
        Self {
            head,
            last_at,
            ..Self::default()
        }
    }

    /// All that waits, as one frame.
    pub(super) fn take(&mut self) -> Option<Frame> {
        self.is_flush_due = false;
        if self.ops.is_empty() {
            return None;
        }
        self.ops_bytes = 0;
        self.flushed_at = Some(Instant::now());
        Some(Frame {
            seq: Some(self.head),
            at: self.ops_at.take(),
            ops: Some(std::mem::take(&mut self.ops)),
            ..Frame::default()
        })
    }

    /// Adds an operation, in place of one that it makes needless.
    pub(super) fn put(&mut self, op: Op) {
        if matches!(self.ops.first(), Some(Op::Reload {})) {
            return; // the page that is fetched has it
        }
        self.ops_bytes += size_bytes(&op);
        if matches!(op, Op::Reload {}) || self.ops_bytes > FRAME_BYTES_MAX {
            self.ops.clear();
            self.ops.push(Op::Reload {});
            self.ops_bytes = 0;
            return;
        }
        match self.replaced_by(&op) {
            Some(at) => {
                self.ops_bytes -= size_bytes(&self.ops[at]);
                let was_new = matches!(self.ops[at], Op::Put { new: true, .. });
                self.ops[at] = op;
                if let Op::Put { new, .. } = &mut self.ops[at] {
                    *new |= was_new;
                }
            }
            None => self.ops.push(op),
        }
    }

    /// The waiting operation in whose place another can be done: it puts the same item to the same place, and nothing but puts came since.
    fn replaced_by(&self, op: &Op) -> Option<usize> {
        let Op::Put {
            item, after, page, ..
        } = op
        else {
            return None;
        };
        for (at, earlier) in self.ops.iter().enumerate().rev().take(REPLACED_WITHIN) {
            let Op::Put {
                item: other,
                after: other_after,
                page: other_page,
                ..
            } = earlier
            else {
                return None;
            };
            if other == item {
                return (other_after == after && other_page == page).then_some(at);
            }
        }
        None
    }

    pub(super) fn clear(&mut self) {
        self.ops.clear();
        self.ops_bytes = 0;
    }
}

fn size_bytes(op: &Op) -> usize {
    match op {
        Op::Put { html, .. } | Op::Header { html, .. } | Op::End { html, .. } => html.len() + 200,
        Op::Remove { .. } | Op::TakenBack {} | Op::Reload {} => 100,
    }
}
