//! Space on the disk that is kept for taking back: a link can be made dead also where the disk is full.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Name of the file that holds the space.
const RESERVE: &str = "reserve";
/// Bytes of it: deleting some thousand shares fits, or a chat.
const RESERVE_BYTES: usize = 2 << 20;

/// How much is given away at once: what needs a little must not leave the rest to others.
const STEP_BYTES: usize = 256 << 10;

/// The space that is left of it.
pub(crate) struct Reserve {
    path: PathBuf,
    size_bytes: usize,
}

impl Reserve {
    /// Keeps space in a folder, where there is some.
    pub(crate) fn of(folder: &Path) -> Self {
        let path = folder.join(RESERVE);
        let size = fs::metadata(&path).map_or(0, |meta| meta.len());
        let mut reserve = Self {
            path,
            size_bytes: usize::try_from(size).map_or(RESERVE_BYTES, |size| size.min(RESERVE_BYTES)),
        };
        reserve.fill();
        reserve
    }

    /// True where some of the space was given away.
    pub(crate) fn is_due(&self) -> bool {
        self.size_bytes < RESERVE_BYTES
    }

    /// Gives some of the space away; false where there is none any more.
    pub(crate) fn release(&mut self) -> bool {
        let left = self.size_bytes.saturating_sub(STEP_BYTES);
        let is_given = self.size_bytes > 0 && self.shrink(left).is_ok();
        self.size_bytes = left;
        is_given
    }

    /// Takes the space again, where the disk has all of it.
    pub(crate) fn fill(&mut self) {
        if self.is_due() && self.grow().is_err() {
            // More of it than there was would only take space from others.
            let _ = self.shrink(self.size_bytes);
        }
    }

    fn shrink(&self, size_bytes: usize) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(&self.path)?;
        file.set_len(size_bytes as u64)
    }

    fn grow(&mut self) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)?;
        file.write_all(&vec![0; RESERVE_BYTES - self.size_bytes])?;
        file.sync_all()?;
        self.size_bytes = RESERVE_BYTES;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn it_is_given_away_in_steps_and_taken_again_whole() {
        let folder = tempfile::tempdir().unwrap();
        let size = || fs::metadata(folder.path().join(RESERVE)).unwrap().len() as usize;
        let mut reserve = Reserve::of(folder.path());
        assert!(!reserve.is_due());
        assert_eq!(size(), RESERVE_BYTES);
        for step in 1..=RESERVE_BYTES / STEP_BYTES {
            assert!(reserve.release());
            assert!(reserve.is_due());
            assert_eq!(size(), RESERVE_BYTES - step * STEP_BYTES);
        }
        assert!(!reserve.release());
        reserve.fill();
        assert!(!reserve.is_due());
        assert_eq!(size(), RESERVE_BYTES);
        reserve.release();
        assert!(!Reserve::of(folder.path()).is_due());
    }
}
