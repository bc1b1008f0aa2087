//! Chats, messages and files without their secrets.
#![allow(clippy::unwrap_used)]

use std::{collections::HashMap, sync::LazyLock};

use readalong_model::{Action, ArtifactRole, CallState, Role, Thread, ThreadKind, ToolCall};

use super::*;

static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(Options::default()).unwrap());

const TOKEN: &str = "ghp_Zq7Lw2Kd9Xc4Vb6Nm1Qa3Ws5Ed8Rf0Tg2Yh4";
const MARK: &str = "[redacted: GitHub token]";

fn redacted(text: &str) -> String {
    let mut text = text.to_owned();
    REDACTOR.text(&mut text, "text", &mut Known::default());
    text
}

fn said(text: &str) -> Message {
    let mut message = Message::new("m", Role::Assistant);
    message.parts = vec![Part::Text {
        markdown: text.to_owned(),
    }];
    message
}

fn text_of(message: &Message) -> String {
    let texts = message.parts.iter().filter_map(|part| match part {
        Part::Text { markdown } => Some(markdown.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("|")
}

#[derive(Default)]
struct Kept(HashMap<Digest, Vec<u8>>);

impl Files for Kept {
    fn read(&mut self, digest: Digest) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.get(&digest).cloned())
    }

    fn keep(&mut self, bytes: &[u8]) -> io::Result<Digest> {
        let digest = Digest::of(bytes);
        self.0.insert(digest, bytes.to_vec());
        Ok(digest)
    }
}

#[test]
fn every_rule_finds_its_examples_and_not_its_counterexamples() {
    let mut wrong = Vec::new();
    for rule in REDACTOR.rules() {
        if let Err(error) = REDACTOR.check_rule(rule.id) {
            wrong.push(error.to_string());
        }
    }
    let of = REDACTOR.rules().count();
    assert!(
        wrong.is_empty(),
        "{} of {of}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn a_mark_stands_in_the_place_of_a_secret_however_it_is_written() {
    let base64 = data_encoding::BASE64.encode(format!("token is {TOKEN} ok").as_bytes());
    let (head, tail) = TOKEN.split_at(17);
    for (text, wanted) in [
        (format!("a {TOKEN} b"), format!("a {MARK} b")),
        (format!("a {head}\x1b[0m{tail} b"), format!("a {MARK} b")),
        (format!("a {head}\n    {tail} b"), format!("a {MARK} b")),
        (format!("a {head}\n  12→{tail}\nb"), format!("a {MARK}\nb")),
        (format!("a\\n{TOKEN}\\nb"), format!("a\\n{MARK}\\nb")),
        (TOKEN.replace("ghp", "\\u0067hp"), MARK.to_owned()),
        (
            format!("https://h/?t%3D{}", TOKEN.replace('_', "%5F")),
            format!("https://h/?t%3D{MARK}"),
        ),
        (format!("x: {base64}!"), format!("x: {MARK}!")),
        (
            format!("A={TOKEN}\n./deploy.sh --env"),
            format!("A={MARK}\n./deploy.sh --env"),
        ),
        (
            format!("GITHUB_TOKEN={TOKEN}\nPORT=8080\n"),
            format!("GITHUB_TOKEN={MARK}\nPORT=8080\n"),
        ),
        (
            format!("{TOKEN}\nc0ntinues here"),
            format!("{MARK}\nc0ntinues here"),
        ),
        (format!("{TOKEN}{TOKEN}"), String::new()),
        (
            format!("GITHUB_TOKEN={TOKEN}"),
            format!("GITHUB_TOKEN={MARK}"),
        ),
        (
            "DB_PASSWORD=hunter2".to_owned(),
            "DB_PASSWORD=[redacted: password]".to_owned(),
        ),
        ("postgres://app:hunter2@db/x".to_owned(), String::new()),
    ] {
        let new = redacted(&text);
        match wanted.is_empty() {
            true => assert!(
                !new.contains("Zq7Lw2") && !new.contains("hunter2"),
                "{text}: {new}"
            ),
            false => assert_eq!(new, wanted, "{text}"),
        }
        assert_eq!(redacted(&new), new, "marks are no secrets");
    }
}

#[test]
fn every_field_is_gone_over() {
    let mut chat = Chat {
        title: format!("title {TOKEN}"),
        ..Chat::default()
    };
    chat.origin.app = Some(format!("app {TOKEN}"));
    chat.threads = vec![Thread {
        kind: ThreadKind::Subagent,
        title: Some(format!("thread {TOKEN}")),
        parent_call: None,
    }];
    let json = |text: String| RawJson::new(text).unwrap();
    let mut message = said(&format!("text {TOKEN}"));
    message.author.name = Some(TOKEN.to_owned());
    message.author.model = Some(TOKEN.to_owned());
    message.parts.extend([
        Part::Reasoning {
            markdown: format!("thought {TOKEN}"),
            duration_ms: None,
        },
        Part::ToolCall(ToolCall {
            call_id: "c".to_owned(),
            name: TOKEN.to_owned(),
            action: Action::Run {
                command: format!("curl {TOKEN}"),
                language: None,
                purpose: Some(TOKEN.to_owned()),
            },
            input: Some(json(format!(
                "{{\"{TOKEN}\": 1, \"x\": \"\\u0067{}\", \"api_key\": \"Zq7Lw2Kd9Xc4Vb6N\"}}",
                &TOKEN[1..]
            ))),
            state: CallState::Done,
        }),
        Part::ToolResult {
            call_id: "c".to_owned(),
            parts: vec![Part::Text {
                markdown: format!("out {TOKEN}"),
            }],
            is_error: false,
        },
        Part::Source {
            title: TOKEN.to_owned(),
            url: Some(format!("https://x/{TOKEN}")),
            excerpt: Some(TOKEN.to_owned()),
        },
        Part::Notice {
            kind: readalong_model::NoticeKind::Info,
            text: format!("notice {TOKEN}"),
        },
        Part::Unknown {
            label: TOKEN.to_owned(),
            json: json(format!("{{\"a\": [\"{TOKEN}\"]}}")),
        },
    ]);
    chat.messages = vec![message];
    let mut files = Kept::default();
    let bytes = format!("file {TOKEN}\n\u{fffd}").into_bytes();
    let sha256 = files.keep(&bytes).unwrap();
    chat.artifacts = vec![Artifact {
        name: format!("{TOKEN}.txt"),
        media_type: "text/plain".to_owned(),
        role: ArtifactRole::Uploaded,
        content: Availability::Present {
            sha256,
            size_bytes: bytes.len() as u64,
        },
        dimensions: None,
    }];
    let report = REDACTOR.chat(&mut chat, &mut files).unwrap();
    let shown = format!("{chat:?}");
    assert!(!shown.contains("Zq7Lw2"), "{shown}");
    let (sha256, size) = chat.artifacts[0].bytes().unwrap();
    let file = String::from_utf8(files.0[&sha256].clone()).unwrap();
    assert_eq!(file, format!("file {MARK}\n\u{fffd}"));
    assert_eq!(size, file.len() as u64);
    assert!(
        report
            .findings
            .iter()
            .all(|found| found.hint.chars().count() <= 5 && !found.kept)
    );
    let ids: std::collections::HashSet<_> = report
        .findings
        .iter()
        .filter(|found| found.kind == "GitHub token")
        .map(|found| found.id.clone())
        .collect();
    assert_eq!(ids.len(), 1, "one secret, one id: {:?}", report.findings);
}

#[test]
fn what_is_known_is_found_where_nothing_tells() {
    let mut chat = Chat {
        messages: vec![
            said("it printed tr0ub4dor&3xyz and ended"),
            said("DB_PASSWORD=tr0ub4dor&3xyz"),
            said("say tr0ub4dor&3xyz again"),
        ],
        ..Chat::default()
    };
    REDACTOR.chat(&mut chat, &mut Kept::default()).unwrap();
    for message in &chat.messages {
        assert!(
            text_of(message).contains("[redacted: password]"),
            "{message:?}"
        );
    }
    let mut known = Known::default();
    let outcome = REDACTOR.message(&mut said("DB_PASSWORD=tr0ub4dor&3xyz"), &mut known, false);
    assert!(outcome.has_learned);
    let mut later = said("it printed tr0ub4dor&3xyz and ended");
    let outcome = REDACTOR.message(&mut later, &mut known, false);
    assert!(!outcome.has_learned);
    assert_eq!(text_of(&later), "it printed [redacted: password] and ended");
}

#[test]
fn what_is_split_over_parts_is_found() {
    let (head, tail) = TOKEN.split_at(12);
    let mut message = said(&format!("a {head}"));
    message.parts.push(Part::Text {
        markdown: tail[..9].to_owned(),
    });
    message.parts.push(Part::Text {
        markdown: format!("{} b", &tail[9..]),
    });
    let outcome = REDACTOR.message(&mut message, &mut Known::default(), false);
    assert_eq!(text_of(&message), format!("a {MARK}|| b"));
    assert_eq!(outcome.report.removed(), 1);
}

#[test]
fn the_beginning_of_a_secret_is_held_back_while_a_text_grows() {
    for whole in [
        format!("the token is {TOKEN}"),
        "export API_KEY=Zq7Lw2Kd9Xc4Vb6N".to_owned(),
        "psql postgres://app:tr0ub4dor3@db/x".to_owned(),
        "{\"password\": \"tr0ub4dor3\"}".to_owned(),
    ] {
        for end in 1..=whole.len() {
            let mut message = said(&whole[..end]);
            REDACTOR.message(&mut message, &mut Known::default(), true);
            let shown = text_of(&message);
            for piece in ["Zq7L", "tr0u", "ghp_Z"] {
                assert!(!shown.contains(piece), "{} shows {shown}", &whole[..end]);
            }
        }
    }
    for text in [
        "some words",
        "it ends with a password",
        "look at https://a.example/",
        "git commit 4f8a1c9e",
        "ghost",
        "task",
    ] {
        let mut message = said(text);
        let outcome = REDACTOR.message(&mut message, &mut Known::default(), true);
        assert!(!outcome.is_held, "{text}");
        assert_eq!(text_of(&message), text);
    }
}

#[test]
fn what_its_owner_keeps_stays_and_is_reported() {
    let id = SecretId::of(TOKEN).to_string();
    for kept in ["all", "github token", "github-pat-classic", &id] {
        let mut message = said(&format!("a {TOKEN}"));
        let outcome = REDACTOR.keeping(&[kept.to_owned()]).message(
            &mut message,
            &mut Known::default(),
            false,
        );
        assert_eq!(text_of(&message), format!("a {TOKEN}"), "{kept}");
        assert_eq!((outcome.report.removed(), outcome.report.kept()), (0, 1));
    }
}

#[test]
fn own_rules_are_held_against_their_own_examples() {
    let with = |rules: &str| {
        Redactor::new(Options {
            rules: Some(rules.to_owned()),
            ..Options::default()
        })
    };
    let good = "[[rule]]\nid = \"acme\"\nkind = \"Acme key\"\nkeywords = [\"acme_\"]\npattern = 'acme_[0-9a-z]{12}'\nmatch = [\"acme_4f8a1c9e2b7d\"]\nmiss = [\"acme_x\"]\n";
    let mut text = "my acme_4f8a1c9e2b7d".to_owned();
    with(good)
        .unwrap()
        .text(&mut text, "text", &mut Known::default());
    assert_eq!(text, "my [redacted: Acme key]");
    for (wrong, words) in [
        (
            good.replace("{12}", "{13}"),
            "rule `acme` does not find its example `acme_4f8a1c9e2b7d`",
        ),
        (
            good.replace("{12}", "{12"),
            "the pattern of rule `acme` cannot be used",
        ),
        (
            good.replace("acme_\"]\npattern", "a\"]\npattern"),
            "rule `acme` needs keywords of at least 3 characters",
        ),
        (format!("{good}{good}"), "there are two rules `acme`"),
        (good.replace("kind", "knid"), "unknown field `knid`"),
    ] {
        let error = with(&wrong).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn hostile_texts_cost_no_more_than_others_and_stay() {
    for text in [
        "a".repeat(1 << 20),
        "a=".repeat(1 << 19),
        "=".repeat(1 << 20),
        "\\".repeat(1 << 18),
        "%41".repeat(1 << 18),
    ] {
        assert_eq!(redacted(&text), text);
    }
    for piece in [
        "eyJ",
        "token=",
        "ghp_",
        "://a:",
        "-----BEGIN PRIVATE KEY-----",
        "password",
        "\u{200b}",
        "sk-",
        "\n",
    ] {
        redacted(&piece.repeat((1 << 18) / piece.len()));
    }
}

#[path = "planted.rs"]
mod planted;

#[test]
fn kinds_are_what_marks_name_and_nothing_else() {
    for kind in [
        "GitHub token",
        "password",
        "private key",
        "password in a URL",
    ] {
        assert!(REDACTOR.is_kind(kind), "{kind}");
    }
    for none in ["all", "github-pat-classic", "example values", ""] {
        assert!(!REDACTOR.is_kind(none), "{none}");
    }
}
