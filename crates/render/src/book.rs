//! A snapshot as a book: items rendered on all cores, bound into pages by weight, with contents and the data that scripts need.
//!
//! A page is written as soon as the next one begins and names nothing that comes later, except that there is a next page: a chat that
//! grows keeps its finished pages byte for byte.

use std::collections::{HashMap, HashSet, VecDeque};

use rayon::prelude::*;
use readalong_model::{Snapshot, ThreadId};

use crate::{
    Output, RenderError, RenderStats, Renderer,
    context::{End, File, Page, PromptLink},
    copies, data,
    fragment::{Fragment, FragmentRenderer, LongThread, branch_name},
    index::Index,
    outline::{Item, Outline},
    page::{self, Face, OpenPage, Sheet, page_name},
    parts::{self, Blobs},
};

/// Items that are rendered side by side before they are bound; more would only cost memory.
const ITEMS_AT_ONCE: usize = 1024;
/// Items that one core takes at once.
const ITEMS_PER_TASK: usize = 16;
/// Renders a snapshot into `out`.
pub(crate) fn render(
    renderer: &Renderer,
    snapshot: &Snapshot,
    blobs: &Blobs<'_>,
    out: &mut dyn Output,
) -> Result<RenderStats, RenderError> {
    let index = Index::of(snapshot);
    let outline = Outline::of(snapshot, &index);
    let mut book = Book::new(renderer, snapshot, &outline, blobs, out);
    let mut items = outline.items(&outline.path_of(ThreadId::MAIN));
    items.extend(
        index
            .loose_threads()
            .iter()
            .map(|thread| Item::loose(&index, *thread)),
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
    face: Face,
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
    /// Marks of secrets on earlier pages.
    redacted_before: usize,
    open: OpenPage,
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
            redacted_before: 0,
            open: OpenPage::default(),
        }
    }

    fn main() -> Self {
        Self::new("main", "index".to_owned())
    }

    fn page_name(&self, number: usize) -> String {
        page_name(self.kind, &self.name, number)
    }

    fn href(&self, number: usize) -> String {
        format!("{}.html", self.page_name(number))
    }

    /// True where the fragment has to begin a new page. Depends on what came before and on the fragment alone.
    fn is_full_before(&self, fragment: &Fragment) -> bool {
        page::is_full(
            self.open.html_bytes,
            fragment.html.len(),
            fragment.prompt.is_some(),
        )
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
        Self {
            renderer,
            snapshot,
            outline,
            blobs,
            out,
            face: Face::of(snapshot),
            pages: Vec::new(),
            page_of: HashMap::new(),
            contents: Vec::new(),
            asides: VecDeque::new(),
            branches_seen: HashSet::new(),
            stats: RenderStats::default(),
        }
    }

    fn bind_branch(&mut self, message: usize) -> Result<(), RenderError> {
        let anchor = &self.outline.anchor(message);
        let alternatives = self.outline.index.alternatives(message);
        let original = alternatives.iter().find_map(|other| {
            let anchor = &self.outline.anchor(*other);
            self.page_of
                .get(anchor)
                .map(|page| format!("{page}#{anchor}"))
        });
        let binding = Binding {
            back: original.or_else(|| Some("index.html".to_owned())),
            ..Binding::new("branch", branch_name(anchor))
        };
        let items = self.outline.items(&self.outline.index.branch_from(message));
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

    fn bind(&mut self, binding: &mut Binding, mut fragment: Fragment) -> Result<(), RenderError> {
        if binding.is_full_before(&fragment) {
            self.close(binding, true)?;
        }
        let href = binding.href(binding.number);
        for &message in &fragment.branches {
            let has_page = self.page_of.contains_key(&self.outline.anchor(message));
            if !has_page && self.branches_seen.insert(message) {
                self.asides.push_back(Aside::Branch(message));
            }
        }
        for anchor in &fragment.anchors {
            self.page_of.insert(anchor.clone(), href.clone());
        }
        self.asides
            .extend(fragment.threads.drain(..).map(Aside::Thread));
        if let Some(prompt) = &fragment.prompt
            && binding.kind == "main"
        {
            self.contents.push(prompt.link(&href));
        }
        self.stats.messages += fragment.anchors.len();
        binding.open.push(fragment, &href);
        Ok(())
    }

    /// Writes the open page and begins the next.
    fn close(&mut self, binding: &mut Binding, has_next: bool) -> Result<(), RenderError> {
        let open = std::mem::take(&mut binding.open);
        let number = binding.number;
        let (href, next) = (binding.href(number), binding.href(number + 1));
        let previous = (number > 1).then(|| binding.href(number - 1));
        let is_end = !has_next && binding.kind == "main";
        let end = is_end.then(|| End {
            empty: self.snapshot.messages.is_empty(),
            damaged_records: self.snapshot.damaged_records,
            as_of: self.as_of(),
        });
        let page = Page {
            kind: binding.kind,
            href: &href,
            label: &page::label(binding.kind, number),
            title: binding.title.as_deref(),
            previous: previous.as_deref(),
            next: has_next.then_some(next.as_str()),
            back: binding.back.as_deref(),
            first_prompt: binding.prompts_before + 1,
            redacted: binding.redacted_before + open.redacted,
        };
        let sheet = Sheet {
            end,
            ..Sheet::new(page, &open.prompts)
        };
        let [head, tail] = self.face.around_items(self.renderer, sheet)?;
        let items = open.html.into_iter().map(String::into_bytes);
        let mut pieces = std::iter::once(head)
            .chain(items)
            .chain(std::iter::once(tail));
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
        binding.redacted_before += open.redacted;
        binding.number += 1;
        Ok(())
    }

    /// The moment that the snapshot shows: of the share, or of the last message. A live chat has none.
    fn as_of(&self) -> Option<String> {
        let share = self.snapshot.share.as_ref();
        page::as_of(share, self.snapshot.updated_at).map(|at| at.to_string())
    }

    /// The pages of contents: every prompt of the chat, and every file.
    fn write_contents(&mut self) -> Result<(), RenderError> {
        let contents = std::mem::take(&mut self.contents);
        let files: Vec<File> = self.snapshot.artifacts.iter().map(parts::file).collect();
        let count = page::contents_pages(contents.len());
        for number in 1..=count {
            let prompts = page::contents_range(&contents, number);
            let html = self
                .face
                .contents(self.renderer, (number, count), (prompts, &files))?;
            write(
                self.out,
                &page::contents_href(number),
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
            contents: page::contents_pages(self.contents.len()),
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
