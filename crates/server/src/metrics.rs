//! What is counted, as plain numbers; `/metrics` writes them out.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The number.
    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything that is counted since the start.
#[derive(Default)]
pub(crate) struct Metrics {
    /// Requests by the first digit of their status; the first stands for those without one.
    pub(crate) requests: [Count; 6],
    /// Requests that were refused for their number.
    pub(crate) refused: Count,
    /// Handlers that panicked.
    pub(crate) panics: Count,
    /// Frames sent to viewers.
    pub(crate) frames: Count,
    /// Bytes of them.
    pub(crate) frame_bytes: Count,
    /// Viewers that were cut because they did not read.
    pub(crate) slow_viewers: Count,
    /// Events that were written to the log.
    pub(crate) events: Count,
    /// Microseconds from a commit until its frames were handed to viewers, summed up.
    pub(crate) lag_us: Count,
    /// Times that this was measured.
    pub(crate) lags: Count,
    /// Bundles that were made.
    pub(crate) bundles: Count,
}
