//! Finding the keywords of all rules in one pass over a text, in letters of either case.

use std::{collections::HashMap, ops::Range};

use aho_corasick::{AhoCorasick, AhoCorasickKind, Input, MatchKind};

use crate::RedactError;

/// So many characters of a keyword are looked for in one pass; the rest is compared where they stand. More would cost memory, fewer would stand everywhere.
const BEGINNING_CHARS: usize = 5;
/// Of a longer row of one character only so many at each end are looked at: no keyword and no beginning of a secret is longer.
const ROW_ENDS: usize = 64;

/// Keywords, and what each leads to.
pub(crate) struct Keywords<T> {
    beginnings: AhoCorasick,
    /// By the number of their beginning.
    keywords: Vec<Vec<Keyword<T>>>,
}

struct Keyword<T> {
    text: Box<str>,
    targets: Vec<T>,
}

impl<T: Copy> Keywords<T> {
    /// Keywords in small letters of ASCII; one may lead to several targets.
    ///
    /// # Errors
    /// There are too many.
    pub(crate) fn new<'a>(
        pairs: impl IntoIterator<Item = (&'a str, T)>,
    ) -> Result<Self, RedactError> {
        let mut beginnings: Vec<&str> = Vec::new();
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut keywords: Vec<Vec<Keyword<T>>> = Vec::new();
        for (text, target) in pairs {
            let beginning = &text[..text.len().min(BEGINNING_CHARS)];
            let number = *numbers.entry(beginning).or_insert_with(|| {
                beginnings.push(beginning);
                keywords.push(Vec::new());
                keywords.len() - 1
            });
            let of_beginning = &mut keywords[number];
            match of_beginning.iter_mut().find(|known| &*known.text == text) {
                Some(known) => known.targets.push(target),
                None => of_beginning.push(Keyword {
                    text: text.into(),
                    targets: vec![target],
                }),
            }
        }
        let beginnings = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&beginnings)
            .map_err(|error| RedactError::Pattern {
                rule: "keywords".to_owned(),
                reason: error.to_string(),
            })?;
        Ok(Self {
            beginnings,
            keywords,
        })
    }

    /// Calls `see` with each place of each keyword, and all that it leads to.
    pub(crate) fn each(&self, text: &str, mut see: impl FnMut(Range<usize>, &[T])) {
        let text = text.to_ascii_lowercase();
        for piece in without_rows(text.as_bytes()) {
            let input = Input::new(&text).range(piece);
            for found in self.beginnings.find_overlapping_iter(input) {
                for keyword in &self.keywords[found.pattern().as_usize()] {
                    if text.as_bytes()[found.start()..].starts_with(keyword.text.as_bytes()) {
                        let end = found.start() + keyword.text.len();
                        see(found.start()..end, &keyword.targets);
                    }
                }
            }
        }
    }
}

/// A text's pieces between the middles of long rows of one byte.
fn without_rows(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let (mut from, mut at) = (0, 0);
    std::iter::from_fn(move || {
        if from >= bytes.len() {
            return None;
        }
        // A row that is worth it has two places of this grid within it.
        while at + ROW_ENDS < bytes.len() {
            let byte = bytes[at];
            let in_row = |other: &u8| *other == byte;
            if !bytes[at..=at + ROW_ENDS].iter().rev().all(in_row) {
                at += ROW_ENDS;
                continue;
            }
            let before = bytes[from..at].iter().rev();
            let start = at - before.take_while(|other| in_row(other)).count();
            let end = at + bytes[at..].iter().take_while(|other| in_row(other)).count();
            at = end;
            if end - start > 4 * ROW_ENDS {
                let piece = from..start + ROW_ENDS;
                from = end - ROW_ENDS;
                return Some(piece);
            }
        }
        Some(std::mem::replace(&mut from, bytes.len())..bytes.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_found_in_either_case_to_their_end() {
        let words = [
            "pass",
            "passwords_of_all",
            "passwords_of_none",
            "a::b",
            "pass",
        ];
        let keywords = Keywords::new(words.into_iter().zip(0..)).expect("they are few");
        let mut found = Vec::new();
        keywords.each("Passwords_OF_all, ÄPASS A::B", |range, targets| {
            found.push((range, targets.to_vec()));
        });
        assert_eq!(
            found,
            [
                (0..4, vec![0, 4]),
                (0..16, vec![1]),
                (20..24, vec![0, 4]),
                (25..29, vec![3]),
            ]
        );
    }

    #[test]
    fn of_long_rows_the_ends_are_looked_at() {
        let pieces = |text: &str| -> Vec<(usize, usize)> {
            without_rows(text.as_bytes())
                .map(|piece| (piece.start, piece.end))
                .collect()
        };
        assert!(pieces("").is_empty());
        assert_eq!(pieces("short"), [(0, 5)]);
        assert_eq!(pieces(&"a".repeat(256)), [(0, 256)]);
        assert_eq!(pieces(&"a".repeat(1000)), [(0, 64), (936, 1000)]);
        for before in [0, 1, 63, 64, 65, 300] {
            for row in [257, 300, 5000] {
                let text = format!(
                    "{}{}{}end",
                    "xy".repeat(before),
                    "=".repeat(row),
                    "-".repeat(400)
                );
                let (start, end) = (2 * before, 2 * before + row);
                assert_eq!(
                    pieces(&text),
                    [
                        (0, start + 64),
                        (end - 64, end + 64),
                        (end + 336, text.len())
                    ],
                    "{before} {row}"
                );
            }
        }
    }
}
