//! Secrets of one chat that were found already, so that they are found again where nothing around tells: in the output of a command, say.

use std::{
    collections::BTreeMap,
    ops::{Bound, Range},
};

use crate::{
    Sure,
    placeholder::{entropy, is_wordy},
    scan::What,
};

/// Shorter values could be anything.
const CHARS_MIN: usize = 8;
/// Longer ones are found by themselves.
const CHARS_MAX: usize = 4_096;
/// Values that are remembered of one chat.
const VALUES_MAX: usize = 4_096;

/// Bytes of a value that are looked for first.
const HEAD_BYTES: usize = 8;
/// Bits that tell whether a value may begin somewhere: few of them are set by all values together.
const HEAD_BITS: usize = 16;
/// Values that are held against one place, each the end of what the one before has in common with it. Nobody's secrets go on so.
const STEPS_MAX: usize = 64;

/// What is known of one chat. Holds secrets: it is kept in memory only.
///
/// A new value costs the same however many there are: nothing is made anew of all of them.
#[derive(Clone, Default)]
pub struct Known {
    values: BTreeMap<Box<[u8]>, (What, Sure)>,
    /// By length: only what its owner says may be shorter than a whole head.
    heads: [Option<Heads>; HEAD_BYTES],
}

/// The beginnings of values.
#[derive(Clone)]
struct Heads(Box<[u64]>);

impl Heads {
    fn new() -> Self {
        Self(vec![0; (1 << HEAD_BITS) / 64].into())
    }

    fn bit(head: &[u8]) -> usize {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..head.len()].copy_from_slice(head);
        let mixed = u64::from_le_bytes(bytes).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> (64 - HEAD_BITS)) as usize
    }

    fn add(&mut self, head: &[u8]) {
        let bit = Self::bit(head);
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    fn may_have(&self, head: &[u8]) -> bool {
        let bit = Self::bit(head);
        self.0[bit / 64] & (1 << (bit % 64)) != 0
    }
}

impl Known {
    /// Remembers a secret; true where it is new and will be found everywhere from now on.
    pub(crate) fn learn(&mut self, secret: &str, what: What, sure: Sure) -> bool {
        let is_telling = (CHARS_MIN..=CHARS_MAX).contains(&secret.len())
            && entropy(secret) >= 2.5
            && !is_wordy(secret)
            && secret.bytes().any(|byte| !byte.is_ascii_alphabetic());
        if !is_telling
            || self.values.contains_key(secret.as_bytes())
            || self.values.len() >= VALUES_MAX
        {
            return false;
        }
        self.put(secret, what, sure);
        true
    }

    /// Remembers a text that is to go wherever it stands, because its owner says so.
    pub fn add(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.put(text.trim(), What::Told, Sure::Certain);
        }
    }

    fn put(&mut self, value: &str, what: What, sure: Sure) {
        let value = value.as_bytes();
        let head = &value[..value.len().min(HEAD_BYTES)];
        let heads = &mut self.heads[head.len() - 1];
        heads.get_or_insert_with(Heads::new).add(head);
        self.values.insert(value.into(), (what, sure));
    }

    /// Where known secrets stand in a text: of those that overlap the first one, and the longest that begins there.
    pub(crate) fn find(&self, text: &str) -> Vec<(Range<usize>, What, Sure)> {
        let mut found = Vec::new();
        if self.values.is_empty() {
            return found;
        }
        let bytes = text.as_bytes();
        let heads: Vec<(usize, &Heads)> = (1..)
            .zip(&self.heads)
            .filter_map(|(length, heads)| Some((length, heads.as_ref()?)))
            .collect();
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let may_begin = heads.iter().any(|(length, heads)| {
                let head = rest.get(..*length);
                head.is_some_and(|head| heads.may_have(head))
            });
            let longest = may_begin.then(|| self.longest_at(rest)).flatten();
            match longest {
                Some((length, (what, sure))) => {
                    found.push((at..at + length, what, sure));
                    at += length;
                }
                None => at += 1,
            }
        }
        found
    }

    /// The longest value that a text begins with.
    fn longest_at(&self, text: &[u8]) -> Option<(usize, (What, Sure))> {
        let mut text = text;
        for _ in 0..STEPS_MAX {
            // Whatever the text begins with sorts before it, and the longest last.
            let until = (Bound::Unbounded, Bound::Included(text));
            let (value, what) = self.values.range::<[u8], _>(until).next_back()?;
            let pairs = value.iter().zip(text);
            let common = pairs.take_while(|(a, b)| a == b).count();
            if common == value.len() {
                return Some((common, *what));
            }
            text = &text[..common];
        }
        None
    }

    /// True where nothing is known.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known")
            .field("values", &self.values.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use readalong_model::Digest;

    use super::*;

    fn found(known: &Known, text: &str) -> Vec<String> {
        let found = known.find(text).into_iter();
        found.map(|(range, ..)| text[range].to_owned()).collect()
    }

    #[test]
    fn the_first_and_of_those_the_longest_is_found() {
        let mut known = Known::default();
        assert!(known.find("anything").is_empty());
        for value in ["abcd1234", "abcd1234efgh", "34efgh99", "é", "abcd1299zz"] {
            known.add(value);
        }
        for (text, expected) in [
            ("xabcd1234efgh99", &["abcd1234efgh"][..]),
            ("abcd1234efg", &["abcd1234"]),
            (
                "abcd1234abcd1234efgh34efgh99",
                &["abcd1234", "abcd1234efgh", "34efgh99"],
            ),
            ("abcd1299zy", &[]),
            ("caf\u{e9} abcd123", &["é"]),
            ("", &[]),
        ] {
            assert_eq!(found(&known, text), expected, "{text}");
        }
    }

    #[test]
    fn many_secrets_are_learned_as_fast_as_few() {
        let mut known = Known::default();
        let value = |number: usize| -> String {
            let digits =
                (0..60).map(|at| Digest::of(format!("{number}-{at}").as_bytes()).short(64));
            digits.collect()
        };
        let values: Vec<String> = (0..500).map(value).collect();
        for value in &values {
            assert!(known.learn(value, What::Told, Sure::Certain));
            assert_eq!(found(&known, value), [value.as_str()]);
        }
        assert_eq!(found(&known, &values.concat()), values);
    }
}
