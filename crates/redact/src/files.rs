//! Artifacts that are text.

use std::io;

use readalong_model::Digest;

/// Where the bytes of a chat's artifacts are.
pub trait Files {
    /// The bytes under a digest; `None` where they are not there.
    ///
    /// # Errors
    /// They cannot be read.
    fn read(&mut self, digest: Digest) -> io::Result<Option<Vec<u8>>>;

    /// Keeps bytes, and tells their digest.
    ///
    /// # Errors
    /// They cannot be written.
    fn keep(&mut self, bytes: &[u8]) -> io::Result<Digest>;
}

/// Bytes at the beginning of a file in which one that is no text has a zero.
const PROBE_BYTES: usize = 8 << 10;

/// Calls `redact` with the text of a file; gives the file with what that makes of it, or `None` where nothing changes or it is no text.
pub(crate) fn rewrite(
    bytes: &[u8],
    mut redact: impl FnMut(&str) -> Option<String>,
) -> Option<Vec<u8>> {
    if let Some((text, is_little)) = utf16(bytes) {
        let new = redact(&text)?;
        let units = std::iter::once(0xfeff).chain(new.encode_utf16());
        let encode = |unit: u16| match is_little {
            true => unit.to_le_bytes(),
            false => unit.to_be_bytes(),
        };
        return Some(units.flat_map(encode).collect());
    }
    if bytes[..bytes.len().min(PROBE_BYTES)].contains(&0) {
        return None;
    }
    // What is no UTF-8 stays as it is, between what is.
    let mut out = Vec::with_capacity(bytes.len());
    let mut is_changed = false;
    for chunk in bytes.utf8_chunks() {
        match redact(chunk.valid()) {
            Some(new) => {
                is_changed = true;
                out.extend_from_slice(new.as_bytes());
            }
            None => out.extend_from_slice(chunk.valid().as_bytes()),
        }
        out.extend_from_slice(chunk.invalid());
    }
    is_changed.then_some(out)
}

/// The text of a file in UTF-16 that says so, and whether its low bytes come first.
fn utf16(bytes: &[u8]) -> Option<(String, bool)> {
    let (body, is_little) = match bytes {
        [0xff, 0xfe, body @ ..] => (body, true),
        [0xfe, 0xff, body @ ..] => (body, false),
        _ => return None,
    };
    let decode = |pair: &[u8]| match is_little {
        true => u16::from_le_bytes([pair[0], pair[1]]),
        false => u16::from_be_bytes([pair[0], pair[1]]),
    };
    let units: Vec<u16> = body.chunks_exact(2).map(decode).collect();
    Some((String::from_utf16(&units).ok()?, is_little))
}
