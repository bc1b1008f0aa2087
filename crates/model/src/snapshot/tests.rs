//! A snapshot holds nothing that its options leave out.

use super::*;
use crate::{ArtifactRole, Author, Availability, Digest, Role, Status, ToolCall};

const ALL: SnapshotOptions = SnapshotOptions {
    title: None,
    artifacts: true,
    reasoning: true,
    tools: true,
    messages: None,
};

fn message(id: &str, parent: Option<&str>, parts: Vec<Part>) -> Message {
    Message {
        id: MessageId(id.into()),
        parent: parent.map(|id| MessageId(id.into())),
        thread: ThreadId::MAIN,
        role: Role::User,
        author: Author::default(),
        at: None,
        status: Status::Complete,
        visibility: Visibility::Shown,
        parts,
        usage: None,
    }
}

fn text(markdown: &str) -> Part {
    Part::Text {
        markdown: markdown.into(),
    }
}

fn call(call_id: &str) -> Part {
    let (call_id, name) = (call_id.to_owned(), "tool".to_owned());
    Part::ToolCall(ToolCall {
        call_id,
        name,
        action: Default::default(),
        input: None,
        state: Default::default(),
    })
}

fn artifact(name: &str) -> Artifact {
    Artifact {
        name: name.into(),
        media_type: "image/png".into(),
        role: ArtifactRole::Uploaded,
        content: Availability::Present {
            sha256: Digest::of(name.as_bytes()),
            size_bytes: 1,
        },
        dimensions: None,
    }
}

fn thread(kind: ThreadKind, parent_call: Option<&str>) -> Thread {
    Thread {
        kind,
        title: None,
        parent_call: parent_call.map(Into::into),
    }
}

/// A hidden message with an artifact, a call that starts a subagent, which starts another.
fn chat() -> Chat {
    let hidden = Message {
        visibility: Visibility::Hidden,
        ..message(
            "secret",
            None,
            vec![
                text("profile"),
                Part::Image {
                    artifact: ArtifactId(0),
                    alt: None,
                },
            ],
        )
    };
    let in_thread = |id: &str, thread: u32, parts| Message {
        thread: ThreadId(thread),
        ..message(id, None, parts)
    };
    Chat {
        threads: vec![
            thread(ThreadKind::Main, None),
            thread(ThreadKind::Subagent, Some("c1")),
            thread(ThreadKind::Subagent, Some("c2")),
        ],
        messages: vec![
            hidden,
            message(
                "a",
                Some("secret"),
                vec![
                    text("question"),
                    Part::Image {
                        artifact: ArtifactId(1),
                        alt: None,
                    },
                ],
            ),
            message(
                "b",
                Some("a"),
                vec![
                    Part::Reasoning {
                        markdown: "thought".into(),
                        duration_ms: None,
                    },
                    call("c1"),
                ],
            ),
            in_thread("s1", 1, vec![call("c2")]),
            in_thread("s2", 2, vec![text("deep")]),
            message("c", Some("b"), vec![text("answer")]),
        ],
        artifacts: vec![artifact("hidden.png"), artifact("shown.png")],
        ..Chat::default()
    }
}

fn ids(snapshot: &Snapshot) -> Vec<&str> {
    snapshot
        .messages
        .iter()
        .map(|message| message.id.0.as_str())
        .collect()
}

#[test]
fn hidden_messages_and_their_artifacts_are_gone() {
    let snapshot = Snapshot::take(chat(), &ALL);
    assert_eq!(ids(&snapshot), ["a", "b", "s1", "s2", "c"]);
    assert_eq!(snapshot.artifacts, [artifact("shown.png")]);
    assert_eq!(snapshot.messages[0].parent, None);
    assert!(matches!(
        snapshot.messages[0].parts[1],
        Part::Image {
            artifact: ArtifactId(0),
            ..
        }
    ));
}

#[test]
fn what_is_left_out_is_gone_with_all_that_hung_on_it() {
    let without_tools = Snapshot::take(
        chat(),
        &SnapshotOptions {
            tools: false,
            ..ALL
        },
    );
    assert_eq!(
        (ids(&without_tools), without_tools.threads.len()),
        (vec!["a", "b", "c"], 1)
    );
    let bare = Snapshot::take(
        chat(),
        &SnapshotOptions {
            tools: false,
            reasoning: false,
            artifacts: false,
            ..ALL
        },
    );
    assert_eq!(ids(&bare), ["a", "c"]);
    assert_eq!(bare.messages[1].parent, Some(MessageId("a".into())));
    assert!(
        bare.artifacts.is_empty()
            && bare.left_out.artifacts
            && bare.left_out.reasoning
            && bare.left_out.tools
    );
}

#[test]
fn a_range_counts_messages_of_the_main_thread_from_one() {
    let range = |first, last| SnapshotOptions {
        messages: Some(MessageRange { first, last }),
        ..ALL
    };
    assert_eq!(ids(&Snapshot::take(chat(), &range(1, 1))), ["a"]);
    assert_eq!(
        ids(&Snapshot::take(chat(), &range(2, 9))),
        ["b", "s1", "s2", "c"]
    );
    assert_eq!(ids(&Snapshot::take(chat(), &range(3, 3))), ["c"]);
}

#[test]
fn taking_a_snapshot_again_changes_nothing() {
    let once = Snapshot::take(chat(), &ALL);
    let again = Chat {
        title: once.title.clone(),
        threads: once.threads.clone(),
        messages: once.messages.clone(),
        artifacts: once.artifacts.clone(),
        ..Chat::default()
    };
    assert_eq!(Snapshot::take(again, &ALL), once);
}

#[test]
fn a_title_taken_from_a_message_outside_of_the_range_goes_too() {
    let titled = |title: &str, options: SnapshotOptions| {
        let first = message("a", None, vec![text("# My secret plan\nin two lines")]);
        let second = message("b", Some("a"), vec![text("Fine")]);
        let title = title.to_owned();
        let messages = vec![first, second];
        Snapshot::take(
            Chat {
                title,
                messages,
                ..Chat::default()
            },
            &options,
        )
        .title
    };
    let last = SnapshotOptions {
        messages: Some(MessageRange { first: 2, last: 2 }),
        ..ALL
    };
    let both = SnapshotOptions {
        messages: Some(MessageRange { first: 1, last: 2 }),
        ..ALL
    };
    assert_eq!(titled("My secret…", last.clone()), "Part of a chat");
    assert_eq!(titled("My secret…", both), "My secret…");
    assert_eq!(titled("Of its own", last.clone()), "Of its own");
    let named = SnapshotOptions {
        title: Some("My secret plan".into()),
        ..last
    };
    assert_eq!(titled("My secret…", named), "My secret plan");
}

#[test]
fn no_thread_reads_differently_because_another_is_not_shown() {
    let mut inner = message("inner", Some("a"), vec![text("inner")]);
    inner.thread = ThreadId(1);
    let chat = Chat {
        threads: vec![
            thread(ThreadKind::Main, None),
            thread(ThreadKind::Subagent, Some("not there")),
        ],
        messages: vec![
            message("a", None, vec![text("a")]),
            message("b", Some("a"), vec![text("b")]),
            inner,
            message("c", Some("inner"), vec![text("c")]),
        ],
        active_leaf: Some(MessageId("inner".into())),
        ..Chat::default()
    };
    let snapshot = Snapshot::take(chat, &ALL);
    let parents = snapshot.messages.iter().map(|message| &message.parent);
    let parents: Vec<_> = parents
        .map(|id| id.as_ref().map(|id| id.0.as_str()))
        .collect();
    assert_eq!(parents, [None, Some("a"), Some("b")]);
    assert_eq!(snapshot.active_leaf, None);
}

#[test]
fn what_viewers_see_of_a_message_does_not_depend_on_the_rest() {
    let left_out = LeftOut::of(
        &SnapshotOptions {
            tools: false,
            ..ALL
        },
        LeftOut::default(),
    );
    let both = message("a", None, vec![call("c"), text("a")]);
    assert_eq!(left_out.see(both).unwrap().parts, [text("a")]);
    assert_eq!(left_out.see(message("b", None, vec![call("c")])), None);
    let mut hidden = message("c", None, vec![text("c")]);
    hidden.visibility = Visibility::Hidden;
    assert_eq!(left_out.see(hidden), None);
}
