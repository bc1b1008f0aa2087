//! Small files in memory, for those who ask for them again and again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use readalong_model::Digest;

use crate::content::Packing;

/// Small files in memory, by their content; the longest unused go first.
pub(crate) struct FileCache {
    kept: Mutex<Kept>,
    bytes_max: usize,
}

#[derive(Default)]
struct Kept {
    files: HashMap<(Digest, Packing), (Bytes, u64)>,
    bytes: usize,
    uses: u64,
}

impl FileCache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            kept: Mutex::default(),
            bytes_max,
        }
    }

    pub(crate) fn known(&self, key: (Digest, Packing)) -> Option<Bytes> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let now = kept.uses;
        let (bytes, used) = kept.files.get_mut(&key)?;
        *used = now;
        Some(bytes.clone())
    }

    pub(crate) fn keep(&self, key: (Digest, Packing), bytes: &Bytes) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let now = kept.uses;
        if kept.files.insert(key, (bytes.clone(), now)).is_none() {
            kept.bytes += bytes.len();
        }
        if kept.bytes > self.bytes_max {
            kept.forget(self.bytes_max / 8 * 7);
        }
    }
}

impl Kept {
    /// Lets the longest unused go until so many bytes are left.
    fn forget(&mut self, bytes: usize) {
        let mut by_use: Vec<_> = self
            .files
            .iter()
            .map(|(key, (_, used))| (*used, *key))
            .collect();
        by_use.sort_unstable_by_key(|(used, _)| *used);
        for (_, key) in by_use {
            if self.bytes <= bytes {
                break;
            }
            if let Some((gone, _)) = self.files.remove(&key) {
                self.bytes -= gone.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_files_leave_memory_first() {
        let cache = FileCache::new(1_000);
        let key = |n: u8| (Digest::of(&[n]), Packing::Plain);
        let file = Bytes::from(vec![0; 300]);
        for n in 0..3 {
            cache.keep(key(n), &file);
        }
        assert!(cache.known(key(0)).is_some());
        cache.keep(key(3), &file);
        assert!(cache.known(key(1)).is_none(), "the longest unused");
        assert!(cache.known(key(0)).is_some());
        assert!(cache.known(key(3)).is_some());
        assert!(cache.kept.lock().unwrap().bytes <= 1_000);
    }
}
