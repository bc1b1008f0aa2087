//! Text that grows: an end that could be the beginning of a secret is not shown before it is known what it is.

use std::{collections::HashSet, ops::Range};

use regex_automata::{Input, meta};

use crate::{
    assignment,
    rules::Compiled,
    scan::{Scanner, Target, What},
    url,
};

/// How far back from the end a secret may have begun of which only the beginning is there.
const TAIL_BYTES: usize = 512;
/// What a value could go on with.
const MORE: &str = "Zq7Lw2Kd9Xc4Vb6Nm1";

impl Scanner {
    /// Where the end of a text could be the beginning of a secret, and of which kind.
    pub(crate) fn open_end(&self, text: &str) -> Option<(Range<usize>, What)> {
        let mut from = text.len().saturating_sub(TAIL_BYTES);
        while !text.is_char_boundary(from) {
            from += 1;
        }
        let tail = Tail {
            text: &text[from..],
            value: format!("{}{MORE}", &text[from..]),
            password: format!("{}{MORE}@host", &text[from..]),
        };
        let mut earliest: Option<(usize, What)> = None;
        let mut tried = HashSet::new();
        self.keywords.each(tail.text, |keyword, targets| {
            for target in targets {
                // A rule is tried on all of the tail, whichever keyword leads to it.
                if let Target::Rule(place) = target
                    && !tried.insert(*place)
                {
                    continue;
                }
                let open = self.could_begin(&tail, *target, keyword.clone());
                if let Some(open) = open
                    && earliest.is_none_or(|(at, _)| open.0 < at)
                {
                    earliest = Some(open);
                }
            }
        });
        earliest.map(|(at, what)| (from + at..text.len(), what))
    }

    /// Where a secret could begin that has this keyword and is not there whole.
    fn could_begin(
        &self,
        tail: &Tail<'_>,
        target: Target,
        keyword: Range<usize>,
    ) -> Option<(usize, What)> {
        match target {
            Target::Rule(place) => {
                let example = self.rule(place).examples.first()?;
                let at = self.with_pattern(place, |compiled, cache| {
                    could_match(compiled, cache, example, tail.text)
                })??;
                Some((at, What::Rule(place)))
            }
            Target::Name => {
                let (_, found) = assignment::at(&tail.value, keyword);
                let (range, kind, _) = found?;
                is_crossing(&range, tail.text).then_some((range.start, What::Assigned(kind)))
            }
            Target::Url => {
                let range = url::at(&tail.password, keyword)?;
                is_crossing(&range, tail.text).then_some((range.start, What::Url))
            }
            // A key without an end is taken as far as it goes.
            Target::Pem => None,
        }
    }
}

/// The end of a text, as it is and as it could go on.
struct Tail<'a> {
    text: &'a str,
    /// With the rest of a value.
    value: String,
    /// With the rest of a URL's password.
    password: String,
}

fn is_crossing(range: &Range<usize>, tail: &str) -> bool {
    range.start < tail.len() && range.end > tail.len()
}

/// Where a match of a rule could begin that goes on behind the end: tried with each end of the rule's own example.
fn could_match(
    compiled: &Compiled,
    cache: &mut meta::Cache,
    example: &str,
    tail: &str,
) -> Option<usize> {
    let regex = &compiled.regex;
    let mut captures = regex.create_captures();
    regex.search_captures_with(cache, &Input::new(example), &mut captures);
    let secret = captures.get_group(compiled.group)?.range();
    let mut grown = String::with_capacity(tail.len() + example.len());
    let mut earliest: Option<usize> = None;
    for cut in secret.start + 1..secret.end {
        if !example.is_char_boundary(cut) {
            continue;
        }
        grown.clear();
        grown.push_str(tail);
        grown.push_str(&example[cut..]);
        let mut from = 0;
        while from < tail.len() {
            let input = Input::new(&grown).range(from..);
            regex.search_captures_with(cache, &input, &mut captures);
            let Some(found) = captures.get_group(compiled.group) else {
                break;
            };
            if is_crossing(&found.range(), tail) && tail.is_char_boundary(found.start) {
                earliest = Some(earliest.map_or(found.start, |at| at.min(found.start)));
            }
            from = found.end.max(from + 1);
        }
    }
    earliest
}
