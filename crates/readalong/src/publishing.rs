//! What the commands that publish share: the place that is meant, the pages of a site, what people see of the work.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use indicatif::{HumanBytes, ProgressBar};
use readalong_bundle::{MANIFEST, VerifiedBundle, verify};
use readalong_model::{ShareId, can_be_seen};
use readalong_publish::{Changes, Listing, Origin, SitePages, Target, Watch};
use readalong_render::{Renderer, SitePage};

use serde_json::Value;

use crate::{cancel, client::Client, config::Config, output};

/// How long a version that was replaced stays for those who are just loading a page of it.
const GRACE: Duration = Duration::from_secs(5);
/// What stands in a list where a chat is called nothing: a link has to be there to be clicked.
const UNTITLED: &str = "Untitled chat";
/// Time between two looks at whether somebody cancelled.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A place as a person named it.
pub(crate) struct Place {
    /// What publishes to it.
    pub(crate) target: Box<dyn Target>,
    url: Option<String>,
}

impl Place {
    /// Finds the place that a text means: a name of the configuration, or the place itself.
    ///
    /// # Errors
    /// It is neither.
    pub(crate) fn of(text: &str, config: &Config) -> anyhow::Result<Self> {
        let named = config.target.iter().find(|target| target.name == text);
        let to = named.map_or(text, |target| target.to.as_str());
        if to.is_empty() && named.is_some() {
            bail!("target `{text}` of the configuration has no place: give it `to`");
        }
        if named.is_none() && is_name(text) && !Path::new(text).exists() {
            let names: Vec<&str> = config.target.iter().map(|one| one.name.as_str()).collect();
            let known = match names.is_empty() {
                true => "the configuration names none".to_owned(),
                false => format!("the configuration names {}", names.join(", ")),
            };
            bail!("there is no target `{text}` ({known}); the folder here is `./{text}`");
        }
        Ok(Self {
            target: readalong_publish::open(to)?,
            url: named.and_then(|target| target.url.clone()),
        })
    }

    /// Where readers find a share.
    pub(crate) fn link(&self, share: &ShareId) -> String {
        match (&self.url, self.target.folder()) {
            (Some(url), _) => format!("{url}/s/{share}/"),
            (None, Some(folder)) => format!("{}/s/{share}/index.html", folder.display()),
            (None, None) => format!("s/{share}/"),
        }
    }

    /// How the place is remembered: the same however it is named, and wherever one stands.
    pub(crate) fn key(&self) -> String {
        self.target.key()
    }

    /// True where the link is only its end, because nobody has said what the place is called on the web.
    pub(crate) fn has_address(&self) -> bool {
        self.url.is_some() || self.target.folder().is_some()
    }
}

/// True for a word that a target of the configuration may have for a name: a slip in it is not to make a folder.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', '\\', ':', '.', '#'])
}

/// The pages of a site in the default theme.
pub(crate) struct Pages {
    renderer: Renderer,
}

impl Pages {
    /// Gets ready to make them.
    ///
    /// # Errors
    /// The theme is wrong.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let theme = readalong_themes::Theme::load(&config.theme)?;
        let renderer = Renderer::new(&theme, false)?;
        let pages = Self { renderer };
        // What a theme of the user's own has wrong is found here, and not in the middle of a publication.
        for page in [
            SitePage::Gone,
            SitePage::Missing,
            SitePage::Catalogue(&[]),
            SitePage::Head {
                href: "",
                title: None,
            },
        ] {
            pages
                .renderer
                .site_page(&page)
                .context("the theme cannot make the pages of a site")?;
        }
        Ok(pages)
    }

    fn page(&self, page: &SitePage<'_>) -> Vec<u8> {
        self.renderer
            .site_page(page)
            .expect("each kind of page was made once")
    }
}

impl SitePages for Pages {
    fn head(&self, href: &str, title: Option<&str>) -> Vec<u8> {
        self.page(&SitePage::Head { href, title })
    }

    fn tombstone(&self) -> Vec<u8> {
        self.page(&SitePage::Gone)
    }

    fn missing(&self) -> Vec<u8> {
        self.page(&SitePage::Missing)
    }

    fn catalogue(&self, shares: &[Listing]) -> Vec<u8> {
        let shares: Vec<_> = shares
            .iter()
            .map(|one| {
                let title = match can_be_seen(&one.title) {
                    true => &one.title,
                    false => UNTITLED,
                };
                (
                    format!("s/{}/index.html", one.share),
                    title.to_owned(),
                    one.published_at,
                )
            })
            .collect();
        self.page(&SitePage::Catalogue(&shares))
    }
}

/// Shows how a publication goes, and stops it on Ctrl-C.
pub(crate) struct Progress {
    bar: ProgressBar,
    grace: Duration,
    /// What was begun is brought to its end, also after Ctrl-C.
    ends_each_step: AtomicBool,
    /// It was said that there is a list of somebody else.
    has_told_of_list: AtomicBool,
}

impl Progress {
    /// For a publication after which readers of what was there before get a moment.
    pub(crate) fn publishing() -> Self {
        Self {
            bar: output::progress_bar("sending", 0, true),
            grace: GRACE,
            ends_each_step: AtomicBool::new(false),
            has_told_of_list: AtomicBool::new(false),
        }
    }

    /// For a page that is kept in step: what goes goes at once, and whoever lacks it then finds what is there instead.
    pub(crate) fn following() -> Self {
        Self {
            bar: output::progress_bar("sending", 0, true),
            grace: Duration::ZERO,
            ends_each_step: AtomicBool::new(false),
            has_told_of_list: AtomicBool::new(false),
        }
    }

    /// For taking something back, at once.
    pub(crate) fn removing() -> Self {
        Self {
            bar: output::progress_bar("removing", 0, true),
            grace: Duration::ZERO,
            ends_each_step: AtomicBool::new(false),
            has_told_of_list: AtomicBool::new(false),
        }
    }

    /// From now on Ctrl-C lets what goes on come to its end: it is little, and more may have to follow. A second one ends the program at once.
    pub(crate) fn end_each_step(&self) {
        self.ends_each_step.store(true, Ordering::Relaxed);
    }

    /// Ends it.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watch for Progress {
    fn is_cancelled(&self) -> bool {
        !self.ends_each_step.load(Ordering::Relaxed) && cancel::is_cancelled()
    }

    fn planned(&self, changes: &Changes) {
        self.bar.set_length(changes.totals().bytes);
        self.bar.set_position(0);
        if let Some(path) = &changes.foreign_list
            && !self.has_told_of_list.swap(true, Ordering::Relaxed)
        {
            output::note(&format!(
                "warning: `{path}` there is damaged, or not readalong's, and stays as it is; if it lists the chat, take it out by hand"
            ));
        }
    }

    fn sent(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn visible(&self) {
        let begun = Instant::now();
        // Whoever cancels now has what was asked for; only the moment is cut short.
        while begun.elapsed() < self.grace && !cancel::is_cancelled() {
            self.bar
                .set_message("waiting for readers of the version before");
            thread::sleep(LOOK_EVERY);
        }
    }
}

/// Says what would be done.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn print_plan(changes: &Changes) -> anyhow::Result<()> {
    for file in changes.new_files() {
        match &file.origin {
            Origin::There { path, .. } => {
                output::print_line(&format!("copy    {} (from {path})", file.path))?
            }
            _ => output::print_line(&format!(
                "send    {} ({})",
                file.path,
                HumanBytes(file.size_bytes)
            ))?,
        }
    }
    for head in &changes.heads {
        output::print_line(&format!(
            "send    {} ({})",
            head.path,
            HumanBytes(head.bytes.len() as u64)
        ))?;
    }
    for path in &changes.removed {
        output::print_line(&format!("remove  {path}"))?;
    }
    output::note(&format!(
        "{}; nothing was done (--dry-run)",
        summary(changes)
    ));
    Ok(())
}

/// What a publication did, in a few words.
pub(crate) fn summary(changes: &Changes) -> String {
    let totals = changes.totals();
    if changes.is_empty() {
        return "everything is there already".to_owned();
    }
    let mut words = format!(
        "{}, {}",
        output::count(totals.files, "new file"),
        HumanBytes(totals.bytes)
    );
    if totals.copied > 0 {
        words.push_str(&format!("; {} were there already", totals.copied));
    }
    if totals.removed > 0 {
        words.push_str(&format!("; {} old ones go", totals.removed));
    }
    words
}

/// A bundle of which every byte was checked.
///
/// # Errors
/// It is damaged, or no bundle.
pub(crate) fn verified(path: &Path) -> anyhow::Result<VerifiedBundle> {
    verify(path)?.into_verified().map_err(|problems| {
        let first = problems
            .first()
            .map(ToString::to_string)
            .unwrap_or_default();
        anyhow!(
            "`{}` is damaged and is not published ({first}); `readalong verify` lists all",
            path.display()
        )
    })
}

/// The bundle of a frozen share of our server, and what readers see as its title. It is made first where nobody has asked for it. `shares` is where the API has it.
///
/// # Errors
/// The share is not there, or its bundle cannot be made.
pub(crate) fn share_bundle(
    client: &Client,
    data: &Path,
    (shares, share): (&str, &str),
) -> anyhow::Result<(VerifiedBundle, String)> {
    let _: Value = client.get(&format!("/s/{share}/{MANIFEST}"))?;
    let entry: Value = client.get(&format!("{shares}/{share}"))?;
    let bundle = entry["bundle"]
        .as_str()
        .ok_or_else(|| anyhow!("share {share} has no bundle"))?;
    let title = shown_title(&entry);
    Ok((verified(&data.join("bundles").join(bundle))?, title))
}

/// What readers see as the title of a share of our server.
pub(crate) fn shown_title(share: &Value) -> String {
    let title = share["name"].as_str().or(share["chat_title"].as_str());
    title.unwrap_or_default().to_owned()
}

/// True for a share of our server that nobody reads without a sign-in: a private one, and any while public sharing is switched off.
///
/// # Errors
/// The server does not say what is switched.
pub(crate) fn is_private(share: &Value, client: &Client) -> anyhow::Result<bool> {
    Ok(share["visibility"] != "public" || !is_sharing_public(client)?)
}

/// False where public shares ask for a sign-in, too.
///
/// # Errors
/// The server does not say what is switched.
pub(crate) fn is_sharing_public(client: &Client) -> anyhow::Result<bool> {
    let settings: Value = client.get("/api/v1/admin/settings")?;
    Ok(settings["public_sharing"] == true)
}

/// Length of a bundle's manifest, in bytes.
///
/// # Errors
/// It cannot be read.
pub(crate) fn manifest_bytes(bundle: &VerifiedBundle) -> anyhow::Result<u64> {
    Ok(std::fs::metadata(bundle.path.join(MANIFEST))?.len())
}

#[cfg(test)]
mod tests {
    use readalong_model::Timestamp;

    use super::*;

    #[test]
    fn a_chat_whose_title_nobody_sees_has_a_link_to_click() {
        let pages = Pages::new(&Config::default()).unwrap();
        let unseen = Listing {
            share: ShareId::from_random([1; 16]),
            title: " \u{200b}".to_owned(),
            published_at: Timestamp::from_millis(0).unwrap(),
        };
        let page = String::from_utf8(pages.catalogue(&[unseen])).unwrap();
        assert!(page.contains(">Untitled chat</a>"), "{page}");
    }
}
