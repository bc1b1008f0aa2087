//! Values of telling names, in every syntax that shells, `.env`, JSON, YAML, TOML, XML and code write them: `DB_PASSWORD=…`, `"api_key": "…"`, `--token …`.
//!
//! Code instead of a pattern, since what is no secret matters as much: references, types, calls, names, counts of tokens.

use std::ops::Range;

use crate::{
    Sure,
    placeholder::{
        entropy, is_code, is_path_or_address, is_placeholder, is_reference, is_solid, is_wordy,
    },
};

/// What is looked for first. Each is a piece of a name.
pub(crate) const KEYWORDS: [&str; 12] = [
    "pass",
    "pwd",
    "secret",
    "token",
    "key",
    "cred",
    "mnemonic",
    "seed_phrase",
    "seedphrase",
    "auth",
    "pw",
    "salt",
];

/// The longest name, on each side of the keyword.
const NAME_BYTES_MAX: usize = 64;
/// White space around the sign between a name and its value.
const SPACES_MAX: usize = 24;
/// Words with digits that say how a secret is made or written.
const MADE_BY: [&str; 20] = [
    "sha1", "sha2", "sha3", "sha5", "md5", "base64", "base32", "utf", "aes", "argon2", "pbkdf2",
    "ed25519", "oauth2", "hs256", "rs256", "bcrypt", "scrypt", "x509", "2fa", "uuid",
];
/// What names a member whose value is a name, and how far from the name its value may begin.
const PAIRED: [&[u8]; 4] = [b"name", b"key", b"variable", b"var"];
const PAIR_BYTES_MAX: usize = 96;
/// The longest value.
const VALUE_BYTES_MAX: usize = 4_096;
/// Names within a value of more bytes are not looked at.
const LONG_BYTES: usize = 192;
/// The shortest password, and the shortest of other secrets.
const PASSWORD_CHARS_MIN: usize = 4;
const SECRET_CHARS_MIN: usize = 10;
/// The longest password.
const PASSWORD_CHARS_MAX: usize = 256;
/// The shortest secret of small letters alone.
const LETTERS_MIN: usize = 24;
/// Bits a character of other secrets, at least.
const ENTROPY_MIN: f64 = 2.8;

/// What a name says its value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Key,
    Token,
    Secret,
    Password,
    SeedPhrase,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Key,
        Self::Token,
        Self::Secret,
        Self::Password,
        Self::SeedPhrase,
    ];

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Key => "secret key",
            Self::Token => "token",
            Self::Secret => "secret",
            Self::Password => "password",
            Self::SeedPhrase => "seed phrase",
        }
    }

    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Key => "assigned-key",
            Self::Token => "assigned-token",
            Self::Secret => "assigned-secret",
            Self::Password => "assigned-password",
            Self::SeedPhrase => "assigned-seed-phrase",
        }
    }
}

type Found = (Range<usize>, Kind, Sure);

/// The secret that is the value of the name in which a keyword stands, and where that name ends: behind its value where that is long, so that names within it are
/// not looked at one after the other.
pub(crate) fn at(text: &str, keyword: Range<usize>) -> (usize, Option<Found>) {
    let bytes = text.as_bytes();
    let end = name_end(bytes, keyword.end);
    let start = with_word_before(text, name_start(bytes, keyword.start)..end);
    if !could_have_value(bytes, start, end) {
        return (end, None);
    }
    let Some(meaning) = Meaning::of(&text[start..end]) else {
        return (end, None);
    };
    let mut looked = Looked::default();
    let found = value_of(text, start..end, meaning, &mut looked);
    let is_long = looked.0.len() > LONG_BYTES;
    (if is_long { looked.0.end } else { end }, found)
}

/// The value that was looked at last.
#[derive(Default)]
struct Looked(Range<usize>);

/// True where something stands behind a name that a value could follow: most names stand in sentences and calls.
fn could_have_value(bytes: &[u8], start: usize, end: usize) -> bool {
    let at = label_end(bytes, end);
    let after = at + spaces(bytes, at);
    let is_flag = bytes[start] == b'-' && after > at;
    let is_told = is_flag || is_declared(bytes, start) && after > at;
    let is_sign = |byte: &u8| {
        matches!(
            byte,
            b'=' | b':' | b',' | b'(' | b'>' | b'|' | b'!' | b'?' | b'+'
        )
    };
    is_told
        || bytes.get(after).is_some_and(is_sign)
        || said_value(bytes, end).is_some()
        || paired_value(bytes, start..end).is_some()
}

/// The secret that a value is whose name is known, as a member of an object is.
pub(crate) fn named(name: &str, value: &str) -> Option<(Kind, Sure)> {
    let meaning = Meaning::of(name)?;
    let found = Value {
        text: value,
        is_quoted: true,
        is_env: false,
        is_line: false,
    };
    found.judge(meaning)
}

/// True for a name that says that its value is a secret.
pub(crate) fn is_telling(name: &str) -> bool {
    Meaning::of(name).is_some()
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn name_start(bytes: &[u8], from: usize) -> usize {
    let least = from.saturating_sub(NAME_BYTES_MAX);
    let mut start = from;
    while start > least && is_name(bytes[start - 1]) {
        start -= 1;
    }
    start
}

fn name_end(bytes: &[u8], from: usize) -> usize {
    let most = bytes.len().min(from + NAME_BYTES_MAX);
    let mut end = from;
    while end < most && is_name(bytes[end]) {
        end += 1;
    }
    while end > from && matches!(bytes[end - 1], b'.' | b'-') {
        end -= 1;
    }
    end
}

/// Where a name begins whose last word prose writes apart: `API key`, `Secret key`.
fn with_word_before(text: &str, name: Range<usize>) -> usize {
    let before = text[..name.start].strip_suffix(' ');
    let Some(before) = before.filter(|_| text[name.clone()].eq_ignore_ascii_case("key")) else {
        return name.start;
    };
    let bytes = before.as_bytes();
    let near = &bytes[bytes.len().saturating_sub(NAME_BYTES_MAX)..];
    let letters = near.iter().rev().take_while(|byte| is_name(**byte)).count();
    let word = &before[before.len() - letters..];
    let says_what = BEFORE_KEY
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known));
    if says_what {
        name.start - 1 - letters
    } else {
        name.start
    }
}

/// What a name says.
#[derive(Clone, Copy)]
struct Meaning {
    kind: Kind,
    /// Written as environment variables are: `DB_PASSWORD`.
    is_shouted: bool,
    /// A flag of a command: `--password`.
    is_flag: bool,
    /// It names nothing but a secret. A bare `token` or `key` can be many things.
    is_telling: bool,
}

/// Words that may follow the one that tells, as in `API_KEY_PROD`, `password2`, `token_value`.
const AFTER: [&str; 27] = [
    "value",
    "val",
    "prod",
    "production",
    "dev",
    "development",
    "staging",
    "stage",
    "test",
    "live",
    "sandbox",
    "old",
    "new",
    "current",
    "previous",
    "next",
    "main",
    "default",
    "primary",
    "secondary",
    "base64",
    "b64",
    "hex",
    "plain",
    "plaintext",
    "raw",
    "text",
];
/// Before `key` these say that it opens something.
const BEFORE_KEY: [&str; 50] = [
    "api",
    "secret",
    "private",
    "access",
    "auth",
    "encryption",
    "encrypt",
    "enc",
    "signing",
    "sign",
    "signature",
    "master",
    "app",
    "application",
    "account",
    "license",
    "licence",
    "service",
    "session",
    "client",
    "consumer",
    "shared",
    "storage",
    "admin",
    "webhook",
    "hmac",
    "aes",
    "rsa",
    "jwt",
    "jwe",
    "cookie",
    "deploy",
    "ssh",
    "root",
    "live",
    "server",
    "x",
    "rest",
    "write",
    "read",
    "subscription",
    "integration",
    "team",
    "personal",
    "security",
    "crypto",
    "cipher",
    "wallet",
    "management",
    "ingest",
];
/// Before `key` these say that it finds something, or may be seen by all.
const NOT_BEFORE_KEY: [&str; 41] = [
    "public",
    "pub",
    "primary",
    "foreign",
    "sort",
    "partition",
    "cache",
    "hot",
    "map",
    "dict",
    "lookup",
    "group",
    "unique",
    "composite",
    "index",
    "object",
    "row",
    "column",
    "col",
    "hash",
    "shard",
    "routing",
    "config",
    "setting",
    "settings",
    "i18n",
    "translation",
    "message",
    "react",
    "item",
    "node",
    "tree",
    "parent",
    "registry",
    "bucket",
    "redis",
    "shortcut",
    "short",
    "arrow",
    "enter",
    "query",
];
/// Before `token` these say that it is a piece of a text, or of a list.
const NOT_BEFORE_TOKEN: [&str; 38] = [
    "pad",
    "eos",
    "bos",
    "unk",
    "sep",
    "cls",
    "mask",
    "special",
    "next",
    "page",
    "continuation",
    "prev",
    "previous",
    "start",
    "end",
    "stop",
    "max",
    "min",
    "num",
    "total",
    "input",
    "output",
    "prompt",
    "completion",
    "cancellation",
    "cancel",
    "first",
    "last",
    "current",
    "punctuation",
    "lexer",
    "syntax",
    "semantic",
    "per",
    "design",
    "color",
    "image",
    "chat",
];

impl Meaning {
    fn of(name: &str) -> Option<Self> {
        let is_flag = name.starts_with('-');
        let words = words(name);
        let is_tolerated = |word: &&String| {
            AFTER.contains(&word.as_str()) || word.bytes().all(|byte| byte.is_ascii_digit())
        };
        let after = words.iter().rev().take_while(is_tolerated).count();
        // `token_value`, but not `value` alone.
        let (place, told) = words.iter().enumerate().rev().nth(after)?;
        let before = |back: usize| place.checked_sub(back).map(|at| words[at].as_str());
        let is_shouted = name.len() >= 3
            && name.bytes().any(|byte| byte.is_ascii_uppercase())
            && !name.bytes().any(|byte| byte.is_ascii_lowercase());
        let (kind, is_telling) = match told.as_str() {
            "password" | "passwort" | "passwd" | "passphrase" | "passcode" | "pwd" | "pass"
            | "pw" | "userpass" | "userpassword" | "dbpassword" | "dbpass" | "rootpassword"
            | "adminpassword" | "requirepass" | "masterauth" | "sshpass" | "keypass"
            | "storepass" => (
                Kind::Password,
                told != "pass" || place > 0 || is_flag || is_shouted,
            ),
            "secret" | "clientsecret" | "appsecret" | "secrets" | "sharedsecret" => {
                (Kind::Secret, place > 0 || told != "secret")
            }
            "credential" | "credentials" | "cred" | "creds" => (Kind::Secret, true),
            "token" | "authtoken" | "accesstoken" | "refreshtoken" | "apitoken" | "bearertoken"
            | "sessiontoken" | "usertoken" | "bottoken" => match before(1) {
                Some(word) if NOT_BEFORE_TOKEN.contains(&word) => return None,
                word => (Kind::Token, word.is_some() || told != "token"),
            },
            "apikey" | "secretkey" | "accesskey" | "privatekey" | "authkey" | "appkey"
            | "masterkey" | "encryptionkey" | "signingkey" | "licensekey" | "apisecret"
            | "accountkey" | "sharedaccesskey" | "sessionkey" => (Kind::Key, true),
            "key" => match before(1) {
                Some(word) if BEFORE_KEY.contains(&word) => (Kind::Key, true),
                Some(word) if NOT_BEFORE_KEY.contains(&word) => return None,
                Some(_) if is_shouted => (Kind::Key, true),
                Some(word)
                    if before(2).is_some_and(|w| BEFORE_KEY.contains(&w)) && word == "id" =>
                {
                    return None;
                }
                _ => (Kind::Key, false),
            },
            "salt" | "salts" if is_shouted || place > 0 => (Kind::Secret, false),
            "auth" if is_shouted && place > 0 || is_flag || name.starts_with("_") => {
                (Kind::Token, false)
            }
            "mnemonic" | "seedphrase" => (Kind::SeedPhrase, true),
            "phrase" if before(1) == Some("seed") || before(1) == Some("recovery") => {
                (Kind::SeedPhrase, true)
            }
            "base" if before(1) == Some("key") && before(2) == Some("secret") => (Kind::Key, true),
            _ => return None,
        };
        // `key` itself can be anything.
        if kind == Kind::Key && !is_telling && place == 0 {
            return None;
        }
        Some(Self {
            kind,
            is_shouted,
            is_flag,
            is_telling,
        })
    }
}

/// The words of a name, in small letters: `dbPassword`, `DB_PASSWORD` and `db-password` are the same.
fn words(name: &str) -> Vec<String> {
    let bytes = name.as_bytes();
    let mut words = Vec::new();
    for piece in bytes.split(|byte| !byte.is_ascii_alphanumeric()) {
        let mut from = 0;
        for at in 1..piece.len() {
            let (before, here) = (piece[at - 1], piece[at]);
            let begins = before.is_ascii_lowercase() && here.is_ascii_uppercase()
                || before.is_ascii_alphabetic()
                    && here.is_ascii_digit()
                    && piece[at..].iter().all(u8::is_ascii_digit)
                || before.is_ascii_uppercase()
                    && here.is_ascii_uppercase()
                    && piece.get(at + 1).is_some_and(u8::is_ascii_lowercase);
            if begins {
                words.push(String::from_utf8_lossy(&piece[from..at]).to_lowercase());
                from = at;
            }
        }
        if from < piece.len() {
            words.push(String::from_utf8_lossy(&piece[from..]).to_lowercase());
        }
    }
    words
}

/// The value behind a name.
fn value_of(
    text: &str,
    name: Range<usize>,
    meaning: Meaning,
    looked: &mut Looked,
) -> Option<Found> {
    let bytes = text.as_bytes();
    let is_tag = name.start > 0 && bytes[name.start - 1] == b'<';
    let quoted = |at: usize| at > 0 && matches!(bytes[at - 1], b'"' | b'\'' | b'`');
    let is_quoted_name = quoted(name.start);
    if let Some(at) = paired_value(bytes, name.clone()) {
        let style = Style {
            is_line: true,
            ..Style::default()
        };
        return judged(text, at, (meaning, style), looked);
    }
    if let Some(at) = said_value(bytes, name.end) {
        return judged_in_prose(text, name, at, meaning, looked);
    }
    let mut at = label_end(bytes, name.end);
    let spaces_before = spaces(bytes, at);
    at += spaces_before;
    let sign = Sign::at(&bytes[at..], is_tag);
    let is_tight = spaces_before == 0;
    let Some((sign, length)) = sign else {
        // `--password hunter2`, `IDENTIFIED BY`-like words have rules of their own.
        let is_declared = is_declared(bytes, name.start);
        let is_given = (meaning.is_flag || is_declared) && spaces_before > 0;
        let style = Style {
            is_line: is_declared,
            ..Style::default()
        };
        return is_given
            .then(|| {
                judged(
                    text,
                    at + line_goes_on(&bytes[at..]),
                    (meaning, style),
                    looked,
                )
            })
            .flatten();
    };
    at += length;
    let spaces_after = spaces(bytes, at);
    at += spaces_after;
    if sign == Sign::Colon {
        at = after_type(bytes, at + emphasis(&bytes[at..]));
    }
    let begins_line = line_begins_with(bytes, name.start);
    let style = Style {
        is_env: sign == Sign::Equals
            && is_tight
            && spaces_after == 0
            && (meaning.is_shouted || begins_line),
        needs_quotes: matches!(sign, Sign::Compared | Sign::Call | Sign::Else)
            || sign == Sign::Comma && is_quoted_name,
        is_line: begins_line && matches!(sign, Sign::Equals | Sign::Colon),
        until_tag: sign == Sign::Tag,
        until_bar: sign == Sign::Bar,
    };
    if sign == Sign::Comma && !is_quoted_name {
        return None;
    }
    judged(text, at, (meaning, style), looked)
}

/// How a value is written.
#[derive(Clone, Copy, Default)]
struct Style {
    /// As shells and `.env` files have it: up to the next space, whatever it is.
    is_env: bool,
    needs_quotes: bool,
    /// The name stands first on its line, as in YAML and INI.
    is_line: bool,
    until_tag: bool,
    until_bar: bool,
}

/// The sign between a name and its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Equals,
    Colon,
    Arrow,
    Compared,
    Comma,
    Call,
    Tag,
    Bar,
    /// What holds where there is no other value: `|| "…"`, `?? "…"`.
    Else,
}

impl Sign {
    fn at(bytes: &[u8], is_tag: bool) -> Option<(Self, usize)> {
        let is = |sign: &[u8]| bytes.starts_with(sign);
        Some(match bytes.first()? {
            _ if is(b"=>") => (Self::Arrow, 2),
            _ if is(b":=") => (Self::Equals, 2),
            _ if is(b"===") => (Self::Compared, 3),
            _ if is(b"==") => (Self::Compared, 2),
            _ if is(b"!==") => (Self::Compared, 3),
            _ if is(b"!=") => (Self::Compared, 2),
            _ if is(b"?=") || is(b"+=") => (Self::Equals, 2),
            _ if is(b"::") => return None,
            _ if is(b"||") || is(b"??") => (Self::Else, 2),
            b'=' => (Self::Equals, 1),
            b':' => (Self::Colon, 1),
            b',' => (Self::Comma, 1),
            b'(' => (Self::Call, 1),
            b'>' if is_tag => (Self::Tag, 1),
            b'|' => (Self::Bar, 1),
            _ => return None,
        })
    }
}

/// Where the value is of a name that is a value itself: `- name: DB_PASSWORD` with `value: …` on the next line, `{"Key": "…", "Value": "…"}`,
/// `<add key="…" value="…"/>`.
fn paired_value(bytes: &[u8], name: Range<usize>) -> Option<usize> {
    let is_mark = |byte: &u8| matches!(byte, b'"' | b'\'' | b'\\' | b' ' | b'\t');
    let near = &bytes[name.start.saturating_sub(PAIR_BYTES_MAX)..name.start];
    let marks = near.iter().rev().take_while(|byte| is_mark(byte)).count();
    let near = near[..near.len() - marks]
        .strip_suffix(b":")
        .or_else(|| near[..near.len() - marks].strip_suffix(b"="))?;
    let marks = near.iter().rev().take_while(|byte| is_mark(byte)).count();
    let near = &near[..near.len() - marks];
    let letters = near.iter().rev().take_while(|byte| is_name(**byte)).count();
    let label = &near[near.len() - letters..];
    if !PAIRED.iter().any(|word| label.eq_ignore_ascii_case(word)) {
        return None;
    }
    // What ends the name, and begins the next member: quotes, a comma, the end of the line, which may be written `\n`.
    let between = &bytes[name.end..bytes.len().min(name.end + PAIR_BYTES_MAX)];
    let is_between = |byte: &u8| is_mark(byte) || matches!(byte, b',' | b'\r' | b'\n');
    let mut at = between.iter().take_while(|byte| is_between(byte)).count();
    if at > 0 && between[at - 1] == b'\\' && between.get(at) == Some(&b'n') {
        at += 1;
        at += between[at..]
            .iter()
            .take_while(|byte| is_between(byte))
            .count();
    }
    let word = between[at..].get(..5)?;
    if at == 0 || !word.eq_ignore_ascii_case(b"value") {
        return None;
    }
    at += word.len();
    at += between[at..]
        .iter()
        .take_while(|byte| is_mark(byte))
        .count();
    if !matches!(between.get(at)?, b':' | b'=') {
        return None;
    }
    at += 1;
    Some(name.end + at + spaces(bytes, name.end + at))
}

/// Where the value is that prose tells: `the password is …`.
fn said_value(bytes: &[u8], name_end: usize) -> Option<usize> {
    let at = skip_closing(bytes, name_end);
    bytes[at..]
        .starts_with(b" is ")
        .then_some(at + b" is ".len())
}

/// A value in a sentence. Most that stands there is a word, or says how the secret is made.
fn judged_in_prose(
    text: &str,
    name: Range<usize>,
    at: usize,
    meaning: Meaning,
    looked: &mut Looked,
) -> Option<Found> {
    let style = Style {
        is_line: true,
        ..Style::default()
    };
    // `pwd` is a folder, too, and `pass` a turn.
    if ["pwd", "pass", "pw"].contains(&text[name].to_ascii_lowercase().as_str()) {
        return None;
    }
    let found = judged(text, at, (meaning, style), looked)?;
    let value = &text[found.0.clone()];
    let has = |is: fn(&u8) -> bool| value.as_bytes().iter().any(is);
    let lower = value.to_ascii_lowercase();
    let says_how = MADE_BY.iter().any(|word| lower.contains(word));
    let is_letters =
        |piece: &str| piece.len() >= 3 && piece.bytes().all(|byte| byte.is_ascii_alphabetic());
    // `8-character`, `HTTP/2`, `argv[2]`, `field3`
    let has_word =
        value.contains(['-', '/', '[', '_']) && value.split(['-', '/', '[', '_']).any(is_letters);
    let is_numbered = value
        .strip_suffix(|char: char| char.is_ascii_digit())
        .is_some_and(is_letters);
    let is_secret = has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
    (is_secret && !says_how && !has_word && !is_numbered).then_some(found)
}

/// True for a name that stands behind a word after which its value follows without a sign: `ENV DB_PASSWORD …`, `#define API_KEY …`.
fn is_declared(bytes: &[u8], name: usize) -> bool {
    let before = &bytes[name.saturating_sub(32)..name];
    let line = memchr::memrchr(b'\n', before).map_or(before, |newline| &before[newline + 1..]);
    [&b"ENV"[..], b"#define", b"setenv"].contains(&line.trim_ascii())
        && line.last().is_some_and(u8::is_ascii_whitespace)
}

/// How long the end of a line is that goes on with the next one, with the white space there: `--password \`.
fn line_goes_on(bytes: &[u8]) -> usize {
    let rest = match bytes {
        [b'\\', b'\n', rest @ ..] | [b'\\', b'\r', b'\n', rest @ ..] => rest,
        _ => return 0,
    };
    bytes.len() - rest.len() + spaces(rest, 0)
}

fn spaces(bytes: &[u8], at: usize) -> usize {
    bytes[at..]
        .iter()
        .take(SPACES_MAX)
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count()
}

/// Behind what may stand between a name and its sign: what closes the name, and the verb of `the password is: …`.
fn label_end(bytes: &[u8], name_end: usize) -> usize {
    let at = skip_closing(bytes, name_end);
    if bytes[at..].starts_with(b" is:") {
        at + b" is".len()
    } else {
        at
    }
}

/// Marks of Markdown that close a label behind its colon, and the white space behind them: `**Token:** …`.
fn emphasis(bytes: &[u8]) -> usize {
    let is_mark = |byte: &&u8| matches!(byte, b'*' | b'_');
    let marks = bytes.iter().take(3).take_while(is_mark).count();
    match bytes.get(marks) {
        Some(b' ' | b'\t') if marks > 0 => marks + spaces(bytes, marks),
        Some(b'`' | b'"' | b'\'') => marks,
        _ => 0,
    }
}

/// Behind quotes and brackets that close a name: `["token"]`.
fn skip_closing(bytes: &[u8], mut at: usize) -> usize {
    let most = at + 4;
    while at < most
        && bytes
            .get(at)
            .is_some_and(|byte| matches!(byte, b'"' | b'\'' | b'`' | b']' | b'\\' | b'*'))
    {
        at += 1;
    }
    at
}

/// Behind a type between a name and its value: `password: &str = "…"`.
fn after_type(bytes: &[u8], at: usize) -> usize {
    let line = &bytes[at..bytes.len().min(at + 48)];
    let length = line
        .iter()
        .take_while(|byte| {
            byte.is_ascii_alphabetic()
                || matches!(
                    byte,
                    b'&' | b'<' | b'>' | b'[' | b']' | b'?' | b' ' | b'.' | b'|' | b'\'' | b'_'
                )
        })
        .count();
    let (kind, rest) = line.split_at(length);
    let is_type = kind.iter().any(u8::is_ascii_alphabetic)
        && rest.first() == Some(&b'=')
        && !matches!(rest.get(1), Some(b'=' | b'>'));
    match is_type {
        true => at + length + 1 + spaces(bytes, at + length + 1),
        false => at,
    }
}

/// True where nothing but white space, `export` and the like stands before a name on its line.
fn line_begins_with(bytes: &[u8], name: usize) -> bool {
    let from = name.saturating_sub(32);
    let before = &bytes[from..name];
    let line = match memchr::memrchr(b'\n', before) {
        Some(newline) => &before[newline + 1..],
        None if from == 0 => before,
        None => return false,
    };
    // Emphasis and marks of lists: `- **Password:** …`.
    let stars = line.iter().rev().take_while(|byte| **byte == b'*').count();
    let line = line[..line.len() - stars].trim_ascii_end();
    // Behind white space a lone star begins a line of a comment.
    let is_item = line == b"*" || (stars > 0 && line.trim_ascii_start() == b"*");
    let line = line.trim_ascii_start();
    line.is_empty()
        || is_item
        || [
            &b"export"[..],
            b"set",
            b"ENV",
            b"ARG",
            b"-e",
            b"+",
            b"-",
            b"declare -x",
            b"env",
        ]
        .contains(&line)
}

fn judged(
    text: &str,
    at: usize,
    (meaning, style): (Meaning, Style),
    looked: &mut Looked,
) -> Option<Found> {
    let (range, is_quoted) = value_at(text, at, style)?;
    looked.0 = range.clone();
    if style.needs_quotes && !is_quoted {
        return None;
    }
    let value = Value {
        text: &text[range.clone()],
        is_quoted: is_quoted || style.until_tag || style.until_bar,
        is_env: style.is_env,
        is_line: style.is_line || meaning.is_flag,
    };
    let (kind, sure) = value.judge(meaning)?;
    if style.until_bar && sure == Sure::Possible {
        return None;
    }
    Some((range, kind, sure))
}

/// Where a value stands, and whether in quotes.
fn value_at(text: &str, mut at: usize, style: Style) -> Option<(Range<usize>, bool)> {
    let bytes = text.as_bytes();
    // Prefixes of literals, and what wraps them: `b"…"`, `Some("…")`, `String::from("…")`, `SecretStr('…')`.
    let line = &bytes[at..bytes.len().min(at + 40)];
    let opening = line
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\'' | b'`'));
    if let Some(opening) = opening {
        let before = &line[..opening];
        let is_prefix = match before {
            [] => true,
            [b'\\']
            | [b'b' | b'r' | b'f' | b'u' | b'@' | b'$' | b'L']
            | [b'r', b'b']
            | [b'b', b'r'] => true,
            _ => {
                before.ends_with(b"(")
                    && before[..before.len() - 1].iter().all(|byte| {
                        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'.')
                    })
                    && !is_lookup(before)
            }
        };
        if is_prefix {
            at += opening;
        }
    }
    let first = *bytes.get(at)?;
    let limit = bytes.len().min(at + VALUE_BYTES_MAX);
    if matches!(first, b'"' | b'\'' | b'`') {
        // The same quote again and again opens a text of several lines.
        let quotes = bytes[at..limit]
            .iter()
            .take(3)
            .take_while(|byte| **byte == first)
            .count();
        let start = if quotes == 3 { at + 3 } else { at + 1 };
        let mut end = start;
        while end < limit && bytes[end] != first && bytes[end] != b'\n' {
            // An escaped character is part of the value, an escaped quote of an outer text is its end.
            let is_escape = bytes[end] == b'\\' && end + 1 < limit;
            if is_escape && bytes[end + 1] == first && at > 0 && bytes[at - 1] == b'\\' {
                break;
            }
            end += if is_escape { 2 } else { 1 };
        }
        let end = to_char(text, end.min(limit));
        return (end > start).then_some((start..end, true));
    }
    let stops = |byte: u8| {
        byte.is_ascii_whitespace()
            || byte.is_ascii_control()
            || match style {
                Style {
                    until_tag: true, ..
                } => byte == b'<',
                Style {
                    until_bar: true, ..
                } => byte == b'|',
                Style { is_env: true, .. } => matches!(byte, b'"' | b'\'' | b'`' | b'\\'),
                _ => matches!(
                    byte,
                    b'"' | b'\''
                        | b'`'
                        | b','
                        | b';'
                        | b'<'
                        | b'>'
                        | b'|'
                        | b'&'
                        | b'\\'
                        | b')'
                        | b'}'
                        | b']'
                ),
            }
    };
    let length = bytes[at..limit]
        .iter()
        .take_while(|byte| !stops(**byte))
        .count();
    let mut end = at + length;
    // Punctuation of a sentence.
    while end > at && matches!(bytes[end - 1], b'.' | b':' | b',') && !style.is_env {
        end -= 1;
    }
    let end = to_char(text, end);
    let is_called = bytes.get(end) == Some(&b'(') || text[at..end].contains('(');
    (end > at && !is_called).then_some((at..end, false))
}

/// True for calls whose text says where the secret is, not what: `getenv("…")`, `config.get("…")`.
fn is_lookup(before: &[u8]) -> bool {
    let lower = String::from_utf8_lossy(before).to_lowercase();
    [
        "env", "get", "config", "read", "load", "input", "prompt", "find", "query", "field", "var",
        "secret(", "require", "import", "lookup", "fetch", "t(", "label",
    ]
    .iter()
    .any(|word| lower.contains(word))
}

fn to_char(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A value and how it was written.
struct Value<'a> {
    text: &'a str,
    is_quoted: bool,
    is_env: bool,
    /// The name stands first on its line, or is a flag: there is little else that the value could be.
    is_line: bool,
}

impl Value<'_> {
    /// What the value is, given what its name says; `None` for what is no secret.
    fn judge(&self, meaning: Meaning) -> Option<(Kind, Sure)> {
        let value = self.text;
        if meaning.kind == Kind::SeedPhrase {
            return is_seed_phrase(value).then_some((Kind::SeedPhrase, Sure::Likely));
        }
        if is_placeholder(value)
            || is_path_or_address(value)
            || value.bytes().any(|byte| byte.is_ascii_whitespace())
        {
            return None;
        }
        let is_password = meaning.kind == Kind::Password;
        if is_password {
            return self.judge_password(meaning);
        }
        self.judge_token(meaning)
    }

    fn judge_password(&self, meaning: Meaning) -> Option<(Kind, Sure)> {
        let value = self.text;
        let chars = value.chars().count();
        let (mut letters, mut digits, mut others, mut upper) = (0, 0, 0, 0);
        for char in value.chars() {
            match char {
                char if char.is_alphabetic() => letters += 1,
                char if char.is_ascii_digit() => digits += 1,
                _ => others += 1,
            }
            upper += usize::from(char.is_uppercase());
        }
        let is_long_enough = (PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&chars);
        if !is_long_enough || (!meaning.is_telling && letters == chars) {
            return None;
        }
        if letters == chars {
            // A word: of people's names for passwords, labels and types most are words too.
            let is_label = upper == 1 && value.starts_with(char::is_uppercase);
            // Capitals in the middle, and no words: somebody let a program make it.
            let is_random = upper >= 2 && upper < chars && chars >= 8 && !is_wordy(value);
            let is_named = self.is_env || self.is_quoted || self.is_line;
            let is_secret = match (self.is_env, self.is_quoted) {
                _ if is_random && is_named => true,
                (true, _) => chars >= 6 && meaning.is_shouted,
                (_, true) => chars >= 8 && !is_label && !is_camel(value),
                _ => meaning.is_flag && chars >= 6,
            };
            return is_secret.then_some((Kind::Password, Sure::Possible));
        }
        if digits == chars {
            let is_secret = chars >= 6 && (self.is_quoted || self.is_env);
            return is_secret.then_some((Kind::Password, Sure::Possible));
        }
        let is_name = is_code(value) && !(self.is_line && digits > 0 && !names_secret(value));
        if !self.is_env && !self.is_quoted && (is_name || others == chars || chars < 6) {
            return None;
        }
        // An argument that is handed on: `key_password=key_password,`.
        let handed_on = value.trim_end_matches([',', ';']);
        if !self.is_quoted && !meaning.is_shouted && is_code(handed_on) && names_secret(handed_on) {
            return None;
        }
        // `user_password`, `new-password`, `auth.password.reset`
        let is_named = others > 0 && digits == 0 && is_identifier(value) && is_wordy(value);
        if is_named {
            return None;
        }
        let sure = match chars >= 8 && digits > 0 {
            true => Sure::Likely,
            false => Sure::Possible,
        };
        Some((Kind::Password, sure))
    }

    fn judge_token(&self, meaning: Meaning) -> Option<(Kind, Sure)> {
        let value = self.text;
        let chars = value.len();
        if chars < SECRET_CHARS_MIN || !is_solid(value) {
            return None;
        }
        let digits = value.bytes().filter(u8::is_ascii_digit).count();
        let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
        let upper = value.bytes().filter(u8::is_ascii_uppercase).count();
        if letters == 0 || letters + digits < chars * 7 / 10 {
            return None;
        }
        let is_mixed = digits > 0 || (upper > 0 && upper < letters && chars >= 20);
        let is_long = chars >= LETTERS_MIN && meaning.is_telling && self.is_quoted;
        if !is_mixed && !is_long {
            return None;
        }
        if entropy(value) < ENTROPY_MIN || is_wordy(value) {
            return None;
        }
        if !self.is_quoted && !self.is_env && is_code(value) {
            return None;
        }
        if is_reference(&value.to_ascii_lowercase()) || is_version_or_date(value) {
            return None;
        }
        // A digest or an id where the name is no more than a word.
        let is_hex = value
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        if !meaning.is_telling && (is_hex || chars < 16) {
            return None;
        }
        let sure = match meaning.is_telling && chars >= 16 {
            true => Sure::Likely,
            false => Sure::Possible,
        };
        Some((meaning.kind, sure))
    }
}

/// True for values that are called as secrets are: `user1_password`, `self.token`.
fn names_secret(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    [
        "pass", "pwd", "secret", "token", "cred", "self.", "this.", "(",
    ]
    .iter()
    .any(|word| lower.contains(word))
}

/// `currentPassword`: names in code have a capital inside and no digit.
fn is_camel(value: &str) -> bool {
    value.starts_with(|char: char| char.is_ascii_lowercase())
        && value.bytes().any(|byte| byte.is_ascii_uppercase())
        && is_wordy(value)
}

fn is_identifier(value: &str) -> bool {
    value
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':'))
}

fn is_version_or_date(value: &str) -> bool {
    value.bytes().all(|byte| {
        byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b':' | b'T' | b'Z' | b'+' | b'v')
    })
}

/// Twelve to twenty-four small words, as BIP-39 has them.
fn is_seed_phrase(value: &str) -> bool {
    let words: Vec<&str> = value.split_ascii_whitespace().collect();
    let is_word = |word: &&str| {
        (3..=8).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase())
    };
    (12..=24).contains(&words.len()) && words.iter().all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of a text with one telling name, as it is found by any of the keywords.
    fn found(text: &str) -> Option<&str> {
        let lower = text.to_ascii_lowercase();
        let mut places: Vec<Range<usize>> = KEYWORDS
            .iter()
            .flat_map(|word| {
                lower
                    .match_indices(word)
                    .map(|(place, word)| place..place + word.len())
            })
            .collect();
        places.sort_by_key(|place| place.start);
        places
            .into_iter()
            .find_map(|place| at(text, place).1)
            .map(|(range, ..)| &text[range])
    }

    #[test]
    fn values_are_found_in_every_syntax() {
        for (text, secret) in [
            ("DB_PASSWORD=hunter2", "hunter2"),
            ("password=RhhcYwCHRHYC", "RhhcYwCHRHYC"),
            ("export API_KEY=Zq7Lw2Kd9Xc4Vb6N", "Zq7Lw2Kd9Xc4Vb6N"),
            ("\"api_key\": \"Zq7Lw2Kd9Xc4Vb6N\"", "Zq7Lw2Kd9Xc4Vb6N"),
            ("{\\\"password\\\": \\\"hunter2\\\"}", "hunter2"),
            ("password: hunter2!x", "hunter2!x"),
            ("password = \"correcthorse\"", "correcthorse"),
            (
                "let token: &str = \"Zq7Lw2Kd9Xc4Vb6N\";",
                "Zq7Lw2Kd9Xc4Vb6N",
            ),
            ("const apiKey = 'Zq7Lw2Kd9Xc4Vb6N'", "Zq7Lw2Kd9Xc4Vb6N"),
            ("'secret' => 'Zq7Lw2Kd9Xc4Vb6N',", "Zq7Lw2Kd9Xc4Vb6N"),
            ("<password>hunter2</password>", "hunter2"),
            ("curl --token Zq7Lw2Kd9Xc4Vb6N x", "Zq7Lw2Kd9Xc4Vb6N"),
            ("mysql --password=hunter2 db", "hunter2"),
            (
                "config[\"secret_key\"] = b\"Zq7Lw2Kd9Xc4Vb6N\"",
                "Zq7Lw2Kd9Xc4Vb6N",
            ),
            ("if password == \"hunter22\":", "hunter22"),
            ("client_secret := \"Zq7Lw2Kd9Xc4Vb6N\"", "Zq7Lw2Kd9Xc4Vb6N"),
            ("?access_token=Zq7Lw2Kd9Xc4Vb6N&x=1", "Zq7Lw2Kd9Xc4Vb6N"),
            ("DB_PASSWORD=p@ss,w0rd;x)", "p@ss,w0rd;x)"),
            ("setPassword(\"hunter22\")", "hunter22"),
            ("| Password | hunter2xyz |", "hunter2xyz"),
            ("dbPassword: 'tr0ub4dor&3'", "tr0ub4dor&3"),
            ("  password: hunter2", "hunter2"),
            ("password = hunter2", "hunter2"),
            ("SECRET_KEY = 'k3#v9!q2$w8@z5'", "k3#v9!q2$w8@z5"),
            ("API key: Zq7Lw2Kd9Xc4Vb6N", "Zq7Lw2Kd9Xc4Vb6N"),
            (
                "The AWS Secret Access Key = Zq7Lw2Kd9Xc4Vb6N",
                "Zq7Lw2Kd9Xc4Vb6N",
            ),
            ("| Secret key | Zq7Lw2Kd9Xc4Vb6N |", "Zq7Lw2Kd9Xc4Vb6N"),
            ("Your API key is: `Zq7Lw2Kd9Xc4Vb6N`.", "Zq7Lw2Kd9Xc4Vb6N"),
            ("1. **API key:** `Zq7Lw2Kd9Xc4Vb6N`", "Zq7Lw2Kd9Xc4Vb6N"),
            ("***Token:*** Zq7Lw2Kd9Xc4Vb6N", "Zq7Lw2Kd9Xc4Vb6N"),
            ("__Client secret:__ Zq7Lw2Kd9Xc4Vb6N", "Zq7Lw2Kd9Xc4Vb6N"),
            ("- **Password:** hunter2", "hunter2"),
            ("* **Password**: hunter2", "hunter2"),
            ("* Password: hunter2", "hunter2"),
            ("a:\n  * **Password:** hunter2", "hunter2"),
            ("The password is: hunter2!x", "hunter2!x"),
            ("Passwort: hunter2!x", "hunter2!x"),
            ("pw: hunter2!x", "hunter2!x"),
            ("kubectl create --from-literal=pw=hunter2!x", "hunter2!x"),
            ("  - name: DB_PASSWORD\n    value: hunter2x", "hunter2x"),
            (
                "  - name: DB_PASSWORD\r\n    value: \"hunter2x\"",
                "hunter2x",
            ),
            (
                "- name: API_TOKEN\\n  value: Zq7Lw2Kd9Xc4Vb6N\\n- name: x",
                "Zq7Lw2Kd9Xc4Vb6N",
            ),
            (
                "{\"name\": \"DB_PASSWORD\", \"value\": \"hunter2x\"}",
                "hunter2x",
            ),
            (
                "{\\\"Key\\\": \\\"DB_PASSWORD\\\", \\\"Value\\\": \\\"hunter2x\\\"}",
                "hunter2x",
            ),
            ("<add key=\"DbPassword\" value=\"hunter2x\" />", "hunter2x"),
            ("ENV DB_PASSWORD hunter2x", "hunter2x"),
            ("The password is hunter2x.", "hunter2x"),
            ("my API key is Zq7Lw2Kd9Xc4Vb6N, thanks", "Zq7Lw2Kd9Xc4Vb6N"),
            ("the root password is `hunter2x`", "hunter2x"),
            ("#define API_KEY \"Zq7Lw2Kd9Xc4Vb6N\"", "Zq7Lw2Kd9Xc4Vb6N"),
            ("mytool --password \\\n    hunter2x", "hunter2x"),
            (
                "const p = process.env.DB_PASSWORD || 'hunter2x';",
                "hunter2x",
            ),
            ("apiKey ?? \"Zq7Lw2Kd9Xc4Vb6N\"", "Zq7Lw2Kd9Xc4Vb6N"),
        ] {
            assert_eq!(found(text), Some(secret), "{text}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "password: string;",
            "key_password=key_password,",
            "password = request.form.password",
            "token = generate_token()",
            "max_tokens: 4096",
            "api_key = os.environ[\"API_KEY\"]",
            "API_KEY=${API_KEY}",
            "password: \"password\"",
            "token: Option<String>",
            "next_page_token: \"Zq7Lw2Kd9Xc4Vb6N\"",
            "public_key = \"Zq7Lw2Kd9Xc4Vb6N\"",
            "const tokenizer = \"Zq7Lw2Kd9Xc4Vb6N\"",
            "password=password",
            "key: value",
            "primary_key: true",
            "token_url = \"https://a.example/t0ken/x\"",
            "passed: 12",
            "secret_name: my-app-secret-2",
            "\"password\": \"<your password>\"",
            "API_KEY=your_api_key_here",
            "password: str = None",
            "errors.password = \"Passwort\"",
            "cache_key = \"4f8a1c9e2b7d60354f8a1c9e\"",
            "author: someone",
            "monkey = \"Zq7Lw2Kd9Xc4Vb6N\"",
            "token: 4f8a1c9e2b7d60354f8a1c9e2b7d60354f8a1c9e",
            "key = \"Zq7Lw2Kd9Xc4Vb6N\"",
            "password must be set",
            "token, err := parse()",
            "getenv(\"SECRET_KEY\")",
            "password_hash_rounds = 12",
            "token = self.next_token",
            "AUTH_KEY_FILE=/run/secrets/auth_key",
            "the key: Zq7Lw2Kd9Xc4Vb6N",
            "Primary key: Zq7Lw2Kd9Xc4Vb6N",
            "API keys: Zq7Lw2Kd9Xc4Vb6N",
            "api  key: Zq7Lw2Kd9Xc4Vb6N",
            "**API key:** your key from the dashboard",
            "**API key:** `process.env.API_KEY`",
            "- **Password:** at least 12 characters",
            "- **Token:** authentication",
            "The password is: correct",
            "The API key is: see `.env`",
            "pw = sync_playwright().start()",
            "/**\n * password: sha256hash\n */",
            "- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: db-secret-2",
            "- name: DB_PASSWORD\n  value: \"$(DB_PASSWORD_2)\"",
            "name: password\nvalues: abc123def",
            "<input name=\"password\" value=\"\" type=\"password\">",
            "if password || token2 {",
            "#define TOKEN_LPAREN 12",
            "the password is required",
            "The password is base64-encoded",
            "if the password is sha256-hashed",
            "the token is 32 bytes",
            "the secret is in us-east-1",
            "the password is \"correct\"",
            "the password is 12 characters long",
            "your pwd is /home/me1",
            "the first pass is 2x-faster than",
            "The password is 8-character minimum.",
            "The password is 2FA-protected",
            "the password is RSA-2048-encrypted",
            "the password is HTTP/2 only",
            "the password is argv[2]",
            "the password is field3 of the row",
            "the password is UUIDv4",
            "ENV TOKEN_COUNT 4096",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
