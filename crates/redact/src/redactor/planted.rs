//! Secrets planted by every rule, in every place and encoding, and look-alikes of ten kinds: how many are found, how many found for nothing.
//!
//! `cargo test --package readalong-redact planted -- --nocapture` prints the figures.
#![allow(clippy::unwrap_used)]

use readalong_model::{Action, CallState, NoticeKind, Role, ToolCall};
use regex_automata::Input;

use super::*;

/// Planted secrets of one rule.
const A_RULE: usize = 3;
/// Look-alikes of one kind.
const A_KIND: usize = 250;
/// The least share of planted secrets that is found, and the greatest of look-alikes.
const RECALL_MIN: f64 = 0.98;
const FALSE_MAX: f64 = 0.005;

/// A small generator of numbers, the same at every run (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn of(&mut self, alphabet: &str, count: usize) -> String {
        let alphabet = alphabet.as_bytes();
        (0..count)
            .map(|_| char::from(alphabet[self.below(alphabet.len())]))
            .collect()
    }

    fn hex(&mut self, count: usize) -> String {
        self.of("0123456789abcdef", count)
    }

    fn word(&mut self) -> &'static str {
        const WORDS: [&str; 24] = [
            "server", "window", "config", "parser", "render", "message", "value", "stream",
            "thread", "cache", "header", "session", "client", "worker", "engine", "module",
            "number", "button", "table", "filter", "result", "layout", "record", "branch",
        ];
        WORDS[self.below(WORDS.len())]
    }

    /// A secret of the same shape: digits stay digits, letters letters of their case; hexadecimal stays so.
    fn alike(&mut self, secret: &str, from: usize) -> String {
        let is_hex = secret.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        let swap = |random: &mut Self, (at, char): (usize, char)| match char {
            _ if at < from => char,
            '0'..='9' => char::from(b'0' + random.below(10) as u8),
            'a'..='f' if is_hex => char::from(b'a' + random.below(6) as u8),
            'A'..='F' if is_hex => char::from(b'A' + random.below(6) as u8),
            'a'..='z' => char::from(b'a' + random.below(26) as u8),
            'A'..='Z' => char::from(b'A' + random.below(26) as u8),
            other => other,
        };
        secret.char_indices().map(|pair| swap(self, pair)).collect()
    }
}

/// A text with a secret in it, as a rule's example has it.
struct Planted {
    before: String,
    secret: String,
    after: String,
}

/// New secrets of a rule's kind in its example's surroundings.
fn planted(place: u16, random: &mut Random) -> Vec<Planted> {
    let scanner = &REDACTOR.scanner;
    let rule = scanner.rule(place);
    let compiled = rule.compiled().unwrap();
    let mut made = Vec::new();
    for number in 0..A_RULE {
        let example = &rule.examples[number % rule.examples.len()];
        let mut captures = compiled.regex.create_captures();
        compiled
            .regex
            .search_captures(&Input::new(example), &mut captures);
        let named = captures.get_group(compiled.group);
        let range = named.or_else(|| captures.get_group(0)).unwrap().range();
        let (before, after) = (
            example[..range.start].to_owned(),
            example[range.end..].to_owned(),
        );
        let secret = &example[range];
        // As much of it anew as the format allows.
        let new = [0, secret.len() / 4, secret.len() / 2, secret.len() * 3 / 4]
            .into_iter()
            .map(|from| random.alike(secret, from))
            .find(|new| {
                let has_check = rule.checksum.is_some_and(|_| rule.is_checksum_required);
                !has_check && scanner.finds_by(place, &format!("{before}{new}{after}"))
            });
        made.push(Planted {
            before,
            secret: new.unwrap_or_else(|| secret.to_owned()),
            after,
        });
    }
    made
}

/// How a text is written down, and what of the secret must not be there any more.
const ENCODINGS: usize = 8;

fn encoded(planted: &Planted, encoding: usize, random: &mut Random) -> (String, String) {
    let Planted {
        before,
        secret,
        after,
    } = planted;
    let plain = format!("{before}{secret}{after}");
    let cut = |random: &mut Random| {
        let mut at = secret.len() / 3 + random.below(secret.len() / 3 + 1);
        while !secret.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    match encoding {
        1 => (serde_json::to_string(&plain).unwrap(), secret.clone()),
        2 => {
            let inner = serde_json::to_string(&plain).unwrap();
            let outer = serde_json::json!({ "body": inner }).to_string();
            (outer, secret.clone())
        }
        3 => {
            let base64 = data_encoding::BASE64.encode(plain.as_bytes());
            (format!("data: {base64}\n"), base64)
        }
        4 if secret.len() > 12 && !secret.contains(char::is_whitespace) => {
            let at = cut(random);
            let (head, tail) = secret.split_at(at);
            (
                format!("{before}{head}\x1b[01;31m\x1b[K{tail}\x1b[m{after}"),
                tail.to_owned(),
            )
        }
        5 if secret.len() > 24 && secret.bytes().all(crate::view::is_token) => {
            let at = cut(random);
            let (head, tail) = secret.split_at(at);
            (
                format!("{before}{head}\n    {tail}{after}"),
                tail.to_owned(),
            )
        }
        6 if !plain.contains(|c: char| !c.is_ascii_graphic()) => {
            let percent: String = plain
                .chars()
                .map(|c| match c {
                    '=' | ':' | '/' | '"' | '\'' | '@' | '+' => format!("%{:02X}", c as u32),
                    c => c.to_string(),
                })
                .collect();
            (
                format!("https://h.example/?q={percent}&x=1"),
                secret.clone(),
            )
        }
        7 => (format!("```sh\n$ cat .env\n{plain}\n```\n"), secret.clone()),
        _ => (plain, secret.clone()),
    }
}

/// Places of a chat that a text can stand in.
const PLACES: usize = 10;

fn chat_with(text: &str, place: usize, files: &mut Kept) -> Chat {
    let mut message = Message::new("m", Role::Assistant);
    let mut chat = Chat::default();
    let text = text.to_owned();
    let call = |action, input| {
        Part::ToolCall(ToolCall {
            call_id: "c".to_owned(),
            name: "run".to_owned(),
            action,
            input,
            state: CallState::Done,
        })
    };
    match place {
        0 => message.parts.push(Part::Text { markdown: text }),
        1 => message.parts.push(Part::Reasoning {
            markdown: text,
            duration_ms: None,
        }),
        2 => message.parts.push(call(
            Action::Run {
                command: text,
                language: None,
                purpose: None,
            },
            None,
        )),
        3 => message.parts.push(call(
            Action::Other,
            Some(RawJson::from(&serde_json::json!({ "x": text }))),
        )),
        4 => message.parts.push(Part::ToolResult {
            call_id: "c".to_owned(),
            parts: vec![Part::Text { markdown: text }],
            is_error: false,
        }),
        5 => message.parts.push(Part::Source {
            title: "t".to_owned(),
            url: None,
            excerpt: Some(text),
        }),
        6 => message.parts.push(Part::Notice {
            kind: NoticeKind::Command,
            text,
        }),
        7 => chat.title = text,
        8 => message.parts.push(Part::Unknown {
            label: "x".to_owned(),
            json: RawJson::from(&serde_json::json!({ "a": [{ "b": text }] })),
        }),
        _ => {
            let sha256 = files.keep(text.as_bytes()).unwrap();
            chat.artifacts.push(Artifact {
                name: "notes.txt".to_owned(),
                media_type: "text/plain".to_owned(),
                role: readalong_model::ArtifactRole::Uploaded,
                content: Availability::Present {
                    sha256,
                    size_bytes: text.len() as u64,
                },
                dimensions: None,
            });
        }
    }
    chat.messages.push(message);
    chat
}

/// Everything that a chat says, as text.
fn said_by(chat: &Chat, files: &Kept) -> String {
    let mut said = format!("{}\n", chat.title);
    for message in &chat.messages {
        for part in &message.parts {
            said.push_str(&format!("{part:?}\n"));
        }
    }
    for artifact in &chat.artifacts {
        if let Some((sha256, _)) = artifact.bytes() {
            said.push_str(&String::from_utf8_lossy(&files.0[&sha256]));
        }
    }
    // `{:?}` and JSON write backslashes and quotes otherwise.
    said.replace('\\', "")
}

#[test]
fn planted_secrets_are_found_and_look_alikes_are_not() {
    let mut random = Random(20_261_127);
    let mut missed = Vec::new();
    let mut count = 0;
    for place in 0..REDACTOR.scanner.rules.len() as u16 {
        for planted in planted(place, &mut random) {
            let (encoding, field) = (count % ENCODINGS, (count / ENCODINGS) % PLACES);
            let (text, gone) = encoded(&planted, encoding, &mut random);
            let mut files = Kept::default();
            let mut chat = chat_with(&text, field, &mut files);
            REDACTOR.chat(&mut chat, &mut files).unwrap();
            count += 1;
            if said_by(&chat, &files).contains(&gone.replace('\\', "")) {
                let id = &REDACTOR.scanner.rule(place).id;
                missed.push(format!("{id}, encoding {encoding}, place {field}: {text}"));
            }
        }
    }
    let recall = 1.0 - missed.len() as f64 / count as f64;
    println!(
        "planted {count}, missed {}: recall {:.2} %",
        missed.len(),
        recall * 100.0
    );
    missed
        .iter()
        .take(60)
        .for_each(|missed| println!("  {missed}"));

    let mut false_alarms = Vec::new();
    let mut alikes = 0;
    for kind in 0..KINDS {
        for _ in 0..A_KIND {
            let text = look_alike(kind, &mut random);
            let mut new = text.clone();
            REDACTOR.text(&mut new, "text", &mut Known::default());
            alikes += 1;
            if new != text {
                false_alarms.push(format!("{kind}: {text} -> {new}"));
            }
        }
    }
    let share = false_alarms.len() as f64 / alikes as f64;
    println!(
        "look-alikes {alikes}, false alarms {}: {:.2} %",
        false_alarms.len(),
        share * 100.0
    );
    false_alarms
        .iter()
        .take(60)
        .for_each(|alarm| println!("  {alarm}"));

    assert!(count >= 2_000 && alikes >= 2_000);
    assert!(recall >= RECALL_MIN, "recall {recall}");
    assert!(share <= FALSE_MAX, "false alarms {share}");
}

/// Kinds of look-alikes.
const KINDS: usize = 10;

fn look_alike(kind: usize, random: &mut Random) -> String {
    const ALL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let (a, b, c) = (random.word(), random.word(), random.word());
    let turn = random.below(6);
    match kind {
        // Digests and commits.
        0 => match turn {
            0 => format!("commit {}", random.hex(40)),
            1 => format!("sha256:{}", random.hex(64)),
            2 => format!("\"sha256\": \"{}\"", random.hex(64)),
            3 => format!("index {}..{} 100644", random.hex(7), random.hex(7)),
            4 => format!("md5sum: {}  {a}.tar.gz", random.hex(32)),
            _ => format!("cache_key = \"{}\"", random.hex(40)),
        },
        // UUIDs.
        1 => {
            let uuid = format!(
                "{}-{}-4{}-a{}-{}",
                random.hex(8),
                random.hex(4),
                random.hex(3),
                random.hex(3),
                random.hex(12)
            );
            match turn {
                0 => format!("sessionId: {uuid}"),
                1 => format!("\"id\": \"{uuid}\""),
                2 => format!("/api/{a}/{uuid}/{b}"),
                3 => format!("request_id={uuid}"),
                4 => format!("{a}-{uuid}.json"),
                _ => format!("{a} {uuid} {b}"),
            }
        }
        // Integrity strings and lock files.
        2 => match turn {
            0..=2 => format!("\"integrity\": \"sha512-{}==\"", random.of(ALL, 86)),
            3 => format!("checksum = \"{}\"", random.hex(64)),
            4 => format!("integrity sha256-{}=", random.of(ALL, 43)),
            _ => format!("{a}@1.2.{turn} h1:{}=", random.of(ALL, 43)),
        },
        // Placeholders.
        3 => match turn {
            0 => "API_KEY=your_api_key_here".to_owned(),
            1 => format!("{}_TOKEN=<your {a} token>", a.to_uppercase()),
            2 => "password: changeme".to_owned(),
            3 => format!("{}_SECRET=xxxxxxxxxxxxxxxxxxxxxxxx", a.to_uppercase()),
            4 => "Authorization: Bearer <token>".to_owned(),
            _ => format!("postgres://user:password@localhost:5432/{a}"),
        },
        // References.
        4 => match turn {
            0 => format!("api_key = os.environ[\"{}_API_KEY\"]", a.to_uppercase()),
            1 => format!("token: ${{{{ secrets.{}_TOKEN }}}}", a.to_uppercase()),
            2 => format!("const secret = process.env.{}_SECRET", a.to_uppercase()),
            3 => format!("password = config.get(\"{a}.password\")"),
            4 => format!("DB_PASSWORD=$({a} read {b})"),
            _ => format!("--token \"${}_TOKEN\"", a.to_uppercase()),
        },
        // Code.
        5 => match turn {
            0 => format!("let token = {a}_{b}.next_token();"),
            1 => format!("password: Option<{}{b}>,", a.to_uppercase()),
            2 => format!("def {a}(self, password: str, token: str = None):"),
            3 => format!("if (key === '{a}{b}') return {c};"),
            4 => format!(
                "max_tokens: {}, pad_token_id: {}",
                random.below(9_000),
                random.below(9_000)
            ),
            _ => format!("const {a}Key = `{b}-${{{c}}}`;"),
        },
        // Pictures and fonts in base64.
        6 => match turn {
            0..=2 => format!(
                "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg{}",
                random.of(ALL, 200)
            ),
            3 => format!(
                "src: url(data:font/woff2;base64,d09GMgABAAAA{})",
                random.of(ALL, 160)
            ),
            _ => format!(
                "<img src=\"data:image/jpeg;base64,/9j/4AAQSkZJRg{}\">",
                random.of(ALL, 180)
            ),
        },
        // Names and slugs.
        7 => match turn {
            0 => format!("{a}-{b}-{c}-secret-{}", random.below(99)),
            1 => format!("secretName: {a}-{b}-tls"),
            2 => format!("class {}TokenProvider extends {b}Service", a.to_uppercase()),
            3 => format!("src/{a}/{b}/password_{c}.rs:{}", random.below(900)),
            4 => format!("key: {a}.{b}.{c}.title"),
            _ => format!("token_type: {a}_{b}"),
        },
        // Numbers, times, versions, addresses of pages.
        8 => match turn {
            0 => format!(
                "2026-11-{:02}T10:{:02}:00.123Z",
                1 + random.below(28),
                random.below(60)
            ),
            1 => format!(
                "https://{a}.example/{b}/{c}?page={}&sort=asc",
                random.below(99)
            ),
            2 => format!(
                "tokens: {} in, {} out",
                random.below(90_000),
                random.below(9_000)
            ),
            3 => format!(
                "v{}.{}.{}-{a}.{}",
                random.below(9),
                random.below(20),
                random.below(20),
                random.below(9)
            ),
            4 => format!(
                "{a}: {}.{} MB, {} files",
                random.below(900),
                random.below(9),
                random.below(900)
            ),
            _ => format!("+{} -{} {a}/{b}.rs", random.below(900), random.below(900)),
        },
        // Sentences.
        _ => match turn {
            0 => format!("The {a} token is validated before the {b} key is read."),
            1 => format!("Enter your password to open the {a}."),
            2 => format!("It keeps a secret per {a}, see the {b} documentation."),
            3 => format!("Error: invalid {a} token: expected {b}, found {c}"),
            4 => format!("password authentication failed for user \"{a}\""),
            _ => format!(
                "Rotate the {a} key and the {b} token every {} days.",
                10 + random.below(80)
            ),
        },
    }
}
