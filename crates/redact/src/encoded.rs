//! Text within base64: what it says, where it says anything.

use std::ops::Range;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};

/// The shortest run that is looked into: `a=` and eight characters more.
const CHARS_MIN: usize = 16;
/// Characters of a run whose text is looked into; a longer one is looked into as far.
const CHARS_MAX: usize = 4 << 20;
/// Characters at the beginning of a run that have to say text.
const PROBE_CHARS: usize = 16;

/// Calls `see` with each run of base64 that is text, and the text.
pub(crate) fn each_text(text: &str, mut see: impl FnMut(Range<usize>, &str)) {
    let bytes = text.as_bytes();
    let mut at: usize = 0;
    while let Some(end) = at
        .checked_add(CHARS_MIN - 1)
        .filter(|last| *last < bytes.len())
    {
        // A run that long covers this place; where it does not, none begins before it.
        if !IS_BASE64[usize::from(bytes[end])] {
            at = end + 1;
            continue;
        }
        let mut start = end;
        while start > at && IS_BASE64[usize::from(bytes[start - 1])] {
            start -= 1;
        }
        if end + 1 - start < CHARS_MIN {
            // Look where a run from here would have its last needed character.
            let length = bytes[end..]
                .iter()
                .take(CHARS_MIN)
                .take_while(|byte| IS_BASE64[usize::from(**byte)])
                .count();
            if end + length - start < CHARS_MIN {
                at = end + length;
                continue;
            }
        }
        let mut stop = start;
        while stop < bytes.len() && IS_BASE64[usize::from(bytes[stop])] {
            stop += 1;
        }
        if let Some(decoded) = decode(&text[start..stop.min(start + CHARS_MAX)]) {
            let padding = bytes[stop..]
                .iter()
                .take(2)
                .take_while(|b| **b == b'=')
                .count();
            see(start..stop + padding, &decoded);
        }
        at = stop;
    }
}

const IS_BASE64: [bool; 256] = {
    let mut is = [false; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_";
    let mut at = 0;
    while at < alphabet.len() {
        is[alphabet[at] as usize] = true;
        at += 1;
    }
    is
};

/// The text that a run says; `None` for what is no base64 or says no text.
fn decode(run: &str) -> Option<String> {
    if !is_text(&bytes_of(&run[..PROBE_CHARS.min(run.len())])?) {
        return None;
    }
    let mut bytes = bytes_of(run)?;
    // PowerShell's commands are UTF-16.
    if bytes.len() >= 8
        && bytes
            .iter()
            .skip(1)
            .step_by(2)
            .take(4)
            .all(|byte| *byte == 0)
    {
        bytes = bytes.iter().copied().step_by(2).collect();
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // A run that was cut, or other text behind it.
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let mut bytes = error.into_bytes();
            bytes.truncate(valid);
            String::from_utf8(bytes).ok()?
        }
    };
    (text.len() >= 8).then_some(text)
}

fn bytes_of(run: &str) -> Option<Vec<u8>> {
    // A last character alone says nothing; the last bits of a cut run may be set.
    let length = match run.len() % 4 {
        1 => run.len() - 1,
        _ => run.len(),
    };
    let run = &run.as_bytes()[..length];
    let encodings = [&BASE64_NOPAD, &BASE64URL_NOPAD];
    encodings
        .iter()
        .find_map(|encoding| encoding.decode(run).ok())
        .or_else(|| BASE64_NOPAD.decode(&run[..length / 4 * 4]).ok())
}

fn is_text(bytes: &[u8]) -> bool {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t');
    let is_wide = bytes.len() >= 8
        && bytes.iter().skip(1).step_by(2).all(|byte| *byte == 0)
        && bytes.iter().step_by(2).all(is_plain);
    let plain = bytes.iter().filter(|byte| is_plain(byte)).count();
    is_wide || plain == bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        each_text(text, |range, decoded| {
            found.push((text[range].to_owned(), decoded.to_owned()));
        });
        found
    }

    #[test]
    fn text_is_found_in_base64_and_nowhere_else() {
        let wanted = [("cGFzc3dvcmQ9aHVudGVyMg==", "password=hunter2")];
        for around in ["data: {}", "x {} y", "{}", "\"{}\""] {
            let found = texts(&around.replace("{}", wanted[0].0));
            assert_eq!(
                found,
                [(wanted[0].0.to_owned(), wanted[0].1.to_owned())],
                "{around}"
            );
        }
        let wide = "JABwAD0AIgBoAHUAbgB0AGUAcgAyACIA";
        assert_eq!(texts(wide)[0].1, "$p=\"hunter2\"");
        for nothing in [
            "internationalization of components",
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
            "4f8a1c9e2b7d60354f8a1c9e2b7d6035",
            "src/components/navigation/Sidebar",
            "",
            "short",
        ] {
            assert_eq!(texts(nothing), [], "{nothing}");
        }
    }
}
