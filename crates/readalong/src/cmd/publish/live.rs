//! `readalong publish --live`: a static page that is kept in step with a transcript.
//!
//! A server, the one that runs on the data folder or one of our own, follows the transcript and makes pages and frames as for every live share. Here they are fetched from it and
//! sent on: frames in small files, pages when enough has changed, everything anew where the pages were bound anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use readalong_bundle::{INDEX, SealedIndex, closed_folder};
use readalong_model::{Digest, Seq, ShareId};
use readalong_publish::{
    LivePlace, LiveRecord, LiveStep, LiveVersion, NewFile, Origin, PublishError, SitePath,
    live_step, unpublish,
};
use readalong_server::{RunningServer, ServeError, Server, WHOLE_AGE_MAX};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use ureq::typestate::WithoutBody;

use super::Publish;
use crate::{
    cancel,
    client::Client,
    cmd::{export, serve, share},
    config::Config,
    link, moment, output, pick,
    publications::{Publication, Publications, source},
    publishing::{Pages, Place, Progress, is_sharing_public, shown_title},
    sealing::Seal,
};

/// How long a server may take to end, and to begin after another one has ended.
const END_MAX: Duration = Duration::from_secs(30);
const RESTART_MAX: Duration = Duration::from_secs(5);
/// What comes within so long is sent at once.
const STEP_EVERY: Duration = Duration::from_secs(1);
/// Time between two looks at whether somebody cancelled.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Pauses between tries while a place does not answer: the first, doubled each time up to the last.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// A page is sent again when this many times as much has come since as it weighs: all its sendings together then weigh one and a half times the last one.
const GROWTH: u64 = 2;
/// The chat for download. Sent when a version begins and when nobody goes on: each time that it had grown by a quarter would be five times what it weighs.
const COPIES: [&str; 2] = ["chat.json", "chat.md"];
/// Other data about the whole chat are sent again when they have grown by a quarter.
const GROWTH_OF_WHOLE: (usize, usize) = (5, 4);
/// How names of pages begin that lie beside those of the chat, and are there because it links to them.
const SIDES: [&str; 2] = ["branch-", "thread-"];
/// Digits of digests that only tell whether something changed.
const DIGITS: usize = 16;
/// The file at the place that says what was sent.
const PAGES_SENT: &str = "data/pages.json";
/// The file that says which pages there are.
const FACTS: &str = "data/chat.js";
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
        let mut begun = Begun::default();
        let server = loop {
            if let Ok(Some(running)) = RunningServer::of(&data)
                && Client::of(&config)?.is_served()
            {
                if self.how.redaction().hides_more() {
                    bail!(
                        "the server that runs decides what else is taken out of a chat that it follows: set it in its configuration, or end the server first"
                    );
                }
                match self.keep_in_step(&config, running.clone(), &mut begun) {
                    Err(error) if begun.is_told && !cancel::is_cancelled() && is_gone(&running) => {
                        output::print_error(&error);
                    }
                    went => return went,
                }
                wait_for_server(&data, &running);
                if cancel::is_cancelled() {
                    bail!(
                        "ended while no server made the page: it stays as it was sent last, its copies of the whole chat as they were when it began; the same command goes on with it"
                    );
                }
                continue;
            }
            let mut options = config.server_options()?;
            options.redact = self.how.redaction().options(&config)?;
            match Server::open(options) {
                // Another one that the same server ended for was faster.
                Err(ServeError::Busy { .. }) if begun.is_told => {
                    cancel::check()?;
                    thread::sleep(LOOK_EVERY);
                }
                opened => break opened?,
            }
        };
        serve::log_to_stderr("warn")?;
        // It ends after the last page was fetched from it, not when somebody cancels.
        let (done, is_done) = oneshot::channel::<()>();
        let (result, kept) = mpsc::channel();
        let ready = move |_: &Server| {
            thread::spawn(move || {
                let running = RunningServer::of(&data).map_err(anyhow::Error::from);
                let running = running.and_then(|running| {
                    running.ok_or_else(|| anyhow!("the server does not say where it is"))
                });
                let went =
                    running.and_then(|running| self.keep_in_step(&config, running, &mut begun));
                let _ = result.send(went);
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

    /// Keeps the page in step with what a server makes, until somebody cancels or the server is gone.
    fn keep_in_step(
        &self,
        config: &Config,
        running: RunningServer,
        begun: &mut Begun,
    ) -> anyhow::Result<()> {
        let Begun { is_told, seal } = begun;
        let place = Place::of(&self.to, config)?;
        let pages = Pages::new(config)?;
        let mut publications = Publications::of(&config.data()?)?;
        let path = Path::new(&self.what).canonicalize()?;
        let source = source(&path, None);
        let share = self.share_of(&source, None, &publications, &place.key())?;
        let client = Client::of_server(running.clone());
        let chat = share::follow(&client, &path, self.how.redaction().waived())?;
        let local = self.local_share(&client, &chat)?;
        let title = shown_title(&local);
        if !*is_told {
            *seal = self.seal(&share, &publications, &place)?;
        }
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
            is_clear: false,
            published_at: None,
        })?;
        let progress = Progress::following();
        let mut keeper = Keeper {
            place: &place,
            share: &share,
            pages: &pages,
            progress: &progress,
            source: Source::new(client, &running, &local),
            publications: &mut publications,
            title,
            seal: seal.as_ref(),
            standing: None,
            before: None,
        };
        match keeper.resume() {
            Err(error) if *is_told => output::print_error(&error),
            resumed => resumed?,
        }
        if *is_told {
            progress.end_each_step();
        }
        let mut is_last = false;
        let mut pause = PAUSE_MIN;
        loop {
            let went = keeper.go_on(&mut |sent| {
                pause = PAUSE_MIN;
                if !std::mem::replace(is_told, true) {
                    progress.finish();
                    progress.end_each_step();
                    if !self.json {
                        link::print(&link)?;
                    }
                    output::note("New messages follow; Ctrl-C ends it, and the same command goes on with it.");
                }
                if self.json {
                    output::print_line(&json!({ "seq": sent.seq, "files_sent": sent.files, "bytes_sent": sent.bytes, "link": link }).to_string())?;
                }
                Ok(())
            });
            match went {
                Ok(None) => return Ok(()),
                Ok(Some(over)) => return keeper.end(over),
                // Nothing was shown yet: whoever started it should know at once.
                Err(error) if !*is_told => return Err(error),
                Err(error) => {
                    if is_last || is_taken_back(&error) || is_gone(&running) {
                        return Err(error);
                    }
                    output::print_error(&error);
                    // In a terminal Ctrl-C ends the programs, too, that were sending: what they had, and what is to be sent at the end, goes once more.
                    is_last = cancel::is_cancelled();
                    if !is_last {
                        pause = wait(pause);
                    }
                    // What was sent in the middle of a step is not known: the place is asked.
                    if let Err(error) = keeper.resume() {
                        output::print_error(&error);
                    }
                }
            }
        }
    }

    /// A live share of our server that shows what is to be published; one of an earlier time does as well. What is encrypted there is nobody's to read here.
    fn local_share(&self, client: &Client, chat: &str) -> anyhow::Result<Value> {
        let artifacts = self.how.artifacts();
        let name = self.how.title();
        let visibility = if self.is_sealed() {
            "private"
        } else {
            "public"
        };
        let shares: Vec<Value> = client.get(&format!(
            "/api/v1/shares?chat={chat}&updates=live&visibility={visibility}&limit=100"
        ))?;
        let fits = |share: &&Value| {
            share["artifacts"] == artifacts
                && share["expires_at"].is_null()
                && share["name"].as_str() == name
        };
        if let Some(share) = shares.iter().find(fits) {
            return Ok(share.clone());
        }
        let new = json!({ "chat": chat, "updates": "live", "visibility": visibility, "artifacts": artifacts, "name": name });
        client.post("/api/v1/shares", &new)
    }
}

/// What stays as it is whichever server makes the page.
#[derive(Default)]
struct Begun {
    /// The page was there, and its link was said.
    is_told: bool,
    seal: Option<Seal>,
}

/// True where a server does not answer its commands any more: it ended, or another one has its place.
fn is_gone(server: &RunningServer) -> bool {
    is_sharing_public(&Client::of_server(server.clone())).is_err()
}

/// Waits until another server runs on the folder, or none has begun for so long that none will.
fn wait_for_server(data: &Path, gone: &RunningServer) {
    output::note(
        "The server that makes the page ended; it goes on with the next one, or with one of its own.",
    );
    let begun = Instant::now();
    let mut free_since = begun;
    while free_since.elapsed() < RESTART_MAX && !cancel::is_cancelled() {
        match RunningServer::of(data) {
            Ok(Some(running)) if running != *gone => return,
            // It still ends. One that was killed has the folder no more.
            Ok(Some(_)) if begun.elapsed() < END_MAX && RunningServer::is_any(data) => {
                free_since = Instant::now();
            }
            _ => {}
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Waits before the next try, or until somebody cancels, and gives the pause after that.
fn wait(pause: Duration) -> Duration {
    output::note(&format!("trying again in {} s", pause.as_secs()));
    let begun = Instant::now();
    while begun.elapsed() < pause && !cancel::is_cancelled() {
        thread::sleep(LOOK_EVERY);
    }
    (pause * 2).min(PAUSE_MAX)
}

/// What a step sends besides what is new.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// The last page, when it pays.
    New,
    /// All that is not yet sent as it is now: nobody goes on.
    Rest,
    /// All that may hold what was taken back, and nothing of before stays.
    All,
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
    publications: &'a mut Publications,
    title: String,
    /// How everything is encrypted, where it is.
    seal: Option<&'a Seal>,
    standing: Option<Standing>,
    /// Folder and head of the version that we sent last.
    before: Option<(String, LiveRecord)>,
}

/// What is at the place.
#[derive(Clone)]
struct Standing {
    folder: String,
    /// What the site says that the chat is called.
    title: Option<String>,
    record: LiveRecord,
    /// Names of all files of the version.
    names: BTreeSet<String>,
    /// What an earlier step could not remove.
    stale: Vec<SitePath>,
    /// Files that pages link to, by the page's name.
    links: BTreeMap<String, BTreeSet<String>>,
    /// What readers have of the last page.
    shown: Shown,
    sent: SentPages,
    /// Pages beside those of the chat have to be looked at again: our server makes them together, not for each change.
    is_side_late: bool,
    /// What the index of an encrypted one says.
    index: SealedIndex,
}

impl Standing {
    /// Takes the frames that are new, and answers with these and the pages that they change.
    fn take(&mut self, frames: &[String]) -> anyhow::Result<(Vec<String>, BTreeSet<String>)> {
        let (mut new, mut changed) = (Vec::new(), BTreeSet::new());
        for text in frames {
            let frame: Frame =
                serde_json::from_str(text).context("the server's frame cannot be read")?;
            let seq = frame.seq.unwrap_or(0);
            if seq <= self.record.seq {
                continue;
            }
            self.record.seq = seq;
            self.record.since_bytes += text.len() as u64;
            for put in frame.puts() {
                changed.extend(put["page"].as_str().map(str::to_owned));
                self.shown.take(put);
            }
            new.push(text.clone());
        }
        if !new.is_empty() {
            self.record.last += 1;
        }
        Ok((new, changed))
    }

    /// Artifacts, and pages beside those of the chat, that pages and frames link to.
    fn linked(&self) -> BTreeSet<String> {
        let mut linked = self.shown.links();
        linked.extend(self.links.values().flatten().cloned());
        linked.retain(|name| !name.starts_with("assets/"));
        linked
    }

    /// Forgets files that nothing names any more, and tells which these are.
    fn forget(&mut self, mut named: BTreeSet<String>) -> Vec<String> {
        named.extend((self.record.first..=self.record.last).map(frames_name));
        let names = self.names.iter();
        let removed = names.filter(|name| is_named_by_others(name) && !named.contains(*name));
        let removed: Vec<String> = removed.cloned().collect();
        removed.iter().for_each(|name| _ = self.names.remove(name));
        removed
    }
}

/// The items of the last page as they are at the place: in the page, and in the frames since.
#[derive(Clone, Default)]
struct Shown {
    page: String,
    puts: BTreeMap<String, String>,
}

impl Shown {
    fn of(page: &[u8]) -> Self {
        Self {
            page: String::from_utf8_lossy(page).into_owned(),
            puts: BTreeMap::new(),
        }
    }

    fn take(&mut self, put: &Value) {
        let text = |name: &str| put[name].as_str().unwrap_or_default().to_owned();
        self.puts.insert(text("item"), text("html"));
    }

    fn has(&self, item: &str) -> bool {
        self.puts.contains_key(item) || self.page.contains(&format!("data-item=\"{item}\""))
    }

    fn says(&self, item: &str, html: &str) -> bool {
        self.puts
            .get(item)
            .map_or_else(|| self.page.contains(html), |there| there == html)
    }

    /// Keys of the items.
    fn items(&self) -> impl Iterator<Item = &str> {
        let in_page = self.page.split("data-item=\"").skip(1);
        let in_page = in_page.filter_map(|rest| Some(rest.split_once('"')?.0));
        in_page.chain(self.puts.keys().map(String::as_str))
    }

    fn links(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for html in self.puts.values().chain([&self.page]) {
            links(html, &mut found);
        }
        found
    }
}

/// Digests of what readers have, at the place as `data/pages.json`: whoever goes on sees whether it changed meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SentPages {
    header: String,
    /// Pages that are finished, by name.
    pages: BTreeMap<String, String>,
    /// Pages beside those of the chat.
    #[serde(default)]
    sides: BTreeMap<String, String>,
    /// Lengths of the data about the whole chat as they were sent last.
    #[serde(default)]
    whole: BTreeMap<String, usize>,
    /// Where the chat stood when all of that was sent.
    #[serde(default)]
    whole_seq: Seq,
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

impl Frame {
    /// The items that it puts.
    fn puts(&self) -> impl Iterator<Item = &Value> {
        self.ops.iter().flatten().filter_map(|op| op.get("put"))
    }
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
    /// The connection ends, and why.
    End(anyhow::Error),
    /// There is no live share any more.
    Over(Over),
}

/// What became of the live share of our server.
#[derive(Clone, Copy)]
enum Over {
    Deleted,
    Private,
    Frozen,
}

impl Keeper<'_> {
    /// Ends with the share of our server: what its owner took back there is taken back from the place, too, as soon as that can be reached.
    fn end(&mut self, over: Over) -> anyhow::Result<()> {
        let (share, target) = (&self.source.share, self.place.target.name());
        let became = match over {
            Over::Deleted => "was deleted",
            Over::Private => "was made private",
            Over::Frozen => bail!(
                "share {share} of our server, which the page is made of, was frozen; {target} shows it as it was sent last, and the same command goes on with it"
            ),
        };
        let mut pause = PAUSE_MIN;
        loop {
            let taken_back = unpublish(
                self.place.target.as_ref(),
                self.share,
                self.pages,
                &Progress::removing(),
            );
            match taken_back {
                Ok(_) | Err(PublishError::NotThere { .. }) => break,
                // Nobody else would ever take it back.
                Err(error) if cancel::is_cancelled() => bail!(
                    "share {share} of our server, which the page is made of, {became}, and the page is still there ({error}): `readalong unpublish {} --to {target}` takes it back",
                    self.share
                ),
                Err(error) => {
                    output::print_error(&error.into());
                    pause = wait(pause);
                }
            }
        }
        self.publications.remove(&self.place.key(), self.share)?;
        bail!(
            "share {share} of our server, which the page is made of, {became}; nothing of it is at {target} any more"
        )
    }

    /// Finds out where the place stands.
    fn resume(&mut self) -> anyhow::Result<()> {
        self.standing = None;
        let undress = |name: &str, bytes: Vec<u8>| undressed(self.seal, name, bytes);
        let place = LivePlace::of(
            self.place.target.as_ref(),
            self.share,
            &undress,
            self.progress,
        )?;
        if let Some(place) = place {
            self.standing = self.standing_at(place)?;
        }
        // A version of ours may be there whose sending seemed to fail.
        if let (Some(before), Some(standing)) = (&mut self.before, &self.standing) {
            *before = (standing.folder.clone(), standing.record.clone());
        }
        Ok(())
    }

    /// What is at the place; `None` where something of it is missing or damaged, so that it cannot go on.
    fn standing_at(&self, mut place: LivePlace<'_>) -> anyhow::Result<Option<Standing>> {
        let mut index = SealedIndex::default();
        if let Some(seal) = self.seal {
            let there = place.read(INDEX)?;
            match there.and_then(|bytes| seal.open_index(&bytes)) {
                Some(there) => index = there,
                None => return Ok(None),
            }
        }
        let page = match self.seal {
            None => place.read(&place.record.page.clone())?,
            Some(seal) => {
                let mut pieces = Vec::new();
                for name in index.pieces(&place.record.page) {
                    pieces.extend(place.read(&name)?);
                }
                seal.open_file(&place.record.page, &pieces)
            }
        };
        let Some((mark, page)) = page.and_then(|page| Some((Mark::of(&page)?, page))) else {
            return Ok(None);
        };
        let mut shown = Shown::of(&page);
        for number in place.record.first..=place.record.last {
            let script = place.read(&frames_name(number))?;
            let script =
                script.and_then(|script| undressed(self.seal, &format!("live-{number}"), script));
            let Some(frames) = script.and_then(|script| handed_over::<Vec<Frame>>(&script).ok())
            else {
                return Ok(None);
            };
            // The page that is there may be newer than the first of them.
            let newer = frames.iter().filter(|frame| frame.seq > Some(mark.seq));
            newer.flat_map(Frame::puts).for_each(|put| shown.take(put));
        }
        let sent = place.read(PAGES_SENT)?;
        let sent = sent.and_then(|bytes| undressed(self.seal, PAGES_SENT, bytes));
        let sent = sent.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(Some(Standing {
            folder: place.folder,
            title: place.title,
            record: place.record,
            names: place.names,
            stale: place.stale,
            links: BTreeMap::new(),
            shown,
            sent: sent.unwrap_or_default(),
            is_side_late: false,
            index,
        }))
    }

    /// Sends what is missing, then what comes, until somebody cancels, or our server shows the share to nobody any more: then answers with what became of it.
    fn go_on(
        &mut self,
        tell: &mut dyn FnMut(&Sent) -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<Over>> {
        let place = self
            .standing
            .as_ref()
            .map(|standing| (standing.record.epoch.clone(), standing.record.seq));
        let heard = self.source.listen(place)?;
        let mut frames: Vec<String> = Vec::new();
        // What came while nobody published, or while the network was gone.
        let (mut is_stale, mut extent) = (true, Extent::New);
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
                        // What changes everywhere or in a finished page, and what was taken back: nothing of before stays at the place.
                        let last = record.map_or(0, |record| number(&record.page));
                        is_stale |= ops.iter().any(|op| changes_before(op, last));
                        if ops.iter().any(|op| op.get("taken_back").is_some()) {
                            extent = Extent::All;
                        }
                        frames.push(text);
                    }
                }
                Ok(Heard::End(error)) => return Err(error),
                Ok(Heard::Over(over)) => return Ok(Some(over)),
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    bail!("the server does not speak any more")
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            let is_over = cancel::is_cancelled();
            let is_side_late = self
                .standing
                .as_ref()
                .is_some_and(|standing| standing.is_side_late);
            let is_due = match frames.is_empty() && !is_stale {
                true => is_side_late && last_step.elapsed() > WHOLE_AGE_MAX,
                false => last_step.elapsed() >= STEP_EVERY,
            };
            if !is_over && !is_due {
                continue;
            }
            if is_stale {
                let sent = match self.catch_up(extent)? {
                    Some(sent) => sent,
                    None => self.begin()?,
                };
                tell(&sent)?;
                last_step = Instant::now();
                (is_stale, extent) = (false, Extent::New);
                // What was fetched has them.
                frames.clear();
            }
            if let Some(sent) = self.step(&frames, Extent::New)? {
                tell(&sent)?;
                last_step = Instant::now();
            }
            if is_side_late {
                last_step = Instant::now();
            }
            frames.clear();
            if is_over {
                let is_behind = |standing: &Standing| standing.sent.whole_seq < standing.record.seq;
                if self.standing.as_ref().is_some_and(is_behind) {
                    output::note(
                        "Ending with copies of the whole chat; Ctrl-C again leaves those of before.",
                    );
                    // Those that our server made before the last message are not what is to stay.
                    thread::sleep(WHOLE_AGE_MAX.saturating_sub(last_step.elapsed()));
                    if let Some(sent) = self.step(&[], Extent::Rest)? {
                        tell(&sent)?;
                    }
                }
                return Ok(None);
            }
        }
    }

    /// Sends what is other in the last page, and what comes after it; `None` where more has changed than that. Nothing that is other now stays at the place as it was.
    fn catch_up(&mut self, mut extent: Extent) -> anyhow::Result<Option<Sent>> {
        self.title = self.source.title()?;
        let title = self.title_for_all().map(str::to_owned);
        let Some(standing) = &mut self.standing else {
            return Ok(None);
        };
        if standing.title != title {
            return Ok(None);
        }
        let (from, facts) = (standing.record.page.clone(), self.source.facts()?);
        let pages = &facts.pages;
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
            let html = self.source.page(page)?;
            if standing.sent.pages.get(page) != Some(&page_digest(&html)) {
                return Ok(None);
            }
            standing.links.insert(page.clone(), links_of(&html));
        }
        for page in facts
            .whole()
            .into_iter()
            .filter(|name| name.ends_with(".html"))
        {
            let html = self.source.get(&page)?;
            standing.links.insert(page, links_of(&html));
        }
        if standing.sent.header != header_digest(&self.source.page(&from)?) {
            return Ok(None);
        }
        let (mut ops, mut there) = (Vec::new(), BTreeSet::new());
        for number in number(&from)..=number(last) {
            let name = page_name(number);
            let items: Vec<Value> = self
                .source
                .data(&format!("items-{}", name.trim_end_matches(".html")))?;
            for mut op in items {
                let put = &op["put"];
                let text = |name: &str| put[name].as_str().unwrap_or_default().to_owned();
                let (item, is_known) = (text("item"), standing.shown.has(&text("item")));
                if !standing.shown.says(&item, &text("html")) {
                    // It grew or was written anew while nobody saw which.
                    if is_known {
                        extent = Extent::All;
                    }
                    op["put"]["new"] = (!is_known).into();
                    ops.push(op);
                }
                there.insert(item);
            }
        }
        if standing.shown.items().any(|item| !there.contains(item)) {
            return Ok(None);
        }
        let seq = standing.record.seq;
        let frame = json!({ "seq": mark.seq, "ops": ops }).to_string();
        let frames = if ops.is_empty() { vec![] } else { vec![frame] };
        let sent = self.step(&frames, extent)?;
        Ok(Some(sent.unwrap_or(Sent {
            seq,
            files: 0,
            bytes: 0,
        })))
    }

    /// Sends the whole chat as it is now, in a folder of its own.
    fn begin(&mut self) -> anyhow::Result<Sent> {
        let folder = closed_folder("readalong-publish-", &std::env::temp_dir())
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
        self.publications
            .rename(&self.place.key(), self.share, &self.title)?;
        let (mut seq, mut page_bytes, mut epoch) = (0, 0, String::new());
        let mut sent_pages = SentPages::default();
        let (mut pages_links, mut shown) = (BTreeMap::new(), Shown::default());
        // The last page first: what comes while the others are fetched is in frames after it.
        for page in facts.pages.iter().rev() {
            let html = self.source.page(page)?;
            if *page == last {
                let mark = Mark::of(&html)
                    .ok_or_else(|| anyhow!("the server's page does not say where it stands"))?;
                (seq, epoch, page_bytes) = (mark.seq, mark.epoch, html.len() as u64);
            }
            sent_pages.put(page, &html);
            pages_links.insert(page.clone(), links_of(&html));
            if *page == last {
                shown = Shown::of(&html);
            }
            whole.put(page, html)?;
            let search = search_of(page);
            whole.put(&search, self.source.get(&search)?)?;
        }
        for name in facts.whole() {
            if let Some(bytes) = self.source.find(&name)? {
                sent_pages.whole.insert(name.clone(), bytes.len());
                if name.ends_with(".html") {
                    pages_links.insert(name.clone(), links_of(&bytes));
                }
                whole.put(&name, bytes)?;
            }
        }
        sent_pages.whole_seq = seq;
        let mut put = BTreeSet::new();
        while let Some(name) = whole.linked.pop_first() {
            // An artifact that went meanwhile is not there, and its page is sent again.
            if put.insert(name.clone())
                && let Some(bytes) = self.source.find(&name)?
            {
                if is_side(&name) {
                    sent_pages.sides.insert(name.clone(), page_digest(&bytes));
                    pages_links.insert(name.clone(), links_of(&bytes));
                }
                whole.put(&name, bytes)?;
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
        let names = whole.files.iter().map(|file| file.name.clone()).collect();
        let step = LiveStep {
            folder: &folder_there,
            before: self
                .before
                .as_ref()
                .map(|(folder, record)| (folder.as_str(), record)),
            version: Some(LiveVersion {
                files: std::mem::take(&mut whole.files),
            }),
            frames: &[],
            pages: Vec::new(),
            files: Vec::new(),
            removed: Vec::new(),
            stale: Vec::new(),
            dress: &|name, bytes| dressed(self.seal, name, bytes),
            first_page: self.first_page(&record),
            record: &record,
            is_head_new: true,
            title: self.title_for_all(),
            at,
        };
        // Who reads what was there before we came gets a moment; what is taken back goes at once.
        let moment = Progress::publishing();
        let is_first = self.before.is_none() && self.standing.is_none();
        let sent = self.send(step, if is_first { &moment } else { self.progress })?;
        moment.finish();
        self.publications
            .sent((&self.place.key(), self.share), None, at)?;
        self.before = Some((folder_there.clone(), record.clone()));
        self.standing = Some(Standing {
            folder: folder_there,
            title: self.title_for_all().map(str::to_owned),
            record,
            names,
            stale: Vec::new(),
            links: pages_links,
            shown,
            sent: sent_pages,
            is_side_late: false,
            index,
        });
        Ok(sent)
    }

    /// Sends frames, and the pages that they have changed so far that it pays, or more. What nothing names any more goes.
    fn step(&mut self, frames: &[String], extent: Extent) -> anyhow::Result<Option<Sent>> {
        let Some(standing) = &self.standing else {
            return Ok(None);
        };
        let mut next = standing.clone();
        let (frames, changed) = next.take(frames)?;
        let mut pages = self.changed_pages(&mut next, changed, extent, !frames.is_empty())?;
        let is_next = next.record.page != standing.record.page;
        if is_next || extent != Extent::New {
            pages.extend(self.about_whole(&mut next, extent)?);
        }
        let is_due = !pages.is_empty() || standing.is_side_late;
        pages.extend(self.sides(&mut next, is_due)?);
        next.is_side_late |= extent == Extent::All && !next.sent.sides.is_empty();
        let linked = next.linked();
        let mut files = self.new_files(standing, &linked)?;
        if let Some(seal) = self.seal {
            next.index
                .retain(|path| !is_named_by_others(path) || linked.contains(path));
            files = sealed(seal, &mut next.index, files, pages.drain(..));
            files.retain(|piece| !standing.names.contains(&piece.name));
            if next.index != standing.index {
                pages.push(seal.index(&next.index));
            }
        }
        if next.sent != standing.sent {
            let bytes = dressed(self.seal, PAGES_SENT, next.sent.to_json());
            pages.push((PAGES_SENT.to_owned(), bytes));
        }
        let named = match self.seal {
            Some(_) => next.index.names(),
            None => linked,
        };
        if self.seal.is_none() {
            next.names.extend(next.sent.sides.keys().cloned());
        }
        let removed = next.forget(named);
        let stale = std::mem::take(&mut next.stale);
        if frames.is_empty() && pages.is_empty() && removed.is_empty() && stale.is_empty() {
            self.standing = Some(next);
            return Ok(None);
        }
        next.names
            .extend(files.iter().map(|file| file.name.clone()));
        if !frames.is_empty() {
            next.names.insert(frames_name(next.record.last));
        }
        let step = LiveStep {
            folder: &standing.folder,
            before: Some((&standing.folder, &standing.record)),
            version: None,
            frames: &frames,
            pages,
            files,
            removed,
            stale,
            dress: &|name, bytes| dressed(self.seal, name, bytes),
            first_page: self.first_page(&next.record),
            record: &next.record,
            is_head_new: is_next && self.seal.is_none(),
            title: self.title_for_all(),
            at: moment::now(),
        };
        let sent = self.send(step, self.progress)?;
        self.before = Some((next.folder.clone(), next.record.clone()));
        self.standing = Some(next);
        Ok(Some(sent))
    }

    /// The pages that are to be sent, with their search data: finished ones as they are now, the last one when it pays.
    fn changed_pages(
        &self,
        next: &mut Standing,
        mut changed: BTreeSet<String>,
        extent: Extent,
        has_frames: bool,
    ) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let is_whole = extent != Extent::New;
        let named = changed.iter().chain([&next.record.page]);
        let last = named.max_by_key(|page| number(page)).cloned();
        let last = last.unwrap_or_default();
        let is_next = last != next.record.page;
        let is_due = next.record.since_bytes >= GROWTH * next.record.page_bytes;
        match is_next || is_due || is_whole {
            true => changed.insert(last.clone()),
            false => changed.remove(&last),
        };
        if is_next {
            // All that lie between: one frame can make several.
            let (from, to) = (number(&next.record.page), number(&last));
            changed.extend((from..=to).map(page_name));
        }
        let mut pages = Vec::new();
        for page in changed {
            let html = self.source.page(&page)?;
            next.links.insert(page.clone(), links_of(&html));
            if page == last {
                next.record.page_bytes = html.len() as u64;
                next.record.since_bytes = 0;
                // The newest frames stay for pages that are open, unless they hold what was taken back.
                next.record.first = match extent != Extent::All || has_frames {
                    true => next.record.last.max(1),
                    false => next.record.last + 1,
                };
                next.shown = Shown::of(&html);
            }
            let search = search_of(&page);
            pages.push((search.clone(), self.source.get(&search)?));
            next.sent.put(&page, &html);
            pages.push((page, html));
        }
        next.record.page = last;
        Ok(pages)
    }

    /// Contents, copies and data about the whole chat: all of them, or those that have grown so far that it pays.
    fn about_whole(
        &self,
        next: &mut Standing,
        extent: Extent,
    ) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let is_whole = extent != Extent::New;
        if is_whole {
            next.sent.whole_seq = next.record.seq;
        }
        let mut files = Vec::new();
        for name in self.source.facts()?.whole() {
            let Some(bytes) = self.source.find(&name)? else {
                continue;
            };
            let before = next.sent.whole.get(&name).copied().unwrap_or(0);
            // Which pages there are is little, and find looks only through these.
            let has_grown =
                name == FACTS || bytes.len() * GROWTH_OF_WHOLE.1 >= before * GROWTH_OF_WHOLE.0;
            if !is_whole && (COPIES.contains(&name.as_str()) || !has_grown) {
                continue;
            }
            next.sent.whole.insert(name.clone(), bytes.len());
            if name.ends_with(".html") {
                next.links.insert(name.clone(), links_of(&bytes));
            }
            files.push((name, bytes));
        }
        Ok(files)
    }

    /// Pages beside those of the chat that are linked to: those that are not there, and when other pages are sent those that are other.
    fn sides(&self, next: &mut Standing, is_due: bool) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let mut pages = Vec::new();
        let mut open = next.linked();
        let mut named = BTreeSet::new();
        next.is_side_late = false;
        while let Some(name) = open.pop_first() {
            if !is_side(&name) || !named.insert(name.clone()) {
                continue;
            }
            let known = next.links.get(&name);
            if let Some(links) = known.filter(|_| !is_due) {
                open.extend(links.iter().cloned());
                continue;
            }
            let Some(html) = self.source.find(&name)? else {
                next.is_side_late = true;
                continue;
            };
            let links = links_of(&html);
            open.extend(links.iter().cloned());
            next.links.insert(name.clone(), links);
            let digest = page_digest(&html);
            if next.sent.sides.insert(name.clone(), digest.clone()) != Some(digest) {
                pages.push((name, html));
            }
        }
        next.sent.sides.retain(|name, _| named.contains(name));
        next.links
            .retain(|name, _| !is_side(name) || named.contains(name));
        Ok(pages)
    }

    /// Artifacts that are linked to and not at the place.
    fn new_files(
        &self,
        standing: &Standing,
        linked: &BTreeSet<String>,
    ) -> anyhow::Result<Vec<NewFile>> {
        let is_there = |name: &str| match self.seal {
            Some(_) => standing.index.paths().any(|path| path == name),
            None => standing.names.contains(name),
        };
        let mut files = Vec::new();
        let artifacts = linked.iter().filter(|name| !is_side(name));
        for name in artifacts.filter(|name| !is_there(name)) {
            if let Some(bytes) = self.source.find(name)? {
                files.push(NewFile::bytes(name.clone(), bytes, media_type(name)));
            }
        }
        Ok(files)
    }

    /// What the chat is called, where everybody may know.
    fn title_for_all(&self) -> Option<&str> {
        Some(self.title.as_str()).filter(|_| self.seal.is_none())
    }

    /// The page that the share's link leads to: an encrypted one begins with the page that unlocks it.
    fn first_page<'r>(&self, record: &'r LiveRecord) -> &'r str {
        match self.seal {
            Some(_) => "index.html",
            None => &record.page,
        }
    }

    fn send(&self, step: LiveStep<'_>, progress: &Progress) -> anyhow::Result<Sent> {
        let seq = step.record.seq;
        let changes = live_step(
            self.place.target.as_ref(),
            self.share,
            step,
            self.pages,
            progress,
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
    client: Client,
    share: String,
    base: String,
    /// What a private share asks for.
    token: Option<String>,
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
        let others = [FACTS, "data/anchors.js", "chat.json", "chat.md"].map(str::to_owned);
        contents.chain(data).chain(others).collect()
    }
}

impl Source {
    fn new(client: Client, server: &RunningServer, share: &Value) -> Self {
        let is_private = share["visibility"] == "private";
        let id = pick::id(share).to_owned();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // As the client's: what it reads and its token are for nobody between.
            .proxy(None)
            .build()
            .into();
        Self {
            client,
            base: format!("{}/s/{id}/", server.url),
            share: id,
            // Only where it is needed: a share that is made private meanwhile is not to be read any more.
            token: is_private.then(|| format!("Bearer {}", server.token)),
            agent,
        }
    }

    /// What readers are to see as its title now.
    fn title(&self) -> anyhow::Result<String> {
        let share: Value = self.client.get(&format!("/api/v1/shares/{}", self.share))?;
        Ok(shown_title(&share))
    }

    fn request(&self, name: &str) -> ureq::RequestBuilder<WithoutBody> {
        let request = self.agent.get(format!("{}{name}", self.base));
        match &self.token {
            Some(token) => request.header("Authorization", token),
            None => request,
        }
    }

    /// A file; `None` where there is none.
    fn find(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let reading = || format!("cannot get `{name}` from our server");
        let mut response = self.request(name).call().with_context(reading)?;
        match response.status().as_u16() {
            200 => {
                let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX);
                let bytes = body.read_to_vec().with_context(reading)?;
                Ok(Some(match name.ends_with(".html") {
                    true => lead_home(bytes),
                    false => bytes,
                }))
            }
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
        handed_over(&self.get(&format!("data/{name}.js"))?)
            .with_context(|| format!("our server's `data/{name}.js` cannot be read"))
    }

    /// Hears what the server says, in a thread of its own.
    fn listen(&self, place: Option<(String, Seq)>) -> anyhow::Result<mpsc::Receiver<Heard>> {
        let query = place
            .map(|(epoch, after)| format!("?epoch={epoch}&after={after}"))
            .unwrap_or_default();
        let request = stream(self.request(&format!("events{query}")), SILENCE_MAX);
        let mut response = request.call().context("our server does not answer")?;
        if response.status().as_u16() != 200 {
            bail!(
                "our server answered {} for the live share",
                response.status()
            );
        }
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let body = response.body_mut().with_config().limit(u64::MAX).reader();
            let ended = hear(body, &sender).unwrap_or_else(Heard::End);
            let _ = sender.send(ended);
        });
        Ok(receiver)
    }
}

/// A request for a stream of events, which goes on for as long as something comes.
fn stream(
    request: ureq::RequestBuilder<WithoutBody>,
    silence_max: Duration,
) -> ureq::RequestBuilder<WithoutBody> {
    let request = request.header("Accept", "text/event-stream");
    request.config().timeout_per_read(Some(silence_max)).build()
}

/// Passes on the data of server-sent events; an event with a name is the end (docs/protocol.md), and its data says why.
fn hear(body: impl Read, sender: &mpsc::Sender<Heard>) -> anyhow::Result<Heard> {
    let mut is_end = false;
    for line in BufReader::new(body).lines() {
        // Without what the file system would advise for such an error.
        let line = line.map_err(|error| anyhow!("our server is gone: {error}"))?;
        is_end |= line.starts_with("event: close");
        let Some(text) = line.strip_prefix("data: ") else {
            continue;
        };
        if is_end {
            let close: Value = serde_json::from_str(text).unwrap_or_default();
            return Ok(match close["code"].as_u64() {
                Some(4401) => Heard::Over(Over::Private),
                Some(4404) => Heard::Over(Over::Deleted),
                Some(4410) => Heard::Over(Over::Frozen),
                _ => Heard::End(anyhow!("our server ended the connection")),
            });
        }
        if sender.send(Heard::Frame(text.to_owned())).is_err() {
            break;
        }
    }
    Ok(Heard::End(anyhow!("our server ended")))
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

/// The pieces of files and pages, which the index then names.
fn sealed(
    seal: &Seal,
    index: &mut SealedIndex,
    files: Vec<NewFile>,
    pages: impl Iterator<Item = (String, Vec<u8>)>,
) -> Vec<NewFile> {
    let pages = pages.map(|(name, bytes)| {
        let media_type = media_type(&name);
        NewFile::bytes(name, bytes, media_type)
    });
    let mut pieces = Vec::new();
    for file in files.into_iter().chain(pages) {
        if let Origin::Bytes(bytes) = &file.origin {
            pieces.extend(seal.pieces(index, (&file.name, &file.media_type), bytes));
        }
    }
    pieces
}

/// The head, frames and notes as they are sent.
fn dressed(seal: Option<&Seal>, name: &str, bytes: Vec<u8>) -> Vec<u8> {
    match seal {
        Some(seal) => seal.late(name, &bytes),
        None => bytes,
    }
}

/// Undoes [`dressed`]; `None` where that is not what the bytes are.
fn undressed(seal: Option<&Seal>, name: &str, bytes: Vec<u8>) -> Option<Vec<u8>> {
    match seal {
        Some(seal) => seal.open_late(name, &bytes),
        None => Some(bytes),
    }
}

/// What a script of data hands over.
fn handed_over<T: DeserializeOwned>(script: &[u8]) -> anyhow::Result<T> {
    let script = std::str::from_utf8(script)?;
    let json = script
        .split_once(',')
        .and_then(|(_, rest)| rest.rsplit_once(')'));
    let (json, _) = json.context("it hands over nothing")?;
    Ok(serde_json::from_str(json)?)
}

/// True where somebody else took the share back.
fn is_taken_back(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(PublishError::NotLive { .. }))
}

/// A file of frames.
fn frames_name(number: u64) -> String {
    format!("data/live-{number}.js")
}

/// True for a file that is there only because another one names it: artifacts and pieces, pages beside those of the chat, and frames, which the head counts.
fn is_named_by_others(name: &str) -> bool {
    name.starts_with("files/") || name.starts_with("data/live-") || is_side(name)
}

/// True for a page beside those of the chat: of another version of messages, or of a long thread.
fn is_side(name: &str) -> bool {
    SIDES.iter().any(|begin| name.starts_with(begin))
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
    Some(format!("{before}<body {body}>{after}"))
}

/// A page whose links to the share lead there among files, too.
fn lead_home(html: Vec<u8>) -> Vec<u8> {
    let html = String::from_utf8_lossy(&html);
    html.replace("<a href=\"./\">", "<a href=\"../index.html\">")
        .into_bytes()
}

/// Files that a piece of a page names: `assets/…` and `files/…` under digests, and pages beside those of the chat.
fn links(html: &str, found: &mut BTreeSet<String>) {
    let sides = SIDES.iter().flat_map(|begin| html.match_indices(begin));
    for (at, _) in sides.filter(|(at, _)| html[..*at].ends_with("href=\"")) {
        let name = html[at..].split(['"', '#']).next().unwrap_or_default();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if name
            .strip_suffix(".html")
            .is_some_and(|name| name.chars().all(is_name))
        {
            found.insert(name.to_owned());
        }
    }
    for folder in ["assets/", "files/"] {
        for (at, _) in html.match_indices(folder) {
            let name: String = html[at..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.'))
                .collect();
            let digest = name[folder.len()..].split('.').next().unwrap_or_default();
            // Scripts that come later stand in one attribute, with blanks between them; in a text nothing is an artifact.
            let begins = html[..at].ends_with(['"', '\''])
                || folder == "assets/" && html[..at].ends_with(' ');
            if begins && digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()) {
                found.insert(name);
            }
        }
    }
}

/// The same for a whole page.
fn links_of(html: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    links(&String::from_utf8_lossy(html), &mut found);
    found
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
    use std::{io::Write, net::TcpListener};

    use super::*;

    #[test]
    fn a_page_says_that_it_lies_among_files() {
        let html = "<title>data-live=\"live\" &lt;body </title><body class=\"x\" data-live=\"live\" data-epoch=\"00ff\" data-seq=\"7\" data-signin=\"/signin?next=/s/1/\">\
                    <a href=\"./\">Newest</a> href=\"./\" data-live=\"live\"";
        let dressed = lead_home(dress(html).unwrap().into_bytes());
        let dressed = String::from_utf8(dressed).unwrap();
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
    fn a_stream_ends_with_the_silence_and_not_before() {
        const SILENCE_MAX: Duration = Duration::from_millis(800);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (done, is_done) = mpsc::channel::<()>();
        let server = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut asked = [0; 4096];
            let _ = client.read(&mut asked).unwrap();
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            for n in 0..8 {
                write!(client, "data: {n}\n\n").unwrap();
                let _ = is_done.recv_timeout(SILENCE_MAX / 4);
            }
            let _ = is_done.recv();
        });
        let request = stream(ureq::get(format!("http://{address}/")), SILENCE_MAX);
        let mut response = request.call().unwrap();
        let (sender, receiver) = mpsc::channel();
        let ended = hear(response.body_mut().as_reader(), &sender);
        drop((sender, done));
        let heard = receiver.iter().filter(|one| matches!(one, Heard::Frame(_)));
        assert_eq!(heard.count(), 8);
        let says = format!("{:#}", ended.err().unwrap());
        assert!(says.contains("our server is gone: timeout"), "{says}");
        server.join().unwrap();
    }

    #[test]
    fn only_files_under_digests_and_pages_beside_are_links() {
        let (digest, other) = ("ab".repeat(32), "cd".repeat(32));
        let html = format!(
            "<a href=\"files/{digest}.png\"> files/{digest}.gif <img src=\"assets/{digest}.css\"> \"files/../x\" \"files/short.png\" \
             <search data-scripts=\"assets/{digest}.js assets/{other}.js\"> \
             <a href=\"branch-0123456789ab.html#m0123456789ab\"> <a href=\"thread-0123456789ab-2.html\"> <a href=\"branch-../x.html\"> branch-x.html"
        );
        let mut found = BTreeSet::new();
        links(&html, &mut found);
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [
                format!("assets/{digest}.css"),
                format!("assets/{digest}.js"),
                format!("assets/{other}.js"),
                "branch-0123456789ab.html".to_owned(),
                format!("files/{digest}.png"),
                "thread-0123456789ab-2.html".to_owned(),
            ]
        );
    }
}
