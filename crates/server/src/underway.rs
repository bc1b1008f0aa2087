//! Files of shares that are on their way to somebody, and what ends them: what may not begin any more may not go on.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use readalong_model::{Change, Event, Share, ShareId, ShareVisibility};

use crate::{
    gate::{self, Link},
    service::Service,
};

/// The shares that are being answered.
#[derive(Default)]
pub(crate) struct Underway {
    shares: Mutex<HashMap<ShareId, Answered>>,
}

/// A share of which something is on its way.
struct Answered {
    link: Link,
    share: Share,
    cut: Cut,
}

/// Says of what is on its way whether it may go on.
#[derive(Clone, Default)]
pub(crate) struct Cut(Arc<AtomicBool>);

impl Cut {
    /// True where it may go no further.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Underway {
    /// What an answer with something of a share looks at. Taken before the share is read: what is taken back from then on sets it.
    pub(crate) fn begin(&self, share: &Share, link: &Link) -> Cut {
        let begun = || Answered {
            link: link.clone(),
            share: share.clone(),
            cut: Cut::default(),
        };
        let mut shares = self.shares();
        // Who came before knew it as it was, or as it is by now and this one does not: that one asks again.
        let is_other = |known: &Answered| !shows_the_same(&known.share, share);
        if shares.get(&share.id).is_some_and(is_other) {
            cut(&mut shares, |answered| answered.share.id == share.id);
        }
        let answered = shares.entry(share.id.clone()).or_insert_with(begun);
        answered.cut.clone()
    }

    /// Takes in what was written, in log order, before whoever wrote it is told. Whatever is read has to know of it already.
    pub(crate) fn on_commit(&self, events: &[Event]) {
        let mut shares = self.shares();
        for event in events {
            match &event.change {
                Change::ShareChanged(share) => {
                    if let Some(answered) = shares.get_mut(&share.id)
                        && shows_the_same(&answered.share, share)
                    {
                        continue;
                    }
                    cut(&mut shares, |answered| answered.share.id == share.id);
                }
                Change::ShareDeleted(id) => cut(&mut shares, |answered| answered.share.id == *id),
                change if change.is_owners_edit() || *change == Change::ChatDeleted => {
                    cut(&mut shares, |answered| answered.share.chat == event.chat);
                }
                _ => {}
            }
        }
    }

    /// Ends what has expired or leads elsewhere, forgets what nobody takes any more.
    pub(crate) fn sweep(&self, service: &Service) {
        let links: Vec<(ShareId, Link)> = {
            let mut shares = self.shares();
            shares.retain(|_, answered| Arc::strong_count(&answered.cut.0) > 1);
            let link = |(id, answered): (&ShareId, &Answered)| (id.clone(), answered.link.clone());
            shares.iter().map(link).collect()
        };
        let leads_on = |(id, link): &(ShareId, Link)| gate::leads_to(service, link, id);
        for (id, _) in links.into_iter().filter(|link| !leads_on(link)) {
            self.cut_share(&id);
        }
    }

    /// Ends what is on its way of shares for those who are signed in.
    pub(crate) fn cut_private(&self, service: &Service) {
        cut(&mut self.shares(), |answered| {
            service.visibility(&answered.share) == ShareVisibility::Private
        });
    }

    /// Ends what is on its way of a share.
    pub(crate) fn cut_share(&self, id: &ShareId) {
        cut(&mut self.shares(), |answered| answered.share.id == *id);
    }

    /// Ends all that is on its way. Whoever may still have it asks again.
    pub(crate) fn cut_all(&self) {
        cut(&mut self.shares(), |_| true);
    }

    fn shares(&self) -> MutexGuard<'_, HashMap<ShareId, Answered>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cut(shares: &mut HashMap<ShareId, Answered>, ends: impl Fn(&Answered) -> bool) {
    for (_, answered) in shares.extract_if(|_, answered| ends(answered)) {
        answered.cut.0.store(true, Ordering::Relaxed);
    }
}

/// True where both show the same to the same people. When it ends is looked at all the time.
fn shows_the_same(before: &Share, after: &Share) -> bool {
    let seen = |share: &Share| Share {
        bundle: None,
        expires_at: None,
        ..share.clone()
    };
    seen(before) == seen(after)
}
