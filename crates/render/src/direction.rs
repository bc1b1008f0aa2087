//! Which way text runs. Browsers go by the first letter of a paragraph, and many a Hebrew or Arabic one begins with the Latin name of something.

/// Not seen; makes the paragraph that begins with it run from right to left.
pub(crate) const RIGHT_TO_LEFT_MARK: char = '\u{200f}';

/// The words of a text, by the way that their first letter runs.
#[derive(Clone, Copy, Default)]
pub(crate) struct Words {
    right_to_left: usize,
    left_to_right: usize,
    /// The first one runs from right to left.
    is_first_right_to_left: bool,
}

impl Words {
    /// Counts those of more text.
    pub(crate) fn add(&mut self, text: &str) {
        let first_letters = text
            .split_whitespace()
            .filter_map(|word| word.chars().find(|c| c.is_alphabetic()));
        for letter in first_letters {
            let is_right_to_left = runs_right_to_left(letter);
            if self.is_empty() {
                self.is_first_right_to_left = is_right_to_left;
            }
            match is_right_to_left {
                true => self.right_to_left += 1,
                false => self.left_to_right += 1,
            }
        }
    }

    /// True where there are none.
    pub(crate) fn is_empty(self) -> bool {
        self.right_to_left + self.left_to_right == 0
    }

    /// True where half of those that came after `before` run from right to left, or more: names of things are Latin in all languages.
    pub(crate) fn run_right_to_left_since(self, before: Self) -> bool {
        let right_to_left = self.right_to_left - before.right_to_left;
        let left_to_right = self.left_to_right - before.left_to_right;
        right_to_left > 0 && right_to_left >= left_to_right
    }

    /// True where half run from right to left, or more, and the first one does not.
    pub(crate) fn need_mark(self) -> bool {
        self.run_right_to_left_since(Self::default()) && !self.is_first_right_to_left
    }
}

/// True for a text with letters that run from right to left.
pub(crate) fn has_right_to_left(text: &str) -> bool {
    !text.is_ascii() && text.contains(runs_right_to_left)
}

/// Letters of Hebrew, Arabic, Syriac, Thaana, N'Ko, Samaritan, Mandaic, and the older and rarer ones that run as they do.
fn runs_right_to_left(c: char) -> bool {
    let is_there = matches!(c,
        '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
        | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}');
    is_there && c.is_alphabetic()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_which_way_a_text_runs() {
        for (text, needs_mark) in [
            ("React היא ספרייה טובה", true),
            ("ראו React ו-Redux", false),
            ("https://example.com/a/long/address מסביר הכול", true),
            ("Rust لغة برمجة", true),
            ("The word שלום means peace", false),
            ("React בקצרה", true),
            ("a b שלום", false),
            ("1. שלום", false),
            ("", false),
        ] {
            let mut words = Words::default();
            words.add(text);
            assert_eq!(words.need_mark(), needs_mark, "{text}");
        }
        assert!(has_right_to_left("a ש") && !has_right_to_left("ä 文 ١"));
    }
}
