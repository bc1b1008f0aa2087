//! As much of WebSocket as viewers of ours and the bare limit need: the upgrade, frames of a server, pong and close of a viewer.

use std::ops::Range;

/// Every viewer sends the key of the standard's example, so that the answer is known without hashing.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// What a server makes of [`KEY`].
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// The limit's answer to an upgrade.
pub(crate) const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Close,
    Ping,
    /// A pong, or what a server of ours never sends.
    Other,
}

/// A frame of a server: its kind, where its payload lies, and where the next frame begins.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) payload: Range<usize>,
}

/// The frame that begins at `at`, once it is whole.
pub(crate) fn frame_at(bytes: &[u8], at: usize) -> Option<Frame> {
    let head = bytes.get(at..at + 2)?;
    let (from, length) = match head[1] & 0x7f {
        126 => {
            let length = bytes.get(at + 2..at + 4)?;
            (
                at + 4,
                usize::from(u16::from_be_bytes([length[0], length[1]])),
            )
        }
        127 => {
            let length: [u8; 8] = bytes.get(at + 2..at + 10)?.try_into().ok()?;
            (at + 10, usize::try_from(u64::from_be_bytes(length)).ok()?)
        }
        length => (at + 2, usize::from(length)),
    };
    let to = from.checked_add(length)?;
    (to <= bytes.len()).then(|| Frame {
        kind: match head[0] {
            0x81 => Kind::Text,
            0x88 => Kind::Close,
            0x89 => Kind::Ping,
            _ => Kind::Other,
        },
        payload: from..to,
    })
}

/// A whole text frame of a server.
pub(crate) fn text_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 10);
    frame.push(0x81);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length), _) if length < 126 => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// A viewer's answer to a ping or a close; its mask is zero, which is a mask as good as any for a program that hides nothing.
pub(crate) fn masked(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let short = &payload[..payload.len().min(125)];
    let mut frame = vec![
        if kind == Kind::Close { 0x88 } else { 0x8a },
        0x80 | short.len() as u8,
        0,
        0,
        0,
        0,
    ];
    frame.extend_from_slice(short);
    frame
}

/// The request that upgrades; `host` is what the address bar would say.
pub(crate) fn upgrade(path: &str, host: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
    .into_bytes()
}
