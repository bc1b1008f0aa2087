//! A server's frozen public shares, kept at a place that only serves files, by the server itself.
//!
//! A thread beside the server hears of changes and does what `readalong publish` and `unpublish` would. What cannot be done now is tried again.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use readalong_model::ShareId;
use readalong_publish::{Content, PublishError, publish, unpublish};
use readalong_server::{OnChange, RunningServer, Touched};
use serde_json::Value;

use crate::{
    cancel,
    client::{Client, Refused},
    cmd::list::for_each,
    config::Config,
    moment, pick,
    publications::{Publication, Publications},
    publishing::{Pages, Place, Progress, manifest_bytes, share_bundle},
};

/// All shares are looked at so often: some end by themselves.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Time between two looks at whether the server ends.
const CANCEL_LOOK_EVERY: Duration = Duration::from_millis(200);
/// What is remembered as the source of a mirrored share.
const SOURCE: &str = "share";

/// A place, and what has to be looked at there.
pub(crate) struct Mirror {
    place: Place,
    pages: Pages,
    touched: Receiver<Touched>,
    sender: Sender<Touched>,
}

impl Mirror {
    /// The mirror that the configuration asks for.
    ///
    /// # Errors
    /// It names no place.
    pub(crate) fn of(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(to) = &config.mirror else {
            return Ok(None);
        };
        let (sender, touched) = mpsc::channel();
        Ok(Some(Self {
            place: Place::of(to, config)?,
            pages: Pages::new(config)?,
            touched,
            sender,
        }))
    }

    /// Hears of changes.
    pub(crate) fn listener(&self) -> OnChange {
        let sender = self.sender.clone();
        Arc::new(move |touched| drop(sender.send(touched)))
    }

    /// Begins, beside the server that runs now.
    ///
    /// # Errors
    /// The server does not say where it is.
    pub(crate) fn start(self, config: &Config) -> anyhow::Result<()> {
        let data = config.data()?;
        let running = RunningServer::of(&data)?
            .ok_or_else(|| anyhow!("the server does not say where it is"))?;
        let publications = Publications::of(&data)?;
        let keeper = Keeper {
            client: Client::of_server(running),
            data,
            publications,
            mirror: self,
        };
        thread::spawn(move || keeper.run());
        Ok(())
    }
}

struct Keeper {
    mirror: Mirror,
    client: Client,
    data: std::path::PathBuf,
    publications: Publications,
}

impl Keeper {
    fn run(mut self) {
        let mut pending = BTreeSet::new();
        let mut looked_at: Option<Instant> = None;
        while !cancel::is_cancelled() {
            match self.mirror.touched.recv_timeout(CANCEL_LOOK_EVERY) {
                Ok(touched) => {
                    pending.insert(touched);
                    pending.extend(self.mirror.touched.try_iter());
                }
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if looked_at.is_none_or(|at| at.elapsed() > LOOK_EVERY) {
                looked_at = Some(Instant::now());
                match self.all() {
                    Ok(shares) => pending.extend(shares.into_iter().map(Touched::Share)),
                    Err(error) => {
                        tracing::warn!("the shares to be mirrored cannot be listed: {error:#}")
                    }
                }
            }
            for touched in std::mem::take(&mut pending) {
                if cancel::is_cancelled() {
                    return;
                }
                // What fails now is found again by the next look at all.
                if let Err(error) = self.follow(&touched) {
                    tracing::warn!(
                        "{} is not in step with this server: {error:#}",
                        self.mirror.place.target.name()
                    );
                }
            }
        }
    }

    /// Shares that are other at the place than they should be, as far as we remember.
    fn all(&self) -> anyhow::Result<Vec<ShareId>> {
        let key = self.mirror.place.key();
        let mut gone: BTreeSet<ShareId> = BTreeSet::new();
        gone.extend(
            self.publications
                .all
                .iter()
                .filter(|one| one.target == key && one.source == SOURCE)
                .map(|one| one.share.clone()),
        );
        let mut shares = Vec::new();
        for_each(
            &self.client,
            "/api/v1/shares?updates=frozen&visibility=public",
            &mut |entry| {
                let id: ShareId = pick::id(entry).parse()?;
                let is_there = self.publications.all.iter().any(|one| {
                    one.target == key
                        && one.share == id
                        && one
                            .bundle
                            .is_some_and(|bundle| entry["bundle"] == bundle.to_string())
                });
                gone.remove(&id);
                if !is_there {
                    shares.push(id);
                }
                Ok(())
            },
        )?;
        shares.extend(gone);
        Ok(shares)
    }

    fn follow(&mut self, touched: &Touched) -> anyhow::Result<()> {
        match touched {
            Touched::Share(share) => self.share(share),
            Touched::Chat(chat) => {
                let mut shares = Vec::new();
                for_each(
                    &self.client,
                    &format!("/api/v1/shares?chat={chat}"),
                    &mut |entry| {
                        shares.push(pick::id(entry).parse::<ShareId>()?);
                        Ok(())
                    },
                )?;
                shares.iter().try_for_each(|share| self.share(share))
            }
        }
    }

    /// Brings one share to what it should be at the place.
    fn share(&mut self, share: &ShareId) -> anyhow::Result<()> {
        let entry = match self.client.get::<Value>(&format!("/api/v1/shares/{share}")) {
            Ok(entry) => Some(entry),
            Err(error)
                if error
                    .downcast_ref::<Refused>()
                    .is_some_and(|refused| refused.status == 404) =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        let is_to_be_there =
            |entry: &Value| entry["updates"] == "frozen" && entry["visibility"] == "public";
        match entry.filter(is_to_be_there) {
            Some(_) => self.publish(share),
            None => self.take_back(share),
        }
    }

    fn publish(&mut self, share: &ShareId) -> anyhow::Result<()> {
        let place = &self.mirror.place;
        let (bundle, title) = share_bundle(&self.client, &self.data, share.as_str())?;
        let content = Content::clear(&bundle, manifest_bytes(&bundle)?);
        let at = moment::now();
        let publication = readalong_publish::Publication {
            share,
            content: &content,
            title: Some(&title),
            at,
            is_listed: false,
        };
        let published = publish(
            place.target.as_ref(),
            &publication,
            &self.mirror.pages,
            &Progress::removing(),
        )?;
        if !published.changes.is_empty() {
            tracing::info!(
                "share {} is at {} as it is here",
                short(share),
                place.target.name()
            );
        }
        self.publications.put(Publication {
            target: place.key(),
            share: share.clone(),
            source: SOURCE.to_owned(),
            title,
            link: place.link(share),
            bundle: Some(bundle.id),
            sealed: None,
            published_at: at,
        })
    }

    fn take_back(&mut self, share: &ShareId) -> anyhow::Result<()> {
        let place = &self.mirror.place;
        let key = place.key();
        if !self
            .publications
            .all
            .iter()
            .any(|one| one.target == key && one.share == *share)
        {
            return Ok(());
        }
        match unpublish(
            place.target.as_ref(),
            share,
            &self.mirror.pages,
            &Progress::removing(),
        ) {
            Ok(_) => tracing::info!(
                "share {} was taken back from {}",
                short(share),
                place.target.name()
            ),
            Err(PublishError::NotThere { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.publications.remove(&key, share)
    }
}

/// A share in a log: not its link.
fn short(share: &ShareId) -> &str {
    &share.as_str()[..8]
}
