//! `readalong publish --live`: a static page that is kept in step with a transcript.
//!
//! A server, the one that runs on the data folder or one of our own, follows the transcript and makes pages and frames as for every live share. Here they are fetched from it and
//! sent on: frames in small files, pages when enough has changed, everything anew where the pages were bound anew.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use readalong_bundle::SealedIndex;
use readalong_model::{Digest, Seq, ShareId};
use readalong_publish::{
    LiveRecord, LiveStep, LiveVersion, NewFile, Origin, live_record, live_step,
};
use readalong_server::{RunningServer, Server};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::Publish;
use crate::{
    cancel,
    client::Client,
    cmd::{export, serve, share},
    config::Config,
    link, moment, output, pick,
    publications::{Publication, Publications},
    publishing::{Pages, Place, Progress},
    sealing::Seal,
};

/// What comes within so long is sent at once.
const STEP_EVERY: Duration = Duration::from_secs(1);
/// Time between two looks at whether somebody cancelled.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Pauses between tries while a place does not answer: the first, doubled each time up to the last.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// A page is sent again when this many times as much has come since as it weighs: all its sendings together then weigh one and a half times the last one.
const GROWTH: u64 = 2;
/// Data about the whole chat are sent again when they have grown by a quarter.
const GROWTH_OF_WHOLE: (usize, usize) = (5, 4);
/// Digits of digests that only tell whether something changed.
const DIGITS: usize = 16;
/// The file at the place that says what was sent.
const PAGES_SENT: &str = "data/pages.json";
/// How long the server may be silent: it speaks every 30 seconds.
const SILENCE_MAX: Duration = Duration::from_secs(75);
/// Longest answer of our own server that is taken, in bytes.
const ANSWER_BYTES_MAX: u64 = 1 << 30;

impl Publish {
    /// Keeps a static page in step with a transcript until somebody cancels.
    pub(super) fn live(self, config: Config) -> anyhow::Result<()> {
        let file = PathBuf::from(&self.what);
        if !file.is_file() {
            bail!(
                "`{}` is no file; --live follows a transcript while it grows",
                self.what
            );
        }
        share::check_transcript(&file, self.how.redaction(), &config)?;
        let data = config.data()?;
        if let Ok(Some(running)) = RunningServer::of(&data)
            && Client::of(&config)?.is_served()
        {
            if self.how.redaction().hides_more() {
                bail!(
                    "the server that runs decides what else is taken out of a chat that it follows: set it in its configuration, or end the server first"
                );
            }
            return self.keep_in_step(&config, running);
        }
        serve::log_to_stderr("warn")?;
        let mut options = config.server_options()?;
        options.redact = self.how.redaction().options(&config)?;
        let server = Server::open(options)?;
        // It ends after the last page was fetched from it, not when somebody cancels.
        let (done, is_done) = oneshot::channel::<()>();
        let (result, kept) = mpsc::channel();
        let ready = move |_: &Server| {
            thread::spawn(move || {
                let running = RunningServer::of(&data).map_err(anyhow::Error::from);
                let running = running.and_then(|running| {
                    running.ok_or_else(|| anyhow!("the server does not say where it is"))
                });
                let _ =
                    result.send(running.and_then(|running| self.keep_in_step(&config, running)));
                drop(done);
            });
            Ok(())
        };
        serve::serve(
            server,
            ([127, 0, 0, 1], 0).into(),
            async { drop(is_done.await) },
            ready,
        )?;
        kept.recv().context("the publication ended")?
    }

    fn keep_in_step(&self, config: &Config, running: RunningServer) -> anyhow::Result<()> {
        let place = Place::of(&self.to, config)?;
        let pages = Pages::new(config)?;
        let mut publications = Publications::of(&config.data()?)?;
        let path = Path::new(&self.what).canonicalize()?;
        let source = path.display().to_string();
        let share = self.share_of(&source, None, &publications, &place.key())?;
        let client = Client::of_server(running.clone());
        let chat = share::follow(&client, &path, self.how.redaction().waived())?;
        let local = self.local_share(&client, &chat)?;
        let base = format!("{}/s/{}/", running.url, pick::id(&local));
        let title = local["name"]
            .as_str()
            .or(local["chat_title"].as_str())
            .unwrap_or_default()
            .to_owned();
        let seal = self.seal(&share, &publications, &place.key())?;
        let link = place.link(&share);
        let link = seal
            .as_ref()
            .map_or_else(|| link.clone(), |seal| seal.link(&link));
        publications.put(Publication {
            target: place.key(),
            share: share.clone(),
            source,
            title: title.clone(),
            link: link.clone(),
            bundle: None,
            sealed: seal.as_ref().map(Seal::remembered),
            published_at: moment::now(),
        })?;
        let progress = Progress::publishing();
        let mut keeper = Keeper {
            place: &place,
            share: &share,
            pages: &pages,
            progress: &progress,
            source: Source::new(base),
            title,
            seal: seal.as_ref(),
            standing: None,
        };
        keeper.resume()?;
        let mut is_told = false;
        let mut pause = PAUSE_MIN;
        loop {
            let went = keeper.go_on(&mut |sent| {
                pause = PAUSE_MIN;
                if !std::mem::replace(&mut is_told, true) {
                    progress.finish();
                    link::print(&link)?;
                    output::note("New messages follow; Ctrl-C ends it, and the same command goes on with it.");
                }
                if self.json {
                    output::print_line(&json!({ "seq": sent.seq, "files_sent": sent.files, "bytes_sent": sent.bytes, "link": link }).to_string())?;
                }
                Ok(())
            });
            match went {
                Ok(()) => return Ok(()),
                // Nothing was shown yet: whoever started it should know at once.
                Err(error) if !is_told => return Err(error),
                Err(error) => {
                    if cancel::is_cancelled() {
                        return Err(error);
                    }
                    output::print_error(&error);
                    output::note(&format!("trying again in {} s", pause.as_secs()));
                    let begun = Instant::now();
                    while begun.elapsed() < pause && !cancel::is_cancelled() {
                        thread::sleep(LOOK_EVERY);
                    }
                    pause = (pause * 2).min(PAUSE_MAX);
                    // What was sent in the middle of a step is not known: the place is asked.
                    keeper.standing = None;
                    if let Err(error) = keeper.resume() {
                        output::print_error(&error);
                    }
                }
            }
        }
    }

    /// A live share of our server that shows what is to be published; one of an earlier time does as well.
    fn local_share(&self, client: &Client, chat: &str) -> anyhow::Result<Value> {
        let artifacts = self.how.artifacts();
        let name = self.how.title();
        let shares: Vec<Value> = client.get(&format!(
            "/api/v1/shares?chat={chat}&updates=live&visibility=public&limit=100"
        ))?;
        let fits = |share: &&Value| {
            share["artifacts"] == artifacts
                && share["expires_at"].is_null()
                && share["name"].as_str() == name
        };
        if let Some(share) = shares.iter().find(fits) {
            return Ok(share.clone());
        }
        let new = json!({ "chat": chat, "updates": "live", "visibility": "public", "artifacts": artifacts, "name": name });
        client.post("/api/v1/shares", &new)
    }
}

/// What one step sent.
struct Sent {
    seq: Seq,
    files: usize,
    bytes: u64,
}

/// Keeps one share at one place in step.
struct Keeper<'a> {
    place: &'a Place,
    share: &'a ShareId,
    pages: &'a Pages,
    progress: &'a Progress,
    source: Source,
    title: String,
    /// How everything is encrypted, where it is.
    seal: Option<&'a Seal>,
    standing: Option<Standing>,
}

/// What is at the place.
struct Standing {
    folder: String,
    record: LiveRecord,
    /// Artifacts that were sent.
    files: HashSet<String>,
    /// Lengths of the data about the whole chat as they were sent last.
    whole: BTreeMap<String, usize>,
    sent: SentPages,
    /// What the index of an encrypted one says.
    index: SealedIndex,
}

/// Digests of what readers have, at the place as `data/pages.json`: whoever goes on sees whether it changed meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SentPages {
    header: String,
    /// Pages that are finished, by name.
    pages: BTreeMap<String, String>,
}

impl SentPages {
    fn put(&mut self, name: &str, html: &[u8]) {
        self.header = header_digest(html);
        self.pages.insert(name.to_owned(), page_digest(html));
    }

    fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts by names are JSON")
    }
}

/// What a frame says, as far as it matters here (docs/protocol.md).
#[derive(Deserialize)]
struct Frame {
    #[serde(default)]
    hello: Option<Hello>,
    #[serde(default)]
    reset: Option<Reset>,
    #[serde(default)]
    seq: Option<Seq>,
    #[serde(default)]
    ops: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Hello {
    epoch: String,
}

#[derive(Deserialize)]
struct Reset {
    epoch: String,
    seq: Seq,
}

/// What the server says next.
enum Heard {
    Frame(String),
    /// It ends, and why.
    End(anyhow::Error),
}

impl Keeper<'_> {
    /// Finds out where the place stands.
    fn resume(&mut self) -> anyhow::Result<()> {
        let undress = |name: &str, bytes: Vec<u8>| match self.seal {
            Some(seal) => seal.open_late(name, &bytes),
            None => Some(bytes),
        };
        let found = live_record(
            self.place.target.as_ref(),
            self.share,
            (PAGES_SENT, &undress),
            self.progress,
        )?;
        // Which pieces an encrypted one has is not read back: it begins anew.
        self.standing = found.filter(|_| self.seal.is_none()).map(|found| Standing {
            folder: found.folder,
            record: found.record,
            files: HashSet::new(),
            whole: BTreeMap::new(),
            sent: found
                .notes
                .and_then(|notes| serde_json::from_slice(&notes).ok())
                .unwrap_or_default(),
            index: SealedIndex::default(),
        });
        Ok(())
    }

    /// Sends what is missing, then what comes, until somebody cancels.
    fn go_on(&mut self, tell: &mut dyn FnMut(&Sent) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let place = self
            .standing
            .as_ref()
            .map(|standing| (standing.record.epoch.clone(), standing.record.seq));
        let heard = self.source.listen(place)?;
        let mut frames: Vec<String> = Vec::new();
        let mut is_stale = self.standing.is_none();
        let mut last_step = Instant::now()
            .checked_sub(STEP_EVERY)
            .unwrap_or_else(Instant::now);
        loop {
            match heard.recv_timeout(LOOK_EVERY) {
                Ok(Heard::Frame(text)) => {
                    let frame: Frame =
                        serde_json::from_str(&text).context("the server's frame cannot be read")?;
                    let record = self.standing.as_ref().map(|standing| &standing.record);
                    let is_other =
                        |hello: &Hello| record.is_some_and(|record| record.epoch != hello.epoch);
                    // What was fetched meanwhile may be that far already.
                    let is_behind = |reset: &Reset| {
                        !record.is_some_and(|record| {
                            record.epoch == reset.epoch && record.seq >= reset.seq
                        })
                    };
                    is_stale |= frame.hello.as_ref().is_some_and(is_other)
                        || frame.reset.as_ref().is_some_and(is_behind);
                    if let Some(ops) = &frame.ops {
                        // What changes everywhere, and what was taken out or changed in a finished page: nothing of before stays at the place.
                        let last = record.map_or(0, |record| number(&record.page));
                        is_stale |= ops.iter().any(|op| changes_before(op, last));
                        frames.push(text);
                    }
                }
                Ok(Heard::End(error)) => return Err(error),
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    bail!("the server does not speak any more")
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            let is_over = cancel::is_cancelled();
            if !is_over && (last_step.elapsed() < STEP_EVERY || (frames.is_empty() && !is_stale)) {
                continue;
            }
            if is_stale {
                let sent = match self.catch_up()? {
                    Some(sent) => sent,
                    None => self.begin()?,
                };
                tell(&sent)?;
                (is_stale, last_step) = (false, Instant::now());
                frames.clear();
            } else if !frames.is_empty() || is_over {
                if let Some(sent) = self.step(&frames, is_over)? {
                    tell(&sent)?;
                }
                last_step = Instant::now();
                frames.clear();
            }
            if is_over {
                return Ok(());
            }
        }
    }

    /// Sends what came while nobody published, where nothing else has changed.
    fn catch_up(&mut self) -> anyhow::Result<Option<Sent>> {
        let Some(standing) = &self.standing else {
            return Ok(None);
        };
        let (from, pages) = (standing.record.page.clone(), self.source.facts()?.pages);
        let Some(last) = pages.last().filter(|last| number(last) >= number(&from)) else {
            return Ok(None);
        };
        let mark =
            Mark::of(&self.source.page(last)?).filter(|mark| mark.epoch == standing.record.epoch);
        let Some(mark) = mark else {
            return Ok(None);
        };
        let finished = pages.iter().filter(|page| number(page) < number(&from));
        for page in finished {
            if standing.sent.pages.get(page) != Some(&page_digest(&self.source.page(page)?)) {
                return Ok(None);
            }
        }
        if standing.sent.header != header_digest(&self.source.page(&from)?) {
            return Ok(None);
        }
        let mut ops: Vec<Value> = Vec::new();
        for number in number(&from)..=number(last) {
            let name = page_name(number);
            let items: Vec<Value> = self
                .source
                .data(&format!("items-{}", name.trim_end_matches(".html")))?;
            let is_new = name != from;
            ops.extend(items.into_iter().map(|mut op| {
                op["put"]["new"] = is_new.into();
                op
            }));
        }
        let frame = json!({ "seq": mark.seq, "ops": ops }).to_string();
        self.step(&[frame], false)
    }

    /// Sends the whole chat as it is now, in a folder of its own.
    fn begin(&mut self) -> anyhow::Result<Sent> {
        let folder = tempfile::Builder::new()
            .prefix("readalong-publish-")
            .tempdir()
            .context("cannot make a temporary folder")?;
        let facts = self.source.facts()?;
        let mut whole = Whole {
            folder: folder.path(),
            files: Vec::new(),
            linked: BTreeSet::new(),
            count: 0,
        };
        let last = facts
            .pages
            .last()
            .cloned()
            .unwrap_or_else(|| "index.html".to_owned());
        let (mut seq, mut page_bytes, mut epoch) = (0, 0, String::new());
        let mut sent_pages = SentPages::default();
        // The last page first: what comes while the others are fetched is in frames after it.
        for page in facts.pages.iter().rev() {
            let html = self.source.page(page)?;
            if *page == last {
                let mark = Mark::of(&html)
                    .ok_or_else(|| anyhow!("the server's page does not say where it stands"))?;
                (seq, epoch, page_bytes) = (mark.seq, mark.epoch, html.len() as u64);
            }
            sent_pages.put(page, &html);
            whole.put(page, html)?;
            let search = search_of(page);
            whole.put(&search, self.source.get(&search)?)?;
        }
        let mut lengths = BTreeMap::new();
        for name in facts.whole() {
            if let Some(bytes) = self.source.find(&name)? {
                lengths.insert(name.clone(), bytes.len());
                whole.put(&name, bytes)?;
            }
        }
        let linked = whole.linked.clone();
        for name in &linked {
            // An artifact that went meanwhile is not there, and its page is sent again.
            if let Some(bytes) = self.source.find(name)? {
                whole.put(name, bytes)?;
            }
        }
        let index = match self.seal {
            Some(seal) => whole.seal(seal)?,
            None => SealedIndex::default(),
        };
        whole.put(
            PAGES_SENT,
            dressed(self.seal, PAGES_SENT, sent_pages.to_json()),
        )?;
        let record = LiveRecord {
            epoch,
            seq,
            first: 1,
            last: 0,
            page: last,
            page_bytes,
            since_bytes: 0,
        };
        let at = moment::now();
        let folder_there = record.folder(self.share, at);
        let step = LiveStep {
            folder: &folder_there,
            version: Some(LiveVersion {
                files: std::mem::take(&mut whole.files),
            }),
            frames: &[],
            pages: Vec::new(),
            files: Vec::new(),
            removed: Vec::new(),
            dress: &|name, bytes| dressed(self.seal, name, bytes),
            first_page: self.first_page(&record),
            record: &record,
            is_head_new: true,
            title: Some(self.title.as_str()).filter(|_| self.seal.is_none()),
            at,
        };
        let sent = self.send(step)?;
        self.standing = Some(Standing {
            folder: folder_there,
            record,
            files: linked.into_iter().collect(),
            whole: lengths,
            sent: sent_pages,
            index,
        });
        Ok(sent)
    }

    /// Sends frames, and the pages that they have changed so far that it pays.
    fn step(&mut self, frames: &[String], is_over: bool) -> anyhow::Result<Option<Sent>> {
        let Some(standing) = &mut self.standing else {
            return Ok(None);
        };
        let mut record = standing.record.clone();
        let mut new_frames = Vec::new();
        let mut changed = BTreeSet::new();
        let mut linked = BTreeSet::new();
        for text in frames {
            let frame: Frame =
                serde_json::from_str(text).context("the server's frame cannot be read")?;
            let seq = frame.seq.unwrap_or(0);
            if seq <= record.seq {
                continue;
            }
            record.seq = seq;
            for op in frame.ops.iter().flatten() {
                if let Some(put) = op.get("put") {
                    changed.extend(put["page"].as_str().map(str::to_owned));
                    links(put["html"].as_str().unwrap_or_default(), &mut linked);
                }
            }
            new_frames.push(text.clone());
        }
        if new_frames.is_empty() && (!is_over || record.since_bytes == 0) {
            return Ok(None);
        }
        let bytes: usize = new_frames.iter().map(String::len).sum();
        record.since_bytes += bytes as u64;
        if !new_frames.is_empty() {
            record.last += 1;
        }
        let last = changed
            .iter()
            .chain([&record.page])
            .max_by_key(|page| number(page))
            .cloned()
            .unwrap_or_default();
        let is_next = last != record.page;
        let is_due = record.since_bytes >= GROWTH * record.page_bytes;
        // Pages that are finished are sent as they are now, the last one when it pays.
        if !(is_next || is_due || is_over) {
            changed.remove(&last);
        }
        if is_next || is_due || is_over {
            changed.insert(last.clone());
        }
        let mut pages = Vec::new();
        let mut removed = Vec::new();
        let mut sent_pages = standing.sent.clone();
        if is_next {
            // All that lie between: one frame can make several.
            let (from, to) = (number(&record.page), number(&last));
            changed.extend((from..=to).map(page_name));
        }
        for page in &changed {
            let html = self.source.page(page)?;
            links(&String::from_utf8_lossy(&html), &mut linked);
            if *page == last {
                record.page_bytes = html.len() as u64;
                record.since_bytes = 0;
                // The newest frames stay for pages that are open.
                let first = record.last.max(1);
                removed
                    .extend((record.first..first).map(|number| format!("data/live-{number}.js")));
                record.first = first;
            }
            if *page != last || is_over {
                let search = search_of(page);
                pages.push((search.clone(), self.source.get(&search)?));
            }
            sent_pages.put(page, &html);
            pages.push((page.clone(), html));
        }
        if sent_pages != standing.sent {
            pages.push((PAGES_SENT.to_owned(), sent_pages.to_json()));
        }
        record.page = last;
        if is_next || is_over {
            for name in self.source.facts()?.whole() {
                let Some(bytes) = self.source.find(&name)? else {
                    continue;
                };
                let before = standing.whole.get(&name).copied().unwrap_or(0);
                if is_over || bytes.len() * GROWTH_OF_WHOLE.1 >= before * GROWTH_OF_WHOLE.0 {
                    standing.whole.insert(name.clone(), bytes.len());
                    pages.push((name, bytes));
                }
            }
        }
        let mut files = Vec::new();
        for name in linked
            .into_iter()
            .filter(|name| name.starts_with("files/") && !standing.files.contains(name))
        {
            if let Some(bytes) = self.source.find(&name)? {
                let media_type = media_type(&name);
                files.push(NewFile::bytes(name, bytes, media_type));
            }
        }
        let names: Vec<String> = files.iter().map(|file| file.name.clone()).collect();
        let folder = standing.folder.clone();
        let mut index = standing.index.clone();
        if let Some(seal) = self.seal {
            let clear = std::mem::take(&mut files)
                .into_iter()
                .map(|file| (file.name, file.media_type, file.origin));
            let clear = clear.chain(
                std::mem::take(&mut pages)
                    .into_iter()
                    .filter(|(name, _)| name != PAGES_SENT)
                    .map(|(name, bytes)| {
                        let media_type = media_type(&name).to_owned();
                        (name, media_type, Origin::Bytes(bytes))
                    }),
            );
            for (name, media_type, origin) in clear {
                let Origin::Bytes(bytes) = origin else {
                    continue;
                };
                files.extend(seal.pieces(&mut index, (&name, &media_type), &bytes));
            }
            if !files.is_empty() {
                pages.push(seal.index(&index));
            }
            if sent_pages != standing.sent {
                pages.push((
                    PAGES_SENT.to_owned(),
                    dressed(self.seal, PAGES_SENT, sent_pages.to_json()),
                ));
            }
        }
        let step = LiveStep {
            folder: &folder,
            version: None,
            frames: &new_frames,
            pages,
            files,
            removed,
            dress: &|name, bytes| dressed(self.seal, name, bytes),
            first_page: self.first_page(&record),
            record: &record,
            is_head_new: is_next && self.seal.is_none(),
            title: Some(self.title.as_str()).filter(|_| self.seal.is_none()),
            at: moment::now(),
        };
        let sent = self.send(step)?;
        if let Some(standing) = &mut self.standing {
            standing.record = record;
            standing.sent = sent_pages;
            standing.index = index;
            standing.files.extend(names);
        }
        Ok(Some(sent))
    }

    /// The page that the share's link leads to: an encrypted one begins with the page that unlocks it.
    fn first_page<'r>(&self, record: &'r LiveRecord) -> &'r str {
        match self.seal {
            Some(_) => "index.html",
            None => &record.page,
        }
    }

    fn send(&self, step: LiveStep<'_>) -> anyhow::Result<Sent> {
        let seq = step.record.seq;
        let changes = live_step(
            self.place.target.as_ref(),
            self.share,
            step,
            self.pages,
            self.progress,
        )?;
        let totals = changes.totals();
        Ok(Sent {
            seq,
            files: totals.files,
            bytes: totals.bytes,
        })
    }
}

/// The live share of our server.
struct Source {
    base: String,
    agent: ureq::Agent,
}

/// What `data/chat.js` says (docs/format.md).
#[derive(Deserialize)]
struct Facts {
    pages: Vec<String>,
    contents: usize,
}

impl Facts {
    /// Files about the whole chat.
    fn whole(&self) -> Vec<String> {
        let numbers = 1..=self.contents;
        let contents = numbers.clone().map(|number| match number {
            1 => "contents.html".to_owned(),
            number => format!("contents-{number}.html"),
        });
        let data = numbers.map(|number| format!("data/contents-{number}.js"));
        let others = ["data/chat.js", "data/anchors.js", "chat.json", "chat.md"].map(str::to_owned);
        contents.chain(data).chain(others).collect()
    }
}

impl Source {
    fn new(base: String) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_recv_body(Some(SILENCE_MAX))
            .build()
            .into();
        Self { base, agent }
    }

    /// A file; `None` where there is none.
    fn find(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let reading = || format!("cannot get `{name}` from our server");
        let mut response = self
            .agent
            .get(format!("{}{name}", self.base))
            .call()
            .with_context(reading)?;
        match response.status().as_u16() {
            200 => Ok(Some(
                response
                    .body_mut()
                    .with_config()
                    .limit(ANSWER_BYTES_MAX)
                    .read_to_vec()
                    .with_context(reading)?,
            )),
            404 => Ok(None),
            status => bail!("our server answered {status} for `{name}`"),
        }
    }

    fn get(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        self.find(name)?
            .ok_or_else(|| anyhow!("our server has no `{name}`"))
    }

    /// A page as it is to lie at a host that only serves files.
    fn page(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        let html = String::from_utf8(self.get(name)?).context("our server's page is no text")?;
        let dressed = dress(&html).ok_or_else(|| {
            anyhow!("the theme's page does not say that it is live (`data-live`)")
        })?;
        Ok(dressed.into_bytes())
    }

    fn facts(&self) -> anyhow::Result<Facts> {
        self.data("chat")
    }

    /// What a script of data hands over.
    fn data<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<T> {
        let script = String::from_utf8(self.get(&format!("data/{name}.js"))?)?;
        let json = script
            .split_once(',')
            .and_then(|(_, rest)| rest.rsplit_once(')'));
        let (json, _) =
            json.ok_or_else(|| anyhow!("our server's `data/{name}.js` cannot be read"))?;
        Ok(serde_json::from_str(json)?)
    }

    /// Hears what the server says, in a thread of its own.
    fn listen(&self, place: Option<(String, Seq)>) -> anyhow::Result<mpsc::Receiver<Heard>> {
        let query = place
            .map(|(epoch, after)| format!("?epoch={epoch}&after={after}"))
            .unwrap_or_default();
        let response = self
            .agent
            .get(format!("{}events{query}", self.base))
            .header("Accept", "text/event-stream")
            .call();
        let mut response = response.context("our server does not answer")?;
        if response.status().as_u16() != 200 {
            bail!(
                "our server answered {} for the live share",
                response.status()
            );
        }
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let body = response.body_mut().with_config().limit(u64::MAX).reader();
            let ended = hear(body, &sender)
                .err()
                .unwrap_or_else(|| anyhow!("our server ended"));
            let _ = sender.send(Heard::End(ended));
        });
        Ok(receiver)
    }
}

/// Passes on the data of server-sent events; an event with a name is the end.
fn hear(body: impl Read, sender: &mpsc::Sender<Heard>) -> anyhow::Result<()> {
    for line in BufReader::new(body).lines() {
        let line = line.context("our server is gone")?;
        if line.starts_with("event: close") {
            bail!("our server ended the live share");
        }
        if let Some(text) = line.strip_prefix("data: ")
            && sender.send(Heard::Frame(text.to_owned())).is_err()
        {
            return Ok(());
        }
    }
    Ok(())
}

/// All files of a chat, on their way through a temporary folder: a large chat is not kept in memory.
struct Whole<'a> {
    folder: &'a Path,
    files: Vec<NewFile>,
    linked: BTreeSet<String>,
    count: usize,
}

impl Whole<'_> {
    fn put(&mut self, name: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
        if name.ends_with(".html") {
            links(&String::from_utf8_lossy(&bytes), &mut self.linked);
        }
        self.keep(name, media_type(name), &bytes)
    }

    fn keep(&mut self, name: &str, media_type: &str, bytes: &[u8]) -> anyhow::Result<()> {
        self.count += 1;
        let path = self.folder.join(self.count.to_string());
        fs::write(&path, bytes).with_context(|| format!("cannot write `{}`", path.display()))?;
        self.files.push(NewFile::here(
            name.to_owned(),
            path,
            bytes.len() as u64,
            media_type,
        ));
        Ok(())
    }
}

impl Whole<'_> {
    /// Encrypts all that is there, in place of it.
    fn seal(&mut self, seal: &Seal) -> anyhow::Result<SealedIndex> {
        let mut index = SealedIndex::default();
        let clear = std::mem::take(&mut self.files);
        for (name, media_type, bytes) in seal.reader() {
            self.keep(&name, media_type, &bytes)?;
        }
        for file in clear {
            let Origin::File(path) = &file.origin else {
                continue;
            };
            let bytes =
                fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
            for piece in seal.pieces(&mut index, (&file.name, &file.media_type), &bytes) {
                if let Origin::Bytes(bytes) = &piece.origin {
                    self.keep(&piece.name, &piece.media_type, bytes)?;
                }
            }
        }
        let (name, bytes) = seal.index(&index);
        self.keep(&name, media_type(&name), &bytes)?;
        Ok(index)
    }
}

/// The head, frames and notes as they are sent.
fn dressed(seal: Option<&Seal>, name: &str, bytes: Vec<u8>) -> Vec<u8> {
    match seal {
        Some(seal) => seal.late(name, &bytes),
        None => bytes,
    }
}

/// Where a page stands.
struct Mark {
    epoch: String,
    seq: Seq,
}

impl Mark {
    fn of(html: &[u8]) -> Option<Self> {
        let html = String::from_utf8_lossy(html);
        let (_, body) = html.split_once("<body ")?;
        let attribute = |name: &str| {
            Some(
                body.split_once(&format!(" {name}=\""))?
                    .1
                    .split_once('"')?
                    .0
                    .to_owned(),
            )
        };
        Some(Self {
            epoch: attribute("data-epoch")?,
            seq: attribute("data-seq")?.parse().ok()?,
        })
    }
}

/// Digest of a page but for the number that it stands at.
fn page_digest(html: &[u8]) -> String {
    let html = String::from_utf8_lossy(html);
    let (before, after) = html.split_once(" data-seq=\"").unwrap_or((&html, ""));
    let after = after.split_once('"').map_or("", |(_, after)| after);
    Digest::of(format!("{before}{after}").as_bytes()).short(DIGITS)
}

/// Digest of what stands in a page's header.
fn header_digest(html: &[u8]) -> String {
    let html = String::from_utf8_lossy(html);
    let header = html
        .split_once("<header")
        .and_then(|(_, rest)| rest.split_once("</header>"));
    Digest::of(header.map_or("", |(header, _)| header).as_bytes()).short(DIGITS)
}

/// True for an operation that changes more than what is after the beginning of the last page.
fn changes_before(op: &Value, last: u64) -> bool {
    match op.get("put") {
        Some(put) => put["page"].as_str().map_or(0, number) < last,
        None => true,
    }
}

/// A live page as it is to lie among files. Markup stands nowhere in text, where `<` is always written `&lt;`: so these pieces are the theme's own.
fn dress(html: &str) -> Option<String> {
    let (before, rest) = html.split_once("<body ")?;
    let (body, after) = rest.split_once('>')?;
    let (left, right) = body.split_once("data-live=\"live\"")?;
    let body = format!("{left}data-live=\"files\"{right}");
    let body = match body.split_once("data-signin=\"") {
        Some((left, right)) => format!("{left}data-signin=\"{}", &right[right.find('"')?..]),
        None => body,
    };
    let after = after.replace("<a href=\"./\">", "<a href=\"../index.html\">");
    Some(format!("{before}<body {body}>{after}"))
}

/// Files that a piece of a page names: `assets/…` and `files/…` under digests.
fn links(html: &str, found: &mut BTreeSet<String>) {
    for folder in ["assets/", "files/"] {
        for (at, _) in html.match_indices(folder) {
            let name: String = html[at..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.'))
                .collect();
            let digest = name[folder.len()..].split('.').next().unwrap_or_default();
            let begins = html[..at].ends_with(['"', '\'']);
            if begins && digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()) {
                found.insert(name);
            }
        }
    }
}

/// The data that find needs of a page.
fn search_of(page: &str) -> String {
    format!("data/search-{}.js", page.trim_end_matches(".html"))
}

/// `index.html` is the first page, `2.html` the second.
fn number(page: &str) -> u64 {
    page.trim_end_matches(".html").parse().unwrap_or(1)
}

fn page_name(number: u64) -> String {
    match number {
        1 => "index.html".to_owned(),
        number => format!("{number}.html"),
    }
}

/// What a file is: what we render, else what artifacts with such names are. Those that a browser could run end in `.txt`.
fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("txt") => "text/plain; charset=utf-8",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("webp") => "image/webp",
        Some("pdf") => "application/pdf",
        _ => export::media_type(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_that_it_lies_among_files() {
        let html = "<title>data-live=\"live\" &lt;body </title><body class=\"x\" data-live=\"live\" data-epoch=\"00ff\" data-seq=\"7\" data-signin=\"/signin?next=/s/1/\">\
                    <a href=\"./\">Newest</a> href=\"./\" data-live=\"live\"";
        let dressed = dress(html).unwrap();
        assert_eq!(
            dressed,
            "<title>data-live=\"live\" &lt;body </title><body class=\"x\" data-live=\"files\" data-epoch=\"00ff\" data-seq=\"7\" data-signin=\"\">\
             <a href=\"../index.html\">Newest</a> href=\"./\" data-live=\"live\""
        );
        let mark = Mark::of(dressed.as_bytes()).unwrap();
        assert_eq!((mark.epoch.as_str(), mark.seq), ("00ff", 7));
        assert!(dress("<body class=\"x\">").is_none());
    }

    #[test]
    fn only_files_under_digests_are_links() {
        let digest = "ab".repeat(32);
        let html = format!(
            "<a href=\"files/{digest}.png\"> files/{digest}.gif <img src=\"assets/{digest}.css\"> \"files/../x\" \"files/short.png\""
        );
        let mut found = BTreeSet::new();
        links(&html, &mut found);
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [
                format!("assets/{digest}.css"),
                format!("files/{digest}.png")
            ]
        );
    }
}
