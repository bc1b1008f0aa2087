//! Ctrl-C: asks the work to stop at its next step, so that whoever is writing can clean up behind itself.

use std::{
    io, process,
    sync::atomic::{AtomicBool, Ordering},
};

static CANCELLED: AtomicBool = AtomicBool::new(false);

/// The exit code of a program that was interrupted, as shells count it.
const INTERRUPTED: i32 = 130;

/// From now on Ctrl-C (and SIGTERM) cancels; a second one ends the program at once.
pub(crate) fn watch() {
    let watched = ctrlc::set_handler(|| {
        if CANCELLED.swap(true, Ordering::Relaxed) {
            process::exit(INTERRUPTED);
        }
    });
    // Without a handler Ctrl-C ends the program as usual, and a partial folder may stay: no reason not to work.
    drop(watched);
}

/// Fails once somebody cancelled.
pub(crate) fn check() -> io::Result<()> {
    match CANCELLED.load(Ordering::Relaxed) {
        true => Err(io::Error::other("cancelled")),
        false => Ok(()),
    }
}
