//! `readalong publish`: a chat becomes a link on a host that only serves files.

mod live;

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use indicatif::ProgressBar;
use readalong_bundle::{MANIFEST, VerifiedBundle, closed_folder};
use readalong_model::ShareId;
use readalong_publish::{Changes, Content, Plan, PublishError, publish, unpublish};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    client::is_not_found,
    cmd::export::HowToExport,
    config::Config,
    data::Data,
    files, link, moment, output,
    pick::{self, Picked},
    publications::{OF_SERVER, Publication, Publications, Sealed, source},
    publishing::{self, Pages, Place, Progress, is_private, print_plan, summary, verified},
    redaction,
    sealing::Seal,
};

/// Publish a chat to a place that serves files: a folder, S3 and its like, a Git branch, rsync
#[derive(Args)]
#[command(
    after_help = "Examples:\n  readalong publish session.jsonl --to /var/www/chats\n  readalong publish session.jsonl --to s3://bucket/chats\n  \
                  readalong publish exports/3f2a… --to git@github.com:me/chats.git#gh-pages\n  readalong publish \"Login bug\" --to me@host:/var/www/chats\n  readalong publish session.jsonl --to s3://bucket/chats --live\n\n\
                  What was published before gets the new version under the same link. Places can have names: [[target]] in the configuration.\n\
                  Credentials are found where the tools of each place look for them (AWS_…, GOOGLE_…, AZURE_… in the environment; git's and ssh's own).\n\
                  Everybody who can guess or get the link can read it, and hosts and readers keep copies: read the page before you publish it."
)]
pub(crate) struct Publish {
    /// A transcript, a bundle, or a frozen share by link, id or name
    #[arg(value_name = "FILE|BUNDLE|SHARE")]
    what: String,

    /// Where to: a folder, s3://BUCKET/FOLDER, gs://…, az://…, git+URL#BRANCH, rsync://HOST/MODULE, HOST:FOLDER, or a name of the configuration
    #[arg(long, value_name = "TARGET")]
    to: String,

    /// Publish under this link or share id instead of the one that it had before
    #[arg(long = "as", value_name = "LINK")]
    link: Option<String>,

    /// List it on the site's first page; given each time, since an update without it takes it from there
    #[arg(long, conflicts_with_all = ["encrypt", "passphrase"])]
    listed: bool,

    /// Keep the page in step with the transcript while it grows, until Ctrl-C
    #[arg(long, conflicts_with_all = ["listed", "dry_run", "chat", "format", "theme", "no_reasoning", "no_tools", "messages", "no_highlight"])]
    live: bool,

    /// Encrypt everything: only who has the link, which carries the key, can read it
    #[arg(long)]
    encrypt: bool,

    /// Encrypt everything, and let readers in by a passphrase instead of a key in the link (asked for, or READALONG_PASSPHRASE)
    #[arg(long)]
    passphrase: bool,

    /// Say what would be sent and removed, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// Print what was published, or would be, as one line of JSON, for scripts; with --live each step
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    how: HowToExport,

    #[command(flatten)]
    data: Data,
}

/// What is to be published.
struct Ready {
    bundle: VerifiedBundle,
    title: String,
    /// What it is remembered under.
    source: String,
    /// The share that it is of a server.
    share: Option<ShareId>,
    /// Keeps the bundle that was made for this.
    _folder: Option<tempfile::TempDir>,
}

impl Publish {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.data.config()?;
        if self.live {
            self.live(config)?;
            return Ok(ExitCode::SUCCESS);
        }
        let place = Place::of(&self.to, &config)?;
        let pages = Pages::new(&config)?;
        let data = config.data()?;
        let mut publications = Publications::of(&data)?;
        let ready = self.ready(&config)?;
        let target = place.target.as_ref();
        let share = self.share_of(
            &ready.source,
            ready.share.clone(),
            &publications,
            &place.key(),
        )?;
        let seal = self.seal(&share, &publications, &place)?;
        let sealed = seal
            .as_ref()
            .map(|seal| seal.bundle(&ready.bundle))
            .transpose()?;
        let content = match &sealed {
            Some((sealed, _)) => Content::sealed(sealed),
            None => Content::clear(&ready.bundle, publishing::manifest_bytes(&ready.bundle)?),
        };
        let at = moment::now();
        let publication = readalong_publish::Publication {
            share: &share,
            content: &content,
            title: Some(ready.title.as_str()).filter(|_| sealed.is_none()),
            at,
            is_listed: self.listed,
            needs_site: false,
        };
        let link = seal
            .as_ref()
            .map_or_else(|| place.link(&share), |seal| seal.link(&place.link(&share)));
        let line = |changes: &Changes| {
            let totals = changes.totals();
            let line = json!({
                "share": share, "link": link, "target": target.name(), "bundle": ready.bundle.id, "title": ready.title,
                "files_sent": totals.files, "bytes_sent": totals.bytes, "files_copied": totals.copied, "files_removed": totals.removed,
            });
            line.to_string()
        };
        let progress = Progress::publishing();
        if self.dry_run {
            let plan = Plan::publish(target, &publication, &pages, &progress)?;
            progress.finish();
            match self.json {
                true => output::print_line(&line(&plan.changes))?,
                false => print_plan(&plan.changes)?,
            }
            return Ok(ExitCode::SUCCESS);
        }
        publications.put(Publication {
            target: place.key(),
            share: share.clone(),
            source: ready.source.clone(),
            title: ready.title.clone(),
            link: link.clone(),
            bundle: None,
            sealed: seal.as_ref().map(Seal::remembered),
            is_clear: false,
            published_at: None,
        })?;
        let published = publish(target, &publication, &pages, &progress);
        progress.finish();
        let taken_back = match (&published, self.taken_back(&ready)) {
            // What went wrong first is what matters.
            (Err(_), Err(_)) => None,
            (_, asked) => asked?,
        };
        if let Some(reason) = taken_back {
            match unpublish(target, &share, &pages, &Progress::removing()) {
                Ok(_) | Err(PublishError::NotThere { .. }) => {}
                Err(PublishError::NoSite { .. })
                    if publications.is_only_begun(&place.key(), &share) => {}
                Err(error) => return Err(error.into()),
            }
            publications.remove(&place.key(), &share)?;
            bail!(
                "share {share} {reason} while it was published; nothing of it is at {} any more",
                target.name()
            );
        }
        let published = published?;
        publications.sent((&place.key(), &share), Some(ready.bundle.id), at)?;
        if self.json {
            output::print_line(&line(&published.changes))?;
            return Ok(ExitCode::SUCCESS);
        }
        output::note(&format!("{}: {}", ready.title, summary(&published.changes)));
        if published.changes.is_unlisted {
            output::note(
                "It is not listed on the site's first page any more; --listed keeps it there.",
            );
        }
        if !place.has_address() {
            output::note(&format!(
                "The link below {}; give the target a `url` in the configuration to see the whole link.",
                target.name()
            ));
        }
        link::print(&link)?;
        Ok(ExitCode::SUCCESS)
    }

    /// The bundle to be sent, verified.
    fn ready(&self, config: &Config) -> anyhow::Result<Ready> {
        let path = Path::new(&self.what);
        if path.join(MANIFEST).is_file() {
            self.check_flags("a bundle is sent as it is; export its transcript with that flag, and publish the bundle that comes of it")?;
            return Ok(Ready {
                title: title_of(path)?,
                bundle: verified(path)?,
                source: source(path, None),
                share: None,
                _folder: None,
            });
        }
        if path.is_file() {
            if files::package(path, &ProgressBar::hidden()).is_ok() {
                bail!(
                    "`{}` is a packed bundle: unpack it (readalong unpack), and publish the folder that comes of it",
                    path.display()
                );
            }
            let folder = closed_folder("readalong-publish-", &std::env::temp_dir())
                .context("cannot make a temporary folder")?;
            let exported = self.how.exporter(config)?.export(path, folder.path())?;
            output::print_warnings(&exported.warnings);
            redaction::note(&exported.report);
            return Ok(Ready {
                bundle: verified(&exported.written.path)?,
                title: exported.title,
                source: source(path, self.how.chat()),
                share: None,
                _folder: Some(folder),
            });
        }
        if path.exists() {
            bail!(
                "`{}` is neither a transcript nor a bundle (it has no manifest.json)",
                path.display()
            );
        }
        self.of_server(config)
    }

    /// The bundle of a frozen share.
    fn of_server(&self, config: &Config) -> anyhow::Result<Ready> {
        let client = self.data.client()?;
        let share = match pick::find_share_or_chat(&client, &self.what)? {
            Some(Picked::Share(share)) => share,
            Some(Picked::Chat(chat)) => {
                let mut shares = pick::shares_of(&client, &chat)?;
                match (shares.pop(), shares.len()) {
                    (Some(share), 0) => share,
                    (Some(_), more) => bail!(
                        "the chat `{}` has {} shares; name one by its id (readalong show \"{}\")",
                        self.what,
                        more + 1,
                        self.what
                    ),
                    (None, _) => bail!(
                        "`{}` is a chat without a frozen share; share it first: readalong share \"{}\"",
                        self.what,
                        self.what
                    ),
                }
            }
            None => bail!(
                "`{}` is neither a file nor a share; `readalong list` lists shares",
                self.what
            ),
        };
        let id = pick::id(&share).to_owned();
        self.check_flags(&format!("share {id} is sent as its readers see it; change it (readalong update {id}), or publish its transcript"))?;
        if share["updates"] != "frozen" {
            bail!(
                "share {id} is live; freeze it first (readalong update {id} --freeze), or publish its transcript"
            );
        }
        if !self.is_sealed() && is_private(&share, &client)? {
            let (why, how) = match share["visibility"] == "private" {
                true => (
                    "is private",
                    format!("make it public: readalong update {id} --public"),
                ),
                false => (
                    "asks for a sign-in while public sharing is switched off",
                    "switch that on".to_owned(),
                ),
            };
            bail!(
                "share {id} {why}, and a host that only serves files can ask nobody who they are: publish it with --encrypt, so that only who has the link can read it (or {how})"
            );
        }
        if let Some(at) = share["expires_at"].as_str() {
            output::note(&format!(
                "warning: share {id} ends on {at}, what is published does not end by itself; `readalong unpublish {id}` takes it back"
            ));
        }
        let (bundle, title) =
            publishing::share_bundle(&client, &config.data()?, ("/api/v1/shares", &id))?;
        Ok(Ready {
            bundle,
            title,
            source: OF_SERVER.to_owned(),
            share: Some(id.parse()?),
            _folder: None,
        })
    }

    /// Refuses flags that could change nothing any more: whoever wants something left out must not believe that it is.
    fn check_flags(&self, why: &str) -> anyhow::Result<()> {
        match self.how.given() {
            Some(flag) => bail!("{flag} is for transcripts: {why}"),
            None => Ok(()),
        }
    }

    /// Why a share of a server may not be seen any more as it was sent, where its owner said so meanwhile.
    fn taken_back(&self, ready: &Ready) -> anyhow::Result<Option<&'static str>> {
        let Some(share) = &ready.share else {
            return Ok(None);
        };
        let client = self.data.client()?;
        let now: Result<Value, _> = client.get(&format!("/api/v1/shares/{share}"));
        match now {
            Err(error) if is_not_found(&error) => Ok(Some("was deleted")),
            Err(error) => Err(error),
            Ok(now) => {
                let is_against = !self.is_sealed() && is_private(&now, &client)?;
                Ok(is_against.then_some("was made private"))
            }
        }
    }

    fn is_sealed(&self) -> bool {
        self.encrypt || self.passphrase
    }

    /// How the share is encrypted: with the key that it has, so that its link stays the same.
    fn seal(
        &self,
        share: &ShareId,
        publications: &Publications,
        place: &Place,
    ) -> anyhow::Result<Option<Seal>> {
        let before = publications.of_share(share, &place.key());
        let is_clear = before.is_some_and(|one| one.is_clear);
        let before = before.and_then(|one| one.sealed.clone());
        let named = self.link.as_deref().and_then(link::key);
        let before = match named {
            // What is remembered of the same key has its passphrase.
            Some(key) if before.as_ref().is_none_or(|sealed| sealed.key != key) => {
                Some(Sealed::of_key(key)?)
            }
            _ => before,
        };
        match (before, self.is_sealed()) {
            (Some(_), false) if is_clear && named.is_none() => Ok(None),
            (Some(_), false) => bail!(
                "share {share} is encrypted; publish it with --encrypt or --passphrase, or in clear under a new link: readalong unpublish it first"
            ),
            (None, false) => Ok(None),
            (Some(sealed), true) => Seal::again(&sealed, self.passphrase).map(Some),
            (None, true) => {
                self.check_new_key(share, place)?;
                Seal::new(self.passphrase).map(Some)
            }
        }
    }

    /// Refuses a new key for a link that was handed out with another one, which nobody here knows. Who is let in by a passphrase has no key in the link.
    fn check_new_key(&self, share: &ShareId, place: &Place) -> anyhow::Result<()> {
        if self.link.is_none() || self.passphrase {
            return Ok(());
        }
        let target = place.target.as_ref();
        let there = readalong_publish::share(target, share, &Progress::removing())?;
        if there.is_some_and(|there| there.is_sealed()) {
            bail!(
                "share {share} at {} is encrypted with a key that is not known here: give its link to --as, with all that follows the #, or take it back first (readalong unpublish {share}), which ends the links that were handed out",
                target.name()
            );
        }
        Ok(())
    }

    /// The share that a source is published as: as named, as a server has it, as before, or a new one.
    fn share_of(
        &self,
        source: &str,
        of_server: Option<ShareId>,
        publications: &Publications,
        target: &str,
    ) -> anyhow::Result<ShareId> {
        if let Some(link) = &self.link {
            return link::share_id(link).ok_or_else(|| {
                anyhow!(
                    "`{link}` is no link of a share and no share id (32 digits and letters a to f)"
                )
            });
        }
        // What is encrypted at another place keeps its link; in clear it gets one of its own here.
        let fits = |share: &&ShareId| {
            let before = publications.of_share(share, target);
            self.is_sealed() || before.is_none_or(|one| one.target == target || !one.is_sealed())
        };
        let known = || publications.share_of(source, target).filter(fits).cloned();
        of_server.or_else(known).map_or_else(new_share, Ok)
    }
}

/// A new id: 128 bits that nobody can guess.
fn new_share() -> anyhow::Result<ShareId> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow!("the system has no random numbers: {error}"))?;
    Ok(ShareId::from_random(bytes))
}

/// What the chat of a bundle is called.
fn title_of(bundle: &Path) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Titled {
        title: String,
    }
    let path = bundle.join("chat.json");
    let reading = || format!("cannot read `{}`", path.display());
    let file = fs::File::open(&path).with_context(reading)?;
    let titled: Titled =
        serde_json::from_reader(std::io::BufReader::new(file)).with_context(reading)?;
    Ok(titled.title)
}
