//! The pattern page: a chat in which everything that a page can show stands once, rendered with every built-in theme.
//!
//! Undefined variables are errors in templates, so a theme that renders this renders every chat. What templates get is compared with
//! what `docs/themes.md` lists. With `READALONG_PATTERN=DIR` the pages are written to `DIR/<theme>`, for looking at a theme.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
};

use minijinja::Value;
use readalong_model::{
    Action, Artifact, ArtifactId, ArtifactRole, Author, AuthorKind, Availability, CallState,
    Digest, Edit, LeftOut, Message, MessageId, NoticeKind, Origin, Part, PlanItem, PlanStatus,
    RawJson, Role, ShareCard, ShareVisibility, Snapshot, Status, Thread, ThreadId, ThreadKind,
    Timestamp, Updates, Usage, Visibility,
};
use readalong_themes::Theme;
use serde::Serialize;
use serde_json::json;

use crate::{NoticePage, Output, OutputError, Renderer, SigninPage, SitePage, context};

const DOCUMENT: &str = include_str!("../../../docs/themes.md");
const SVG: &[u8] =
    b"<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'><circle cx='4' cy='4' r='4' fill='teal'/></svg>";
/// A picture of 8 by 8 pixels.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAHElEQVR42mPQz9gLR28//4EjBipKIHOQFVFRAgBINIYB96TRXgAAAABJRU5ErkJggg==";
/// What has a section of its own in the document.
const OWN_SECTION: [&str; 7] = [
    "files",
    "message.parts",
    "part.entries",
    "part.files",
    "entry.result",
    "entry.thread",
    "entry.threads",
];
/// More prompts than one page of contents holds.
const PROMPTS: usize = crate::page::CONTENTS_PROMPTS_MAX + 1;

/// Files of a bundle, in memory.
#[derive(Default)]
struct Pages(BTreeMap<String, String>);

impl Output for Pages {
    fn write(
        &mut self,
        path: &str,
        pieces: &mut dyn Iterator<Item = Vec<u8>>,
    ) -> Result<(), OutputError> {
        let bytes: Vec<u8> = pieces.flatten().collect();
        self.0.insert(path.to_owned(), String::from_utf8(bytes)?);
        Ok(())
    }
}

impl Pages {
    fn of(theme: &Theme, snapshot: &Snapshot) -> Self {
        let mut pages = Self::default();
        let blobs = |digest| files().into_iter().find(|file| Digest::of(file) == digest);
        let renderer = Renderer::new(theme, true).unwrap();
        renderer.render(snapshot, &blobs, &mut pages).unwrap();
        pages
    }

    fn have(&self, text: &str) -> bool {
        let mut pages = self.0.iter().filter(|(path, _)| path.ends_with(".html"));
        pages.any(|(_, page)| page.contains(text))
    }
}

#[test]
fn every_theme_renders_the_pattern() {
    for name in readalong_themes::builtin_names() {
        let theme = Theme::load(&name).unwrap();
        for share in shares() {
            let pages = Pages::of(&theme, &pattern(share));
            if let Some(folder) = env::var_os("READALONG_PATTERN") {
                // Relative to the workspace, as the document has it.
                let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
                write_to(&root.join(folder).join(&name), &pages);
            }
            for seen in SEEN {
                assert!(pages.have(seen), "theme {name} does not show `{seen}`");
            }
            let kinds = ["2.html", "branch-", "thread-", "contents-2.html"];
            for kind in kinds {
                assert!(
                    pages.0.keys().any(|path| path.starts_with(kind)),
                    "no page {kind}"
                );
            }
        }
        Pages::of(&theme, &empty());
        let renderer = Renderer::new(&theme, false).unwrap();
        let notice = NoticePage {
            title: "Seen title",
            heading: "Seen heading",
            text: "Seen <text>",
            link: Some(("/signin?next=%2F", "Seen words")),
            root: "../",
        };
        let page = String::from_utf8(renderer.notice_page(&notice).unwrap()).unwrap();
        for seen in [
            "Seen title",
            "Seen heading",
            "Seen &lt;text&gt;",
            "Seen words",
            "\"../assets/",
        ] {
            assert!(page.contains(seen), "theme {name} does not show `{seen}`");
        }
        let listed = [(
            "s/x/".to_owned(),
            "Seen <chat>".to_owned(),
            Timestamp::from_millis(0).unwrap(),
        )];
        for (page, seen) in [
            (
                SitePage::Head {
                    href: "x/index.html",
                    title: Some("Seen \"title\""),
                },
                vec![
                    "Seen &quot;title&quot;",
                    "url=x/index.html",
                    "id=\"go\" href=\"x/index.html\"",
                    "location.replace",
                ],
            ),
            (SitePage::Gone, vec!["taken back", "script-src 'sha256-"]),
            (SitePage::Missing, vec!["nothing here", "location.replace"]),
            (
                SitePage::Catalogue(&listed),
                vec![
                    "Seen &lt;chat&gt;",
                    "href=\"s/x/\"",
                    "1970-01-01",
                    "addEventListener",
                ],
            ),
        ] {
            let page = String::from_utf8(renderer.site_page(&page).unwrap()).unwrap();
            let page = page.replace("&#39;", "'");
            for seen in seen {
                assert!(
                    page.contains(seen),
                    "theme {name} does not show `{seen}` in {page}"
                );
            }
        }
        let signin = SigninPage {
            text: "The chat is shared with signed-in viewers only.",
            provider: Some(("/signin/oidc?next=%2F", "Kites & Co.")),
            next: "/s/\">",
            user: "ada",
            error: Some("Seen reason"),
            root: "/",
        };
        let page = String::from_utf8(renderer.signin_page(&signin).unwrap()).unwrap();
        let seen = [
            "Seen reason",
            "form-action 'self'",
            "value=\"/s/&quot;&gt;\"",
            "value=\"ada\"",
        ];
        for seen in seen.map(|seen| seen.replace('\'', "&#39;")) {
            let is_there = page.contains(&seen) || page.contains(&seen.replace("&#39;", "'"));
            assert!(is_there, "theme {name} does not show `{seen}` in {page}");
        }
        assert!(!page.contains("<script"), "theme {name}");
    }
}

/// What the pages of the pattern must hold, whatever the theme: one thing of every kind.
const SEEN: [&str; 41] = [
    "Seen in prose",
    "Seen in a thought",
    "Thought for 12 s",
    "Seen in a result",
    "Seen in an error",
    "seen.rs:10-40",
    "seen-written.rs",
    "seen-edited.rs",
    "seen-removed.rs",
    "seen-patched.rs",
    "seen --command",
    "Seen as purpose",
    "# Seen in code",
    "Seen in files",
    "seen-folder",
    "seen.example",
    "Seen on the web",
    "Seen in a subagent",
    "Seen in a long subagent",
    "Seen in a loose thread",
    "Seen to do",
    "Seen being done",
    "Seen done",
    "seen_field",
    "seen_tool",
    "Seen in another version",
    "Seen model",
    "Seen person",
    "Seen interrupted",
    "Seen failed",
    "Seen summary",
    "Seen rewind",
    "Seen stop",
    "Seen in the queue",
    "Seen command",
    "Seen change of model",
    "Seen note",
    "Seen source",
    "Seen excerpt",
    "seen_record",
    "seen.pdf",
];

#[test]
fn templates_get_what_the_document_lists() {
    let mut given = BTreeSet::new();
    let mut add = |template: &str, context: serde_json::Value| {
        given.insert((template.to_owned(), String::new()));
        let mut found = BTreeSet::new();
        paths("", &context, &mut found);
        given.extend(found.into_iter().map(|path| (template.to_owned(), path)));
    };
    let (chat, share, left_out) = page_parts();
    add("page.html", json!(page_context(&chat, &share, &left_out)));
    add("notice.html", notice_context(false));
    add("signin.html", notice_context(true));
    add("site.html", site_context());
    add("message.html", json!({ "message": message_context() }));
    for part in all_parts() {
        let value = json!(part);
        add(&template_of(&value), json!({ "part": value }));
    }
    for entry in all_entries() {
        let value = json!(entry);
        add(&template_of(&value), json!({ "entry": value }));
    }
    add("parts/file.html", json!({ "file": file() }));
    add("parts/threads.html", json!({ "thread": thread() }));
    let documented = documented();
    let documented: BTreeSet<_> = documented
        .into_iter()
        .filter(|(template, _)| given.contains(&(template.clone(), String::new())))
        .collect();
    let missing: Vec<_> = given.difference(&documented).collect();
    let surplus: Vec<_> = documented.difference(&given).collect();
    assert!(missing.is_empty(), "docs/themes.md lacks {missing:?}");
    assert!(
        surplus.is_empty(),
        "docs/themes.md has {surplus:?}, which no template gets"
    );
}

#[test]
fn the_document_lists_templates_icons_and_properties() {
    let theme = Theme::load(readalong_themes::DEFAULT).unwrap();
    let documented: BTreeSet<String> = documented().into_iter().map(|(name, _)| name).collect();
    assert_eq!(documented, theme.names("templates").unwrap());
    for icon in theme.names("icons").unwrap() {
        let name = icon.trim_end_matches(".svg");
        assert!(DOCUMENT.contains(&format!("`{name}`")), "icon {name}");
    }
    let colours = theme.read("static/variables.css").unwrap().unwrap();
    for line in String::from_utf8_lossy(&colours).lines() {
        let Some((name, _)) = line
            .trim()
            .split_once(':')
            .filter(|(name, _)| name.starts_with("--"))
        else {
            continue;
        };
        let general = match name.trim_end_matches(|c: char| c.is_ascii_digit()) {
            stem if stem.len() < name.len() => format!("{stem}N"),
            _ => name.to_owned(),
        };
        assert!(
            DOCUMENT.contains(&format!("`{general}`")),
            "property {name}"
        );
    }
}

#[test]
fn the_format_document_lists_all_members_of_chat_json() {
    let theme = Theme::load(readalong_themes::DEFAULT).unwrap();
    let [_, share, _] = shares();
    let pages = Pages::of(&theme, &pattern(share));
    let chat: serde_json::Value = serde_json::from_str(&pages.0["chat.json"]).unwrap();
    let document = include_str!("../../../docs/format.md");
    let spans = document.split('`').skip(1).step_by(2);
    let words: BTreeSet<&str> = spans
        .flat_map(|span| span.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .collect();
    let mut members = BTreeSet::new();
    collect_members(&chat, &mut members);
    let missing: Vec<_> = members
        .iter()
        .filter(|name| !words.contains(name.as_str()))
        .collect();
    assert!(missing.is_empty(), "docs/format.md lacks {missing:?}");
}

/// Names of members at all depths, and texts that are kinds; what stands there as it was is left out.
fn collect_members(value: &serde_json::Value, members: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(object) => {
            for (name, value) in object {
                members.insert(name.clone());
                if ["kind", "role", "status", "state", "visibility", "updates"]
                    .contains(&name.as_str())
                {
                    members.extend(value.as_str().map(str::to_owned));
                }
                if !["input", "json"].contains(&name.as_str()) {
                    collect_members(value, members);
                }
            }
        }
        serde_json::Value::Array(elements) => elements
            .iter()
            .for_each(|element| collect_members(element, members)),
        _ => {}
    }
}

#[test]
fn a_theme_reaches_what_it_replaces() {
    let folder = env::temp_dir().join(format!("readalong-pattern-{}", std::process::id()));
    fs::create_dir_all(folder.join("templates")).unwrap();
    fs::write(folder.join("theme.toml"), "name = \"mine\"").unwrap();
    let end = "{% include \"default/end.html\" %}<p>Mine: {{ version }}</p>";
    fs::write(folder.join("templates/end.html"), end).unwrap();
    let theme = Theme::load(folder.to_str().unwrap()).unwrap();
    let pages = Pages::of(&theme, &pattern(None));
    fs::write(
        folder.join("templates/end.html"),
        "{{ no_such_variable.here }}",
    )
    .unwrap();
    let renderer = Renderer::new(&theme, false).unwrap();
    let strict = renderer.render(&pattern(None), &|_| None, &mut Pages::default());
    fs::remove_dir_all(&folder).unwrap();
    assert!(pages.have("later messages are not in it") && pages.have("<p>Mine: 0."));
    assert!(strict.is_err(), "an unknown variable is an error");
}

/// Template and path of every variable that the document lists; the path is empty for the template itself.
fn documented() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    let mut template = None;
    let code = |text: &str| text.split('`').nth(1).map(str::to_owned);
    for line in DOCUMENT.lines() {
        if line.starts_with('#') {
            template = code(line).filter(|name| line.starts_with("### `") && name.contains('.'));
            found.extend(template.clone().map(|name| (name, String::new())));
        } else if let (Some(template), true) = (&template, line.starts_with("| `")) {
            found.extend(code(line).map(|path| (template.clone(), path)));
        }
    }
    found
}

fn template_of(value: &serde_json::Value) -> String {
    format!("parts/{}.html", value["kind"].as_str().unwrap())
}

/// The paths of all leaves: `page.href`, `prompts[].text`.
fn paths(prefix: &str, value: &serde_json::Value, found: &mut BTreeSet<String>) {
    let has_own_section = OWN_SECTION.contains(&prefix);
    match value {
        serde_json::Value::Object(members) if !has_own_section => {
            for (name, value) in members {
                let dot = if prefix.is_empty() { "" } else { "." };
                paths(&format!("{prefix}{dot}{name}"), value, found);
            }
        }
        serde_json::Value::Array(elements) if !has_own_section => {
            assert!(!elements.is_empty(), "{prefix} needs an element");
            elements
                .iter()
                .for_each(|element| paths(&format!("{prefix}[]"), element, found));
        }
        _ => _ = found.insert(prefix.to_owned()),
    }
}

fn write_to(folder: &Path, pages: &Pages) {
    let write = |path: &str, bytes: &[u8]| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    for (path, text) in &pages.0 {
        write(path, text.as_bytes());
    }
    for artifact in artifacts() {
        if let (Some(path), Some((digest, _))) = (artifact.path(), artifact.bytes()) {
            let file = files()
                .into_iter()
                .find(|file| Digest::of(file) == digest)
                .unwrap();
            write(&path, &file);
        }
    }
}

// Contexts with every member there. A new member does not compile until it stands here, and fails until the document lists it.

fn text() -> String {
    "x".to_owned()
}

fn html() -> Value {
    Value::from_safe_string(text())
}

fn page_parts() -> (context::ChatHead, context::Share, context::LeftOut) {
    let chat = context::ChatHead {
        title: text(),
        app: Some(text()),
        created_at: Some(text()),
        updates: "frozen",
        visibility: "public",
    };
    let share = context::Share {
        by: text(),
        at: text(),
    };
    let left_out = context::LeftOut {
        artifacts: true,
        words: text(),
    };
    (chat, share, left_out)
}

fn page_context<'a>(
    chat: &'a context::ChatHead,
    share: &'a context::Share,
    left_out: &'a context::LeftOut,
) -> impl Serialize + use<'a> {
    let live = context::Live {
        epoch: text(),
        seq: 1,
        pages: text(),
        signin: text(),
        viewers: 1,
        at: Some(text()),
    };
    let prompt = context::PromptLink {
        page: text(),
        anchor: text(),
        text: text(),
        at: Some(text()),
    };
    json!(context::PageContext {
        page: context::Page {
            kind: "main",
            href: "x",
            label: "x",
            title: Some("x"),
            previous: Some("x"),
            next: Some("x"),
            back: Some("x"),
            first_prompt: 1,
            redacted: 1,
        },
        chat,
        share: Some(share),
        left_out,
        prompts: &[prompt],
        messages: html(),
        end: Some(context::End {
            empty: true,
            damaged_records: 1,
            as_of: Some(text()),
        }),
        files: &[file()],
        live: Some(&live),
        styles: &[text()],
        scripts: &[text()],
        find_scripts: &[text()],
        csp: "x",
        version: "x",
    })
}

fn notice_context(has_form: bool) -> serde_json::Value {
    let link = context::NoticeLink {
        href: "x",
        words: "x",
    };
    let form = context::SigninForm {
        next: "x",
        user: "x",
        error: Some("x"),
        provider: Some(context::NoticeLink {
            href: "x",
            words: "x",
        }),
    };
    json!(context::NoticeContext {
        page: context::NoticeHead { label: "x" },
        chat: context::NoticeChat { title: "x" },
        notice: context::Notice {
            heading: "x",
            text: "x",
            link: Some(link).filter(|_| !has_form),
            form: Some(form).filter(|_| has_form),
        },
        styles: &[text()],
        scripts: &[text()],
        csp: "x",
        version: "x",
    })
}

fn site_context() -> serde_json::Value {
    json!(context::SiteContext {
        site: context::Site {
            kind: "catalogue",
            title: "x",
            heading: "x",
            text: "x",
            href: Some("x"),
            words: "x",
            shares: vec![context::SiteShare {
                href: "x",
                title: "x",
                at: text(),
            }],
        },
        style: "x".into(),
        script: "x".into(),
        csp: "x",
        version: "x",
    })
}

fn message_context() -> context::MessageContext<'static> {
    context::MessageContext {
        kind: "prompt",
        role: "user",
        status: "complete",
        key: "x",
        anchor: Some("x"),
        number: 1,
        heading: Some("x"),
        at: Some(text()),
        day: Some(text()),
        author: Some("x"),
        parts: all_parts(),
        alternatives: vec![context::Version {
            number: 1,
            href: Some(text()),
        }],
    }
}

fn all_parts() -> Vec<context::PartContext> {
    use context::PartContext as Kind;
    vec![
        Kind::Text { html: html() },
        Kind::Activity {
            summary: text(),
            failed: true,
            duration: Some(text()),
            entries: all_entries(),
        },
        Kind::Output {
            is_error: true,
            first: html(),
            rest: Some(html()),
            more: text(),
        },
        Kind::Image(context::Image {
            src: Some(text()),
            href: Some(text()),
            alt: text(),
            caption: Some(text()),
            width: Some(1),
            height: Some(1),
            absent: Some("x"),
            host: Some(text()),
        }),
        Kind::Files {
            files: vec![file()],
        },
        Kind::Sources {
            sources: vec![context::Source {
                title: text(),
                url: Some(text()),
                host: Some(text()),
                excerpt: Some(text()),
            }],
        },
        Kind::Notice {
            notice: "info",
            icon: "info",
            title: text(),
            html: Some(html()),
        },
    ]
}

fn all_entries() -> Vec<context::Entry> {
    use context::Entry as Kind;
    vec![
        Kind::Call(Box::new(context::Call {
            anchor: Some(text()),
            verb: text(),
            object: Some(text()),
            object_full: Some(text()),
            added: 1,
            removed: 1,
            size: Some(text()),
            state: "done",
            input: Some(html()),
            result: Vec::new(),
            threads: vec![thread()],
        })),
        Kind::Reasoning {
            anchor: Some(text()),
            html: Some(html()),
            duration: Some(text()),
        },
        Kind::Quiet {
            anchor: Some(text()),
            part: "unknown",
            title: text(),
            html: html(),
        },
        Kind::Result {
            anchor: Some(text()),
            result: Vec::new(),
        },
        Kind::Thread {
            anchor: Some(text()),
            thread: thread(),
        },
    ]
}

fn file() -> context::File {
    context::File {
        name: text(),
        href: Some(text()),
        facts: text(),
    }
}

fn thread() -> context::ThreadContext {
    context::ThreadContext {
        summary: text(),
        href: Some(text()),
        messages: Some(html()),
    }
}

// The pattern itself.

fn at(minute: i64) -> Option<Timestamp> {
    Timestamp::from_millis(1_767_225_600_000 + minute * 60_000).ok()
}

fn shares() -> [Option<ShareCard>; 3] {
    let share = |visibility, updates| {
        Some(ShareCard {
            shared_by: "Seen person".to_owned(),
            shared_at: at(90).unwrap(),
            visibility,
            updates,
        })
    };
    [
        None,
        share(ShareVisibility::Private, Updates::Live),
        share(ShareVisibility::Public, Updates::Frozen),
    ]
}

fn artifact(name: &str, media_type: &str, content: Availability) -> Artifact {
    Artifact {
        name: name.to_owned(),
        media_type: media_type.to_owned(),
        role: ArtifactRole::Uploaded,
        content,
        dimensions: Some((8, 8)),
    }
}

/// The bytes of all files: raster, drawing, document, extracted text, page.
fn files() -> [Vec<u8>; 5] {
    let raster = data_encoding::BASE64.decode(PNG.as_bytes()).unwrap();
    let others = [SVG, b"%PDF-1.4\n", b"Extracted text.\n", b"<p>A page</p>\n"];
    let [drawing, document, text, page] = others.map(<[u8]>::to_vec);
    [raster, drawing, document, text, page]
}

fn artifacts() -> Vec<Artifact> {
    let [raster, drawing, document, text, page] = files();
    let present = |bytes: &[u8]| Availability::Present {
        sha256: Digest::of(bytes),
        size_bytes: bytes.len() as u64,
    };
    let text_only = Availability::TextOnly {
        sha256: Digest::of(&text),
        size_bytes: text.len() as u64,
    };
    let external = Availability::External {
        url: "https://images.example/a.png".to_owned(),
    };
    vec![
        artifact("raster.png", "image/png", present(&raster)),
        artifact("drawing.svg", "image/svg+xml", present(&drawing)),
        artifact("lost.png", "image/png", Availability::Missing),
        artifact("elsewhere.png", "image/png", external),
        artifact("seen.pdf", "application/pdf", present(&document)),
        artifact("notes.docx", "application/msword", text_only),
        artifact("page.html", "text/html", present(&page)),
    ]
}

fn prose(markdown: &str) -> Part {
    Part::Text {
        markdown: markdown.to_owned(),
    }
}

fn message(id: &str, role: Role, parts: Vec<Part>) -> Message {
    Message {
        parts,
        ..Message::new(id, role)
    }
}

fn call(id: &str, action: Action, state: CallState) -> Part {
    Part::ToolCall(readalong_model::ToolCall {
        call_id: id.to_owned(),
        name: "seen_tool".to_owned(),
        action,
        input: Some(RawJson::new(r#"{"seen_field": "a\nb", "n": [1]}"#.to_owned()).unwrap()),
        state,
    })
}

fn result(id: &str, is_error: bool, parts: Vec<Part>) -> Part {
    Part::ToolResult {
        call_id: id.to_owned(),
        parts,
        is_error,
    }
}

fn actions() -> Vec<Action> {
    let s = str::to_owned;
    let write = |path: &str| Action::Write {
        path: s(path),
        content: s("fn main() {}\n"),
    };
    let edits = vec![
        Edit::Replace {
            old: s("a\n"),
            new: s("b\n"),
        },
        Edit::Unified {
            diff: s("@@ -1 +1 @@\n-a\n+b\n"),
        },
    ];
    let plan = [
        ("Seen to do", PlanStatus::Pending),
        ("Seen being done", PlanStatus::Active),
        ("Seen done", PlanStatus::Done),
    ];
    let remove = |path: &str| Action::Remove { path: s(path) };
    vec![
        Action::Other,
        Action::Read {
            path: s("seen.rs"),
            lines: Some(s("10-40")),
        },
        write("seen-written.rs"),
        Action::Edit {
            path: s("seen-edited.rs"),
            edits,
        },
        remove("seen-removed.rs"),
        Action::Patch {
            files: vec![write("seen-patched.rs"), remove("b.rs")],
        },
        Action::Run {
            command: s("seen --command \u{1b}[31m"),
            language: None,
            purpose: Some(s("Seen as purpose")),
        },
        Action::Run {
            command: s("# Seen in code"),
            language: Some(s("python")),
            purpose: None,
        },
        Action::Search {
            query: s("Seen in files"),
            path: Some(s("src")),
        },
        Action::List {
            path: s("seen-folder"),
        },
        Action::Fetch {
            url: s("https://seen.example/"),
            prompt: Some(s("What is there?")),
        },
        Action::WebSearch {
            query: s("Seen on the web"),
        },
        Action::Delegate {
            title: s("Short"),
            prompt: s("Do it."),
        },
        Action::Plan {
            items: plan
                .map(|(text, status)| PlanItem {
                    text: s(text),
                    status,
                })
                .to_vec(),
        },
    ]
}

fn calls() -> Vec<Message> {
    let states = [
        CallState::Done,
        CallState::Failed,
        CallState::Denied,
        CallState::NoResult,
    ];
    let mut messages = Vec::new();
    for (number, action) in actions().into_iter().enumerate() {
        let (id, state) = (format!("call-{number}"), states[number % states.len()]);
        let parts = vec![call(&id, action, state)];
        messages.push(message(&format!("a-{id}"), Role::Assistant, parts));
        let mut answer = vec![prose("\u{1b}[32mSeen in a result\u{1b}[0m\n")];
        answer.push(prose(&"line\n".repeat(60)));
        answer.extend((0..4).map(|artifact| image(artifact, None)));
        answer.push(Part::File {
            artifact: ArtifactId(4),
        });
        if state == CallState::Failed {
            answer = vec![prose("Seen in an error")];
        }
        if state != CallState::NoResult {
            let parts = vec![result(&id, state == CallState::Failed, answer)];
            messages.push(message(&format!("r-{id}"), Role::Tool, parts));
        }
    }
    let orphan = vec![result("none", false, vec![prose("Seen in a result")])];
    messages.push(message("orphan", Role::Tool, orphan));
    messages
}

fn image(artifact: u32, alt: Option<&str>) -> Part {
    Part::Image {
        artifact: ArtifactId(artifact),
        alt: alt.map(str::to_owned),
    }
}

fn notices() -> Vec<Part> {
    use NoticeKind as Kind;
    [
        (Kind::Compaction, "Seen summary"),
        (Kind::Rewind, "Seen rewind"),
        (Kind::Error, ""),
        (Kind::Interrupted, "Seen stop\n\nof several lines"),
        (Kind::Queue, "Seen in the queue"),
        (Kind::Command, "Seen command"),
        (Kind::ModelChange, "Seen change of model"),
        (Kind::Info, "Seen note"),
    ]
    .map(|(kind, text)| Part::Notice {
        kind,
        text: text.to_owned(),
    })
    .to_vec()
}

/// What stands in the threads beside the main one: a short one, a long one, one without a call.
fn threads(messages: &mut Vec<Message>) -> Vec<Thread> {
    let thread = |kind, title: Option<&str>, call: Option<&str>| Thread {
        kind,
        title: title.map(str::to_owned),
        parent_call: call.map(str::to_owned),
    };
    let long = format!("Seen in a long subagent\n\n{}", "word ".repeat(20_000));
    let texts = ["Seen in a subagent", &long, "Seen in a loose thread"];
    for (number, text) in texts.into_iter().enumerate() {
        let mut message = message(&format!("t-{number}"), Role::Assistant, vec![prose(text)]);
        message.thread = ThreadId(number as u32 + 1);
        messages.push(message);
    }
    vec![
        thread(ThreadKind::Main, None, None),
        thread(ThreadKind::Subagent, Some("Short"), Some("call-12")),
        thread(ThreadKind::Compaction, Some("Long"), Some("call-0")),
        thread(ThreadKind::Side, None, None),
    ]
}

fn pattern(share: Option<ShareCard>) -> Snapshot {
    let source = |url: Option<&str>| Part::Source {
        title: "Seen source".to_owned(),
        url: url.map(str::to_owned),
        excerpt: url.map(|_| "Seen excerpt".to_owned()),
    };
    let unknown = |label: &str| Part::Unknown {
        label: label.to_owned(),
        json: RawJson::new(r#"{"seen_record": 1}"#.to_owned()).unwrap(),
    };
    let thought = |text: &str, duration_ms| Part::Reasoning {
        markdown: text.to_owned(),
        duration_ms,
    };
    let mut prompt = message("p", Role::User, vec![prose("# Seen in prose")]);
    prompt.author = Author {
        kind: Some(AuthorKind::Human),
        name: Some("Seen person".to_owned()),
        model: None,
    };
    prompt.parts.extend((0..4).map(|at| image(at, Some("Alt"))));
    prompt.parts.extend((4..7).map(|at| Part::File {
        artifact: ArtifactId(at),
    }));
    let mut answer = message("a", Role::Assistant, vec![]);
    answer.author.model = Some("Seen model".to_owned());
    answer.usage = Some(Usage {
        input_tokens: 1,
        output_tokens: 1,
        cached_tokens: 1,
    });
    answer.parts = vec![
        thought("Seen in a thought", Some(12_000)),
        thought("", None),
        prose("```rust\nfn main() {}\n```\n\n| a |\n|---|\n| b |"),
        source(Some("https://docs.example/")),
        source(Some("javascript:alert(1)")),
        source(None),
        unknown(""),
        unknown("label"),
    ];
    let mut messages = vec![prompt, answer];
    messages.extend(calls());
    messages.push(message("n", Role::System, notices()));
    let mut meta = message("meta", Role::System, vec![prose("Seen note")]);
    meta.visibility = Visibility::Meta;
    messages.push(meta);
    for (id, status, text) in [
        ("s-1", Status::Aborted, "Seen interrupted"),
        ("s-2", Status::Error, "Seen failed"),
        ("s-3", Status::Partial, "so far"),
    ] {
        let mut message = message(id, Role::Assistant, vec![prose(text)]);
        message.status = status;
        messages.push(message);
    }
    for (number, message) in messages.iter_mut().enumerate() {
        message.at = at(number as i64 * 60);
        message.parent = None;
    }
    for number in 1..messages.len() {
        messages[number].parent = Some(messages[number - 1].id.clone());
    }
    // Two versions of one message, the later one with all that follows.
    for id in ["b-1", "b-2"] {
        let mut version = message(id, Role::User, vec![prose("Seen in another version")]);
        version.parent = Some(MessageId("s-3".to_owned()));
        messages.push(version);
    }
    let mut parent = MessageId("b-2".to_owned());
    for number in 0..PROMPTS {
        let text = format!("Prompt {number} {}", "word ".repeat(200));
        let mut prompt = message(&format!("q-{number}"), Role::User, vec![prose(&text)]);
        prompt.parent = Some(std::mem::replace(&mut parent, prompt.id.clone()));
        messages.push(prompt);
    }
    let threads = threads(&mut messages);
    Snapshot {
        title: "Pattern".to_owned(),
        origin: Origin {
            format: "readalong".to_owned(),
            app: Some("Seen person's program".to_owned()),
            native_id: None,
        },
        created_at: at(0),
        updated_at: at(100),
        share,
        left_out: LeftOut {
            artifacts: true,
            reasoning: true,
            tools: true,
            messages: true,
        },
        damaged_records: 2,
        threads,
        active_leaf: Some(parent),
        artifacts: artifacts(),
        messages,
    }
}

/// A chat without messages.
fn empty() -> Snapshot {
    Snapshot {
        messages: Vec::new(),
        active_leaf: None,
        artifacts: Vec::new(),
        created_at: None,
        updated_at: None,
        damaged_records: 0,
        ..pattern(None)
    }
}
