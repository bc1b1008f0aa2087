//! Text that grows: an end that could be the beginning of a secret is not shown before it is known what it is.

use std::ops::Range;

use regex_automata::Input;

use crate::{
    assignment,
    rules::Rule,
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
        let tail = &text[from..];
        let mut earliest: Option<(usize, What)> = None;
        for found in self.keywords.find_overlapping_iter(tail) {
            for target in &self.targets[found.pattern().as_usize()] {
                let open = self.could_begin(tail, *target, found.range());
                if let Some(open) = open
                    && earliest.is_none_or(|(at, _)| open.0 < at)
                {
                    earliest = Some(open);
                }
            }
        }
        earliest.map(|(at, what)| (from + at..text.len(), what))
    }

    /// Where a secret could begin that has this keyword and is not there whole.
    fn could_begin(
        &self,
        tail: &str,
        target: Target,
        keyword: Range<usize>,
    ) -> Option<(usize, What)> {
        match target {
            Target::Rule(place) => {
                let at = could_match(self.rule(place), tail)?;
                Some((at, What::Rule(place)))
            }
            Target::Name => {
                let grown = format!("{tail}{MORE}");
                let (_, found) = assignment::at(&grown, keyword);
                let (range, kind, _) = found?;
                is_crossing(&range, tail).then_some((range.start, What::Assigned(kind)))
            }
            Target::Url => {
                let grown = format!("{tail}{MORE}@host");
                let range = url::at(&grown, keyword)?;
                is_crossing(&range, tail).then_some((range.start, What::Url))
            }
            // A key without an end is taken as far as it goes.
            Target::Pem => None,
        }
    }
}

fn is_crossing(range: &Range<usize>, tail: &str) -> bool {
    range.start < tail.len() && range.end > tail.len()
}

/// Where a match of a rule could begin that goes on behind the end: tried with each end of the rule's own example.
fn could_match(rule: &Rule, tail: &str) -> Option<usize> {
    let compiled = rule.compiled()?;
    let example = rule.examples.first()?;
    let mut captures = compiled.regex.create_captures();
    compiled
        .regex
        .search_captures(&Input::new(example), &mut captures);
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
            compiled.regex.search_captures(&input, &mut captures);
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
