//! What the pages of a bundle and of a live share have in common: how they are named, where they split, and what stands around their items.

use minijinja::{Value, value::Serde};
use readalong_model::{
    ChatHead, LeftOut, ShareCard, ShareVisibility, Snapshot, Timestamp, Updates,
};

use crate::{
    RenderError, Renderer,
    context::{self, End, File, Live, Page, PageContext, PromptLink},
    fragment::{Fragment, Prompt},
    text,
};

/// A page is closed before the item that would make it heavier than this.
const PAGE_BYTES_MAX: usize = 192 << 10;
/// A page that is heavier than this is closed before the next prompt, so that most pages begin with one.
const PAGE_BYTES_GOOD: usize = 128 << 10;
/// Where a page's items go. Text from outside cannot forge it: its `<` is escaped.
const ITEMS_MARK: &str = "<!--items-->";
/// Prompts on a page of contents, and in a file of its data.
pub(crate) const CONTENTS_PROMPTS_MAX: usize = 500;

/// The policy of every page of a bundle: nothing but the bundle's own files (`'self'` works from `file://`, hashes do not).
pub const CSP: &str = "default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'self'; font-src 'self'; script-src 'self'; \
                       base-uri 'none'; form-action 'none'";
/// The policy of live pages: they may also connect to the server that they come from.
pub const CSP_LIVE: &str = "default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'self'; font-src 'self'; script-src 'self'; \
                            connect-src 'self'; base-uri 'none'; form-action 'none'";
/// The policy of the desk: as that of live pages, and its forms go to the server that they come from.
pub const CSP_DESK: &str = "default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'self'; font-src 'self'; script-src 'self'; \
                            connect-src 'self'; base-uri 'none'; form-action 'self'";
/// The policy of the sign-in page: it runs no script and sends its form to the server that it comes from.
pub const CSP_SIGNIN: &str = "default-src 'none'; img-src 'self' data:; style-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'";

/// True where an item has to begin a new page. Depends on what came before and on the item alone.
pub(crate) fn is_full(page_bytes: usize, item_bytes: usize, is_prompt: bool) -> bool {
    page_bytes > 0
        && (page_bytes + item_bytes > PAGE_BYTES_MAX || (page_bytes > PAGE_BYTES_GOOD && is_prompt))
}

/// Name of a page, without its ending.
pub(crate) fn page_name(kind: &str, name: &str, number: usize) -> String {
    match (kind, number) {
        (_, 1) => name.to_owned(),
        ("main", number) => number.to_string(),
        (_, number) => format!("{name}-{number}"),
    }
}

/// File name of a page of the main thread.
pub(crate) fn main_href(number: usize) -> String {
    format!("{}.html", page_name("main", "index", number))
}

/// What the window's title says of a page, before the chat's title.
pub(crate) fn label(kind: &str, number: usize) -> String {
    match (kind, number) {
        ("main", 1) => String::new(),
        ("main", number) => format!("Page {number}"),
        ("branch", 1) => "Another version".to_owned(),
        ("branch", number) => format!("Another version, page {number}"),
        (_, 1) => "Subagent".to_owned(),
        (_, number) => format!("Subagent, page {number}"),
    }
}

/// Pages of contents for so many prompts.
pub(crate) fn contents_pages(prompts: usize) -> usize {
    prompts.div_ceil(CONTENTS_PROMPTS_MAX).max(1)
}

/// File name of a page of contents.
pub(crate) fn contents_href(number: usize) -> String {
    match number {
        1 => "contents.html".to_owned(),
        number => format!("contents-{number}.html"),
    }
}

/// What of a list of all prompts a page of contents shows.
pub(crate) fn contents_range<T>(prompts: &[T], number: usize) -> &[T] {
    let first = ((number - 1) * CONTENTS_PROMPTS_MAX).min(prompts.len());
    &prompts[first..prompts.len().min(first + CONTENTS_PROMPTS_MAX)]
}

/// The moment that a chat is shown at: of its share or of its last message, the later one. A live chat has none.
pub(crate) fn as_of(share: Option<&ShareCard>, updated_at: Option<Timestamp>) -> Option<Timestamp> {
    match share {
        Some(share) if share.updates == Updates::Live => None,
        Some(share) => updated_at.max(Some(share.shared_at)),
        None => updated_at,
    }
}

/// The items of a page while they come.
#[derive(Default)]
pub(crate) struct OpenPage {
    /// The items, in order.
    pub(crate) html: Vec<String>,
    pub(crate) html_bytes: usize,
    pub(crate) redacted: usize,
    pub(crate) prompts: Vec<PromptLink>,
    pub(crate) anchors: Vec<String>,
    /// Items for find: anchor of the first message, text.
    pub(crate) texts: Vec<(String, String)>,
}

impl OpenPage {
    pub(crate) fn push(&mut self, fragment: Fragment, href: &str) {
        self.html_bytes += fragment.html.len();
        self.redacted += fragment.redacted;
        self.html.push(fragment.html);
        self.prompts
            .extend(fragment.prompt.map(|prompt| prompt.link(href)));
        let first = fragment.anchors.first().or_else(|| self.anchors.last());
        self.texts
            .push((first.cloned().unwrap_or_default(), fragment.text));
        self.anchors.extend(fragment.anchors);
    }
}

impl Prompt {
    /// The prompt for the rail and the contents.
    pub(crate) fn link(&self, href: &str) -> PromptLink {
        PromptLink {
            page: href.to_owned(),
            anchor: self.anchor.clone(),
            text: self.text.clone(),
            at: self.at.map(|at| at.to_string()),
        }
    }
}

/// What all pages of a chat say alike.
#[derive(PartialEq)]
pub(crate) struct Face {
    pub(crate) chat: context::ChatHead,
    share: Option<context::Share>,
    left_out: context::LeftOut,
}

/// What one page says.
pub(crate) struct Sheet<'a> {
    pub(crate) page: Page<'a>,
    pub(crate) prompts: &'a [PromptLink],
    pub(crate) end: Option<End>,
    pub(crate) files: &'a [File],
    pub(crate) live: Option<&'a Live>,
}

impl<'a> Sheet<'a> {
    pub(crate) fn new(page: Page<'a>, prompts: &'a [PromptLink]) -> Self {
        Self {
            page,
            prompts,
            end: None,
            files: &[],
            live: None,
        }
    }
}

impl Face {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let head = ChatHead {
            title: snapshot.title.clone(),
            origin: snapshot.origin.clone(),
            created_at: snapshot.created_at,
            ..ChatHead::default()
        };
        Self::new(&head, snapshot.share.as_ref(), snapshot.left_out)
    }

    /// Of a chat of that title and origin.
    pub(crate) fn new(head: &ChatHead, share: Option<&ShareCard>, left_out: LeftOut) -> Self {
        let is = |condition: bool, yes, no| if condition { yes } else { no };
        Self {
            chat: context::ChatHead {
                title: text::name(&head.title),
                app: head.origin.app.as_deref().map(text::name),
                created_at: head.created_at.map(|at| at.to_string()),
                updates: is(
                    share.is_some_and(|share| share.updates == Updates::Live),
                    "live",
                    "frozen",
                ),
                visibility: is(
                    share.is_some_and(|share| share.visibility == ShareVisibility::Private),
                    "private",
                    "public",
                ),
            },
            share: share.map(|share| context::Share {
                by: text::name(&share.shared_by),
                at: share.shared_at.to_string(),
            }),
            left_out: context::LeftOut {
                artifacts: left_out.artifacts,
                words: left_out_words(left_out),
            },
        }
    }

    /// A page of messages, as what stands before its items and what stands after them.
    ///
    /// The items go from their renderers into the file as they are; through the template they would be copied twice.
    pub(crate) fn around_items(
        &self,
        renderer: &Renderer,
        sheet: Sheet<'_>,
    ) -> Result<[Vec<u8>; 2], RenderError> {
        let html = self.render(renderer, "page.html", sheet)?;
        let (head, tail) = html.split_once(ITEMS_MARK).ok_or_else(|| {
            let reason = "the theme's page.html does not print `messages`";
            minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, reason)
        })?;
        Ok([head, tail].map(|piece| piece.as_bytes().to_vec()))
    }

    /// One of so many pages of contents: its prompts, and every file of the chat on the last one.
    pub(crate) fn contents(
        &self,
        renderer: &Renderer,
        (number, count): (usize, usize),
        (prompts, files): (&[PromptLink], &[File]),
    ) -> Result<String, RenderError> {
        let previous = (number > 1).then(|| contents_href(number - 1));
        let next = (number < count).then(|| contents_href(number + 1));
        let page = Page {
            kind: "contents",
            href: &contents_href(number),
            label: "Contents",
            title: None,
            previous: previous.as_deref(),
            next: next.as_deref(),
            back: None,
            first_prompt: (number - 1) * CONTENTS_PROMPTS_MAX + 1,
            redacted: 0,
        };
        let sheet = Sheet {
            files: if number == count { files } else { &[] },
            ..Sheet::new(page, prompts)
        };
        self.render(renderer, "contents.html", sheet)
    }

    /// Renders a template that sees all that a page sees.
    pub(crate) fn render(
        &self,
        renderer: &Renderer,
        template: &str,
        sheet: Sheet<'_>,
    ) -> Result<String, RenderError> {
        let assets = &renderer.assets;
        let context = PageContext {
            page: sheet.page,
            chat: &self.chat,
            share: self.share.as_ref(),
            left_out: &self.left_out,
            prompts: sheet.prompts,
            messages: Value::from_safe_string(ITEMS_MARK.to_owned()),
            end: sheet.end,
            files: sheet.files,
            live: sheet.live,
            styles: &assets.styles,
            scripts: match sheet.live {
                Some(_) => &assets.live_scripts,
                None => &assets.scripts,
            },
            find_scripts: &assets.find_scripts,
            csp: match sheet.live {
                Some(_) => CSP_LIVE,
                None => CSP,
            },
            version: env!("CARGO_PKG_VERSION"),
        };
        let template = renderer.environment.get_template(template)?;
        Ok(template.render(Value::from(Serde(&context)))?)
    }
}

fn left_out_words(left_out: LeftOut) -> String {
    let kinds = [
        (left_out.reasoning, "reasoning"),
        (left_out.tools, "tool calls"),
        (left_out.messages, "some messages"),
    ];
    let words = kinds.iter().filter(|(is, _)| *is).map(|(_, words)| *words);
    words.collect::<Vec<_>>().join(", ")
}
