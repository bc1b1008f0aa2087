//! The frozen shares of all owners of a server, kept at a place that only serves files, by the server itself.
//!
//! A thread beside the server hears of changes and does what `readalong publish` and `unpublish` would: private shares are encrypted, where that is asked for, or not there.
//! What cannot be done now is tried again.

use std::{
    collections::{BTreeSet, VecDeque},
    iter,
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::anyhow;
use readalong_model::{ChatId, ShareId};
use readalong_publish::{Content, PublishError, publish, shares, unpublish};
use readalong_server::{OnChange, RunningServer, Touched};
use serde_json::Value;

use crate::{
    cancel,
    client::{Client, is_not_found},
    cmd::list::for_each,
    config::Config,
    moment, pick,
    publications::{Publication, Publications},
    publishing::{Pages, Place, Progress, is_sharing_public, manifest_bytes, share_bundle},
    sealing::Seal,
};

/// All shares are looked at so often: some end by themselves.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// An admin may switch public sharing off, which is no change of a share: it is looked at so often.
const SWITCH_LOOK_EVERY: Duration = Duration::from_secs(2);
/// Time between two looks at whether the server ends.
const CANCEL_LOOK_EVERY: Duration = Duration::from_millis(200);
/// What is remembered as the source of a mirrored share.
const SOURCE: &str = "share";
/// Where the API has the shares of all owners.
const SHARES: &str = "/api/v1/admin/shares";

/// How a share is to be at the place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Clear,
    Encrypted,
    /// Not at all: it grows.
    Nowhere,
    /// Not at all: it is private, and nobody has asked for encryption.
    Refused,
}

/// A place, and what has to be looked at there.
pub(crate) struct Mirror {
    place: Place,
    pages: Pages,
    /// Whether private shares are encrypted, or left out.
    encrypts: bool,
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
            encrypts: config.mirror_encrypt,
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
            config: config.clone(),
            data,
            publications,
            mirror: self,
            refused: BTreeSet::new(),
            has_asked: false,
            asking: None,
            lost: BTreeSet::new(),
        };
        thread::spawn(move || keeper.run());
        Ok(())
    }
}

struct Keeper {
    mirror: Mirror,
    client: Client,
    config: Config,
    data: std::path::PathBuf,
    publications: Publications,
    /// Private shares of which the log has said that they are not there.
    refused: BTreeSet<ShareId>,
    /// Whether the place was asked what it has, since we began and since there was no site: it may have been emptied, or be another one.
    has_asked: bool,
    /// The question, while there is no answer yet.
    asking: Option<JoinHandle<anyhow::Result<Option<BTreeSet<ShareId>>>>>,
    /// Shares that were sent, and that it does not have.
    lost: BTreeSet<ShareId>,
}

impl Keeper {
    fn run(mut self) {
        let mut told: VecDeque<Touched> = VecDeque::new();
        let mut found: Vec<Touched> = Vec::new();
        let mut looked_at: Option<Instant> = None;
        let mut switch: (Option<Instant>, bool) = (None, true);
        while !cancel::is_cancelled() {
            let wait = match told.is_empty() && found.is_empty() {
                true => CANCEL_LOOK_EVERY,
                false => Duration::ZERO,
            };
            match self.mirror.touched.recv_timeout(wait) {
                Ok(touched) => {
                    let all = iter::once(touched).chain(self.mirror.touched.try_iter());
                    for touched in all {
                        if !told.contains(&touched) {
                            told.push_back(touched);
                        }
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let is_switch_due = |at: Instant| at.elapsed() > SWITCH_LOOK_EVERY;
            if switch.0.is_none_or(is_switch_due)
                && let Ok(is_public) = is_sharing_public(&self.client)
            {
                if is_public != switch.1 {
                    looked_at = None;
                }
                switch = (Some(Instant::now()), is_public);
            }
            let is_answered = self.asking.as_ref().is_some_and(JoinHandle::is_finished);
            if is_answered || looked_at.is_none_or(|at| at.elapsed() > LOOK_EVERY) {
                looked_at = Some(Instant::now());
                if let Err(error) = self.ask() {
                    let name = self.mirror.place.target.name();
                    tracing::warn!("{name} does not say which shares it has: {error:#}");
                }
                match self.others(None) {
                    Ok(shares) => found = shares.into_iter().map(Touched::Share).collect(),
                    Err(error) => {
                        tracing::warn!("the shares to be mirrored cannot be listed: {error:#}")
                    }
                }
            }
            // What is taken back waits for what was changed before, and not for all that the place lacks.
            let Some(touched) = told.pop_front().or_else(|| found.pop()) else {
                continue;
            };
            found.retain(|other| *other != touched);
            // What fails now is found again by the next look at all, and a fault in one share keeps no other from being mirrored.
            let followed = panic::catch_unwind(AssertUnwindSafe(|| self.follow(&touched)));
            if let Err(error) = followed.unwrap_or_else(|_| Err(anyhow!("it panicked"))) {
                let name = self.mirror.place.target.name();
                let advice = match error.downcast_ref() {
                    Some(PublishError::NoSite { .. }) => {
                        self.has_asked = false;
                        format!(
                            "; if it is to begin anew there, `readalong publish SHARE --to {name}` makes a site"
                        )
                    }
                    _ => String::new(),
                };
                tracing::warn!("{name} is not in step with this server: {error:#}{advice}");
            }
        }
    }

    /// Asks the place, once, which of the shares it has that were sent there. It may take minutes to say so, and nothing waits for it.
    fn ask(&mut self) -> anyhow::Result<()> {
        if self.has_asked {
            return Ok(());
        }
        if let Some(asked) = self.asking.take_if(|asking| asking.is_finished()) {
            let answer = asked.join().unwrap_or_else(|_| Err(anyhow!("it panicked")));
            if let Some(lost) = answer? {
                (self.lost, self.has_asked) = (lost, true);
            }
        } else if self.asking.is_none() {
            self.publications = Publications::of(&self.data)?;
            let key = self.mirror.place.key();
            let sent = self.publications.all.iter();
            let sent = sent.filter(|one| one.target == key && one.source == SOURCE);
            let sent = sent.map(|one| one.share.clone()).collect();
            let config = self.config.clone();
            self.asking = Some(thread::spawn(move || lost(sent, &config)));
        }
        Ok(())
    }

    /// Shares that are other at the place than they should be, as far as we remember, and those of a chat that was touched.
    fn others(&mut self, touched: Option<&ChatId>) -> anyhow::Result<Vec<ShareId>> {
        let key = self.mirror.place.key();
        // A command may have published or taken back something since.
        self.publications = Publications::of(&self.data)?;
        let is_public = is_sharing_public(&self.client)?;
        let ours = self.publications.all.iter();
        let ours = ours.filter(|one| one.target == key && one.source == SOURCE);
        let mut gone: BTreeSet<ShareId> = ours.map(|one| one.share.clone()).collect();
        let mut shares = Vec::new();
        for_each(&self.client, SHARES, &mut |entry| {
            let id: ShareId = pick::id(entry).parse()?;
            let form = form(entry, is_public, self.mirror.encrypts);
            let mut there = self.publications.all.iter();
            let there = there.rfind(|one| one.target == key && one.share == id);
            let is_so = match (form, there) {
                (Form::Nowhere, there) => there.is_none(),
                (Form::Refused, there) => there.is_none() && self.refused.contains(&id),
                (_, None) => false,
                (_, Some(_)) if self.lost.contains(&id) => false,
                (form, Some(there)) => {
                    let bundle = there.bundle.map(|bundle| bundle.to_string());
                    there.is_sealed() == (form == Form::Encrypted)
                        && entry["bundle"].as_str() == bundle.as_deref()
                }
            };
            gone.remove(&id);
            if !is_so || touched.is_some_and(|chat| entry["chat"] == chat.as_str()) {
                shares.push(id);
            }
            Ok(())
        })?;
        shares.extend(gone);
        Ok(shares)
    }

    fn follow(&mut self, touched: &Touched) -> anyhow::Result<()> {
        match touched {
            Touched::Share(share) => self.share(share),
            Touched::Chat(chat) => {
                let shares = self.others(Some(chat))?;
                shares.iter().try_for_each(|share| self.share(share))
            }
        }
    }

    /// Brings one share to what it should be at the place.
    fn share(&mut self, share: &ShareId) -> anyhow::Result<()> {
        let form = match self.client.get::<Value>(&format!("{SHARES}/{share}")) {
            Ok(entry) => form(
                &entry,
                is_sharing_public(&self.client)?,
                self.mirror.encrypts,
            ),
            Err(error) if is_not_found(&error) => Form::Nowhere,
            Err(error) => return Err(error),
        };
        if form != Form::Refused {
            self.refused.remove(share);
        }
        match form {
            Form::Clear => self.publish(share, None),
            Form::Encrypted => {
                let key = self.mirror.place.key();
                let before = self.publications.of_share(share, &key);
                let seal = match before.and_then(|one| one.sealed.as_ref()) {
                    Some(sealed) => Seal::again(sealed, false)?,
                    None => Seal::new(false)?,
                };
                self.publish(share, Some(seal))
            }
            Form::Nowhere => self.take_back(share),
            Form::Refused => {
                self.take_back(share)?;
                if self.refused.insert(share.clone()) {
                    tracing::warn!(
                        "share {} is private and is not sent to {}, which can ask nobody who they are; `mirror_encrypt = true` in the configuration sends it encrypted",
                        short(share),
                        self.mirror.place.target.name()
                    );
                }
                Ok(())
            }
        }
    }

    fn publish(&mut self, share: &ShareId, seal: Option<Seal>) -> anyhow::Result<()> {
        let place = &self.mirror.place;
        let from = (SHARES, share.as_str());
        let (bundle, title) = match share_bundle(&self.client, &self.data, from) {
            // It was deleted while we were at it.
            Err(error) if is_not_found(&error) => return self.take_back(share),
            made => made?,
        };
        let sealed = seal.as_ref().map(|seal| seal.bundle(&bundle)).transpose()?;
        let content = match &sealed {
            Some((sealed, _)) => Content::sealed(sealed),
            None => Content::clear(&bundle, manifest_bytes(&bundle)?),
        };
        let at = moment::now();
        let link = place.link(share);
        let key = place.key();
        // Who may not read it in this form any more does not go on reading the version before.
        let progress = match self.publications.of_share(share, &key) {
            Some(before) if before.is_sealed() != seal.is_some() => Progress::removing(),
            _ => Progress::publishing(),
        };
        let mut ours = self.publications.all.iter();
        let has_site = ours.any(|one| one.target == key && one.published_at.is_some());
        // Before it is there: a key that was lost could open nothing.
        self.publications.put(Publication {
            target: place.key(),
            share: share.clone(),
            source: SOURCE.to_owned(),
            title: title.clone(),
            link: seal
                .as_ref()
                .map_or_else(|| link.clone(), |seal| seal.link(&link)),
            bundle: None,
            sealed: seal.as_ref().map(Seal::remembered),
            is_clear: false,
            published_at: None,
        })?;
        let publication = readalong_publish::Publication {
            share,
            content: &content,
            title: Some(title.as_str()).filter(|_| sealed.is_none()),
            at,
            is_listed: false,
            needs_site: has_site,
        };
        let published = publish(
            place.target.as_ref(),
            &publication,
            &self.mirror.pages,
            &progress,
        )?;
        if !published.changes.is_empty() {
            tracing::info!(
                "share {} is at {} as it is here",
                short(share),
                place.target.name()
            );
        }
        self.lost.remove(share);
        self.publications
            .sent((&place.key(), share), Some(bundle.id), at)
    }

    fn take_back(&mut self, share: &ShareId) -> anyhow::Result<()> {
        let place = &self.mirror.place;
        let key = place.key();
        let mut there = self.publications.all.iter();
        if !there.any(|one| one.target == key && one.share == *share) {
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
            Err(PublishError::NotThere { .. } | PublishError::NoSite { .. })
                if self.publications.is_only_begun(&key, share) => {}
            // Who takes a share back leaves a page that says so: what lacks even that may be away, and come again with the share in it.
            Err(error) => return Err(error.into()),
        }
        self.publications.remove(&key, share)
    }
}

/// Those of the shares that were sent to the mirror's place that it does not have; `None` where the place may be away.
fn lost(mut sent: BTreeSet<ShareId>, config: &Config) -> anyhow::Result<Option<BTreeSet<ShareId>>> {
    let (false, Some(to)) = (sent.is_empty(), &config.mirror) else {
        return Ok(Some(sent));
    };
    let place = Place::of(to, config)?;
    let there = match shares(place.target.as_ref(), &Progress::removing()) {
        Err(PublishError::NoSite { .. }) => return Ok(None),
        there => there?.0,
    };
    for one in there {
        sent.remove(&one.share);
    }
    Ok(Some(sent))
}

/// True for a share that a server of this data folder keeps at a place: taken back there, it would be sent again within the minute.
///
/// # Errors
/// The data folder cannot be reached.
pub(crate) fn keeps(config: &Config, place: &Place, share: &ShareId) -> anyhow::Result<bool> {
    let Some(to) = &config.mirror else {
        return Ok(false);
    };
    // What cannot be opened is another place.
    if !Place::of(to, config).is_ok_and(|kept| kept.key() == place.key()) {
        return Ok(false);
    }
    let client = Client::of(config)?;
    let entry: Value = match client.get(&format!("{SHARES}/{share}")) {
        Err(error) if is_not_found(&error) => return Ok(false),
        entry => entry?,
    };
    let form = form(&entry, is_sharing_public(&client)?, config.mirror_encrypt);
    Ok(matches!(form, Form::Clear | Form::Encrypted))
}

/// How a share is to be at the place.
fn form(entry: &Value, is_public: bool, encrypts: bool) -> Form {
    match (
        entry["updates"] == "frozen",
        entry["visibility"] == "public",
    ) {
        (false, _) => Form::Nowhere,
        (true, true) if is_public => Form::Clear,
        _ if encrypts => Form::Encrypted,
        _ => Form::Refused,
    }
}

/// A share in a log: not its link.
fn short(share: &ShareId) -> &str {
    &share.as_str()[..8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_cannot_be_opened_keeps_nothing_at_another() {
        let config = Config {
            mirror: Some("ftp://nowhere".to_owned()),
            ..Config::default()
        };
        let other = Place::of("/srv/other", &config).unwrap();
        let share = ShareId::from_random([1; 16]);
        assert!(!keeps(&config, &other, &share).unwrap());
    }

    #[test]
    fn a_place_that_may_be_away_has_lost_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            mirror: Some(folder.path().display().to_string()),
            ..Config::default()
        };
        let sent = BTreeSet::from([ShareId::from_random([1; 16])]);
        assert_eq!(
            lost(BTreeSet::new(), &config).unwrap(),
            Some(BTreeSet::new())
        );
        assert_eq!(lost(sent, &config).unwrap(), None);
    }
}
