//! The making of the first account on a server that others could reach: until it is made, by a link that is printed where the server is started, nothing is served.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use readalong_model::Digest;

use crate::accounts::Secret;

/// How long the link works; a server that is started again prints another one.
const LINK_LASTS: Duration = Duration::from_secs(60 * 60);

/// The link's digest and when it was made, as long as there is no account.
#[derive(Default)]
pub(crate) struct Setup(Mutex<Option<(Digest, Instant)>>);

impl Setup {
    /// Serves nothing from now on but the making of the first account, by this link.
    pub(crate) fn begin(&self, link: &Secret) {
        *self.link() = Some((link.digest(), Instant::now()));
    }

    /// True as long as there is no account.
    pub(crate) fn is_pending(&self) -> bool {
        self.link().is_some()
    }

    /// True for the link that was printed, as long as it works.
    pub(crate) fn is_link(&self, text: &str) -> bool {
        let digest = Digest::of(text.as_bytes());
        let is_it = |(link, made): (Digest, Instant)| link == digest && made.elapsed() < LINK_LASTS;
        (*self.link()).is_some_and(is_it)
    }

    /// Ends it, once: true for whoever ends it.
    pub(crate) fn end(&self) -> bool {
        self.link().take().is_some()
    }

    fn link(&self) -> std::sync::MutexGuard<'_, Option<(Digest, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
