//! What looking for secrets costs a byte, in hostile texts beside prose, and in one live event: `cargo bench --package readalong-redact`.
//!
//! It prints ratios and does not judge, since a busy machine is not a wrong program.

use std::time::{Duration, Instant};

use readalong_model::{Message, Part, Role};
use readalong_redact::{Known, Options, Redactor};

/// Bytes of a text.
const TEXT_BYTES: usize = 1 << 20;
/// Bytes of a live event.
const EVENT_BYTES: usize = 4 << 10;
/// Measurements of which the median counts.
const ROUNDS: usize = 9;

const PROSE: &str = "The worker reads the next record, and writes what it found into the table of results; whoever asks later has it at once. ";

fn main() {
    // `cargo test --all-targets` starts benchmarks to see that they start.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let redactor = Redactor::new(Options::default()).expect("the built-in rules are sound");
    let prose = text_of(&redactor, PROSE);
    println!("{:<34} {:>9} {:>7}", "1 MiB of", "ms", "x prose");
    for (name, piece) in [
        ("prose", PROSE),
        ("one letter", "a"),
        ("colons", ":"),
        ("newlines", "\n"),
        ("a=", "a="),
        ("=", "="),
        ("backslashes", "\\"),
        ("token=", "token="),
        ("names of secrets", "api_key: token = x, "),
        ("https://", "https://"),
        ("://a:", "://a:"),
        ("eyJ", "eyJ"),
        ("ghp_", "ghp_"),
        ("beginnings of keys", "-----BEGIN PRIVATE KEY-----"),
        (
            "code",
            "let key = self.token(&name, 42); // \"password\" is set elsewhere\n",
        ),
    ] {
        let cost = text_of(&redactor, piece);
        let ratio = cost.as_secs_f64() / prose.as_secs_f64();
        println!("{name:<34} {:>9.2} {ratio:>7.2}", cost.as_secs_f64() * 1e3);
    }
    for (name, piece) in [
        ("prose", PROSE),
        ("names of secrets", "api_key: token = x, "),
    ] {
        let mut message = Message::new("m", Role::Assistant);
        message.parts.push(Part::Text {
            markdown: piece.repeat(EVENT_BYTES / piece.len()),
        });
        let cost = median(|| {
            let mut message = message.clone();
            let begun = Instant::now();
            redactor.message(&mut message, &mut Known::default(), true);
            begun.elapsed()
        });
        println!(
            "a growing message of 4 KiB, {name:<17} {:>6.3} ms",
            cost.as_secs_f64() * 1e3
        );
    }
}

fn text_of(redactor: &Redactor, piece: &str) -> Duration {
    let text = piece.repeat(TEXT_BYTES / piece.len());
    median(|| {
        let mut text = text.clone();
        let begun = Instant::now();
        redactor.text(&mut text, "text", &mut Known::default());
        begun.elapsed()
    })
}

fn median(measure: impl FnMut() -> Duration) -> Duration {
    let mut measured: Vec<Duration> = std::iter::repeat_with(measure).take(ROUNDS).collect();
    measured.sort_unstable();
    measured[ROUNDS / 2]
}
