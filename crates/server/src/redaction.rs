//! Secrets: out of all that is written, before it is; and out of what was written before the rules knew them.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use readalong_live::redacting::HELD_MS;
use readalong_model::{
    Artifact, ChangeSet, ChatId, Message, Role, Share, ShareId, Updates, UserId,
};
use readalong_redact::{Finding, Known, Redactor, Report};
use readalong_store::{
    Body, Row, ShareChange, ShowcaseWords, ShowcaseWrite, Store, StoreError, Write, Written,
};
use tokio::sync::oneshot;

use crate::service::{Service, ServiceError, now};

/// Messages that are looked up and gone over on the thread that asks; more go to a thread for that.
pub(crate) const MESSAGES_AT_ONCE: usize = 20;

/// A chat that is to be made with all that is in it.
pub(crate) struct NewChat {
    /// Its id.
    pub(crate) id: ChatId,
    /// Who owns it.
    pub(crate) owner: UserId,
    /// Where it comes from.
    pub(crate) source: Option<String>,
    /// Which secrets stay in it.
    pub(crate) kept: Vec<String>,
}

impl Service {
    /// Makes a chat with what its source brings, without its secrets, in one write: one that is interrupted leaves no empty chat. Tells what was taken out.
    ///
    /// # Errors
    /// The store refused or failed, or a chat of that source is there already.
    pub(crate) async fn bring_new(
        self: &Arc<Self>,
        new: NewChat,
        changes: ChangeSet,
    ) -> Result<Report, ServiceError> {
        let (chat, by) = (new.id, Some(new.owner));
        self.redactions.meet(&chat, &new.kept);
        let create = self.without_secrets(Write::CreateChat {
            id: chat.clone(),
            owner: new.owner,
            source: new.source,
            head: changes.head.clone().unwrap_or_default(),
        });
        let keep = Write::Keep {
            chat: chat.clone(),
            by,
            kept: new.kept,
        };
        let first = vec![create, keep];
        let brought = self.bring_behind(first, (&chat, by), changes, true).await;
        if brought.is_err() {
            self.redactions.forget(&chat);
        }
        Ok(brought?.1)
    }

    /// Takes what a source brings, without its secrets; tells what was taken out.
    ///
    /// # Errors
    /// The store refused or failed.
    pub(crate) async fn bring(
        self: &Arc<Self>,
        chat: ChatId,
        by: Option<UserId>,
        changes: ChangeSet,
        durable: bool,
    ) -> Result<(Written, Report), ServiceError> {
        let nothing = Vec::new();
        self.bring_behind(nothing, (&chat, by), changes, durable)
            .await
    }

    /// Brings changes in one write with what has to be written before them.
    async fn bring_behind(
        self: &Arc<Self>,
        mut writes: Vec<Write>,
        (chat, by): (&ChatId, Option<UserId>),
        changes: ChangeSet,
        durable: bool,
    ) -> Result<(Written, Report), ServiceError> {
        let (done, written) = oneshot::channel();
        let is_long = changes.messages.len() > MESSAGES_AT_ONCE;
        let (service, id) = (self.clone(), chat.clone());
        let pass = move || {
            let may_hold = service.is_serving();
            service.redactions.pass(&id, changes, may_hold, |changes| {
                let chat = id.clone();
                writes.push(Write::Apply {
                    chat,
                    by,
                    changes,
                    durable,
                });
                service.store.write(Write::All(writes), move |result| {
                    let _ = done.send(result);
                });
            })
        };
        let passed = match is_long {
            true => tokio::task::spawn_blocking(pass)
                .await
                .map_err(|_| ServiceError::Stopping)?,
            false => pass(),
        };
        let written = written.await.map_err(|_| ServiceError::Stopping)??;
        self.after(chat, passed.is_held, passed.has_learned);
        Ok((written, passed.report))
    }

    /// Does later what has to follow when something was held back or learned.
    fn after(self: &Arc<Self>, chat: &ChatId, is_held: bool, has_learned: bool) {
        if is_held {
            let service = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(HELD_MS)).await;
                service.release(Instant::now());
            });
        }
        if has_learned {
            let (service, chat) = (self.clone(), chat.clone());
            tokio::spawn(async move {
                if let Err(error) = service.rescan(&chat, Vec::new()).await {
                    tracing::warn!("a chat could not be gone over for a secret: {error}");
                }
            });
        }
    }

    /// Writes what was held back and has not gone on: what is due by then.
    pub(crate) fn release(&self, by: Instant) {
        self.redactions.release(by, |chat, changes| {
            let apply = Write::Apply {
                chat: chat.clone(),
                by: None,
                changes,
                durable: true,
            };
            self.store.write(apply, |_| {});
        });
    }

    /// What is written without its secrets. What a source brings goes through [`Service::bring`].
    pub(crate) fn without_secrets(&self, write: Write) -> Write {
        let redactor = self.redactions.redactor();
        let clean = |mut text: String, field| {
            redactor.text(&mut text, field, &mut Known::default());
            text
        };
        match write {
            Write::All(writes) => {
                let clean = writes.into_iter().map(|write| self.without_secrets(write));
                Write::All(clean.collect())
            }
            Write::CreateChat {
                id,
                owner,
                source,
                mut head,
            } => {
                head.title = clean(head.title, "title");
                Write::CreateChat {
                    id,
                    owner,
                    source,
                    head,
                }
            }
            Write::Rename { chat, by, title } => Write::Rename {
                title: self.clean(&chat, title),
                chat,
                by,
            },
            Write::Edit {
                chat,
                by,
                id,
                parts,
            } => {
                let mut message = Message::new("", Role::User);
                message.parts = parts;
                self.redactions.with(&chat, |redactor, known| {
                    redactor.message(&mut message, known, false)
                });
                let parts = message.parts;
                Write::Edit {
                    chat,
                    by,
                    id,
                    parts,
                }
            }
            Write::CreateShare(mut share) => {
                share.name = share.name.map(|name| self.clean(&share.chat, name));
                Write::CreateShare(share)
            }
            Write::ChangeShare { id, by, mut change } => {
                if let Some(Some(name)) = change.name {
                    let chat = self.share(&id).ok().flatten();
                    change.name = Some(Some(match chat {
                        Some(share) => self.clean(&share.chat, name),
                        None => clean(name, "title"),
                    }));
                }
                Write::ChangeShare { id, by, change }
            }
            Write::Showcase(ShowcaseWrite::Add {
                id,
                share,
                words,
                by,
            }) => Write::Showcase(ShowcaseWrite::Add {
                words: self.clean_words(Some(&share), words),
                id,
                share,
                by,
            }),
            Write::Showcase(ShowcaseWrite::Change { id, words }) => {
                let entry = self.read_now(|reader| reader.showcase_entry(&id, now()));
                let entry = entry.ok().flatten();
                let share = entry.as_ref().map(|entry| &entry.share.id);
                let words = self.clean_words(share, words);
                Write::Showcase(ShowcaseWrite::Change { id, words })
            }
            other => other,
        }
    }

    /// What is said of a featured share, also without the secrets that its chat has.
    fn clean_words(&self, share: Option<&ShareId>, words: ShowcaseWords) -> ShowcaseWords {
        let share = share.and_then(|id| self.share(id).ok().flatten());
        let clean = |mut text: String| match &share {
            Some(share) => self.clean(&share.chat, text),
            None => {
                let redactor = self.redactions.redactor();
                redactor.text(&mut text, "title", &mut Known::default());
                text
            }
        };
        ShowcaseWords {
            title: clean(words.title),
            description: clean(words.description),
            category: words.category.map(clean),
        }
    }

    fn clean(&self, chat: &ChatId, mut text: String) -> String {
        self.redactions.with(chat, |redactor, known| {
            redactor.text(&mut text, "title", known);
        });
        text
    }

    /// Goes over all that is kept of a chat by the rules of now, and takes out of every version what they find, and `texts` wherever they stand. Open pages and frozen shares follow.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) async fn rescan(
        self: &Arc<Self>,
        chat: &ChatId,
        texts: Vec<String>,
    ) -> Result<Report, ServiceError> {
        let (service, id) = (self.clone(), chat.clone());
        let look = move || {
            service.redactions.with(&id, |redactor, known| {
                texts.iter().for_each(|text| known.add(text));
                let mut rescan = Rescan {
                    store: &service.store,
                    redactor,
                    known,
                    report: Report::default(),
                };
                let mut rows = rescan.look(&id)?;
                // What the end tells may stand in the beginning.
                if !rows.is_empty() || !rescan.known.is_empty() {
                    rows = rescan.look(&id)?;
                }
                let report = std::mem::take(&mut rescan.report);
                let shares = service.store.read(|reader| reader.shares_of_chat(&id))?;
                let names = rescan.names(shares);
                Ok::<_, ServiceError>((rows, names, report))
            })
        };
        let looked = tokio::task::spawn_blocking(look).await;
        let (rows, names, report) = looked.map_err(|_| ServiceError::Stopping)??;
        if !rows.is_empty() {
            let chat = chat.clone();
            self.write(Write::Rewrite { chat, rows }).await?;
        }
        for (share, name) in names {
            let change = ShareChange {
                name: Some(Some(name)),
                ..ShareChange::default()
            };
            self.change_share(&share.id, None, change).await?;
        }
        // Bundles are made anew before this answers, so that what was taken out is nowhere.
        let chat = chat.clone();
        for share in self
            .read(move |reader| reader.shares_of_chat(&chat))
            .await?
        {
            if share.updates == Updates::Frozen {
                self.frozen.open(self, &share).await?;
            }
        }
        self.frozen.catch_up(self).await;
        Ok(report)
    }
}

/// Going over what is kept of a chat.
struct Rescan<'a> {
    store: &'a Store,
    redactor: &'a Redactor,
    known: &'a mut Known,
    report: Report,
}

impl Rescan<'_> {
    /// The rows that say something else without their secrets.
    fn look(&mut self, chat: &ChatId) -> Result<Vec<Row>, ServiceError> {
        let mut changed = Vec::new();
        let mut findings: Vec<Finding> = Vec::new();
        let mut failed = None;
        self.store.read(|reader| {
            reader.rows(chat, &mut |row| match self.row(row.clone()) {
                Ok((new, report)) => {
                    findings.extend(report.findings);
                    if new != row {
                        changed.push(new);
                    }
                }
                Err(error) => failed = Some(error),
            })
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        // The same secret in several versions of one message is one.
        let mut seen = HashSet::new();
        findings.retain(|found| seen.insert((found.place.clone(), found.id.clone())));
        self.report = Report { findings };
        Ok(changed)
    }

    fn row(&mut self, mut row: Row) -> Result<(Row, Report), ServiceError> {
        let (redactor, known) = (self.redactor, &mut *self.known);
        let mut changes = ChangeSet::default();
        let mut message = Message::new("", Role::User);
        let (body, report) = match row.body {
            Body::Head(head) => {
                changes.head = Some(head);
                let report = redactor.changes(&mut changes, known).report;
                (Body::Head(changes.head.unwrap_or_default()), report)
            }
            Body::Thread(thread) => {
                changes.threads.push((0, thread.clone()));
                let report = redactor.changes(&mut changes, known).report;
                let thread = changes.threads.pop().map_or(thread, |(_, thread)| thread);
                (Body::Thread(thread), report)
            }
            Body::Artifact(artifact) => {
                let (artifact, report) = self.artifact(artifact)?;
                (Body::Artifact(artifact), report)
            }
            Body::Message(mut message) => {
                let report = redactor.message(&mut message, known, false).report;
                (Body::Message(message), report)
            }
            Body::Edited(parts) => {
                message.parts = parts;
                let report = redactor.message(&mut message, known, false).report;
                (Body::Edited(message.parts), report)
            }
            Body::Title(mut title) => {
                let report = redactor.text(&mut title, "title", known);
                (Body::Title(title), report)
            }
        };
        row.body = body;
        Ok((row, report))
    }

    fn artifact(&mut self, artifact: Artifact) -> Result<(Artifact, Report), ServiceError> {
        let mut changes = ChangeSet::default();
        changes.artifacts.push((0, artifact.clone()));
        let mut report = self.redactor.changes(&mut changes, self.known).report;
        let mut artifact = changes
            .artifacts
            .pop()
            .map_or(artifact, |(_, artifact)| artifact);
        let Some((sha256, _)) = artifact.bytes() else {
            return Ok((artifact, report));
        };
        let bytes = self.store.artifact(sha256)?.unwrap_or_default();
        if let Some((new, of_file)) = self.redactor.file(&artifact.name, &bytes, self.known) {
            let kept = self.store.keep_artifact(&new)?;
            let mut renamed = readalong_live::redacting::Renamed::default();
            renamed.insert(sha256, kept, new.len() as u64);
            renamed.rename(&mut artifact);
            report.add(of_file);
        }
        Ok((artifact, report))
    }

    /// Names of shares that say something else.
    fn names(&mut self, shares: Vec<Share>) -> Vec<(Share, String)> {
        let mut renamed = Vec::new();
        for share in shares {
            if let Some(mut name) = share.name.clone() {
                let report = self.redactor.text(&mut name, "title", self.known);
                if report.removed() > 0 {
                    renamed.push((share, name));
                }
            }
        }
        renamed
    }
}

/// Which secrets of a chat stay, as the store has it.
pub(crate) fn kept(store: &Store, chat: &ChatId) -> Vec<String> {
    let kept = store.read(|reader| reader.kept(chat));
    kept.unwrap_or_else(|error: StoreError| {
        tracing::warn!("what stays in a chat cannot be read: {error}");
        Vec::new()
    })
}
