//! The messages that are sent: 500 bytes each, numbered, with the moment of sending in their text, so that viewers can tell what is lost,
//! doubled or late whatever is rendered around it.

use std::sync::OnceLock;
use std::time::Instant;

/// What begins a mark; no word of any page.
const MARK: &str = "zqmark";
/// Digits of a number and of a moment.
const NUMBER_DIGITS: usize = 8;
const MOMENT_DIGITS: usize = 16;
/// Length of a message's text.
pub(crate) const MESSAGE_BYTES: usize = 500;

/// Microseconds since this program first asked.
pub(crate) fn now_us() -> u64 {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    BEGIN.get_or_init(Instant::now).elapsed().as_micros() as u64
}

/// A number and the moment of sending, as found in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) number: u32,
    pub(crate) sent_us: u64,
}

/// The text of message `number`, sent now.
pub(crate) fn text(number: u32) -> String {
    let sent = now_us();
    let mut text = format!("{MARK}{number:0NUMBER_DIGITS$}{sent:0MOMENT_DIGITS$}");
    filler(MESSAGE_BYTES - text.len(), &mut text);
    text
}

/// Plain words, of the length that is missing.
pub(crate) fn filler(bytes: usize, text: &mut String) {
    const WORDS: &str = " the reader sees each message once and in order while the chat grows and the page stays where it was";
    let end = text.len() + bytes;
    while text.len() < end {
        text.push_str(WORDS);
    }
    text.truncate(end);
}

/// Words in an order that does not repeat, so that it compresses as text does: always the same ones.
pub(crate) fn prose(bytes: usize) -> String {
    const SYLLABLES: [&str; 16] = [
        "ra", "ten", "ol", "mi", "ser", "qua", "lun", "ed", "for", "is", "an", "ver", "to", "per",
        "ick", "ash",
    ];
    let mut state = 20_261_120_u64;
    let mut next = |below: u64| {
        // Steps of a 64-bit linear congruential generator; its upper bits are the better ones.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut text = String::new();
    while text.len() < bytes {
        for _ in 0..=next(3) {
            text.push_str(SYLLABLES[next(SYLLABLES.len() as u64) as usize]);
        }
        text.push_str(if next(12) == 0 { ". " } else { " " });
    }
    text.truncate(bytes);
    text
}

/// The marks in a text, in order; one that stands there twice in a row (as text and as an attribute) counts once.
pub(crate) fn marks(text: &str) -> Vec<Mark> {
    let mut marks = Vec::new();
    for (at, _) in text.match_indices(MARK) {
        let number = at + MARK.len();
        let moment = number + NUMBER_DIGITS;
        let mark = text
            .get(number..moment)
            .zip(text.get(moment..moment + MOMENT_DIGITS));
        if let Some((number, moment)) = mark
            && let (Ok(number), Ok(sent_us)) = (number.parse(), moment.parse())
        {
            marks.push(Mark { number, sent_us });
        }
    }
    marks.dedup();
    marks
}
