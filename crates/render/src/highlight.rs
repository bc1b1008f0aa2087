//! Colours for code: syntect's syntaxes, our own short class names, and bounds for hostile input.
//!
//! syntect's own HTML writer makes output many times the size of the source; here some twenty classes of one letter
//! are enough for a theme, neighbours share a span and plain text has none. The bounds are sizes, so that output is
//! equal on every machine. The one clock is a fuse that only hostile input can blow.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use syntect::parsing::{
    BasicScopeStackOp, Scope, ScopeStack, ScopeStackOp, SyntaxReference, SyntaxSet,
};

use self::parser::LineParser;
use crate::html::escape_code;

mod parser;

/// Lines longer than this are written plain: minified code has no reader, and regexes may be slow on it.
const MAX_LINE_BYTES: usize = 1_000;

/// Bytes of a block that get colours; what follows is plain.
const MAX_BLOCK_BYTES: usize = 64 * 1024;

/// Lines of a block that get colours; what follows is plain.
const MAX_BLOCK_LINES: usize = 2_000;

/// Time after which a block is given up and stays plain. A full block of the slowest ordinary language takes a
/// tenth of it.
const MAX_BLOCK_TIME: Duration = Duration::from_secs(2);

/// Blocks given up until nothing is highlighted any more.
const MAX_TRIPS: usize = 3;

/// Memory for blocks seen before, source and HTML together; when it is full, everything is forgotten.
const MAX_CACHE_BYTES: usize = 32 * 1024 * 1024;

/// Colours code. Made once and shared by all threads.
#[derive(Default)]
pub(crate) struct Highlighter {
    /// Loading takes milliseconds, which pages without code need not pay.
    syntaxes: OnceLock<SyntaxSet>,
    cache: Mutex<Cache>,
    trips: AtomicUsize,
}

/// Blocks seen before, by language and whole text: no digest that a hostile text could share with another.
#[derive(Default)]
struct Cache {
    blocks: HashMap<String, HashMap<Box<str>, Arc<str>>>,
    size_bytes: usize,
}

impl Highlighter {
    /// Makes a highlighter; nothing is loaded before the first block.
    pub(crate) fn new() -> Highlighter {
        Highlighter::default()
    }

    /// Writes code as escaped HTML with classes, or returns false and writes nothing when the language is unknown or
    /// the block was too expensive.
    pub(crate) fn highlight_into(&self, out: &mut String, language: &str, code: &str) -> bool {
        let token = language_token(language);
        if token.is_empty() || self.trips.load(Ordering::Relaxed) >= MAX_TRIPS {
            return false;
        }
        let alias = alias(&token);
        if alias == PLAIN {
            return false;
        }
        let syntaxes = self.syntaxes.get_or_init(two_face::syntax::extra_newlines);
        let Some(syntax) = syntaxes.find_syntax_by_token(alias) else {
            return false;
        };
        // A console block is another language than the shell whose commands it holds.
        let is_console = CONSOLE.contains(&token.as_str());
        let key = if is_console { "console" } else { &syntax.name };
        if let Some(html) = self.cached(key, code) {
            out.push_str(&html);
            return true;
        }
        let source = if code.contains('\r') {
            Cow::Owned(code.replace("\r\n", "\n"))
        } else {
            Cow::Borrowed(code)
        };
        let html = match paint(syntaxes, syntax, &source, is_console) {
            Ok(html) => html,
            Err(GivenUp::Lost) => return false,
            Err(GivenUp::Slow) => {
                self.trips.fetch_add(1, Ordering::Relaxed);
                return false;
            }
        };
        out.push_str(&html);
        self.keep(key, code, html);
        true
    }

    fn cached(&self, key: &str, code: &str) -> Option<Arc<str>> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.blocks.get(key)?.get(code).cloned()
    }

    fn keep(&self, key: &str, code: &str, html: String) {
        let size_bytes = code.len() + html.len();
        if size_bytes > MAX_CACHE_BYTES / 16 {
            return;
        }
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.size_bytes + size_bytes > MAX_CACHE_BYTES {
            *cache = Cache::default();
        }
        cache.size_bytes += size_bytes;
        let blocks = cache.blocks.entry(key.to_string()).or_default();
        blocks.insert(code.into(), html.into());
    }
}

/// What stands for "no colours" in the table below.
const PLAIN: &str = "";

/// Words for a recorded shell session: only its command lines are code.
const CONSOLE: [&str; 5] = [
    "console",
    "shell-session",
    "shellsession",
    "bash-session",
    "terminal",
];

/// Words that people and models write, and the words by which the syntaxes know the language.
const ALIASES: [(&str, &[&str]); 33] = [
    (
        PLAIN,
        &[
            "text",
            "plain",
            "plaintext",
            "txt",
            "text/plain",
            "none",
            "nohighlight",
            "mermaid",
            "ansi",
            "output",
            "stdout",
            "stderr",
        ],
    ),
    (
        "sh",
        &[
            "console",
            "shell-session",
            "shellsession",
            "bash-session",
            "terminal",
            "shell",
            "ksh",
            "posix",
        ],
    ),
    (
        "py",
        &[
            "python3", "python2", "pycon", "ipython", "starlark", "meson", "sage",
        ],
    ),
    ("js", &["node", "mjs", "cjs", "json5", "ecmascript"]),
    ("tsx", &["jsx"]),
    (
        "json",
        &[
            "jsonc",
            "jsonl",
            "ndjson",
            "json-lines",
            "geojson",
            "webmanifest",
            "hjson",
        ],
    ),
    ("cs", &["csharp", "c-sharp", "dotnet"]),
    ("f#", &["fsharp", "fs", "f-sharp"]),
    ("cpp", &["cuda", "cu", "opencl", "metal", "arduino", "ino"]),
    ("objective-c", &["objc", "obj-c", "objectivec"]),
    ("go", &["golang"]),
    ("go.mod", &["gomod", "go-mod"]),
    ("dockerfile", &["docker", "containerfile"]),
    (
        "sql",
        &[
            "mysql",
            "postgresql",
            "postgres",
            "psql",
            "pgsql",
            "plpgsql",
            "sqlite",
            "tsql",
            "plsql",
            "duckdb",
        ],
    ),
    ("ini", &["conf", "systemd", "service", "editorconfig"]),
    ("ssh_config", &["sshconfig", "ssh-config"]),
    ("html", &["handlebars", "hbs", "astro", "mustache"]),
    ("erb", &["html+erb"]),
    (
        "jinja2",
        &["django", "html+jinja", "html+django", "nunjucks"],
    ),
    ("md", &["mdx", "rmd", "qmd"]),
    ("lisp", &["elisp", "emacs-lisp", "scheme", "common-lisp"]),
    ("ml", &["reason", "reasonml", "rescript"]),
    ("f90", &["fortran"]),
    ("pas", &["delphi", "objectpascal"]),
    ("matlab", &["octave"]),
    ("asm", &["s", "x86asm", "assembly"]),
    ("glsl", &["hlsl"]),
    ("htaccess", &["apache", "apacheconf"]),
    ("bat", &["batch", "dos"]),
    ("re", &["regex", "regexp"]),
    ("dot", &["graphviz"]),
    ("tf", &["terraform", "opentofu"]),
    ("COMMIT_EDITMSG", &["git-commit", "gitcommit"]),
];

/// Returns the language word of an info string: `rust,ignore`, `js {1,3}`, `{.python}` and `c++:src/a.cc` are known.
pub(crate) fn language_token(info: &str) -> String {
    info.trim_start_matches(['{', '.', ' ', '\t'])
        .split(|c: char| c.is_whitespace() || ",{}:;=".contains(c))
        .next()
        .unwrap_or_default()
        .to_lowercase()
}

/// Returns the word to look a language up by.
fn alias(token: &str) -> &str {
    // Extensions of manual pages are numbers, but "1" behind a fence is none.
    if token.bytes().all(|byte| byte.is_ascii_digit()) {
        return PLAIN;
    }
    ALIASES
        .iter()
        .find(|(_, words)| words.contains(&token))
        .map_or(token, |(known, _)| known)
}

/// Why a block has no colours.
enum GivenUp {
    /// The syntax led nowhere.
    Lost,
    /// The fuse blew.
    Slow,
}

/// Colours a block, or gives up.
fn paint(
    syntaxes: &SyntaxSet,
    syntax: &SyntaxReference,
    code: &str,
    is_console: bool,
) -> Result<String, GivenUp> {
    let started = Instant::now();
    let (coloured, plain) = code.split_at(coloured_length(code));
    let mut painter = Painter {
        out: String::with_capacity(code.len() * 2),
        ..Painter::default()
    };
    let mut tracker = Tracker::new(syntaxes, syntax).ok_or(GivenUp::Lost)?;
    for line in coloured.split_inclusive('\n') {
        if line.len() > MAX_LINE_BYTES {
            painter.write(NONE, line);
            continue;
        }
        let command = if is_console {
            // Each command starts afresh: what stands between is output, and no quote of it may reach further.
            tracker.restart();
            prompt_length(line)
        } else {
            Some(0)
        };
        match command {
            Some(start) => {
                painter.write(NONE, &line[..start]);
                let painted = tracker.paint_line(&mut painter, &line[start..]);
                painted.ok_or(GivenUp::Lost)?;
            }
            None => painter.write(NONE, line),
        }
        if started.elapsed() > MAX_BLOCK_TIME {
            return Err(GivenUp::Slow);
        }
    }
    painter.write(NONE, plain);
    Ok(painter.finish())
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

/// A class is one letter; see [`SCOPE_CLASSES`].
type Class = u8;

/// No class: plain text.
const NONE: Class = 0;
/// Comments; nothing inside of one has another class.
const COMMENT: Class = b'c';
/// Strings.
const STRING: Class = b's';
/// Keys of mappings, which may be strings.
const KEY: Class = b'y';

/// What a scope does to the class of the text in it; scopes that are not here do nothing. The longest one wins.
const SCOPE_CLASSES: &[(&str, Class)] = &[
    ("comment", COMMENT),
    ("constant", b'n'),
    ("constant.character.escape", b'e'),
    ("entity.name", b't'),
    ("entity.name.function", b'f'),
    ("entity.name.macro", b'f'),
    ("entity.name.section", b'h'),
    ("entity.name.tag", b'g'),
    ("entity.name.tag.yaml", KEY),
    ("entity.name.tag.toml", KEY),
    ("entity.other.attribute-name", b'a'),
    ("entity.other.inherited-class", b't'),
    ("keyword", b'k'),
    ("keyword.operator", b'o'),
    ("keyword.operator.logical.python", b'k'),
    ("keyword.operator.word", b'k'),
    ("markup.bold", b'b'),
    ("markup.deleted", b'd'),
    ("markup.heading", b'h'),
    ("markup.inserted", b'i'),
    ("markup.italic", b'm'),
    ("markup.quote", COMMENT),
    ("markup.raw", STRING),
    ("markup.underline.link", b'l'),
    ("meta.annotation", b'a'),
    ("meta.diff.header", b'h'),
    ("meta.diff.range", b'h'),
    ("meta.embedded", NONE),
    ("meta.interpolation", NONE),
    ("meta.mapping.key", KEY),
    ("punctuation.section.embedded", NONE),
    ("punctuation.section.interpolation", NONE),
    ("source", NONE),
    ("storage", b'k'),
    ("string", STRING),
    ("string.regexp", b'x'),
    ("string.unquoted", NONE),
    ("string.unquoted.heredoc", STRING),
    ("support.class", b't'),
    ("support.constant", b'n'),
    ("support.function", b'f'),
    ("support.macro", b'f'),
    ("support.type", b't'),
    ("support.type.property-name", KEY),
    ("text", NONE),
    ("variable.annotation", b'a'),
    ("variable.function", b'f'),
    ("variable.language", b'v'),
    ("variable.parameter", b'v'),
];

thread_local! {
    /// Classes of scopes that this thread has met. Scopes are numbers of the whole process.
    static KNOWN_SCOPES: RefCell<HashMap<Scope, Option<Class>>> = RefCell::default();
}

/// Returns the class that a scope asks for.
fn class_of(scope: Scope) -> Option<Class> {
    static PREFIXES: OnceLock<Vec<(Scope, Class)>> = OnceLock::new();
    KNOWN_SCOPES.with_borrow_mut(|known| {
        *known.entry(scope).or_insert_with(|| {
            let prefixes = PREFIXES.get_or_init(|| {
                SCOPE_CLASSES
                    .iter()
                    .filter_map(|(name, class)| Some((Scope::new(name).ok()?, *class)))
                    .collect()
            });
            prefixes
                .iter()
                .filter(|(prefix, _)| prefix.is_prefix_of(scope))
                .max_by_key(|(prefix, _)| prefix.len())
                .map(|(_, class)| *class)
        })
    })
}

/// Returns the class inside of a scope, given the one around it.
fn nested_class(around: Class, scope: Scope) -> Class {
    match (around, class_of(scope)) {
        (_, None) => around,
        (COMMENT, Some(_)) => COMMENT,
        (KEY, Some(STRING)) => KEY,
        (_, Some(class)) => class,
    }
}

/// A parser between lines, and the classes of the scopes that are open.
struct Tracker<'s> {
    parser: LineParser<'s>,
    scopes: ScopeStack,
    classes: Vec<Class>,
    changes: Vec<parser::Change>,
}

impl<'s> Tracker<'s> {
    fn new(syntaxes: &'s SyntaxSet, syntax: &SyntaxReference) -> Option<Tracker<'s>> {
        Some(Tracker {
            parser: LineParser::new(syntaxes, syntax)?,
            scopes: ScopeStack::new(),
            classes: Vec::new(),
            changes: Vec::new(),
        })
    }

    fn restart(&mut self) {
        self.parser.restart();
        self.scopes = ScopeStack::new();
        self.classes.clear();
    }

    /// Parses and writes one line; nothing when the syntax got lost.
    fn paint_line(&mut self, painter: &mut Painter, line: &str) -> Option<()> {
        // The syntaxes want a line end at every line; the last one may have none.
        let ended = if line.ends_with('\n') {
            Cow::Borrowed(line)
        } else {
            Cow::Owned(format!("{line}\n"))
        };
        let mut changes = std::mem::take(&mut self.changes);
        changes.clear();
        self.parser.read_line(&ended, &mut changes)?;
        let mut written = 0;
        for (at, change) in &changes {
            let at = (*at).min(line.len());
            if at > written {
                painter.write(self.class(), line.get(written..at)?);
                written = at;
            }
            self.apply(change);
        }
        painter.write(self.class(), line.get(written..)?);
        self.changes = changes;
        Some(())
    }

    fn class(&self) -> Class {
        self.classes.last().copied().unwrap_or(NONE)
    }

    fn apply(&mut self, change: &ScopeStackOp) {
        let classes = &mut self.classes;
        // The one error is "nothing to restore", after which the stack is as it was.
        let _ = self.scopes.apply_with_hook(change, |basic, _| match basic {
            BasicScopeStackOp::Push(scope) => {
                let around = classes.last().copied().unwrap_or(NONE);
                classes.push(nested_class(around, scope));
            }
            BasicScopeStackOp::Pop => {
                classes.pop();
            }
        });
    }
}

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
    fn code_gets_classes() {
        for (language, code, expected) in [
            (
                "rust",
                "fn main() { let x = 1; }\n",
                "[k fn] [f main]() { [k let] x [o =] [n 1]; }\n",
            ),
            (
                "python",
                "# note\ndef f(a): return 'x'",
                "[c # note\n][k def] [f f]([v a]): [k return] [s &#39;x&#39;]",
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
        for (_, words) in &ALIASES {
            for word in *words {
                assert_eq!(&language_token(word), word);
            }
        }
    }

    #[test]
    fn every_alias_is_a_language() {
        let syntaxes = two_face::syntax::extra_newlines();
        for (known, _) in ALIASES {
            assert!(
                known == PLAIN || syntaxes.find_syntax_by_token(known).is_some(),
                "{known}"
            );
        }
        for (name, _) in SCOPE_CLASSES {
            assert!(Scope::new(name).is_ok(), "{name}");
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
