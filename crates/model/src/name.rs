//! What can be a name of a chat, a share or a user.

/// True for a text in which there is something to see: what nobody sees, nobody can choose in a list or tell from another.
pub fn can_be_seen(text: &str) -> bool {
    !text.chars().all(is_unseen)
}

/// Blanks, controls, and what Unicode lets programs draw as nothing.
fn is_unseen(c: char) -> bool {
    let is_ignorable = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
    is_ignorable || c.is_whitespace() || c.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_no_name() {
        for text in [
            "",
            " \t\n\u{a0}\u{3000}",
            "\u{200b}\u{200d}\u{feff}",
            "\u{2060}\u{ad}\u{3164}\u{2800}",
            "\u{202e}\u{2066}\u{e0041}\u{fe0f}\u{0}",
        ] {
            assert!(!can_be_seen(text), "{text:?}");
        }
        for text in ["a", ".", "\u{200f}שלום", "👩\u{200d}👧", "李", "-\u{200b}"] {
            assert!(can_be_seen(text), "{text:?}");
        }
    }
}
