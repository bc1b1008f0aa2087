//! Colours for code: the engine of `synoptic`, rules of our own for it, our own short class names, and bounds.
//!
//! Some twenty classes of one letter are enough for a theme, neighbours share a span and plain text has none. The
//! engine takes time in proportion to the text, and the bounds are sizes, so that output is equal on every machine.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use synoptic::{Highlighter as Engine, TokOpt};

use self::rules::{LANGUAGES, Language, Rule};
use crate::html::escape_code;

mod rules;

/// Lines longer than this are written plain: minified code has no reader, and regexes may be slow on it.
const MAX_LINE_BYTES: usize = 1_000;

/// Bytes of a block that get colours; what follows is plain.
const MAX_BLOCK_BYTES: usize = 64 * 1024;

/// Lines of a block that get colours; what follows is plain.
const MAX_BLOCK_LINES: usize = 2_000;

/// Memory for blocks seen before, source and HTML together. What is looked at again soon is what the last items of a growing chat and the page
/// that viewers open show, which is far less.
const MAX_CACHE_BYTES: usize = 2 * 1024 * 1024;

/// Colours code. Made once and shared by all threads.
#[derive(Default)]
pub(crate) struct Highlighter {
    cache: Mutex<Cache>,
}

/// A language, and whether the block is a recorded session of it.
type Key = (usize, bool);

/// Blocks seen before: those that were made or used lately, and those of the time before.
#[derive(Default)]
struct Cache {
    new: Blocks,
    old: Blocks,
}

/// HTML of blocks, by language and whole text: no digest that a hostile text could share with another.
#[derive(Default)]
struct Blocks {
    html: HashMap<Key, HashMap<Box<str>, Arc<str>>>,
    size_bytes: usize,
}

impl Cache {
    fn get(&mut self, key: Key, code: &str) -> Option<Arc<str>> {
        if let Some(html) = self.new.html.get(&key).and_then(|blocks| blocks.get(code)) {
            return Some(Arc::clone(html));
        }
        let (code, html) = self.old.html.get_mut(&key)?.remove_entry(code)?;
        self.put(key, code, Arc::clone(&html));
        Some(html)
    }

    /// Keeps a block; when there are too many new ones, they become old ones, and those that were old are forgotten.
    fn put(&mut self, key: Key, code: Box<str>, html: Arc<str>) {
        let size_bytes = code.len() + html.len();
        if self.new.size_bytes + size_bytes > MAX_CACHE_BYTES / 2 {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.size_bytes += size_bytes;
        self.new.html.entry(key).or_default().insert(code, html);
    }
}

impl Highlighter {
    /// Makes a highlighter; no pattern is compiled before the first block of its language.
    pub(crate) fn new() -> Highlighter {
        Highlighter::default()
    }

    /// Writes code as escaped HTML with classes, or returns false and writes nothing when the language is unknown.
    pub(crate) fn highlight_into(&self, out: &mut String, language: &str, code: &str) -> bool {
        let token = language_token(language);
        let Some(index) = find_language(&token) else {
            return false;
        };
        // A console block is another language than the shell whose commands it holds.
        let is_console = CONSOLE.contains(&token.as_str());
        let key = (index, is_console);
        if let Some(html) = self.cached(key, code) {
            out.push_str(&html);
            return true;
        }
        let source = if code.contains('\r') {
            Cow::Owned(code.replace("\r\n", "\n"))
        } else {
            Cow::Borrowed(code)
        };
        let Some(html) = paint(index, &source, is_console) else {
            return false;
        };
        out.push_str(&html);
        self.keep(key, code, html);
        true
    }

    fn cached(&self, key: Key, code: &str) -> Option<Arc<str>> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.get(key, code)
    }

    fn keep(&self, key: Key, code: &str, html: String) {
        let size_bytes = code.len() + html.len();
        if size_bytes > MAX_CACHE_BYTES / 4 {
            return;
        }
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.put(key, code.into(), html.into());
    }
}

/// Words for a recorded shell session: only its command lines are code.
const CONSOLE: [&str; 5] = [
    "console",
    "shell-session",
    "shellsession",
    "bash-session",
    "terminal",
];

/// Returns the language word of an info string: `rust,ignore`, `js {1,3}`, `{.python}` and `c++:src/a.cc` are known.
pub(crate) fn language_token(info: &str) -> String {
    info.trim_start_matches(['{', '.', ' ', '\t'])
        .split(|c: char| c.is_whitespace() || ",{}:;=".contains(c))
        .next()
        .unwrap_or_default()
        .to_lowercase()
}

/// Returns the place of a language in the table.
fn find_language(token: &str) -> Option<usize> {
    static WORDS: OnceLock<HashMap<&'static str, usize>> = OnceLock::new();
    let words = WORDS.get_or_init(|| {
        let lists = LANGUAGES.iter().enumerate();
        lists
            .flat_map(|(index, language)| language.words.split(' ').map(move |word| (word, index)))
            .collect()
    });
    words.get(token).copied()
}

/// Lets a thread use its engine for a language. Patterns are compiled once in a process; what a thread has of its own
/// is the memory for matching, for which it need not wait.
fn with_engine<T>(index: usize, work: impl FnOnce(&mut Engine) -> T) -> T {
    static PREPARED: [OnceLock<Engine>; LANGUAGES.len()] =
        [const { OnceLock::new() }; LANGUAGES.len()];
    thread_local! {
        static ENGINES: RefCell<HashMap<usize, Engine>> = RefCell::default();
    }
    ENGINES.with_borrow_mut(|engines| {
        let engine = engines.entry(index).or_insert_with(|| {
            PREPARED[index]
                .get_or_init(|| prepare(&LANGUAGES[index]))
                .clone()
        });
        work(engine)
    })
}

/// Width of a tab in the engine, which puts as many blanks in its place: with one, all lengths are as in the source.
const TAB_WIDTH: usize = 1;

/// Compiles the patterns of a language.
fn prepare(language: &Language) -> Engine {
    let mut engine = Engine::new(TAB_WIDTH);
    add_rules(&mut engine, language.rules);
    if !language.keywords.is_empty() {
        let case = if language.any_case { "i" } else { "" };
        let words = language.keywords.replace(' ', "|");
        let pattern = format!(r"(?{case}-u)\b(?:{words})\b");
        engine.keyword(class_name(b'k'), &pattern);
    }
    for rules in language.shared {
        add_rules(&mut engine, rules);
    }
    engine
}

fn add_rules(engine: &mut Engine, rules: &[Rule]) {
    for rule in rules {
        match *rule {
            Rule::Word(class, pattern) => engine.keyword(class_name(class), pattern),
            Rule::Span(class, start, end, escapable) => {
                engine.bounded(&class_name(class)[..], start, end, escapable);
            }
        }
    }
}

/// The engine has names where we have letters.
fn class_name(class: Class) -> String {
    char::from(class).to_string()
}

/// Colours a block; nothing when the engine lost text.
fn paint(index: usize, code: &str, is_console: bool) -> Option<String> {
    let (coloured, plain) = code.split_at(coloured_length(code));
    let mut painter = Painter {
        out: String::with_capacity(code.len() * 2),
        ..Painter::default()
    };
    with_engine(index, |engine| {
        if !is_console {
            return paint_lines(engine, &mut painter, coloured);
        }
        // Each command starts afresh: what stands between is output, and no quote of it may reach further.
        for line in coloured.split_inclusive('\n') {
            let start = prompt_length(line).unwrap_or(line.len());
            painter.write(NONE, &line[..start]);
            paint_lines(engine, &mut painter, &line[start..])?;
        }
        Some(())
    })?;
    painter.write(NONE, plain);
    Some(painter.finish())
}

/// Colours lines, nothing when the engine lost text. Lines that are too long stay plain, as if they were not there.
fn paint_lines(engine: &mut Engine, painter: &mut Painter, code: &str) -> Option<()> {
    let is_short = |line: &&str| line.len() <= MAX_LINE_BYTES;
    let lines: Vec<String> = code
        .split_inclusive('\n')
        .filter(is_short)
        // Our rules want a line end at every line; the last one may have none.
        .map(|line| line.strip_suffix('\n').unwrap_or(line).to_string() + "\n")
        .collect();
    engine.run(&lines);
    let mut texts = lines.iter().enumerate();
    for line in code.split_inclusive('\n') {
        if !is_short(&line) {
            painter.write(NONE, line);
            continue;
        }
        let (number, text) = texts.next()?;
        let mut found = 0;
        for token in engine.line(number, text) {
            let class = match &token {
                TokOpt::None(_) => NONE,
                TokOpt::Some(_, name) => *name.as_bytes().first()?,
            };
            let start = found;
            found += token.text().len();
            painter.write(
                class,
                line.get(start.min(line.len())..found.min(line.len()))?,
            );
        }
        if found != text.len() {
            return None;
        }
    }
    // The engine keeps what it found, which nobody needs any more.
    engine.run(&[]);
    Some(())
}

/// Returns how much of a block gets colours, in whole lines.
fn coloured_length(code: &str) -> usize {
    let mut length = 0;
    for line in code.split_inclusive('\n').take(MAX_BLOCK_LINES) {
        if length + line.len() > MAX_BLOCK_BYTES {
            break;
        }
        length += line.len();
    }
    length
}

/// Returns where the command starts behind a prompt.
fn prompt_length(line: &str) -> Option<usize> {
    ["$ ", "% ", "# ", "\u{276f} ", "> "]
        .iter()
        .find(|prompt| line.starts_with(**prompt))
        .map(|prompt| prompt.len())
}

/// A class is one letter; see [`rules`].
type Class = u8;

/// No class: plain text.
const NONE: Class = 0;
/// Comments.
const COMMENT: Class = b'c';
/// Strings.
const STRING: Class = b's';
/// Keys of mappings.
const KEY: Class = b'y';

/// Writes text with classes; neighbours of one class share a span, also across blanks between them.
#[derive(Default)]
struct Painter {
    out: String,
    open: Class,
    /// Where blanks start that stand behind the open span, unless its class goes on.
    blanks: Option<usize>,
}

impl Painter {
    fn write(&mut self, class: Class, text: &str) {
        if class == self.open {
            self.blanks = None;
        } else if text.bytes().all(|byte| byte.is_ascii_whitespace()) {
            self.blanks.get_or_insert(self.out.len());
        } else {
            self.close();
            if class != NONE {
                self.out.push_str("<span class=\"");
                self.out.push(char::from(class));
                self.out.push_str("\">");
            }
            self.open = class;
        }
        escape_code(&mut self.out, text);
    }

    fn close(&mut self) {
        let end = self.blanks.take().unwrap_or(self.out.len());
        if self.open != NONE {
            self.out.insert_str(end, "</span>");
            self.open = NONE;
        }
    }

    fn finish(mut self) -> String {
        self.close();
        self.out
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn highlight(language: &str, code: &str) -> Option<String> {
        static HIGHLIGHTER: OnceLock<Highlighter> = OnceLock::new();
        let mut out = String::new();
        HIGHLIGHTER
            .get_or_init(Highlighter::new)
            .highlight_into(&mut out, language, code)
            .then_some(out)
    }

    /// Writes spans as `[class text]`.
    fn short(language: &str, code: &str) -> String {
        let html = highlight(language, code).unwrap();
        html.replace("</span>", "]")
            .replace("<span class=\"", "[")
            .replace("\">", " ")
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

    #[test]
    fn what_is_used_is_remembered_within_bounds() {
        let mut cache = Cache::default();
        let block = "x".repeat(MAX_CACHE_BYTES / 32);
        cache.put((0, false), "used".into(), block.as_str().into());
        for number in 0..200 {
            let code = number.to_string();
            assert!(cache.get((0, false), &code).is_none());
            cache.put((0, false), code.as_str().into(), block.as_str().into());
            assert!(cache.get((0, false), &code).is_some());
            assert!(cache.get((0, false), "used").is_some(), "{number}");
            let blocks = [&cache.new, &cache.old].map(|blocks| blocks.html.values());
            let blocks = blocks.into_iter().flatten().map(HashMap::len);
            assert!(blocks.sum::<usize>() <= 32);
        }
        assert!(cache.get((0, false), "0").is_none());
        assert!(cache.get((1, false), "used").is_none());
    }

    #[test]
    fn code_gets_classes() {
        for (language, code, expected) in [
            (
                "rust",
                "fn main() { let x = 1; }\n",
                "[k fn] [f main]() { [k let] x = [n 1]; }\n",
            ),
            (
                "python",
                "# note\ndef f(a): return 'x'",
                "[c # note\n][k def] [f f](a): [k return] [s &#39;x&#39;]",
            ),
            (
                "json",
                "{\"a\": [1, \"b\"]}",
                "{[y \"a\"]: [[n 1], [s \"b\"]]}",
            ),
            ("sh", "echo \"a $b\"", "[f echo] [s \"a $b\"]"),
            ("text/html", "", ""),
        ] {
            if code.is_empty() {
                assert_eq!(highlight(language, code), None);
            } else {
                assert_eq!(short(language, code), expected.replace("&#39;", "'"));
            }
        }
    }

    #[test]
    fn languages_are_found_by_the_words_people_write() {
        for language in [
            "rust",
            "Rust",
            "rs",
            "rust,ignore",
            "js {1,3}",
            "{.python}",
            "python title=\"x\"",
            "c++",
            "C++",
            "cpp",
            "c",
            "csharp",
            "cs",
            "c#",
            "f#",
            "fsharp",
            "jsx",
            "tsx",
            "ts",
            "typescript",
            "jsonc",
            "json5",
            "jsonl",
            "console",
            "shell-session",
            "sh",
            "bash",
            "zsh",
            "shell",
            "golang",
            "go",
            "yml",
            "yaml",
            "docker",
            "dockerfile",
            "make",
            "makefile",
            "diff",
            "patch",
            "sql",
            "postgresql",
            "toml",
            "ini",
            "html",
            "css",
            "scss",
            "xml",
            "markdown",
            "md",
            "kotlin",
            "swift",
            "objc",
            "ruby",
            "php",
            "perl",
            "lua",
            "r",
            "haskell",
            "elixir",
            "hcl",
            "terraform",
            "graphql",
            "proto",
            "vue",
            "svelte",
            "nginx",
            "apache",
            "vim",
            "bat",
            "cmake",
            "asm",
            "cuda",
            "fortran",
            "matlab",
            "zig",
            "nix",
            "dart",
            "scala",
            "java",
            "groovy",
            "lisp",
            "clojure",
            "erlang",
            "ocaml",
            "julia",
            "latex",
            "tex",
            "regex",
            "git-commit",
            "dotenv",
            "properties",
            "typst",
            "solidity",
            "http",
            "log",
            "rust:src/main.rs",
        ] {
            assert!(highlight(language, "x = 1").is_some(), "{language}");
        }
        for language in [
            "",
            "text",
            "text/plain",
            "plaintext",
            "mermaid",
            "klingon",
            "1",
            "</script>",
            "\"><b>",
            "\0",
        ] {
            assert_eq!(highlight(language, "x = 1"), None, "{language}");
        }
    }

    #[test]
    fn the_table_is_sound() {
        let mut seen = std::collections::HashSet::new();
        for (index, language) in LANGUAGES.iter().enumerate() {
            for word in language.words.split(' ') {
                assert!(seen.insert(word), "{word} twice");
                assert_eq!(language_token(word), word);
            }
            let is_word = |word: &str| {
                let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                !word.is_empty() && word.bytes().all(is_part)
            };
            let keywords = language.keywords;
            assert!(
                keywords.is_empty() || keywords.split(' ').all(is_word),
                "{keywords}"
            );
            with_engine(index, |engine| assert!(!engine.atom_def.is_empty()));
        }
    }

    #[test]
    fn hostile_blocks_keep_their_text() {
        let blocks = [
            "\"unterminated\n".repeat(2_000),
            "[".repeat(100_000),
            format!("{}\n", "[({<".repeat(240)).repeat(60),
            "/*\n".repeat(1_900),
            format!("{}\n", "\\".repeat(900)).repeat(70),
            format!("{}\n", "\\\"".repeat(450)).repeat(70),
            format!("{}\n", "`${".repeat(300)).repeat(70),
            format!("{}\n", "\"\"\"\u{27}\u{27}\u{27}".repeat(150)).repeat(70),
            format!("{}\n", "a(".repeat(450)).repeat(70),
            format!(
                "{}\n",
                "\u{4e2d}\t\u{1f469}\u{200d}\u{1f4bb}e\u{301}'\"#".repeat(30)
            )
            .repeat(70),
            format!("{}\n", "<a =\"".repeat(190)).repeat(60),
            format!("{}\n", "- ".repeat(480)).repeat(65),
            format!("{}\n", "a".repeat(990)).repeat(65),
            format!("{}\n", " ".repeat(990)).repeat(65),
            "x".repeat(1 << 20),
            "\0\u{b}\u{c}\u{85}\u{2028}\n\r\r\n\n".repeat(500),
        ];
        for language in LANGUAGES {
            let name = language.words.split(' ').next().unwrap();
            for block in &blocks {
                let html = highlight(name, block).unwrap();
                let mut plain = String::new();
                escape_code(&mut plain, &block.replace("\r\n", "\n"));
                assert_eq!(text_of(&html).len(), text_of(&plain).len(), "{name}");
            }
        }
    }

    #[test]
    fn only_commands_of_a_session_are_code() {
        assert_eq!(
            short("console", "$ echo 'a'\nit's output if you like\n$ echo 'b'"),
            "$ [f echo] [s 'a']\nit's output if you like\n$ [f echo] [s 'b']"
        );
    }

    #[test]
    fn no_text_is_lost() {
        let code =
            "<script>alert('&')</script>\n\tfn \u{4e2d}\u{6587}() {}\r\n// end\n\"open string\n";
        for language in [
            "rust", "js", "html", "py", "c", "sh", "yaml", "json", "md", "diff", "console", "tsx",
            "css",
        ] {
            let html = highlight(language, code).unwrap();
            assert_eq!(text_of(&html), code.replace("\r\n", "\n"), "{language}");
            assert!(!html.contains("<script"));
        }
        assert!(
            highlight("rust", "let a\u{202e} = 1;")
                .unwrap()
                .contains("U+202E")
        );
    }

    #[test]
    fn big_blocks_and_long_lines_end_plain() {
        let line = "let a = 1;\n";
        let long = line.repeat(3_000);
        let html = highlight("rust", &long).unwrap();
        assert_eq!(html.matches("class=\"k\"").count(), MAX_BLOCK_LINES);
        assert_eq!(text_of(&html), long);
        let wide = format!("let a = {};\nlet b = 1;\n", "1+".repeat(1_000));
        let html = highlight("rust", &wide).unwrap();
        assert_eq!(html.matches("class=\"k\"").count(), 1);
        assert_eq!(text_of(&html), wide);
        let bytes = format!("{}\n", "let a = 1; ".repeat(80)).repeat(200);
        assert_eq!(text_of(&highlight("rust", &bytes).unwrap()), bytes);
    }

    #[test]
    fn the_second_time_is_the_same() {
        let code = "fn again() -> u32 { 7 }";
        assert_eq!(highlight("rust", code), highlight("rust", code));
    }
}
