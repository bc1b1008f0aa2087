//! What is coloured in which language: tables of patterns for the engine.
//!
//! Most strings end with their line, so that an open quote reaches no further. Where two patterns start at one place,
//! the first one of the table wins.

use super::{COMMENT, Class, KEY, STRING};

/// A pattern and what it colours.
pub(super) enum Rule {
    /// The last group of a pattern, or all of it.
    Word(Class, &'static str),
    /// From one pattern to another, also across lines. A backslash hides the end when the flag is set.
    Span(Class, &'static str, &'static str, bool),
}
use Rule::{Span, Word};

/// A language: the words behind a fence that mean it, its own rules, its keywords, and rules that it shares.
pub(super) struct Language {
    pub(super) words: &'static str,
    pub(super) rules: &'static [Rule],
    pub(super) keywords: &'static str,
    pub(super) shared: &'static [&'static [Rule]],
    /// Whether keywords may be written in capitals as well.
    pub(super) any_case: bool,
}

const BLOCK: Rule = Span(COMMENT, r"/\*", r"\*/", false);
const BLOCK_ONLY: &[Rule] = &[BLOCK];
const SLASH: &[Rule] = &[Span(COMMENT, "//", "\n", false), BLOCK];
const HASH: &[Rule] = &[Span(COMMENT, "#", "\n", false)];
/// In shells and their kin, a hash inside of a word is none.
const HASH_WORD: &[Rule] = &[Span(COMMENT, r"(?:^|[\s;])(#)", "\n", false)];
const DASHES: &[Rule] = &[Span(COMMENT, "--", "\n", false)];
const SEMICOLON: &[Rule] = &[Span(COMMENT, ";", "\n", false)];
const PERCENT: &[Rule] = &[Span(COMMENT, "%", "\n", false)];
const MARKUP_COMMENT: &[Rule] = &[Span(COMMENT, "<!--", "-->", false)];
const PAREN_STAR: &[Rule] = &[Span(COMMENT, r"\(\*", r"\*\)", false)];

const QUOTED: &[Rule] = &[Word(STRING, r#""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'"#)];
/// Single quotes hold one character, or mean something else.
const DOUBLE: &[Rule] = &[Word(
    STRING,
    r#""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\[^\n']{1,9}|\\')'"#,
)];
/// In formats near to prose, an apostrophe may stand in a word.
const QUOTED_VALUE: &[Rule] = &[Word(
    STRING,
    r#"(?:^|[\s\[{(,:=|])("(?:[^"\\\n]|\\.)*"|'[^'\n]*')"#,
)];
const STRING_ONLY: &[Rule] = &[Word(STRING, r#""(?:[^"\\\n]|\\.)*""#)];
const BACKTICK: &[Rule] = &[Span(STRING, "`", "`", true)];
const TRIPLE: &[Rule] = &[Span(STRING, r#"""""#, r#"""""#, true)];
const VARIABLE: &[Rule] = &[Word(b'v', r"\$(?:[0-9A-Za-z_]+|\{[^}\n]*\}|[@#?*!$])")];
const ANNOTATION: &[Rule] = &[Word(b'a', r"(?:^|[\s(])(@[A-Za-z_][0-9A-Za-z_.]*)")];
const PREPROCESSOR: &[Rule] = &[Word(b'k', r"^\s*(#\s*[a-z]+)")];

/// Numbers, and words for values.
const VALUES: &[Rule] = &[Word(
    b'n',
    r"(?-u)\b(?:true|false|null|nil|None|True|False|undefined|NaN|nullptr|NULL|TRUE|FALSE|[0-9][0-9a-zA-Z_]*(?:\.[0-9][0-9a-zA-Z_]*)?)\b",
)];
const CALLS: &[Rule] = &[Word(b'f', r"(?-u)\b([A-Za-z_][0-9A-Za-z_]*)\s?\(")];
const TYPES: &[Rule] = &[Word(b't', r"(?-u)\b[A-Z][A-Z0-9_]*[a-z][0-9A-Za-z_]*\b")];

const C_LIKE: &[&[Rule]] = &[SLASH, DOUBLE, VALUES, TYPES, CALLS];
const HASH_LIKE: &[&[Rule]] = &[HASH, QUOTED, VALUES, TYPES, CALLS];
const CPP: &[&[Rule]] = &[SLASH, PREPROCESSOR, DOUBLE, VALUES, TYPES, CALLS];
const JVM: &[&[Rule]] = &[TRIPLE, ANNOTATION, SLASH, DOUBLE, VALUES, TYPES, CALLS];
const JS: &[&[Rule]] = &[BACKTICK, SLASH, QUOTED, VALUES, TYPES, CALLS];

const LISP_HEAD: Rule = Word(b'f', r"\(([A-Za-z*+<>=/!?-][0-9A-Za-z*+<>=/!?.-]*)");
const SYMBOL: Rule = Word(b'n', r"(?:^|[\s(,\[{|])(:[A-Za-z_][0-9A-Za-z_]*[?!]?)");
const AT_WORD: Rule = Word(b'a', "@[A-Za-z_][0-9A-Za-z_]*");
const KEY_EQUALS: Rule = Word(KEY, r#"^\s*([^\s=#;\["'][^=\n#]*?)\s*="#);
const SECTION: Rule = Word(b'h', r"^\s*\[[^\n]*\]");
const MARKUP: &[Rule] = &[
    Word(b'g', r"</?([A-Za-z][0-9A-Za-z:._-]*)"),
    Word(b'a', r#"\s([A-Za-z_:@#*.\[(][0-9A-Za-z:._\])-]*)=["'{]"#),
    Word(STRING, r#"=("[^"\n]*"|'[^'\n]*')"#),
    Word(b'e', "&[#0-9A-Za-z]{1,20};"),
    Word(b'k', r"<[!?][A-Za-z]+"),
];

const JS_WORDS: &str = "abstract any as asserts async await boolean break case catch class const continue debugger \
    declare default delete do else enum export extends finally for from function get if implements import in infer \
    instanceof interface is keyof let namespace never new number object of override package private protected public \
    readonly return satisfies set static string super switch symbol this throw try type typeof unknown var void while \
    with yield";
const C_WORDS: &str = "alignas alignof auto bool break case catch char char8_t class co_await co_return co_yield \
    concept const consteval constexpr continue decltype default delete do double else enum explicit export extern final \
    float for friend goto if inline int int16_t int32_t int64_t int8_t long mutable namespace new noexcept operator \
    override private protected public register requires restrict return short signed size_t sizeof ssize_t static \
    static_assert static_cast struct switch template this throw try typedef typename uint16_t uint32_t uint64_t uint8_t \
    union unsigned using virtual void volatile wchar_t while __global__ __device__ __shared__";
const SQL_WORDS: &str = "add all alter analyze and any as asc autoincrement begin between bigint bool boolean by \
    cascade case cast char check column commit conflict constraint create cross current_timestamp database date default \
    delete desc distinct do drop else end except exists explain fetch float for foreign from full function grant group \
    having if ilike in index inner insert int integer intersect interval into is join json jsonb key lateral left like \
    limit materialized natural not null numeric offset on or order outer over partition primary procedure real recursive \
    references rename replace returning returns revoke right rollback row rows select sequence serial set smallint table \
    temp temporary text then timestamp timestamptz to transaction trigger truncate union unique update using uuid values \
    varchar view when where window with";

const fn language(
    words: &'static str,
    rules: &'static [Rule],
    keywords: &'static str,
    shared: &'static [&'static [Rule]],
) -> Language {
    Language {
        words,
        rules,
        keywords,
        shared,
        any_case: false,
    }
}

const fn in_any_case(language: Language) -> Language {
    Language {
        any_case: true,
        ..language
    }
}

/// All languages.
pub(super) const LANGUAGES: &[Language] = &[
    language(
        "rust rs",
        &[
            Span(STRING, "\\bb?r\"", "\"", false),
            Span(STRING, "b?r#\"", "\"#", false),
            Span(STRING, "\"", "\"", true),
            Word(STRING, r"b?'(?:[^'\\\n]|\\[^\n']{1,9}|\\')'"),
            Word(b'a', r"#!?\[[^\]\n]*\]"),
            Word(b'f', r"(?-u)\b([a-z_][a-z0-9_]*!)[\s(\[{]"),
        ],
        "as async await bool box break char const continue crate dyn else enum extern f32 f64 fn for i128 i16 i32 i64 i8 \
         if impl in isize let loop macro_rules match mod move mut pub ref return self Self static str struct super trait \
         type u128 u16 u32 u64 u8 union unsafe use usize where while yield",
        &[SLASH, VALUES, TYPES, CALLS],
    ),
    language(
        "python py py3 pyw pyi python3 python2 pycon ipython starlark bzl bazel meson sage",
        &[
            Span(STRING, "'''", "'''", true),
            Word(b'a', r"^\s*(@[^\s(]+)"),
        ],
        "and as assert async await break case class continue def del elif else except finally for from global if import \
         in is lambda match nonlocal not or pass raise return self try while with yield",
        &[TRIPLE, HASH, QUOTED, VALUES, TYPES, CALLS],
    ),
    language("javascript js node mjs cjs ecmascript", &[], JS_WORDS, JS),
    language(
        "typescript ts mts cts",
        &[Word(b'a', r"^\s*(@[A-Za-z.]+)")],
        JS_WORDS,
        JS,
    ),
    language(
        "tsx jsx",
        &[
            Word(
                b'g',
                r"(?:^|[\s(>{?:])</?([A-Za-z][0-9A-Za-z.:-]*)(?:[\s/>])",
            ),
            Word(b'g', r"</([A-Za-z][0-9A-Za-z.:-]*)>"),
            Word(b'a', r#"\s([A-Za-z][0-9A-Za-z:-]*)=["{]"#),
        ],
        JS_WORDS,
        JS,
    ),
    language(
        "json jsonc json5 jsonl ndjson json-lines geojson webmanifest hjson",
        &[Word(KEY, r#"("(?:[^"\\\n]|\\.)*")\s*:"#)],
        "",
        &[SLASH, QUOTED, VALUES],
    ),
    language(
        "yaml yml",
        &[
            Word(
                KEY,
                r"^\s*(?:-\s+)*([^\s:#\[{\x22'&*!|>-][^:#\n]*):(?:\s|$)",
            ),
            Word(b'v', r"(?:^|\s)([&*][A-Za-z][0-9A-Za-z_-]*)"),
            Word(b't', r"(?:^|\s)(!{1,2}[A-Za-z][0-9A-Za-z_-]*)"),
            Word(
                b'n',
                r"(?:[:\[,]\s*|-\s+)(yes|no|on|off|true|false|null|~|-?[0-9][0-9_.]*)\s*(?:$|[,\]}#])",
            ),
        ],
        "",
        &[HASH_WORD, QUOTED_VALUE],
    ),
    language(
        "toml",
        &[
            SECTION,
            Span(STRING, "'''", "'''", false),
            Word(KEY, r#"(?:^|[{,])\s*([0-9A-Za-z_."'-]+)\s*="#),
        ],
        "",
        &[TRIPLE, HASH, QUOTED, VALUES],
    ),
    language(
        "ini conf cfg systemd service editorconfig properties dotenv env gitconfig desktop",
        &[SECTION, Span(COMMENT, r"^\s*[;#]", "\n", false), KEY_EQUALS],
        "",
        &[QUOTED_VALUE, VALUES],
    ),
    language(
        "shell sh bash zsh ksh posix fish console shell-session shellsession bash-session terminal",
        &[
            Word(b'v', r"(?:^|[\s;])([A-Za-z_][0-9A-Za-z_]*)\+?="),
            Word(b'f', r"(?-u)\b([A-Za-z_][0-9A-Za-z_-]*)\s?\(\)"),
        ],
        "case do done elif else esac fi for function if in select then time until while break continue return local \
         export declare readonly set unset source exit trap eval exec",
        &[
            HASH_WORD,
            QUOTED,
            VARIABLE,
            &[Word(
                b'f',
                r"(?:^|[|;&(]|\b(?:do|then|else|sudo|exec)\s)\s*(?:(?:do|then|else|if|while|sudo|exec)\s+)?([A-Za-z_.~/][0-9A-Za-z_./+-]*)",
            )],
        ],
    ),
    in_any_case(language(
        "powershell ps1 pwsh",
        &[
            Span(COMMENT, "<#", "#>", false),
            Word(b'f', r"(?-u)\b([A-Z][a-z]+-[A-Z][A-Za-z]+)\b"),
        ],
        "begin break catch class continue do else elseif end exit filter finally for foreach function if in param \
         process return switch throw trap try until using while",
        &[HASH, QUOTED, VARIABLE, VALUES],
    )),
    in_any_case(language(
        "bat batch cmd dos",
        &[
            Span(COMMENT, r"(?i)^\s*(?:rem\s|::)", "\n", false),
            Word(b'v', r"%[^%\s]{1,40}%"),
        ],
        "echo set if else for in do goto call exit not exist off on setlocal endlocal pause",
        &[QUOTED, VALUES],
    )),
    language(
        "cpp c++ cc cxx hpp hxx h++ cuda cu opencl metal arduino ino",
        &[],
        C_WORDS,
        CPP,
    ),
    language("c h", &[], C_WORDS, CPP),
    language(
        "objective-c objc obj-c objectivec mm",
        &[Word(b'k', "@[a-z]+")],
        "break case char const continue default do double else enum extern float for id if int long nonatomic return self \
         short signed sizeof static strong struct super switch typedef unsigned void volatile weak while BOOL YES NO",
        CPP,
    ),
    language(
        "csharp cs c# c-sharp dotnet",
        &[],
        "abstract as async await base bool break byte case catch char checked class const continue decimal default \
         delegate do double dynamic else enum event explicit extern finally fixed float for foreach get if implicit in \
         init int interface internal is lock long namespace new object operator out override params partial private \
         protected public readonly record ref required return sealed set short sizeof static string struct switch this \
         throw try typeof uint ulong unsafe using var virtual void volatile when where while yield",
        &[TRIPLE, PREPROCESSOR, SLASH, DOUBLE, VALUES, CALLS, TYPES],
    ),
    language(
        "java",
        &[],
        "abstract assert boolean break byte case catch char class const continue default do double else enum extends \
         final finally float for if implements import instanceof int interface long native new package permits private \
         protected public record return sealed short static super switch synchronized this throw throws transient try \
         var void volatile while yield",
        JVM,
    ),
    language(
        "kotlin kt kts",
        &[],
        "abstract as break by catch class companion const constructor continue data do else enum external final finally \
         for fun get if import in infix init inline inner interface internal is lateinit object open operator override \
         package private protected public reified return sealed set super suspend tailrec this throw try typealias val \
         var vararg when where while",
        JVM,
    ),
    language(
        "scala sc sbt",
        &[],
        "abstract case catch class def do else end enum extends extension final finally for given if implicit import \
         lazy match new object override package private protected return sealed super then this throw trait try type \
         using val var while with yield",
        JVM,
    ),
    language(
        "groovy gradle jenkinsfile",
        &[],
        "abstract as assert boolean break case catch class continue def default do else enum extends final finally for \
         if implements import in instanceof int interface new package private protected public return static super \
         switch this throw throws try void while",
        &[TRIPLE, ANNOTATION, SLASH, QUOTED, VALUES, TYPES, CALLS],
    ),
    language(
        "go golang",
        &[],
        "any bool break byte case chan comparable complex128 complex64 const continue default defer else error \
         fallthrough float32 float64 for func go goto if import int int16 int32 int64 int8 interface map package range \
         return rune select string struct switch type uint uint16 uint32 uint64 uint8 uintptr var",
        &[BACKTICK, SLASH, DOUBLE, VALUES, CALLS, TYPES],
    ),
    language(
        "go.mod gomod go-mod go.sum",
        &[],
        "module go require replace exclude retract toolchain",
        &[SLASH, QUOTED],
    ),
    language(
        "swift",
        &[AT_WORD],
        "actor any as associatedtype async await break case catch class continue default defer deinit do else enum \
         extension fallthrough fileprivate final for func get guard if import in init inout internal is lazy let mutating \
         nonisolated open operator override private protocol public repeat rethrows return self Self set some static \
         struct subscript super switch throw throws try typealias unowned var weak where while",
        &[TRIPLE, SLASH, DOUBLE, VALUES, TYPES, CALLS],
    ),
    language(
        "dart",
        &[],
        "abstract as assert async await base bool break case catch class const continue covariant default deferred do \
         double dynamic else enum export extends extension external factory final finally for get if implements import \
         in int interface is late library mixin new num on operator part required rethrow return sealed set show static \
         super switch sync this throw try typedef var void while with yield",
        &[TRIPLE, ANNOTATION, SLASH, QUOTED, VALUES, TYPES, CALLS],
    ),
    language(
        "zig",
        &[AT_WORD],
        "align and anyerror anytype asm async await bool break catch comptime const continue defer else enum errdefer \
         error export extern f32 f64 fn for i16 i32 i64 i8 if inline isize noreturn or orelse packed pub return struct \
         switch test try type u16 u32 u64 u8 union unreachable usize var void volatile while",
        C_LIKE,
    ),
    language(
        "solidity sol",
        &[],
        "abstract address as assembly bool break bytes bytes32 calldata catch constant constructor continue contract do \
         else emit enum error event external fallback for function if immutable import indexed int interface internal is \
         library mapping memory modifier new override payable pragma private public pure return returns revert storage \
         string struct try uint uint256 using view virtual while",
        C_LIKE,
    ),
    language(
        "glsl hlsl wgsl vert frag",
        &[],
        "attribute bool break const continue discard do else float for highp if in inout int layout let fn lowp mat2 mat3 \
         mat4 mediump out precision return sampler2D struct switch uniform varying vec2 vec3 vec4 void while var",
        CPP,
    ),
    language(
        "proto protobuf protobuf3",
        &[],
        "bool bytes double enum extend fixed32 fixed64 float import int32 int64 map message oneof option optional package \
         public repeated required reserved returns rpc service sint32 sint64 stream string syntax uint32 uint64",
        C_LIKE,
    ),
    language(
        "graphql gql",
        &[AT_WORD],
        "directive enum extend fragment implements input interface mutation on query scalar schema subscription type union",
        &[TRIPLE, VARIABLE, HASH, QUOTED, VALUES, TYPES],
    ),
    language(
        "ruby rb gemfile rakefile",
        &[
            Span(COMMENT, "^=begin", "^=end", false),
            SYMBOL,
            Word(b'v', "@{1,2}[a-z_][0-9A-Za-z_]*"),
        ],
        "alias and attr_accessor attr_reader attr_writer begin break case class def do else elsif end ensure extend for \
         if in include module next not or private protected public raise redo require require_relative rescue retry \
         return self super then undef unless until when while yield",
        HASH_LIKE,
    ),
    language(
        "elixir ex exs",
        &[SYMBOL, AT_WORD],
        "after alias and case catch cond def defimpl defmacro defmodule defp defprotocol defstruct do else end fn for if \
         import in not or quote raise receive require rescue try unless unquote use when with",
        &[TRIPLE, HASH, QUOTED, VALUES, TYPES, CALLS],
    ),
    language(
        "php php8",
        &[
            Word(b'v', r"\$[A-Za-z_][0-9A-Za-z_]*"),
            Word(b'k', r"<\?(?:php|=)?|\?>"),
        ],
        "abstract and array as bool break callable case catch class clone const continue declare default do echo else \
         elseif enum extends final finally float fn for foreach function global goto if implements include include_once \
         instanceof insteadof int interface isset list match mixed namespace new or print private protected public \
         readonly require require_once return self static string switch this throw trait try unset use var void while \
         yield",
        &[SLASH, HASH_WORD, QUOTED, VALUES, TYPES, CALLS],
    ),
    language(
        "perl pl pm",
        &[Word(b'v', "[$@%][A-Za-z_][0-9A-Za-z_:]*")],
        "and cmp die do else elsif eq for foreach ge gt if last le local lt my ne next no not or our package print redo \
         require return shift sub undef unless until use while",
        &[HASH_WORD, QUOTED, VALUES, CALLS],
    ),
    language(
        "lua luau",
        &[
            Span(COMMENT, r"--\[\[", r"\]\]", false),
            Span(STRING, r"\[\[", r"\]\]", false),
        ],
        "and break do else elseif end for function goto if in local not or repeat return self then until while",
        &[DASHES, QUOTED, VALUES, CALLS],
    ),
    language(
        "r rscript rproj",
        &[],
        "break else for function if in next repeat return while library require Inf NA",
        HASH_LIKE,
    ),
    language(
        "julia jl",
        &[AT_WORD, Span(COMMENT, "#=", "=#", false)],
        "abstract baremodule begin break catch const continue do else elseif end export finally for function global if \
         import in let local macro module mutable quote return struct try using where while",
        &[TRIPLE, HASH, DOUBLE, VALUES, TYPES, CALLS],
    ),
    language(
        "nix",
        &[Span(STRING, "''", "''", false), KEY_EQUALS],
        "assert else if in inherit let or rec then with import",
        &[BLOCK_ONLY, HASH, STRING_ONLY, VALUES],
    ),
    language(
        "haskell hs lhs purescript elm",
        &[
            Span(COMMENT, r"\{-", r"-\}", false),
            Word(b'f', "^([a-z_][0-9A-Za-z_']*)\\s*::"),
        ],
        "as case class data deriving do else family forall foreign hiding if import in infix infixl infixr instance let \
         module newtype of qualified then type where",
        &[DASHES, DOUBLE, VALUES, TYPES],
    ),
    language(
        "ocaml ml mli reason reasonml rescript",
        &[],
        "and as assert begin class constraint do done downto else end exception external for fun function functor if in \
         include inherit initializer lazy let match method module mutable new nonrec object of open or private rec sig \
         struct then to try type val virtual when while with",
        &[PAREN_STAR, DOUBLE, VALUES, TYPES],
    ),
    language(
        "fsharp f# fs fsx f-sharp",
        &[],
        "abstract and as async begin class default do done downto elif else end exception for fun function if in inherit \
         inline interface internal lazy let match member module mutable namespace new not of open or override private \
         public rec return static struct task then to try type use val when while with yield",
        &[TRIPLE, PAREN_STAR, SLASH, DOUBLE, VALUES, TYPES, CALLS],
    ),
    language(
        "erlang erl hrl",
        &[Word(b'a', "^(-[a-z_]+)")],
        "after and andalso begin case catch div end fun if not of or orelse receive rem try when xor",
        &[PERCENT, QUOTED, VALUES, TYPES, CALLS],
    ),
    language(
        "clojure clj cljs edn",
        &[
            Word(b'n', r"(?:^|[\s(\[{])(:[0-9A-Za-z_./?!*-]+)"),
            LISP_HEAD,
        ],
        "",
        &[SEMICOLON, STRING_ONLY, VALUES],
    ),
    language(
        "lisp elisp el emacs-lisp scheme scm common-lisp racket",
        &[LISP_HEAD],
        "",
        &[SEMICOLON, STRING_ONLY, VALUES],
    ),
    in_any_case(language(
        "sql mysql postgresql postgres psql pgsql plpgsql sqlite sqlite3 tsql plsql duckdb",
        &[Word(STRING, r"'[^'\n]*'")],
        SQL_WORDS,
        &[DASHES, BLOCK_ONLY, VALUES, CALLS],
    )),
    language(
        "html htm xhtml vue svelte astro handlebars hbs mustache erb html+erb jinja2 jinja j2 django html+jinja \
         html+django nunjucks liquid twig",
        MARKUP,
        "",
        &[MARKUP_COMMENT],
    ),
    language(
        "xml svg xsd xsl xslt plist rss wsdl csproj",
        MARKUP,
        "",
        &[MARKUP_COMMENT],
    ),
    language(
        "css scss sass less postcss stylus",
        &[
            Word(COMMENT, r"^\s*//.*"),
            Word(b'k', "@[a-z-]+|![a-z]+"),
            Word(b'v', r"(?:--|\$)[A-Za-z][0-9A-Za-z_-]*"),
            Word(KEY, r"(?:^|[;{])\s*([a-z-]+)\s*:(?:\s|[^a-z:{\n]*;)"),
            Word(
                b'n',
                r"#[0-9a-fA-F]{3,8}\b|(?-u:\b)[0-9]+(?:\.[0-9]+)?(?:[a-z]{1,4}\b|%)?",
            ),
            Word(b't', "[.#][A-Za-z][0-9A-Za-z_-]*"),
            Word(b'f', r"([a-z-]+)\("),
        ],
        "",
        &[BLOCK_ONLY, QUOTED],
    ),
    language(
        "markdown md mdx rmd qmd",
        &[
            Word(b'h', r"^#{1,6}\s.*"),
            Word(COMMENT, r"^\s*>.*"),
            Word(b'k', r"^\s*([-*+]|[0-9]{1,9}[.)])\s"),
            Word(STRING, r"^\s*```.*|`[^`\n]+`"),
            Word(b'b', r"\*\*[^*\n]+\*\*"),
            Word(b'l', r"\]\(([^)\n]+)\)|https?://[^\s)>]+"),
        ],
        "",
        &[MARKUP_COMMENT],
    ),
    language(
        "diff patch udiff",
        &[
            Word(b'h', r"^(?:diff |index |--- |\+\+\+ |@@|Index: |={5,}).*"),
            Word(b'i', "^[+>].*"),
            Word(b'd', "^[-<].*"),
        ],
        "",
        &[],
    ),
    language(
        "dockerfile docker containerfile",
        &[
            Word(
                b'k',
                r"(?i)^\s*((?:FROM|RUN|CMD|LABEL|EXPOSE|ENV|ADD|COPY|ENTRYPOINT|VOLUME|USER|WORKDIR|ARG|ONBUILD|STOPSIGNAL|HEALTHCHECK|SHELL)\b)",
            ),
            Word(b'k', r"\s(AS)\s"),
        ],
        "",
        &[HASH_WORD, QUOTED, VARIABLE],
    ),
    language(
        "makefile make mk mak gnumakefile justfile just",
        &[
            Word(b'v', r"^([A-Za-z_][0-9A-Za-z_.-]*)\s*[:?+]?="),
            Word(b'f', r"^([^\s:#=$][^:=#\n]*?)\s*:(?:[^=]|$)"),
            Word(b'v', r"\$[({][^)}\n]*[)}]|\$[@<^*$]"),
            Word(
                b'k',
                r"^-?(?:include|ifeq|ifneq|ifdef|ifndef|else|endif|define|endef|export)\b",
            ),
        ],
        "",
        &[HASH_WORD, QUOTED_VALUE],
    ),
    language(
        "cmake",
        &[],
        "if else elseif endif foreach endforeach while endwhile function endfunction macro endmacro return include set",
        &[HASH, QUOTED, VARIABLE, VALUES, CALLS],
    ),
    language(
        "hcl tf terraform opentofu tfvars",
        &[KEY_EQUALS, Word(b'k', r"^\s*([a-z_]+)[^=\n]*\{")],
        "for in if each var local",
        &[SLASH, HASH, QUOTED, VALUES, CALLS],
    ),
    language(
        "nginx apache apacheconf htaccess ssh_config sshconfig ssh-config caddyfile",
        &[
            Word(b'k', r"^\s*([A-Za-z_]+)(?:\s|$)"),
            Word(b'g', r"^\s*(</?[A-Za-z]+)"),
        ],
        "",
        &[HASH_WORD, QUOTED, VARIABLE, VALUES],
    ),
    language(
        "http",
        &[
            Word(
                b'k',
                r"^(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS|HTTP/[0-9.]+)\b",
            ),
            Word(KEY, "^([A-Za-z-]+):"),
        ],
        "",
        &[STRING_ONLY, VALUES],
    ),
    language(
        "log",
        &[
            Word(COMMENT, r"^\[?[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.,]+Z?\]?"),
            Word(b'd', r"(?-u)\b(?:ERROR|FATAL|PANIC|error|fatal)\b"),
            Word(b'k', r"(?-u)\b(?:WARN|WARNING|warning)\b"),
            Word(b'f', r"(?-u)\b(?:INFO|DEBUG|TRACE)\b"),
        ],
        "",
        &[STRING_ONLY],
    ),
    language(
        "git-commit gitcommit commit_editmsg",
        &[
            Span(COMMENT, "^#", "\n", false),
            Word(KEY, r"^([A-Z][A-Za-z-]+):\s"),
        ],
        "",
        &[],
    ),
    language(
        "vim viml vimscript",
        &[
            Span(COMMENT, "^\\s*\"", "\n", false),
            Word(b'v', r"(?-u)\b[gbwtslav]:[A-Za-z_][0-9A-Za-z_]*"),
        ],
        "autocmd augroup call command echo else elseif end endfor endfunction endif endwhile execute for function if in \
         inoremap let map nmap nnoremap noremap return set setlocal silent syntax vnoremap while",
        &[QUOTED, VALUES, CALLS],
    ),
    in_any_case(language(
        "fortran f90 f95 f03",
        &[Span(COMMENT, "!", "\n", false)],
        "allocatable allocate call character complex contains deallocate dimension do double else elseif end enddo endif \
         function if implicit in inout integer intent interface kind logical module none only out parameter print \
         procedure program real recursive result return select case stop subroutine then type use where while write",
        &[QUOTED, VALUES, CALLS],
    )),
    in_any_case(language(
        "pascal pas delphi objectpascal",
        &[Span(COMMENT, r"\{", r"\}", false)],
        "and array begin case class const constructor destructor div do downto else end except finally for function if \
         implementation in inherited interface mod nil not of or procedure program property record repeat set string then \
         to try type unit until uses var while with",
        &[PAREN_STAR, SLASH, QUOTED, VALUES, TYPES, CALLS],
    )),
    language(
        "matlab octave",
        &[],
        "break case catch classdef continue else elseif end for function global if methods otherwise parfor persistent \
         properties return switch try until while",
        &[PERCENT, QUOTED_VALUE, VALUES, CALLS],
    ),
    language(
        "typst typ",
        &[Word(b'h', r"^=+\s.*"), Word(b'f', "#[a-z][0-9A-Za-z._-]*")],
        "",
        &[SLASH, STRING_ONLY, VALUES],
    ),
    language(
        "dot graphviz gv",
        &[],
        "digraph edge graph node strict subgraph",
        &[SLASH, STRING_ONLY, VALUES],
    ),
    language(
        "regex regexp re",
        &[
            Word(b'e', r"\\."),
            Word(b't', r"\[[^\]\n]*\]"),
            Word(b'k', r"[|()?*+^$]|\{[0-9,]+\}"),
        ],
        "",
        &[],
    ),
    language(
        "latex tex sty bib bibtex",
        &[
            Span(COMMENT, r"(?:^|[^\\])(%)", "\n", false),
            Word(b'f', r"\\(?:[A-Za-z@]+|.)"),
            Word(STRING, r"\$[^$\n]+\$"),
        ],
        "",
        &[],
    ),
    language(
        "asm s x86asm assembly nasm",
        &[
            Word(b'f', r"^\s*([A-Za-z_.$][0-9A-Za-z_.$]*):"),
            Word(b'k', r"^\s*(\.?[A-Za-z][0-9A-Za-z.]*)(?:\s|$)"),
            Word(
                b'v',
                r"(?-u)%[a-z0-9]+|\b(?:[re]?[abcd]x|[re]?[sd]i|[re]?[sb]p|r[0-9]{1,2}|x[0-9]{1,2}|w[0-9]{1,2}|sp|lr)\b",
            ),
        ],
        "",
        &[SEMICOLON, SLASH, QUOTED, VALUES],
    ),
    in_any_case(language(
        "visualbasic vb vbnet vb.net vba",
        &[Span(COMMENT, "'", "\n", false)],
        "and as boolean byref byval call case catch class const dim do double each else elseif end enum exit finally for \
         function get if imports in inherits integer is let long loop me mod module namespace new next not nothing object \
         of on optional or private property protected public readonly redim return select set shared step string \
         structure sub then throw to try until while with",
        &[STRING_ONLY, VALUES, CALLS],
    )),
];
