//! A snapshot as a book: items rendered on all cores, bound into pages by weight, with contents and the data that scripts need.
//!
//! A page is written as soon as the next one begins and names nothing that comes later, except that there is a next page: a chat that
//! grows keeps its finished pages byte for byte.

use std::collections::{HashMap, HashSet, VecDeque};

use minijinja::{Value, value::Serde};
use rayon::prelude::*;
use readalong_model::{ShareVisibility, Snapshot, ThreadId, Updates};

use crate::{
    Output, RenderError, RenderStats, Renderer,
    context::{ChatHead, End, File, LeftOut, Page, PageContext, PromptLink, Share},
    copies, data,
    fragment::{Fragment, FragmentRenderer, LongThread, branch_name},
    outline::{Item, Outline},
    parts::{self, Blobs},
};

/// A page is closed before the item that would make it heavier than this.
const PAGE_BYTES_MAX: usize = 192 << 10;
/// A page that is heavier than this is closed before the next prompt, so that most pages begin with one.
const PAGE_BYTES_GOOD: usize = 128 << 10;
/// Where a page's items go. Text from outside cannot forge it: its `<` is escaped.
const ITEMS_MARK: &str = "<!--items-->";
/// Items that are rendered side by side before they are bound; more would only cost memory.
const ITEMS_AT_ONCE: usize = 1024;
/// Items that one core takes at once.
const ITEMS_PER_TASK: usize = 16;
/// Prompts on a page of contents, and in a file of its data.
pub(crate) const CONTENTS_PROMPTS_MAX: usize = 500;

/// The policy of every page: nothing but the bundle's own files (`'self'` works from `file://`, hashes do not).
const CSP: &str = "default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'self'; font-src 'self'; script-src 'self'; \
                   base-uri 'none'; form-action 'none'";

/// Renders a snapshot into `out`.
pub(crate) fn render(
    renderer: &Renderer,
    snapshot: &Snapshot,
    blobs: &Blobs<'_>,
    out: &mut dyn Output,
) -> Result<RenderStats, RenderError> {
    let outline = Outline::of(snapshot);
    let mut book = Book::new(renderer, snapshot, &outline, blobs, out);
    let mut items = outline.items(&outline.path_of(ThreadId::MAIN));
    items.extend(
        outline
            .loose_threads()
            .iter()
            .map(|thread| outline.loose_thread(*thread)),
    );
    book.bind_items(Binding::main(), &items)?;
    while let Some(aside) = book.asides.pop_front() {
        match aside {
            Aside::Branch(message) => book.bind_branch(message)?,
            Aside::Thread(thread) => book.bind_thread(thread)?,
        }
    }
    book.write_contents()?;
    book.write_data()?;
    let Book { out, stats, .. } = book;
    write(out, "chat.json", &mut copies::json(snapshot))?;
    write(out, "chat.md", &mut copies::markdown(snapshot, &outline))?;
    for asset in &renderer.assets.all {
        write(out, &asset.path, &mut std::iter::once(asset.bytes.clone()))?;
    }
    Ok(stats)
}

pub(crate) fn write(
    out: &mut dyn Output,
    path: &str,
    pieces: &mut dyn Iterator<Item = Vec<u8>>,
) -> Result<(), RenderError> {
    out.write(path, pieces)
        .map_err(|source| RenderError::Output {
            path: path.to_owned(),
            source,
        })
}

/// What hangs on the chat and has pages of its own.
enum Aside {
    Branch(usize),
    Thread(LongThread),
}

/// A book in the making.
struct Book<'a> {
    renderer: &'a Renderer,
    snapshot: &'a Snapshot,
    outline: &'a Outline<'a>,
    blobs: &'a Blobs<'a>,
    out: &'a mut dyn Output,
    chat: ChatHead,
    share: Option<Share>,
    left_out: LeftOut,
    /// Pages written so far, in reading order, with the anchors on them.
    pages: Vec<(String, Vec<String>)>,
    page_of: HashMap<String, String>,
    contents: Vec<PromptLink>,
    asides: VecDeque<Aside>,
    branches_seen: HashSet<usize>,
    stats: RenderStats,
}

/// A sequence of pages while it is being bound.
struct Binding {
    kind: &'static str,
    name: String,
    title: Option<String>,
    back: Option<String>,
    /// Number of the open page, from 1.
    number: usize,
    /// Prompts on earlier pages.
    prompts_before: usize,
    open: OpenPage,
}

/// A page that may still grow.
#[derive(Default)]
struct OpenPage {
    /// The items, in order.
    html: Vec<String>,
    html_bytes: usize,
    prompts: Vec<PromptLink>,
    anchors: Vec<String>,
    /// Items for find: anchor of the first message, text.
    texts: Vec<(String, String)>,
}

impl Binding {
    fn new(kind: &'static str, name: String) -> Self {
        Self {
            kind,
            name,
            title: None,
            back: None,
            number: 1,
            prompts_before: 0,
            open: OpenPage::default(),
        }
    }

    fn main() -> Self {
        Self::new("main", "index".to_owned())
    }

    fn page_name(&self, number: usize) -> String {
        match (self.kind, number) {
            (_, 1) => self.name.clone(),
            ("main", number) => number.to_string(),
            (_, number) => format!("{}-{number}", self.name),
        }
    }

    fn href(&self, number: usize) -> String {
        format!("{}.html", self.page_name(number))
    }

    /// True where the fragment has to begin a new page. Depends on what came before and on the fragment alone.
    fn is_full_before(&self, fragment: &Fragment) -> bool {
        let bytes = self.open.html_bytes;
        bytes > 0
            && (bytes + fragment.html.len() > PAGE_BYTES_MAX
                || (bytes > PAGE_BYTES_GOOD && fragment.prompt.is_some()))
    }
}

impl<'a> Book<'a> {
    fn new(
        renderer: &'a Renderer,
        snapshot: &'a Snapshot,
        outline: &'a Outline<'a>,
        blobs: &'a Blobs<'a>,
        out: &'a mut dyn Output,
    ) -> Self {
        let share = snapshot.share.as_ref();
        let is = |condition: bool, yes, no| if condition { yes } else { no };
        Self {
            renderer,
            snapshot,
            outline,
            blobs,
            out,
            chat: ChatHead {
                title: snapshot.title.clone(),
                app: snapshot.origin.app.clone(),
                created_at: snapshot.created_at.map(|at| at.to_string()),
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
            share: share.map(|share| Share {
                by: share.shared_by.clone(),
                at: share.shared_at.to_string(),
            }),
            left_out: LeftOut {
                artifacts: snapshot.left_out.artifacts,
                words: left_out_words(snapshot),
            },
            pages: Vec::new(),
            page_of: HashMap::new(),
            contents: Vec::new(),
            asides: VecDeque::new(),
            branches_seen: HashSet::new(),
            stats: RenderStats::default(),
        }
    }

    fn bind_branch(&mut self, message: usize) -> Result<(), RenderError> {
        let anchor = &self.outline.anchors[message];
        let original = self.outline.alternatives(message).iter().find_map(|other| {
            let anchor = &self.outline.anchors[*other];
            self.page_of
                .get(anchor)
                .map(|page| format!("{page}#{anchor}"))
        });
        let binding = Binding {
            back: original.or_else(|| Some("index.html".to_owned())),
            ..Binding::new("branch", branch_name(anchor))
        };
        let items = self.outline.items(&self.outline.branch_from(message));
        self.bind_items(binding, &items)
    }

    fn bind_thread(&mut self, thread: LongThread) -> Result<(), RenderError> {
        let page = self
            .page_of
            .get(&thread.back)
            .cloned()
            .unwrap_or_else(|| "index.html".to_owned());
        let back = Some(format!("{page}#{}", thread.back));
        let mut binding = Binding {
            back,
            title: thread.title,
            ..Binding::new("thread", thread.name)
        };
        let Some(fragments) = thread.fragments else {
            let items = self.outline.items(&self.outline.path_of(thread.thread));
            return self.bind_items(binding, &items);
        };
        for fragment in fragments {
            self.bind(&mut binding, fragment)?;
        }
        self.close(&mut binding, false)
    }

    fn bind_items(&mut self, mut binding: Binding, items: &[Item]) -> Result<(), RenderError> {
        for (chunk_number, chunk) in items.chunks(ITEMS_AT_ONCE).enumerate() {
            let page_of = |anchor: &str| self.page_of.get(anchor).cloned();
            let fragments = FragmentRenderer {
                environment: &self.renderer.environment,
                outline: self.outline,
                highlighter: self.renderer.highlighter.as_ref(),
                blobs: self.blobs,
                page_of: &page_of,
            };
            let rendered: Vec<Result<Fragment, RenderError>> = chunk
                .par_iter()
                .with_min_len(ITEMS_PER_TASK)
                .map(|item| fragments.render(item, 0))
                .collect();
            for fragment in rendered {
                self.bind(&mut binding, fragment?)?;
            }
            if binding.kind == "main" {
                self.out.progress(
                    (chunk_number * ITEMS_AT_ONCE + chunk.len()).min(items.len()),
                    items.len(),
                );
            }
        }
        self.close(&mut binding, false)
    }

    fn bind(&mut self, binding: &mut Binding, fragment: Fragment) -> Result<(), RenderError> {
        if binding.is_full_before(&fragment) {
            self.close(binding, true)?;
        }
        let href = binding.href(binding.number);
        for message in fragment.branches {
            let has_page = self.page_of.contains_key(&self.outline.anchors[message]);
            if !has_page && self.branches_seen.insert(message) {
                self.asides.push_back(Aside::Branch(message));
            }
        }
        for anchor in &fragment.anchors {
            self.page_of.insert(anchor.clone(), href.clone());
        }
        self.asides
            .extend(fragment.threads.into_iter().map(Aside::Thread));
        let open = &mut binding.open;
        open.html_bytes += fragment.html.len();
        open.html.push(fragment.html);
        if let Some(prompt) = fragment.prompt {
            let link = PromptLink {
                page: href,
                anchor: prompt.anchor,
                text: prompt.text,
                at: prompt.at.map(|at| at.to_string()),
            };
            if binding.kind == "main" {
                self.contents.push(link.clone());
            }
            open.prompts.push(link);
        }
        self.stats.messages += fragment.anchors.len();
        let first = fragment.anchors.first().or_else(|| open.anchors.last());
        open.texts
            .push((first.cloned().unwrap_or_default(), fragment.text));
        open.anchors.extend(fragment.anchors);
        Ok(())
    }

    /// Writes the open page and begins the next.
    fn close(&mut self, binding: &mut Binding, has_next: bool) -> Result<(), RenderError> {
        let open = std::mem::take(&mut binding.open);
        let number = binding.number;
        let (href, next) = (binding.href(number), binding.href(number + 1));
        let previous = (number > 1).then(|| binding.href(number - 1));
        let label = match (binding.kind, number) {
            ("main", 1) => String::new(),
            ("main", number) => format!("Page {number}"),
            ("branch", 1) => "Another version".to_owned(),
            ("branch", number) => format!("Another version, page {number}"),
            (_, 1) => "Subagent".to_owned(),
            (_, number) => format!("Subagent, page {number}"),
        };
        let is_end = !has_next && binding.kind == "main";
        let end = is_end.then(|| End {
            empty: self.snapshot.messages.is_empty(),
            damaged_records: self.snapshot.damaged_records,
            as_of: self.as_of(),
        });
        let page = Page {
            kind: binding.kind,
            href: &href,
            label: &label,
            title: binding.title.as_deref(),
            previous: previous.as_deref(),
            next: has_next.then_some(next.as_str()),
            back: binding.back.as_deref(),
            first_prompt: binding.prompts_before + 1,
        };
        let html = self.page("page.html", page, &open.prompts, end, &[])?;
        // The items go from their renderers into the file as they are; through the template they would be copied twice.
        let (head, tail) = html.split_once(ITEMS_MARK).ok_or_else(|| {
            let reason = "the theme's page.html does not print `messages`";
            minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, reason)
        })?;
        let items = open.html.into_iter().map(String::into_bytes);
        let mut pieces = std::iter::once(head.as_bytes().to_vec())
            .chain(items)
            .chain(std::iter::once(tail.as_bytes().to_vec()));
        write(self.out, &href, &mut pieces)?;
        let name = binding.page_name(number);
        write(
            self.out,
            &format!("data/search-{name}.js"),
            &mut std::iter::once(data::search(&name, &open.texts)),
        )?;
        self.pages.push((href, open.anchors));
        self.stats.pages += 1;
        binding.prompts_before += open.prompts.len();
        binding.number += 1;
        Ok(())
    }

    /// The moment that the snapshot shows: of the share, or of the last message. A live chat has none.
    fn as_of(&self) -> Option<String> {
        match &self.snapshot.share {
            Some(share) if share.updates == Updates::Live => None,
            Some(share) => Some(share.shared_at.to_string()),
            None => self.snapshot.updated_at.map(|at| at.to_string()),
        }
    }

    fn page(
        &self,
        template: &str,
        page: Page<'_>,
        prompts: &[PromptLink],
        end: Option<End>,
        files: &[File],
    ) -> Result<String, RenderError> {
        let context = PageContext {
            page,
            chat: &self.chat,
            share: self.share.as_ref(),
            left_out: &self.left_out,
            prompts,
            messages: Value::from_safe_string(ITEMS_MARK.to_owned()),
            end,
            files,
            styles: &self.renderer.assets.styles,
            scripts: &self.renderer.assets.scripts,
            csp: CSP,
            version: env!("CARGO_PKG_VERSION"),
        };
        Ok(self
            .renderer
            .environment
            .get_template(template)?
            .render(Value::from(Serde(&context)))?)
    }

    /// The pages of contents: every prompt of the chat, and every file.
    fn write_contents(&mut self) -> Result<(), RenderError> {
        let contents = std::mem::take(&mut self.contents);
        let files: Vec<File> = self.snapshot.artifacts.iter().map(parts::file).collect();
        let href = |number: usize| {
            if number == 1 {
                "contents.html".to_owned()
            } else {
                format!("contents-{number}.html")
            }
        };
        let count = contents.len().div_ceil(CONTENTS_PROMPTS_MAX).max(1);
        for number in 1..=count {
            let first = (number - 1) * CONTENTS_PROMPTS_MAX;
            let prompts = &contents[first..contents.len().min(first + CONTENTS_PROMPTS_MAX)];
            let (previous, next) = (
                (number > 1).then(|| href(number - 1)),
                (number < count).then(|| href(number + 1)),
            );
            let page = Page {
                kind: "contents",
                href: &href(number),
                label: "Contents",
                title: None,
                previous: previous.as_deref(),
                next: next.as_deref(),
                back: None,
                first_prompt: first + 1,
            };
            let shown_files = if number == count {
                files.as_slice()
            } else {
                &[]
            };
            let html = self.page("contents.html", page, prompts, None, shown_files)?;
            write(
                self.out,
                &href(number),
                &mut std::iter::once(html.into_bytes()),
            )?;
            let name = format!("contents-{number}");
            write(
                self.out,
                &format!("data/{name}.js"),
                &mut std::iter::once(data::contents(&name, prompts)),
            )?;
        }
        self.contents = contents;
        Ok(())
    }

    fn write_data(&mut self) -> Result<(), RenderError> {
        let facts = data::ChatFacts {
            pages: self.pages.iter().map(|(page, _)| page.as_str()).collect(),
            messages: self.stats.messages,
            prompts: self.contents.len(),
            contents: self.contents.len().div_ceil(CONTENTS_PROMPTS_MAX).max(1),
        };
        let chat = data::script("chat", &facts);
        let anchors: Vec<(&str, String)> = self
            .pages
            .iter()
            .map(|(page, anchors)| (page.as_str(), anchors.join(" ")))
            .collect();
        let anchors = data::script("anchors", &data::Pairs(&anchors));
        write(self.out, "data/chat.js", &mut std::iter::once(chat))?;
        write(self.out, "data/anchors.js", &mut std::iter::once(anchors))
    }
}

fn left_out_words(snapshot: &Snapshot) -> String {
    let left_out = snapshot.left_out;
    let kinds = [
        (left_out.reasoning, "reasoning"),
        (left_out.tools, "tool calls"),
        (left_out.messages, "some messages"),
    ];
    kinds
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, words)| *words)
        .collect::<Vec<_>>()
        .join(", ")
}
