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

/// The space, or that there is none at present.
pub(crate) struct Reserve {
    path: PathBuf,
    is_there: bool,
}

impl Reserve {
    /// Keeps space in a folder, where there is some.
    pub(crate) fn of(folder: &Path) -> Self {
        let path = folder.join(RESERVE);
        let is_there = fs::metadata(&path).is_ok_and(|meta| meta.len() >= RESERVE_BYTES as u64);
        let mut reserve = Self { path, is_there };
        reserve.fill();
        reserve
    }

    /// True where the space was given away.
    pub(crate) fn is_due(&self) -> bool {
        !self.is_there
    }

    /// Gives the space away.
    pub(crate) fn release(&mut self) {
        self.is_there = false;
        // Where it cannot be removed, what needs it fails, and says so.
        let _ = fs::remove_file(&self.path);
    }

    /// Takes the space again, where the disk has it.
    pub(crate) fn fill(&mut self) {
        if self.is_there {
            return;
        }
        self.is_there = self.write().is_ok();
        if !self.is_there {
            // Half of it would only take space from others.
            let _ = fs::remove_file(&self.path);
        }
    }

    fn write(&self) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&self.path)?;
        file.write_all(&vec![0; RESERVE_BYTES])?;
        file.sync_all()
    }
}
