//! Markdown as HTML, written by ourselves from the parser's events: nothing of the source reaches a page unescaped.
//!
//! Raw HTML is text, images are named and never loaded, links pass the allow-list of [`crate::linkify`], and no text of
//! the source is lost. Nothing here is recursive; depth, size and the number of empty table cells are bounded, and
//! beyond a bound the source is shown as plain text.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::mem;
use std::ops::Range;

use pulldown_cmark::{
    Alignment, BlockQuoteKind, CodeBlockKind, Event, HeadingLevel, LinkType, OffsetIter, Options,
    Parser, Tag, TagEnd,
};

use crate::direction::{RIGHT_TO_LEFT_MARK, Words, has_right_to_left};
use crate::highlight::{Highlighter, language_token};
use crate::html::{escape_attribute, escape_code, escape_text};
use crate::linkify::{
    host, linkify_into, open_link, push_target, safe_href, shown_host, unsaid_host,
};
use crate::literal::{Literal, literal};

/// Longest text that is parsed; longer ones are shown plain.
pub(crate) const MAX_MARKDOWN_BYTES: usize = 1_000_000;

/// Deepest nesting of blocks and inline elements together; what lies deeper is shown plain.
const MAX_DEPTH: usize = 100;

/// Empty cells a text may have at the ends of its table rows; a wide head and many short rows would multiply them.
const MAX_EMPTY_CELLS: usize = 10_000;

/// Longest address shown beside a link that is not one.
const MAX_SHOWN_URL_CHARS: usize = 2_000;

/// Smallest number of an item that has no room beside a list.
const MIN_LONG_NUMBER: u64 = 1_000;

/// Longest language name shown over a code block.
const MAX_LABEL_CHARS: usize = 40;

/// What Markdown is rendered for.
#[derive(Clone, Copy)]
pub(crate) struct MarkdownContext<'a> {
    /// People type: a line end in a paragraph is a line end in the page, indentation stays, and `\\` and `__` are no markup. Models write
    /// Markdown.
    pub(crate) is_typed: bool,
    /// Prefix that makes the ids of footnotes unique on a page.
    pub(crate) anchor: &'a str,
    /// Colours for code blocks, if there shall be any.
    pub(crate) highlighter: Option<&'a Highlighter>,
    /// Levels to push headings down, so that those of a message stay below those of the page.
    pub(crate) heading_offset: u8,
}

/// Writes Markdown as HTML.
pub(crate) fn markdown_into(out: &mut String, markdown: &str, context: &MarkdownContext<'_>) {
    if markdown.len() > MAX_MARKDOWN_BYTES {
        plain_into(out, markdown);
        return;
    }
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_GFM;
    let markdown = literal(markdown, options, context.is_typed);
    let mut events = Parser::new_ext(&markdown.text, options).into_offset_iter();
    let mut writer = Writer::new(out, &markdown, context);
    while let Some((event, range)) = events.next() {
        writer.note_definition(&event, &events);
        writer.event(event, range);
    }
    writer.finish(&events);
}

/// Writes a code block with its language as caption and its code coloured if possible.
pub(crate) fn code_block_into(
    out: &mut String,
    code: &str,
    language: Option<&str>,
    highlighter: Option<&Highlighter>,
) {
    let info = language.map(str::trim).filter(|info| !info.is_empty());
    out.push_str("<figure class=\"code\"");
    if let Some(info) = info {
        let token = language_token(info);
        if !token.is_empty() {
            out.push_str(" data-language=\"");
            escape_attribute(out, &capped(&token));
            out.push('"');
        }
        out.push_str("><figcaption>");
        escape_code(out, &language_label(info, &token));
        out.push_str("</figcaption");
    }
    out.push_str("><pre tabindex=\"0\"><code>");
    let code = code.strip_suffix('\n').unwrap_or(code);
    let coloured = info
        .zip(highlighter)
        .is_some_and(|(info, highlighter)| highlighter.highlight_into(out, info, code));
    if !coloured {
        escape_code(out, code);
    }
    out.push_str("</code></pre></figure>\n");
}

/// Writes text that is too big or too deep to be rendered.
fn plain_into(out: &mut String, text: &str) {
    // The parser of HTML drops one line end right behind `<pre>`.
    out.push_str("<pre class=\"plain\">\n");
    escape_code(out, text);
    out.push_str("</pre>\n");
}

/// Names of languages as people write them, for words that do not say it well themselves.
const LANGUAGE_NAMES: &[(&str, &[&str])] = &[
    ("Rust", &["rust", "rs"]),
    ("Python", &["python", "py", "python3", "py3"]),
    ("JavaScript", &["javascript", "js", "mjs", "cjs", "node"]),
    ("TypeScript", &["typescript", "ts", "mts", "cts"]),
    ("JSX", &["jsx"]),
    ("TSX", &["tsx"]),
    ("JSON", &["json"]),
    ("JSON with comments", &["jsonc"]),
    ("JSON5", &["json5"]),
    ("JSON Lines", &["jsonl", "ndjson"]),
    ("Shell", &["sh", "shell"]),
    ("Bash", &["bash"]),
    ("Zsh", &["zsh"]),
    ("Fish", &["fish"]),
    (
        "Console",
        &[
            "console",
            "shell-session",
            "shellsession",
            "bash-session",
            "terminal",
        ],
    ),
    ("PowerShell", &["powershell", "ps1", "pwsh", "ps"]),
    ("Batch", &["bat", "batch", "cmd"]),
    ("C", &["c"]),
    ("C++", &["cpp", "c++", "cxx", "cc", "hpp"]),
    ("C#", &["csharp", "cs", "c#"]),
    ("F#", &["fsharp", "fs", "f#"]),
    ("Objective-C", &["objc", "objective-c", "objectivec"]),
    ("Go", &["go", "golang"]),
    ("Java", &["java"]),
    ("Kotlin", &["kotlin", "kt"]),
    ("Scala", &["scala"]),
    ("Swift", &["swift"]),
    ("Dart", &["dart"]),
    ("Ruby", &["ruby", "rb"]),
    ("PHP", &["php"]),
    ("Perl", &["perl", "pl"]),
    ("Lua", &["lua"]),
    ("R", &["r"]),
    ("Julia", &["julia", "jl"]),
    ("MATLAB", &["matlab"]),
    ("Haskell", &["haskell", "hs"]),
    ("OCaml", &["ocaml", "ml"]),
    ("Elixir", &["elixir", "ex", "exs"]),
    ("Erlang", &["erlang", "erl"]),
    ("Clojure", &["clojure", "clj"]),
    ("Lisp", &["lisp"]),
    ("Scheme", &["scheme"]),
    ("Emacs Lisp", &["elisp", "emacs-lisp"]),
    ("Zig", &["zig"]),
    ("Nim", &["nim"]),
    ("Nix", &["nix"]),
    ("Fortran", &["fortran", "f90"]),
    ("Assembly", &["asm", "nasm", "s", "x86asm"]),
    ("CUDA", &["cuda", "cu"]),
    ("GLSL", &["glsl"]),
    ("HLSL", &["hlsl"]),
    ("WGSL", &["wgsl"]),
    ("Verilog", &["verilog"]),
    ("SystemVerilog", &["systemverilog", "sv"]),
    ("VHDL", &["vhdl"]),
    ("Solidity", &["solidity", "sol"]),
    ("HTML", &["html", "htm", "xhtml"]),
    ("XML", &["xml"]),
    ("SVG", &["svg"]),
    ("CSS", &["css"]),
    ("SCSS", &["scss"]),
    ("Sass", &["sass"]),
    ("Less", &["less"]),
    ("Vue", &["vue"]),
    ("Svelte", &["svelte"]),
    ("SQL", &["sql"]),
    ("PostgreSQL", &["postgresql", "postgres", "psql", "plpgsql"]),
    ("MySQL", &["mysql"]),
    ("SQLite", &["sqlite"]),
    ("GraphQL", &["graphql", "gql"]),
    ("Protocol Buffers", &["proto", "protobuf"]),
    ("YAML", &["yaml", "yml"]),
    ("TOML", &["toml"]),
    ("INI", &["ini"]),
    ("CSV", &["csv"]),
    ("Markdown", &["markdown", "md"]),
    ("LaTeX", &["latex"]),
    ("TeX", &["tex"]),
    ("Typst", &["typst", "typ"]),
    ("reStructuredText", &["rst"]),
    ("AsciiDoc", &["asciidoc", "adoc"]),
    ("Dockerfile", &["dockerfile", "docker", "containerfile"]),
    ("Makefile", &["makefile", "make", "mk"]),
    ("CMake", &["cmake"]),
    ("Terraform", &["terraform", "tf"]),
    ("HCL", &["hcl"]),
    ("Diff", &["diff", "patch"]),
    ("HTTP", &["http"]),
    ("Regular expression", &["regex", "regexp"]),
    ("Mermaid", &["mermaid"]),
    ("Graphviz", &["dot", "graphviz"]),
    ("Text", &["text", "txt", "plain", "plaintext", "text/plain"]),
];

/// Returns the caption of a code block; unknown words stand as they are, and so does a path behind a known one.
fn language_label(info: &str, token: &str) -> String {
    let name = LANGUAGE_NAMES
        .iter()
        .find(|(_, words)| words.contains(&token))
        .map(|(name, _)| *name);
    match (name, info.split_once(':')) {
        (Some(name), Some((_, path))) if !path.trim().is_empty() => {
            format!("{name} {}", capped(path.trim()))
        }
        (Some(name), _) => name.to_string(),
        (None, _) => capped(info),
    }
}

fn capped(label: &str) -> String {
    match label.char_indices().nth(MAX_LABEL_CHARS) {
        Some((end, _)) => format!("{}\u{2026}", &label[..end]),
        None => label.to_string(),
    }
}

/// A link that is open.
struct OpenLink {
    /// Where it goes.
    url: String,
    /// True where it may not be a link.
    is_refused: bool,
    /// What the reader sees of it.
    text: String,
}

/// An ordered list that is open.
struct OpenList {
    /// Where its element's attributes go in the output.
    attributes: usize,
    /// Number of the next item.
    number: u64,
}

/// A paragraph, heading, item of a list or cell that is open.
#[derive(Default)]
struct OpenParagraph {
    /// Where its first words stand in the output.
    start: usize,
    words: Words,
}

/// A list, quote or table that is open.
struct OpenBlock {
    /// Where its element's attributes go in the output.
    attributes: usize,
    /// Words that came before it.
    before: Words,
}

/// An image whose alternative text is being collected.
struct OpenImage {
    url: String,
    title: String,
    alt: String,
    /// Elements open inside the alternative text.
    depth: usize,
}

/// The table being written.
#[derive(Default)]
struct OpenTable {
    alignments: Vec<Alignment>,
    in_head: bool,
    column: usize,
    /// Where the cell starts in the output, and where its content starts.
    cell: (usize, usize),
    /// Empty cells that come before the next one with content.
    empty: usize,
    /// Where the last cell of the row ends in the source.
    source_end: usize,
}

/// Footnotes in the order of their first reference.
#[derive(Default)]
struct Footnotes {
    numbers: HashMap<String, usize>,
    /// References seen, by number less one.
    references: Vec<usize>,
    /// Numbers that have a definition.
    defined: HashSet<usize>,
    /// HTML of the definitions.
    bodies: Vec<(usize, String)>,
    /// Definitions being written: number and where they start in the output.
    open: Vec<(usize, usize)>,
}

/// Writes events as HTML.
struct Writer<'a, 'c> {
    out: &'a mut String,
    source: &'a Literal<'a>,
    context: &'a MarkdownContext<'c>,
    /// Whether anything runs from right to left.
    has_right_to_left: bool,
    /// All words so far, where something does.
    words: Words,
    paragraphs: Vec<OpenParagraph>,
    blocks: Vec<OpenBlock>,
    /// Prose not written yet: the parser cuts it at every special character, which would cut addresses too.
    text: String,
    depth: usize,
    /// Elements open below one that was written as plain text.
    skipped: usize,
    code: Option<(Option<String>, String)>,
    image: Option<OpenImage>,
    link: Option<OpenLink>,
    /// The lists that are open; of unordered ones nothing is known.
    lists: Vec<Option<OpenList>>,
    table: OpenTable,
    empty_cells_left: usize,
    footnotes: Footnotes,
    /// Starts of the link definitions that some link used.
    used_definitions: HashSet<usize>,
}

impl<'a, 'c> Writer<'a, 'c> {
    fn new(out: &'a mut String, source: &'a Literal<'a>, context: &'a MarkdownContext<'c>) -> Self {
        out.reserve(source.text.len() + source.text.len() / 4);
        Writer {
            out,
            source,
            context,
            has_right_to_left: has_right_to_left(&source.text),
            words: Words::default(),
            paragraphs: Vec::new(),
            blocks: Vec::new(),
            text: String::new(),
            depth: 0,
            skipped: 0,
            code: None,
            image: None,
            link: None,
            lists: Vec::new(),
            table: OpenTable::default(),
            empty_cells_left: MAX_EMPTY_CELLS,
            footnotes: Footnotes::default(),
            used_definitions: HashSet::new(),
        }
    }

    fn event(&mut self, event: Event<'a>, range: Range<usize>) {
        if self.skipped > 0 {
            match event {
                Event::Start(_) => self.skipped += 1,
                Event::End(_) => self.skipped -= 1,
                _ => {}
            }
            return;
        }
        if self.image.is_some() {
            self.event_in_image(event);
            return;
        }
        match event {
            Event::Text(text) => match &mut self.code {
                Some((_, code)) => code.push_str(&text),
                None => self.text.push_str(&text),
            },
            Event::Html(text) | Event::InlineHtml(text) => self.text.push_str(&text),
            Event::InlineMath(text) | Event::DisplayMath(text) => self.text.push_str(&text),
            Event::Start(tag) => self.start(tag, range),
            Event::End(tag) => {
                self.depth -= 1;
                self.end(tag, range);
            }
            Event::Code(code) => self.inline_code(&code),
            Event::FootnoteReference(label) => self.footnote_reference(&label),
            Event::SoftBreak if !self.context.is_typed => self.raw("\n"),
            Event::SoftBreak | Event::HardBreak => self.raw("<br>\n"),
            Event::Rule => self.raw("<hr>\n"),
            Event::TaskListMarker(done) => self.task_marker(done),
        }
    }

    /// Writes our own markup behind the prose that came before.
    fn raw(&mut self, html: &str) {
        self.flush_text();
        self.out.push_str(html);
    }

    fn flush_text(&mut self) {
        if self.text.is_empty() {
            return;
        }
        if self.has_right_to_left {
            self.words.add(&self.text);
            if let Some(paragraph) = self.paragraphs.last_mut() {
                if paragraph.words.is_empty() {
                    paragraph.start = self.out.len();
                }
                paragraph.words.add(&self.text);
            }
        }
        match &mut self.link {
            Some(link) => {
                link.text.push_str(&self.text);
                escape_text(self.out, &self.text);
            }
            None => linkify_into(self.out, &self.text),
        }
        self.text.clear();
    }

    fn open_paragraph(&mut self, html: &str) {
        self.raw(html);
        self.paragraphs.push(OpenParagraph::default());
    }

    /// Ends a paragraph; one that would run the wrong way gets a mark before its first words.
    fn close_paragraph(&mut self, html: &str) {
        self.flush_text();
        if let Some(paragraph) = self.paragraphs.pop()
            && paragraph.words.need_mark()
        {
            self.out.insert(paragraph.start, RIGHT_TO_LEFT_MARK);
        }
        self.out.push_str(html);
    }

    /// Begins an element whose items or paragraphs have marks at the side from which they run.
    fn open_block(&mut self, name: &str, attributes: &str) {
        self.raw(name);
        self.blocks.push(OpenBlock {
            attributes: self.out.len(),
            before: self.words,
        });
        self.out.push_str(attributes);
    }

    fn close_block(&mut self, html: &str) {
        self.flush_text();
        if let Some(block) = self.blocks.pop()
            && self.words.run_right_to_left_since(block.before)
        {
            self.out.insert_str(block.attributes, " dir=\"rtl\"");
        }
        self.out.push_str(html);
    }

    fn start(&mut self, tag: Tag<'a>, range: Range<usize>) {
        if self.depth >= MAX_DEPTH && self.start_plain(&tag, range.clone()) {
            return;
        }
        self.depth += 1;
        match tag {
            Tag::Paragraph => self.open_paragraph("<p>"),
            Tag::Heading { level, .. } => {
                let level = self.heading_level(level);
                self.open_paragraph(&format!("<h{level}>"));
            }
            Tag::BlockQuote(None) => self.open_block("<blockquote", ">\n"),
            Tag::BlockQuote(Some(kind)) => self.start_alert(kind),
            Tag::CodeBlock(kind) => {
                self.flush_text();
                let info = match kind {
                    CodeBlockKind::Fenced(info) if !info.trim().is_empty() => {
                        Some(info.to_string())
                    }
                    _ => None,
                };
                self.code = Some((info, String::new()));
            }
            Tag::HtmlBlock => self.raw("<p class=\"raw-html\">"),
            Tag::List(start) => self.start_list(start),
            Tag::Item => self.start_item(range),
            Tag::FootnoteDefinition(label) => self.start_footnote(&label),
            Tag::Table(alignments) => self.start_table(alignments),
            Tag::TableHead => self.start_row(true, &range),
            Tag::TableRow => self.start_row(false, &range),
            Tag::TableCell => self.start_cell(),
            Tag::Emphasis => self.raw("<em>"),
            Tag::Strong => self.raw("<strong>"),
            Tag::Strikethrough => self.raw("<del>"),
            Tag::Link {
                link_type,
                dest_url,
                title,
                ..
            } => self.start_link(link_type, &dest_url, &title),
            Tag::Image {
                dest_url, title, ..
            } => {
                self.flush_text();
                self.image = Some(OpenImage {
                    url: dest_url.to_string(),
                    title: title.to_string(),
                    alt: String::new(),
                    depth: 0,
                });
            }
            // Extensions that are not switched on.
            Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Superscript
            | Tag::Subscript
            | Tag::MetadataBlock(_) => {}
        }
    }

    fn end(&mut self, tag: TagEnd, range: Range<usize>) {
        match tag {
            TagEnd::Paragraph => self.close_paragraph("</p>\n"),
            TagEnd::Heading(level) => {
                let level = self.heading_level(level);
                self.close_paragraph(&format!("</h{level}>\n"));
            }
            TagEnd::BlockQuote(None) => self.close_block("</blockquote>\n"),
            TagEnd::BlockQuote(Some(_)) => self.close_block("</div>\n"),
            TagEnd::CodeBlock => {
                if let Some((info, code)) = self.code.take() {
                    code_block_into(self.out, &code, info.as_deref(), self.context.highlighter);
                }
            }
            TagEnd::HtmlBlock => self.end_html_block(),
            TagEnd::List(_) => self.end_list(),
            TagEnd::Item => {
                self.close_paragraph("</li>\n");
                if let Some(Some(list)) = self.lists.last_mut() {
                    list.number += 1;
                }
            }
            TagEnd::FootnoteDefinition => self.end_footnote(),
            TagEnd::Table => self.close_block("</tbody></table></div>\n"),
            TagEnd::TableHead => {
                self.end_row(&range);
                self.raw("</tr></thead>\n<tbody>");
            }
            TagEnd::TableRow => {
                self.end_row(&range);
                self.raw("</tr>\n");
            }
            TagEnd::TableCell => self.end_cell(&range),
            TagEnd::Emphasis => self.raw("</em>"),
            TagEnd::Strong => self.raw("</strong>"),
            TagEnd::Strikethrough => self.raw("</del>"),
            TagEnd::Link => self.end_link(),
            TagEnd::Image
            | TagEnd::DefinitionList
            | TagEnd::DefinitionListTitle
            | TagEnd::DefinitionListDefinition
            | TagEnd::Superscript
            | TagEnd::Subscript
            | TagEnd::MetadataBlock(_) => {}
        }
    }

    /// Writes an element that lies too deep as its source, and skips what is in it.
    fn start_plain(&mut self, tag: &Tag<'_>, range: Range<usize>) -> bool {
        let source = self.source.source(range);
        match tag {
            Tag::Paragraph
            | Tag::Heading { .. }
            | Tag::BlockQuote(_)
            | Tag::CodeBlock(_)
            | Tag::HtmlBlock
            | Tag::List(_)
            | Tag::FootnoteDefinition(_)
            | Tag::Table(_) => {
                self.flush_text();
                plain_into(self.out, source);
            }
            Tag::Emphasis
            | Tag::Strong
            | Tag::Strikethrough
            | Tag::Link { .. }
            | Tag::Image { .. } => {
                self.text.push_str(source);
            }
            // Parts of lists and tables, whose whole was let in.
            _ => return false,
        }
        self.skipped = 1;
        true
    }

    fn heading_level(&self, level: HeadingLevel) -> u8 {
        (level as u8)
            .saturating_add(self.context.heading_offset)
            .min(6)
    }

    fn start_alert(&mut self, kind: BlockQuoteKind) {
        let (class, title) = match kind {
            BlockQuoteKind::Note => ("note", "Note"),
            BlockQuoteKind::Tip => ("tip", "Tip"),
            BlockQuoteKind::Important => ("important", "Important"),
            BlockQuoteKind::Warning => ("warning", "Warning"),
            BlockQuoteKind::Caution => ("caution", "Caution"),
        };
        let attributes = format!(
            " class=\"alert alert-{class}\" role=\"note\"><p class=\"alert-title\">{title}</p>\n"
        );
        self.open_block("<div", &attributes);
    }

    fn start_list(&mut self, start: Option<u64>) {
        let Some(number) = start else {
            self.open_block("<ul", ">\n");
            self.lists.push(None);
            return;
        };
        self.open_block("<ol", "");
        let attributes = self.out.len();
        if number != 1 {
            let _ = write!(self.out, " start=\"{number}\"");
        }
        self.out.push_str(">\n");
        self.lists.push(Some(OpenList { attributes, number }));
    }

    /// An item, which keeps its number: what was typed always, and what a model wrote where it goes on after a gap. Models number all items 1.
    fn start_item(&mut self, range: Range<usize>) {
        let Some(Some(list)) = self.lists.last_mut() else {
            self.open_paragraph("<li>");
            return;
        };
        let source = self.source.source(range).trim_start();
        let digits = source.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
        let written = source.get(..digits).and_then(|digits| digits.parse().ok());
        let is_kept = |written: &u64| match self.context.is_typed {
            true => *written != list.number,
            false => *written > list.number,
        };
        match written.filter(is_kept) {
            Some(written) => {
                list.number = written;
                self.open_paragraph(&format!("<li value=\"{written}\">"));
            }
            None => self.open_paragraph("<li>"),
        }
    }

    fn end_list(&mut self) {
        let Some(Some(list)) = self.lists.pop() else {
            self.close_block("</ul>\n");
            return;
        };
        self.close_block("</ol>\n");
        if list.number > MIN_LONG_NUMBER {
            self.out
                .insert_str(list.attributes, " class=\"long-numbers\"");
        }
    }

    fn end_html_block(&mut self) {
        let html = mem::take(&mut self.text);
        linkify_into(self.out, html.trim_end_matches('\n'));
        self.out.push_str("</p>\n");
    }

    fn inline_code(&mut self, code: &str) {
        self.raw("<code>");
        if let Some(link) = &mut self.link {
            link.text.push_str(code);
        }
        escape_code(self.out, code);
        self.out.push_str("</code>");
    }

    fn task_marker(&mut self, done: bool) {
        self.flush_text();
        // The item is open already: it gets its class now that it is known to be a task.
        for open in ["<li>", "<li><p>"] {
            if self.out.ends_with(open) {
                self.out.truncate(self.out.len() - open.len());
                self.out.push_str("<li class=\"task\">");
                self.out.push_str(&open["<li>".len()..]);
            }
        }
        self.out.push_str(if done {
            "<input type=\"checkbox\" disabled checked aria-label=\"Done\"> "
        } else {
            "<input type=\"checkbox\" disabled aria-label=\"To do\"> "
        });
    }
}

/// Links and images.
impl<'a> Writer<'a, '_> {
    fn start_link(&mut self, link_type: LinkType, url: &str, title: &str) {
        self.flush_text();
        let href = match link_type {
            LinkType::Email => safe_href(&format!("mailto:{url}")),
            _ => safe_href(url),
        };
        match &href {
            Some(href) => open_link(self.out, href, title),
            None => {
                self.out.push_str("<span class=\"unlinked\"");
                self.title(title);
                self.out.push('>');
            }
        }
        self.link = Some(OpenLink {
            url: url.to_owned(),
            is_refused: href.is_none(),
            text: String::new(),
        });
    }

    fn end_link(&mut self) {
        self.flush_text();
        let Some(link) = self.link.take() else {
            return;
        };
        if !link.is_refused {
            self.out.push_str("</a>");
            if let Some(host) = unsaid_host(&link.text, &link.url) {
                push_target(self.out, &host);
            }
            return;
        }
        let url = shown_url(&link.url);
        if !url.is_empty() && url != link.text {
            push_target(self.out, &url);
        }
        self.out.push_str("</span>");
    }

    fn title(&mut self, title: &str) {
        if !title.is_empty() {
            self.out.push_str(" title=\"");
            escape_attribute(self.out, title);
            self.out.push('"');
        }
    }

    /// Collects the alternative text of an image, whatever markup it has.
    fn event_in_image(&mut self, event: Event<'a>) {
        let Some(image) = &mut self.image else {
            return;
        };
        match event {
            Event::Start(_) => image.depth += 1,
            Event::End(_) if image.depth > 0 => image.depth -= 1,
            Event::End(_) => {
                self.depth -= 1;
                if let Some(image) = self.image.take() {
                    self.write_image(&image);
                }
            }
            Event::Text(text)
            | Event::Code(text)
            | Event::Html(text)
            | Event::InlineHtml(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text)
            | Event::FootnoteReference(text) => image.alt.push_str(&text),
            Event::SoftBreak | Event::HardBreak => image.alt.push(' '),
            Event::Rule | Event::TaskListMarker(_) => {}
        }
    }

    /// Names an image instead of loading it: loading tells its host who reads the page.
    fn write_image(&mut self, image: &OpenImage) {
        let alt = if image.alt.trim().is_empty() {
            "Image"
        } else {
            &image.alt
        };
        self.out.push_str("<span class=\"remote-image\"");
        self.title(&image.title);
        self.out.push('>');
        let href = safe_href(&image.url).filter(|_| host(&image.url).is_some());
        match href {
            // A link cannot be in a link.
            Some(href) if self.link.is_none() => {
                open_link(self.out, &href, "");
                escape_text(self.out, alt);
                self.out.push_str("</a>");
            }
            _ => escape_text(self.out, alt),
        }
        self.out.push_str(" <span class=\"image-note\">");
        let is_data = image
            .url
            .get(..5)
            .is_some_and(|start| start.eq_ignore_ascii_case("data:"));
        match shown_host(&image.url) {
            _ if is_data => self.out.push_str("Inline image, not shown"),
            Some(host) => {
                self.out.push_str("Image from ");
                escape_code(self.out, &host);
                self.out.push_str(", not loaded");
            }
            None if image.url.is_empty() => self.out.push_str("Image without an address"),
            None => {
                self.out.push_str("Image at ");
                escape_code(self.out, &shown_url(&image.url));
                self.out.push_str(", not loaded");
            }
        }
        self.out.push_str("</span></span>");
    }
}

/// Returns an address for people to read, cut where nobody reads on.
fn shown_url(url: &str) -> String {
    match url.char_indices().nth(MAX_SHOWN_URL_CHARS) {
        Some((end, _)) => format!("{}\u{2026}", &url[..end]),
        None => url.to_string(),
    }
}

/// Tables.
impl Writer<'_, '_> {
    fn start_table(&mut self, alignments: Vec<Alignment>) {
        self.open_block(
            "<div",
            " class=\"table-scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table\"><table>\n",
        );
        self.table = OpenTable {
            alignments,
            ..OpenTable::default()
        };
    }

    fn start_row(&mut self, in_head: bool, range: &Range<usize>) {
        self.raw(if in_head { "<thead><tr>" } else { "<tr>" });
        self.table.in_head = in_head;
        self.table.column = 0;
        self.table.empty = 0;
        self.table.source_end = range.start;
    }

    fn start_cell(&mut self) {
        self.flush_text();
        let cell_start = self.out.len();
        self.out.push_str(if self.table.in_head {
            "<th scope=\"col\""
        } else {
            "<td"
        });
        self.out
            .push_str(match self.table.alignments.get(self.table.column) {
                Some(Alignment::Left) => " class=\"align-left\">",
                Some(Alignment::Center) => " class=\"align-center\">",
                Some(Alignment::Right) => " class=\"align-right\">",
                Some(Alignment::None) | None => ">",
            });
        self.table.cell = (cell_start, self.out.len());
        self.paragraphs.push(OpenParagraph::default());
    }

    fn end_cell(&mut self, range: &Range<usize>) {
        self.close_paragraph("");
        let (cell_start, content_start) = self.table.cell;
        if self.out.len() == content_start {
            // Empty cells wait until it is clear that something follows in the row.
            self.out.truncate(cell_start);
            self.table.empty += 1;
        } else {
            let empty = mem::take(&mut self.table.empty);
            self.out
                .insert_str(cell_start, &self.empty_cell().repeat(empty));
            self.out
                .push_str(if self.table.in_head { "</th>" } else { "</td>" });
        }
        self.table.column += 1;
        self.table.source_end = range.end;
    }

    fn empty_cell(&self) -> &'static str {
        if self.table.in_head {
            "<th></th>"
        } else {
            "<td></td>"
        }
    }

    fn end_row(&mut self, range: &Range<usize>) {
        self.flush_text();
        let empty = mem::take(&mut self.table.empty).min(self.empty_cells_left);
        self.empty_cells_left -= empty;
        let cells = self.empty_cell().repeat(empty);
        self.out.push_str(&cells);
        // The parser drops cells beyond the columns of the head; here they stay.
        let rest = self.source.source(self.table.source_end..range.end);
        let rest = rest.trim_matches(|c: char| c == '|' || c.is_whitespace());
        if !rest.is_empty() && self.table.column > 0 {
            self.out.push_str("<td class=\"excess\">");
            linkify_into(self.out, rest);
            self.out.push_str("</td>");
        }
    }
}

/// Footnotes and link definitions: what stands at the end.
impl Writer<'_, '_> {
    fn footnote_number(&mut self, label: &str) -> usize {
        let footnotes = &mut self.footnotes;
        let next = footnotes.references.len() + 1;
        let number = *footnotes
            .numbers
            .entry(label.to_lowercase())
            .or_insert(next);
        if number == next {
            footnotes.references.push(0);
        }
        number
    }

    fn footnote_reference(&mut self, label: &str) {
        self.flush_text();
        let number = self.footnote_number(label);
        let count = &mut self.footnotes.references[number - 1];
        *count += 1;
        let count = *count;
        if self.link.is_some() {
            let _ = write!(self.out, "<sup>{number}</sup>");
            return;
        }
        self.out
            .push_str("<sup class=\"footnote-ref\"><a href=\"#fn-");
        escape_attribute(self.out, self.context.anchor);
        let _ = write!(self.out, "-{number}\" id=\"fnref-");
        escape_attribute(self.out, self.context.anchor);
        let _ = write!(self.out, "-{number}");
        if count > 1 {
            let _ = write!(self.out, "-{count}");
        }
        let _ = write!(
            self.out,
            "\" aria-label=\"Footnote {number}\">{number}</a></sup>"
        );
    }

    fn start_footnote(&mut self, label: &str) {
        self.flush_text();
        let mut number = self.footnote_number(label);
        if !self.footnotes.defined.insert(number) {
            // A second definition of a label has no reference of its own, but its text stays.
            self.footnotes.references.push(0);
            number = self.footnotes.references.len();
            self.footnotes.defined.insert(number);
        }
        self.footnotes.open.push((number, self.out.len()));
    }

    fn end_footnote(&mut self) {
        self.flush_text();
        if let Some((number, start)) = self.footnotes.open.pop() {
            let body = self.out.split_off(start);
            self.footnotes.bodies.push((number, body));
        }
    }

    /// Remembers which link definitions are used: the others would be text that nobody sees.
    fn note_definition(&mut self, event: &Event<'_>, events: &OffsetIter<'_>) {
        if let Event::Start(Tag::Link { id, .. } | Tag::Image { id, .. }) = event
            && !id.is_empty()
            && let Some(definition) = events.reference_definitions().get(id)
        {
            self.used_definitions.insert(definition.span.start);
        }
    }

    fn finish(mut self, events: &OffsetIter<'_>) {
        self.flush_text();
        self.write_unused_definitions(events);
        let mut bodies = mem::take(&mut self.footnotes.bodies);
        if bodies.is_empty() {
            return;
        }
        bodies.sort_by_key(|(number, _)| *number);
        self.out
            .push_str("<section class=\"footnotes\" aria-label=\"Footnotes\"><ol>\n");
        let mut expected = 1;
        for (number, body) in bodies {
            self.out.push_str("<li id=\"fn-");
            escape_attribute(self.out, self.context.anchor);
            let _ = write!(self.out, "-{number}\"");
            if number != expected {
                let _ = write!(self.out, " value=\"{number}\"");
            }
            expected = number + 1;
            self.out.push('>');
            self.out.push_str(&body);
            if self.footnotes.references[number - 1] > 0 {
                self.out
                    .push_str("<a class=\"footnote-back\" href=\"#fnref-");
                escape_attribute(self.out, self.context.anchor);
                let _ = write!(
                    self.out,
                    "-{number}\" aria-label=\"Back to the text\">\u{2191}</a>"
                );
            }
            self.out.push_str("</li>\n");
        }
        self.out.push_str("</ol></section>\n");
    }

    fn write_unused_definitions(&mut self, events: &OffsetIter<'_>) {
        let mut unused: Vec<Range<usize>> = events
            .reference_definitions()
            .iter()
            .map(|(_, definition)| definition.span.clone())
            .filter(|span| !self.used_definitions.contains(&span.start))
            .collect();
        unused.sort_by_key(|span| span.start);
        for span in unused {
            self.out.push_str("<p class=\"link-definition\">");
            linkify_into(self.out, self.source.source(span).trim());
            self.out.push_str("</p>\n");
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn html_with(markdown: &str, is_typed: bool, highlighter: Option<&Highlighter>) -> String {
        let mut out = String::new();
        let context = MarkdownContext {
            is_typed,
            anchor: "m1",
            highlighter,
            heading_offset: 2,
        };
        markdown_into(&mut out, markdown, &context);
        out.replace(" rel=\"noopener noreferrer nofollow\"", "")
    }

    fn html(markdown: &str) -> String {
        html_with(markdown, false, None)
    }

    fn text_of(html: &str) -> String {
        let mut text = String::new();
        let mut rest = html;
        while let Some((before, after)) = rest.split_once('<') {
            text.push_str(before);
            rest = after.split_once('>').unwrap().1;
        }
        text.push_str(rest);
        text.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&")
    }

    /// Checks that elements nest and that only names and attributes of ours are there.
    fn check_well_formed(html: &str) {
        let mut open = Vec::new();
        let mut rest = html;
        while let Some((_, after)) = rest.split_once('<') {
            let (tag, after) = after.split_once('>').unwrap();
            rest = after;
            let name = tag.trim_start_matches('/').split(' ').next().unwrap();
            assert!(
                "p h1 h2 h3 h4 h5 h6 blockquote div ul ol li em strong del a span code pre figure figcaption table thead \
                 tbody tr th td sup section br hr input wbr"
                    .split_whitespace()
                    .any(|known| known == name),
                "{tag}"
            );
            assert!(
                !tag.contains(" on") && !tag.contains("script:") && !tag.contains("style="),
                "{tag}"
            );
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name), "{html}");
            } else if !matches!(name, "br" | "hr" | "input" | "wbr") {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "{open:?} {html}");
    }

    #[test]
    fn markdown_becomes_html() {
        for (markdown, expected) in [
            ("", ""),
            (
                "Hello *big* **world** ~~not~~ `code`",
                "<p>Hello <em>big</em> <strong>world</strong> <del>not</del> <code>code</code></p>\n",
            ),
            ("# One\n\n###### Six", "<h3>One</h3>\n<h6>Six</h6>\n"),
            ("a\nb  \nc", "<p>a\nb<br>\nc</p>\n"),
            (
                "- a\n- b\n  1. c",
                "<ul>\n<li>a</li>\n<li>b<ol>\n<li>c</li>\n</ol>\n</li>\n</ul>\n",
            ),
            (
                "7. a\n8. b",
                "<ol start=\"7\">\n<li>a</li>\n<li>b</li>\n</ol>\n",
            ),
            (
                "1986. a",
                "<ol class=\"long-numbers\" start=\"1986\">\n<li>a</li>\n</ol>\n",
            ),
            (
                "999. a\n999. b",
                "<ol class=\"long-numbers\" start=\"999\">\n<li>a</li>\n<li>b</li>\n</ol>\n",
            ),
            (
                "- x\n\n  999. a\n       - b",
                "<ul>\n<li><p>x</p>\n<ol start=\"999\">\n<li>a<ul>\n<li>b</li>\n</ul>\n</li>\n</ol>\n</li>\n</ul>\n",
            ),
            ("> a\n> b", "<blockquote>\n<p>a\nb</p>\n</blockquote>\n"),
            ("---", "<hr>\n"),
            (
                "> [!WARNING]\n> Hot",
                "<div class=\"alert alert-warning\" role=\"note\"><p class=\"alert-title\">Warning</p>\n<p>Hot</p>\n</div>\n",
            ),
            (
                "- [x] done\n- [ ] open",
                "<ul>\n<li class=\"task\"><input type=\"checkbox\" disabled checked aria-label=\"Done\"> done</li>\n\
                 <li class=\"task\"><input type=\"checkbox\" disabled aria-label=\"To do\"> open</li>\n</ul>\n",
            ),
            (
                "- [x] a\n\n- b",
                "<ul>\n<li class=\"task\"><p><input type=\"checkbox\" disabled checked aria-label=\"Done\"> a</p>\n</li>\n\
                 <li><p>b</p>\n</li>\n</ul>\n",
            ),
            (
                "| a | b |\n|:-:|--:|\n| 1 | |\n| 2 | 3 |",
                "<div class=\"table-scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table\"><table>\n\
                 <thead><tr><th scope=\"col\" class=\"align-center\">a</th><th scope=\"col\" class=\"align-right\">b</th>\
                 </tr></thead>\n<tbody><tr><td class=\"align-center\">1</td><td></td></tr>\n\
                 <tr><td class=\"align-center\">2</td><td class=\"align-right\">3</td></tr>\n</tbody></table></div>\n",
            ),
            (
                "```rust\nfn a() {}\n```",
                "<figure class=\"code\" data-language=\"rust\"><figcaption>Rust</figcaption><pre tabindex=\"0\"><code>\
                 fn a() {}</code></pre></figure>\n",
            ),
            (
                "    indented <b>\n",
                "<figure class=\"code\"><pre tabindex=\"0\"><code>indented &lt;b&gt;</code></pre></figure>\n",
            ),
            (
                "a[^x] b[^x]\n\n[^x]: Note",
                "<p>a<sup class=\"footnote-ref\"><a href=\"#fn-m1-1\" id=\"fnref-m1-1\" aria-label=\"Footnote 1\">1</a></sup> \
                 b<sup class=\"footnote-ref\"><a href=\"#fn-m1-1\" id=\"fnref-m1-1-2\" aria-label=\"Footnote 1\">1</a></sup></p>\n\
                 <section class=\"footnotes\" aria-label=\"Footnotes\"><ol>\n<li id=\"fn-m1-1\"><p>Note</p>\n\
                 <a class=\"footnote-back\" href=\"#fnref-m1-1\" aria-label=\"Back to the text\">\u{2191}</a></li>\n\
                 </ol></section>\n",
            ),
            (
                "[a](https://b.c \"t\")",
                "<p><a href=\"https://b.c\" title=\"t\">a</a></p>\n",
            ),
            (
                "<https://b.c> <a@b.cd>",
                "<p><a href=\"https://b.c\">https://b.c</a> <a href=\"mailto:a@b.cd\">a@b.cd</a></p>\n",
            ),
            (
                "https://b.c/x_y_z?a=1&b=2.",
                "<p><a href=\"https://b.c/x_y_z?a=1&amp;b=2\">https://b.c/x_y_z?a=1&amp;b=2</a>.</p>\n",
            ),
            (
                "`https://b.c` [https://b.c](#x)",
                "<p><code>https://b.c</code> <a href=\"#x\">https://b.c</a></p>\n",
            ),
            (
                "**强调**文字见https://b.c/a。",
                "<p><strong>强调</strong>文字见<a href=\"https://b.c/a\">https://b.c/a</a>。</p>\n",
            ),
        ] {
            assert_eq!(html(markdown), expected, "{markdown}");
            check_well_formed(&html(markdown));
        }
        assert_eq!(html_with("a\nb", true, None), "<p>a<br>\nb</p>\n");
    }

    #[test]
    fn what_is_written_from_right_to_left_runs_so_though_it_begins_with_a_latin_word() {
        for (markdown, expected) in [
            (
                "React היא **ספרייה**",
                "<p>\u{200f}React היא <strong>ספרייה</strong></p>\n",
            ),
            (
                "# **React** ו-*Redux* בקצרה",
                "<h3><strong>\u{200f}React</strong> ו-<em>Redux</em> בקצרה</h3>\n",
            ),
            ("`npm` מתקין", "<p><code>npm</code> מתקין</p>\n"),
            (
                "- [x] Docker מותקן כאן\n- npm install\n\n  1. Rust שפה טובה",
                "<ul dir=\"rtl\">\n<li class=\"task\"><p><input type=\"checkbox\" disabled checked aria-label=\"Done\"> \
                 \u{200f}Docker מותקן כאן</p>\n</li>\n<li><p>npm install</p>\n<ol dir=\"rtl\">\n\
                 <li>\u{200f}Rust שפה טובה</li>\n</ol>\n</li>\n</ul>\n",
            ),
            (
                "> CSS זה קל",
                "<blockquote dir=\"rtl\">\n<p>\u{200f}CSS זה קל</p>\n</blockquote>\n",
            ),
            (
                "| א | ב |\n|-|-|\n| | CSS זה קל |",
                "<div dir=\"rtl\" class=\"table-scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table\"><table>\n\
                 <thead><tr><th scope=\"col\">א</th><th scope=\"col\">ב</th></tr></thead>\n\
                 <tbody><tr><td></td><td>\u{200f}CSS זה קל</td></tr>\n</tbody></table></div>\n",
            ),
            (
                "The word שלום means peace\n\n- a ב c",
                "<p>The word שלום means peace</p>\n<ul>\n<li>a ב c</li>\n</ul>\n",
            ),
        ] {
            assert_eq!(html(markdown), expected, "{markdown}");
            check_well_formed(&html(markdown));
        }
    }

    #[test]
    fn raw_html_is_text() {
        for (markdown, expected) in [
            (
                "<script>alert(1)</script>",
                "<p class=\"raw-html\">&lt;script&gt;alert(1)&lt;/script&gt;</p>\n",
            ),
            (
                "a <img src=x onerror=alert(1)> b",
                "<p>a &lt;img src=x onerror=alert(1)&gt; b</p>\n",
            ),
            (
                "<div>\n*a*\n</div>",
                "<p class=\"raw-html\">&lt;div&gt;\n*a*\n&lt;/div&gt;</p>\n",
            ),
            (
                "<!-- note -->",
                "<p class=\"raw-html\">&lt;!-- note --&gt;</p>\n",
            ),
            ("&lt;script&gt;", "<p>&lt;script&gt;</p>\n"),
        ] {
            assert_eq!(html(markdown), expected, "{markdown}");
        }
    }

    #[test]
    fn refused_links_are_text_with_their_address() {
        for (markdown, expected) in [
            (
                "[a](javascript:alert(1))",
                "<span class=\"unlinked\">a <span class=\"link-target\">(javascript:alert(1))</span></span>",
            ),
            (
                "[a](src/main.rs)",
                "<span class=\"unlinked\">a <span class=\"link-target\">(src/main.rs)</span></span>",
            ),
            (
                "[`src/main.rs`](src/main.rs)",
                "<span class=\"unlinked\"><code>src/main.rs</code></span>",
            ),
            ("[a]()", "<span class=\"unlinked\">a</span>"),
            (
                "<file:///etc/x>",
                "<span class=\"unlinked\">file:///etc/x</span>",
            ),
        ] {
            assert_eq!(html(markdown), format!("<p>{expected}</p>\n"), "{markdown}");
        }
        for url in [
            "JaVaScRiPt:alert(1)",
            "&#106;avascript:alert(1)",
            "javascript&colon;alert(1)",
            "java&Tab;script:alert(1)",
            "java&NewLine;script:alert(1)",
            "&#1;javascript:alert(1)",
            "<java\tscript:alert(1)>",
            "<&#x6A&#x61;vascript:alert(1)>",
            "jav&#x0A;ascript:alert(1)",
            "javascript\\:alert(1)",
            "vbscript:x",
            "data:text/html;base64,PHNjcmlwdD4=",
            "//evil.example",
            "\\\\evil.example",
            "https://good.example@evil.example",
            "view-source:x",
            "feed:javascript:alert(1)",
        ] {
            for markdown in [
                format!("[a]({url})"),
                format!("[a][r]\n\n[r]: {url}"),
                format!("![a]({url})"),
                format!("[![a]({url})]({url})"),
            ] {
                let html = html(&markdown);
                assert!(!html.contains("<a "), "{markdown}: {html}");
                check_well_formed(&html);
            }
        }
    }

    #[test]
    fn links_say_where_they_lead_if_their_text_says_something_else() {
        for (markdown, expected) in [
            (
                "[https://**bank**.example](https://evil.example/login)",
                "<a href=\"https://evil.example/login\">https://<strong>bank</strong>.example</a> \
                 <span class=\"link-target\">(evil.example)</span>",
            ),
            (
                "<https://p\u{430}y.example/>",
                "<a href=\"https://p\u{430}y.example/\">https://p\u{430}y.example/</a> <span class=\"link-target\">\
                 (p<span class=\"lookalike\" title=\"U+0430\">\u{430}</span>y.example)</span>",
            ),
            (
                "https://p\u{430}y.example/",
                "<a href=\"https://p\u{430}y.example/\">https://p<span class=\"lookalike\" title=\"U+0430\">\u{430}</span>y.example/</a>",
            ),
        ] {
            assert_eq!(html(markdown), format!("<p>{expected}</p>\n"), "{markdown}");
        }
    }

    #[test]
    fn images_are_named_and_not_loaded() {
        for (markdown, expected) in [
            (
                "![A *cat*](https://i.example/c.png \"t\")",
                "<span class=\"remote-image\" title=\"t\"><a href=\"https://i.example/c.png\">A cat</a> \
                 <span class=\"image-note\">Image from i.example, not loaded</span></span>",
            ),
            (
                "![](data:image/png;base64,AAAA)",
                "<span class=\"remote-image\">Image <span class=\"image-note\">Inline image, not shown</span></span>",
            ),
            (
                "![shot](./a.png)",
                "<span class=\"remote-image\">shot <span class=\"image-note\">Image at ./a.png, not loaded</span></span>",
            ),
            (
                "[![a](https://i.example/b)](https://c.example)",
                "<a href=\"https://c.example\"><span class=\"remote-image\">a <span class=\"image-note\">\
                 Image from i.example, not loaded</span></span></a>",
            ),
        ] {
            let html = html(markdown);
            assert_eq!(html, format!("<p>{expected}</p>\n"), "{markdown}");
            assert!(!html.contains("<img"));
        }
    }

    #[test]
    fn captions_name_the_language() {
        for (info, caption) in [
            ("rs", "Rust"),
            ("rust,ignore", "Rust"),
            ("js {1,3}", "JavaScript"),
            ("TypeScript", "TypeScript"),
            ("rust:src/main.rs", "Rust src/main.rs"),
            ("12:15:src/app.ts", "12:15:src/app.ts"),
            ("klingon", "klingon"),
            ("</script><script>", "&lt;/script&gt;&lt;script&gt;"),
        ] {
            let mut out = String::new();
            code_block_into(&mut out, "x\n", Some(info), None);
            assert!(
                out.contains(&format!("<figcaption>{caption}</figcaption>")),
                "{out}"
            );
            check_well_formed(&out);
        }
        let mut out = String::new();
        code_block_into(&mut out, "", Some(&"x\" onclick=\"y".repeat(1_000)), None);
        assert!(out.len() < 400, "{out}");
        check_well_formed(&out);
    }

    #[test]
    fn no_text_is_lost() {
        for (markdown, words) in [
            ("```\nopen fence", "open fence"),
            ("| a |\n|-|\n| b | excess | more |", "a b excess more"),
            ("[note]: unseen\n\nseen", "note unseen seen"),
            ("[^1]: alone", "alone"),
            ("[^1]: one\n\n[^1]: two", "one two"),
            ("[a][b] [c]", "[a][b] [c]"),
            ("x[^none]", "[^none]"),
            ("a\0b", "a b"),
            ("# `code` in *head*", "code in head"),
            ("> quote\nlazy", "quote lazy"),
            ("- [ ]\n- x", "x"),
            ("$$x^2$$ \\[y\\]", "x^2 y"),
            ("<b>bold</b>", "<b>bold</b>"),
            ("a | b", "a | b"),
            ("![al*t*<i>](https://x.example)", "alt<i> x.example"),
        ] {
            let html = html(markdown);
            let text = text_of(&html);
            for word in words.split(' ') {
                assert!(text.contains(word), "{markdown}: {html}");
            }
            check_well_formed(&html);
        }
    }

    #[test]
    fn mathematics_stays_as_it_was_written() {
        for (markdown, expected) in [
            (r"so \( x_1 \) and \(\{y\}\)", r"so \( x_1 \) and \(\{y\}\)"),
            (
                r"\[ \begin{pmatrix} a \\ b \end{pmatrix}, *a* \]",
                r"\[ \begin{pmatrix} a \\ b \end{pmatrix}, *a* \]",
            ),
            (
                "\\[\na &= b \\\\[4pt]\n- c\n\\]\nend",
                "\\[<br>\na &amp;= b \\\\[4pt]<br>\n- c<br>\n\\]\nend",
            ),
            (
                r"$a*b*c$, $\sum x_i \, dx \\ y$.",
                r"$a*b*c$, $\sum x_i \, dx \\ y$.",
            ),
            ("$$\r\na*b*c\r\n$$", "$$<br>\na*b*c<br>\n$$"),
            (
                r"\[ f(\text{\(x\)}) = *a* \]",
                r"\[ f(\text{\(x\)}) = *a* \]",
            ),
            (r"\(a_1<b>c\) <b>", "\\(a_1&lt;b&gt;c\\) &lt;b&gt;"),
            ("$$\ra_1\r- b\r$$", "$$<br>\na_1<br>\n- b<br>\n$$"),
            ("$$ a_1 \\\\ *b* $$ ", r"$$ a_1 \\ *b* $$"),
            (
                r"so $$a*b*c_1$$, and $$ \frac{a}{b} *c* $$.",
                r"so $$a*b*c_1$$, and $$ \frac{a}{b} *c* $$.",
            ),
            (
                r"$p^*$ and $q_*$ *are* it",
                r"$p^*$ and $q_*$ <em>are</em> it",
            ),
            ("$$a_1*b*c$$ is *it*", "$$a_1*b*c$$ is <em>it</em>"),
        ] {
            assert_eq!(html(markdown), format!("<p>{expected}</p>\n"), "{markdown}");
        }
        for (markdown, text) in [
            ("> \\[\n> \\,a > b\n> \\]", "\n\\[\n\\,a > b\n\\]\n\n"),
            ("1. x\n   \\[\n   \\,a\n   \\]", "\nx\n\\[\n\\,a\n\\]\n\n"),
            (
                "|a|\n|-|\n| \\(x_1, *a*, \\,\\) |",
                "\na\n\\(x_1, *a*, \\,\\)\n\n",
            ),
        ] {
            assert_eq!(text_of(&html(markdown)), text, "{markdown}");
        }
        // What is none is read as ever.
        for (markdown, expected) in [
            ("costs $5 and **$10**", "costs $5 and <strong>$10</strong>"),
            ("\"$FOO\" or *\"$BAR\"*", "\"$FOO\" or <em>\"$BAR\"</em>"),
            ("US$5 *to* 6$", "US$5 <em>to</em> 6$"),
            (r"\( *a* and \*b\*", "( <em>a</em> and *b*"),
            (
                r"`\(` *a* `\)`",
                r"<code>\(</code> <em>a</em> <code>\)</code>",
            ),
            (r"\\(*a*\\)", r"\(<em>a</em>\)"),
            (
                "cheap ($), **mid** ($$), dear ($$$)",
                "cheap ($), <strong>mid</strong> ($$), dear ($$$)",
            ),
            (
                "**A** ($$) and **B** ($$$)",
                "<strong>A</strong> ($$) and <strong>B</strong> ($$$)",
            ),
            ("the *$* sign and *$*", "the <em>$</em> sign and <em>$</em>"),
            ("$$ *a_1* and *b* $$$", "$$ <em>a_1</em> and <em>b</em> $$$"),
            ("$5 *to* $6_", "$5 <em>to</em> $6_"),
            (
                "A – $$ – *cozy_1*, B ($$) *b_1* ($$)",
                "A – $$ – <em>cozy_1</em>, B ($$) <em>b_1</em> ($$)",
            ),
            ("kill $$; *a_1* $$", "kill $$; <em>a_1</em> $$"),
            ("${A_B} *and* ${C}", "${A_B} <em>and</em> ${C}"),
            ("$a_b **c** d$", "$a_b <strong>c</strong> d$"),
            (r"\[1\], \(x\), \[*a*\]", "[1], (x), [<em>a</em>]"),
            (r"\[a\_b **c**\]", "[a_b <strong>c</strong>]"),
            (
                r"\[[*edit*](https://b.c/d_e=f)\]",
                "[<a href=\"https://b.c/d_e=f\"><em>edit</em></a>]",
            ),
        ] {
            assert_eq!(html(markdown), format!("<p>{expected}</p>\n"), "{markdown}");
        }
        for (markdown, text) in [
            (
                "- **A** – $$ – *cozy_1*\n- **B** – $$ – *lively*\n- $$\n- *c_1* $$",
                "\nA – $$ – cozy_1\nB – $$ – lively\n$$\nc_1 $$\n\n",
            ),
            ("- $$ *a_1*\n- *b* $$", "\n$$ a_1\nb $$\n\n"),
            ("- \\[ \\] *a_1*\n- \\[x\\] b", "\n[ ] a_1\n[x] b\n\n"),
            (
                "\\[ *a_1*\n\n*b* \\]\n\n\\( *a_1*\\\n\n*b* \\)",
                "[ a_1\nb ]\n( a_1\\\nb )\n",
            ),
            ("\\( *a_1*\r\r*b* \\)", "( a_1\nb )\n"),
        ] {
            assert_eq!(text_of(&html(markdown)), text, "{markdown}");
        }
        for (row, cells) in [
            ("| *A* | $$ | *b_1* |", ["A", "$$", "b_1"]),
            ("|${A}|${B_1}|*c*|", ["${A}", "${B_1}", "c"]),
            ("|$(pwd)|$(date_1)|*c*|", ["$(pwd)", "$(date_1)", "c"]),
            ("| \\(*a_1* | *b* \\) | c |", ["(a_1", "b )", "c"]),
            ("| $$ | a_1 | *$$* |", ["$$", "a_1", "$$"]),
        ] {
            let table = text_of(&html(&format!("|1|2|3|\n|-|-|-|\n{row}\n{row}")));
            let row = cells.concat();
            assert_eq!(table, format!("\n123\n{row}\n{row}\n\n"));
        }
        assert!(html("```\n\\(*a*\\)\n```").contains("<code>\\(*a*\\)</code>"));
    }

    #[test]
    fn what_people_type_stays_as_it_was_typed() {
        for (markdown, expected) in [
            (
                "def f(x):\n    if x:\n\treturn __init__\n",
                "<p>def f(x):<br>\n\u{a0}\u{a0}\u{a0}\u{a0}if x:<br>\n\u{a0}\u{a0}\u{a0}\u{a0}return __init__</p>\n",
            ),
            (
                r"C:\dir\new_file\*.txt and \\server\share\",
                r"<p>C:\dir\new_file\*.txt and \\server\share\</p>
",
            ),
            ("a\\\nb", "<p>a\\<br>\nb</p>\n"),
            ("  a\n    \\b\n c", "<p>a<br>\n\u{a0}\u{a0}\\b<br>\nc</p>\n"),
            (
                "- a\n  b\n    c\n\n> d\n>   `e`\nf",
                "<ul>\n<li>a<br>\nb<br>\n\u{a0}\u{a0}c</li>\n</ul>\n<blockquote>\n<p>d<br>\n\u{a0}\u{a0}<code>e</code><br>\nf</p>\n\
                 </blockquote>\n",
            ),
            (
                "a\n  **b** *c*",
                "<p>a<br>\n\u{a0}\u{a0}<strong>b</strong> <em>c</em></p>\n",
            ),
            (
                r"`a\*__b__` <b c='\*__d__'>",
                "<p><code>a\\*__b__</code> &lt;b c='\\*__d__'&gt;</p>\n",
            ),
            (
                r"[a](https://b.c/__d__ 'e\.')",
                "<p><a href=\"https://b.c/__d__\" title=\"e\\.\">a</a></p>\n",
            ),
            (
                "<https://b.c/__d__>",
                "<p><a href=\"https://b.c/__d__\">https://b.c/__d__</a></p>\n",
            ),
            (r"\(a\, __b__\)", "<p>\\(a\\, __b__\\)</p>\n"),
        ] {
            assert_eq!(html_with(markdown, true, None), expected, "{markdown}");
        }
        let table = html_with("|a|\n|-|\n|b \\| c|", true, None);
        assert!(table.contains("<td>b | c</td>"), "{table}");
        for hostile in [
            "> ".repeat(2_000) + &"\n  a".repeat(20_000),
            "\\".to_owned() + &"a\r".repeat(300_000),
            "\\".repeat(100_000),
            "|a".repeat(100_000),
        ] {
            check_well_formed_fast(&html_with(&hostile, true, None));
        }
    }

    #[test]
    fn items_keep_their_numbers() {
        for (markdown, is_typed, expected) in [
            (
                "1. a\n3. c\n3. d",
                true,
                "<ol>\n<li>a</li>\n<li value=\"3\">c</li>\n<li value=\"3\">d</li>\n</ol>\n",
            ),
            (
                "2) a\n1) b",
                true,
                "<ol start=\"2\">\n<li>a</li>\n<li value=\"1\">b</li>\n</ol>\n",
            ),
            (
                "9. a\n10. b\n1. c\n20. d",
                false,
                "<ol start=\"9\">\n<li>a</li>\n<li>b</li>\n<li>c</li>\n<li value=\"20\">d</li>\n</ol>\n",
            ),
            ("- 1\n- 3", true, "<ul>\n<li>1</li>\n<li>3</li>\n</ul>\n"),
        ] {
            assert_eq!(html_with(markdown, is_typed, None), expected, "{markdown}");
        }
        assert!(html_with("> 1. a\n>\n>  5. __b", true, None).contains("<li value=\"5\">"));
    }

    #[test]
    fn bold_text_ends_beside_east_asian_punctuation() {
        for (markdown, expected) in [
            ("**注意：**请先备份。", "<strong>注意：</strong>请先备份。"),
            ("**「强调」**中文", "<strong>「强调」</strong>中文"),
            ("中文**「强调」**中文", "中文<strong>「强调」</strong>中文"),
            ("**注意：**Use it", "<strong>注意：</strong>Use it"),
            ("**텍스트(text)**는", "<strong>텍스트(text)</strong>는"),
            (
                "这是**“重点”**。**再来**，",
                "这是<strong>“重点”</strong>。<strong>再来</strong>，",
            ),
            ("***注意：***请", "<em><strong>注意：</strong></em>请"),
            ("𠮷**「a」**𠮷", "𠮷<strong>「a」</strong>𠮷"),
            // Everything else is read as ever.
            ("价格*数量（元）*折扣", "价格*数量（元）*折扣"),
            ("`**注意：**请`", "<code>**注意：**请</code>"),
            ("a**(b)**c 文", "a**(b)**c 文"),
            (r"\*\*注意：\*\*请", "**注意：**请"),
            (r"\n**「a」**请", r"\n<strong>「a」</strong>请"),
            (r"\\n**「a」**请", r"\n<strong>「a」</strong>请"),
            ("** 注意：** 请", "** 注意：** 请"),
        ] {
            assert_eq!(html(markdown), format!("<p>{expected}</p>\n"), "{markdown}");
        }
        check_well_formed_fast(&html(&"**注：".repeat(20_000)));
        check_well_formed_fast(&html(&("文".to_owned() + &"*".repeat(100_000) + "「")));
    }

    #[test]
    fn what_is_shown_as_source_is_the_source() {
        for (markdown, is_typed, text) in [
            ("[Error]: C:\\logs\\app", true, "[Error]: C:\\logs\\app\n"),
            (
                "|a|b|\n|-|-|\n|1|2| $x_1$ | \\(y_1\\) |",
                false,
                "\nab\n12$x_1$ | \\(y_1\\)\n\n",
            ),
            (
                "[__init__] [a][]\n\n[__init__]: https://b.c\n[a]: https://d.e",
                true,
                "init a\n",
            ),
        ] {
            assert_eq!(text_of(&html_with(markdown, is_typed, None)), text);
        }
        let text = "\\a __b__\n  c 文**「d」**文 $x_1$";
        let deep = "> ".repeat(MAX_DEPTH + 1) + text;
        let html = html_with(&deep, true, None);
        assert!(html.contains(text), "{html}");
    }

    #[test]
    fn used_definitions_are_not_repeated() {
        assert_eq!(
            html("[a][B]\n\n[b]: https://c.de"),
            "<p><a href=\"https://c.de\">a</a></p>\n"
        );
    }

    #[test]
    fn direction_tricks_are_marked() {
        for markdown in [
            "a\u{202e}b",
            "`a\u{200b}b`",
            "```\na\u{2066}b\n```",
            "[a\u{202e}](https://b.c)",
        ] {
            assert!(html(markdown).contains("hidden-char"), "{markdown:?}");
        }
        assert_eq!(html("👨\u{200d}👩"), "<p>👨\u{200d}👩</p>\n");
    }

    #[test]
    fn code_is_coloured() {
        let highlighter = Highlighter::new();
        let html = html_with("```rust\nlet a = \"<b>\";\n```", false, Some(&highlighter));
        assert!(html.contains("<span class=\"k\">let</span>"), "{html}");
        assert!(html.contains("&lt;b&gt;"), "{html}");
        check_well_formed(&html);
    }

    #[test]
    fn hostile_markdown_stays_small_and_fast() {
        let table = |columns: usize, rows: usize| {
            format!(
                "{}\n{}\n{}",
                "|a".repeat(columns),
                "|-".repeat(columns),
                "|b|\n".repeat(rows)
            )
        };
        for markdown in [
            ">".repeat(100_000),
            "> ".repeat(50_000) + "x",
            "[".repeat(100_000),
            "![".repeat(50_000),
            "[](".repeat(50_000),
            "*a ".repeat(100_000),
            "*a_ ".repeat(50_000),
            "a**b".repeat(50_000),
            "*".repeat(100_000),
            "- ".repeat(2_000) + "x",
            (0..1_000)
                .map(|depth| " ".repeat(depth) + "- x\n")
                .collect(),
            "`".repeat(100_000),
            (1..400).map(|count| "`".repeat(count) + " ").collect(),
            "<".repeat(100_000),
            "<a ".repeat(50_000),
            "<!--".repeat(50_000),
            "<?".repeat(50_000),
            "&".repeat(100_000),
            "~a ".repeat(50_000),
            "[a]: b\n".repeat(20_000),
            "[a][a] ".repeat(20_000) + "\n\n[a]: " + &"b".repeat(1_000),
            "[^a] ".repeat(20_000) + "\n\n[^a]: b",
            (0..20_000).map(|n| format!("[^{n}]: b\n\n")).collect(),
            "[^a]: ".repeat(10_000),
            table(2_000, 2_000),
            table(20_000, 20_000),
            "|".repeat(100_000) + "\n|-|",
            "> [!NOTE]\n".repeat(10_000),
            "[x](".repeat(20_000) + &")".repeat(20_000),
            "[".repeat(20_000) + &"](x)".repeat(20_000),
            "\u{202e}".repeat(100_000),
            "x\u{202e}".repeat(20_000),
            "\\(".repeat(50_000),
            "\\[$$".repeat(20_000),
            "$$".to_owned() + &" ".repeat(50_000) + &"\n- a_".repeat(20_000),
            "\n$$ a_1 $$".repeat(10_000),
            "$a_ ".repeat(50_000),
            "$a".repeat(50_000),
            "\\(a\\)".repeat(10_000),
            "\n>".repeat(50_000) + "\\(",
        ] {
            let html = html(&markdown);
            check_well_formed_fast(&html);
            assert!(
                html.len() < 2_500_000,
                "{} became {}: {}",
                markdown.len(),
                html.len(),
                &markdown[..20]
            );
        }
        let huge = html(&"*a* ".repeat(300_000));
        assert!(huge.starts_with("<pre class=\"plain\">\n*a* "));
        assert!(html(&(">".repeat(50_000) + "\n\nend")).contains("<p>end</p>"));
        assert!(html(&">".repeat(100_000)).len() < 500_000);
    }

    /// The same as [`check_well_formed`] for elements only, since messages of a megabyte help nobody.
    fn check_well_formed_fast(html: &str) {
        let mut open = Vec::new();
        for piece in html.split('<').skip(1) {
            let name = piece.split(['>', ' ']).next().unwrap();
            if let Some(name) = name.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name));
            } else if !matches!(name, "br" | "hr" | "input" | "wbr") {
                open.push(name);
            }
        }
        assert!(open.is_empty());
    }
}
