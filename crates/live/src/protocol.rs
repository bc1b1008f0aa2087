//! The live protocol as types: frames, operations, close codes and limits. docs/protocol.md says what they mean.
//!
//! Knows no socket and no channel. What the server sends is made here, once for all viewers, with the head that a WebSocket wants before it.

use std::{fmt, ops::Deref};

use bytes::Bytes;
use readalong_model::{Seq, Timestamp};
use serde::{Deserialize, Serialize};

/// The version of the protocol, as `hello` says it.
pub const PROTOCOL_VERSION: u32 = 1;
/// What comes within this time after a frame is joined into the next one: 50 appends a second cost a viewer at most 25 writes.
pub const JOIN_WINDOW_MS: u64 = 40;
/// A frame of changes; more than that is cheaper to fetch as a page.
pub const FRAME_BYTES_MAX: usize = 4 << 20;
/// Recent frames that a share keeps for viewers who come back or fall behind.
pub const RING_BYTES_MAX: usize = 256 << 10;
/// Frames younger than this are kept beyond [`RING_BYTES_MAX`]: with thousands of viewers one burst takes that long to be written to all.
pub const RING_AGE_MIN_MS: u64 = 2_000;
/// But all kept frames together are never more than this.
pub const RING_BURST_BYTES_MAX: usize = 8 << 20;
/// What a viewer who was away gets at once; for more it fetches its page again.
pub const CATCH_UP_BYTES_MAX: usize = 1 << 20;
/// The reader count is sent at most this often.
pub const VIEWERS_INTERVAL_MS: u64 = 1_000;
/// For every so many viewers the interval grows by itself once more, up to ten times, so that counting never costs more than the chat.
pub const VIEWERS_PER_INTERVAL: u64 = 1_000;
/// After this time without any frame the reader count is sent again, so that viewers can tell a dead connection.
pub const BEAT_INTERVAL_MS: u64 = 30_000;
/// A viewer to whom nothing can be written for so long is cut.
pub const SEND_TIMEOUT_MS: u64 = 20_000;
/// Pings and pongs that a viewer may send between two pings of the server. Each ping is answered, and the answer waits in memory where the viewer does not
/// read: without a bound one viewer takes all there is.
pub const VIEWER_PINGS_MAX: u32 = 100;

/// The first frame: where the server stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`].
    pub protocol: u32,
    /// The history that the numbers belong to.
    pub epoch: String,
    /// The last change that the server knows.
    pub seq: Seq,
    /// How many have the share open, the receiver among them.
    pub viewers: u32,
    /// Time of the chat's last message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// The viewer has to fetch its page again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reset {
    /// The history that the page will belong to.
    pub epoch: String,
    /// The last change that the server knows.
    pub seq: Seq,
}

/// One operation on what a viewer shows. The server may publish any type that is written the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// An item is new, or is to be shown anew.
    Put {
        /// Its key.
        item: String,
        /// The item that it follows; `None` for the chat's first.
        after: Option<String>,
        /// The page that it is on in a fresh load.
        page: String,
        /// The item.
        html: String,
        /// True for an item that no reader has seen in any form.
        #[serde(default)]
        new: bool,
    },
    /// An item is gone.
    Remove {
        /// Its key.
        item: String,
    },
    /// What the header says is new.
    Header {
        /// The header.
        html: String,
        /// The chat's title.
        title: String,
    },
    /// Nothing more will come.
    End {
        /// Why: `frozen`.
        reason: String,
        /// The footer that says so.
        html: String,
    },
    /// Something of before was taken out or changed: whoever keeps frames lets go of it.
    TakenBack {},
    /// The pages were bound anew.
    Reload {},
}

/// Any frame, as a viewer reads it: exactly one of `hello`, `reset`, `ops` and `viewers` is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// The first frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hello: Option<Hello>,
    /// The viewer's place is of no use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<Reset>,
    /// Number of the last change in the frame; only with `ops`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<Seq>,
    /// Time of the chat's last message, where it is new; only with `ops`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// What to do, in this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ops: Option<Vec<Op>>,
    /// How many have the share open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewers: Option<u32>,
}

/// The longest head of an unmasked message on a WebSocket.
const HEAD_BYTES_MAX: usize = 10;
/// The first byte of a text message that comes in one piece (RFC 6455, section 5.2).
const WHOLE_TEXT: u8 = 0x81;

/// A frame as it is sent: the text, and the head of the message that it is on a WebSocket.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodedFrame {
    message: Bytes,
    head_bytes: u8,
}

impl EncodedFrame {
    /// The message with its head, as it goes over a WebSocket.
    pub fn message(&self) -> &Bytes {
        &self.message
    }

    /// Takes the text, which stands after a place for the longest head.
    fn new(mut bytes: Vec<u8>) -> Self {
        let text_bytes = bytes.len() - HEAD_BYTES_MAX;
        let (short, long) = match (u8::try_from(text_bytes), u16::try_from(text_bytes)) {
            (Ok(short @ 0..126), _) => (short, 0),
            (_, Ok(_)) => (126, size_of::<u16>()),
            _ => (127, size_of::<u64>()),
        };
        let from = HEAD_BYTES_MAX - long - 2;
        bytes[from] = WHOLE_TEXT;
        bytes[from + 1] = short;
        let length = (text_bytes as u64).to_be_bytes();
        bytes[from + 2..HEAD_BYTES_MAX].copy_from_slice(&length[length.len() - long..]);
        Self {
            message: Bytes::from(bytes).slice(from..),
            head_bytes: (HEAD_BYTES_MAX - from) as u8,
        }
    }
}

impl Deref for EncodedFrame {
    type Target = [u8];

    /// The text alone.
    fn deref(&self) -> &[u8] {
        &self.message[usize::from(self.head_bytes)..]
    }
}

impl fmt::Debug for EncodedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self))
    }
}

impl Frame {
    /// The frame as text.
    pub fn encode(&self) -> EncodedFrame {
        let mut bytes = vec![0; HEAD_BYTES_MAX];
        // Strings, numbers and lists cannot fail to be written.
        let _ = serde_json::to_writer(&mut bytes, self);
        EncodedFrame::new(bytes)
    }

    /// Reads a frame.
    ///
    /// # Errors
    ///
    /// Fails on what is no frame of this version.
    pub fn decode(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }
}

/// Why the server ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// The server stops.
    GoingAway = 1001,
    /// The server starts again.
    Restarting = 1012,
    /// The viewer broke the protocol.
    Protocol = 4400,
    /// The share is private, and the viewer is not signed in.
    SignIn = 4401,
    /// Deleted, expired, or never there.
    Gone = 4404,
    /// The viewer was too slow.
    Slow = 4408,
    /// The share is frozen.
    Frozen = 4410,
    /// Too many connections.
    TooMany = 4429,
}

impl CloseCode {
    /// The number that is sent.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// What is sent beside the number, for people who read logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::GoingAway => "the server stops",
            Self::Restarting => "the server starts again",
            Self::Protocol => "viewers say nothing",
            Self::SignIn => "sign in",
            Self::Gone => "deleted or not valid",
            Self::Slow => "too slow",
            Self::Frozen => "frozen",
            Self::TooMany => "too many connections",
        }
    }

    /// True where viewers may see no more of the share: what waits to be sent is dropped.
    pub fn is_final_at_once(self) -> bool {
        matches!(self, Self::SignIn | Self::Gone | Self::Protocol)
    }

    /// The data of the server-sent event `close`.
    pub fn event_data(self) -> String {
        format!("{{\"code\":{}}}", self.number())
    }
}

/// A server-sent event's `id` or `Last-Event-ID`: epoch and number.
pub fn event_id(epoch: &str, seq: Seq) -> String {
    format!("{epoch}-{seq}")
}

/// Reads a `Last-Event-ID`; `None` where it is not one of ours.
pub fn parse_event_id(id: &str) -> Option<(&str, Seq)> {
    let (epoch, seq) = id.rsplit_once('-')?;
    Some((epoch, seq.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn frames_are_written_as_the_document_shows_them() {
        let hello = r#"{"hello":{"protocol":1,"epoch":"8c1f52a09be3d471","seq":1042,"viewers":3,"at":"2026-11-20T14:02:11.000Z"}}"#;
        let reset = r#"{"reset":{"epoch":"8c1f52a09be3d471","seq":1042}}"#;
        let ops = r#"{"seq":1043,"at":"2026-11-20T14:02:13.000Z","ops":[{"put":{"item":"m0-0","after":null,"page":"7.html","html":"<article>","new":true}},{"remove":{"item":"m0-0"}},{"header":{"html":"<header>","title":"T"}},{"end":{"reason":"frozen","html":"<footer>"}},{"reload":{}}]}"#;
        let viewers = r#"{"viewers":3}"#;
        for text in [hello, reset, ops, viewers] {
            let frame = Frame::decode(text.as_bytes()).unwrap();
            assert_eq!(*frame.encode(), *text.as_bytes());
        }
    }

    #[test]
    fn what_is_unknown_in_a_frame_is_ignored() {
        let frame = Frame::decode(br#"{"mood":"good","viewers":2}"#).unwrap();
        assert_eq!(frame.viewers, Some(2));
        assert_eq!(Frame::decode(b"{}").unwrap(), Frame::default());
    }

    #[test]
    fn event_ids_are_read_back() {
        assert_eq!(
            parse_event_id(&event_id("8c1f52a09be3d471", 12)),
            Some(("8c1f52a09be3d471", 12))
        );
        assert_eq!(parse_event_id("12"), None);
        assert_eq!(parse_event_id("ab-x"), None);
    }

    #[test]
    fn a_message_has_the_head_that_its_length_wants() {
        for (size, head) in [
            (0, vec![0x81, 0]),
            (125, vec![0x81, 125]),
            (126, vec![0x81, 126, 0, 126]),
            (65_535, vec![0x81, 126, 255, 255]),
            (65_536, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let text = vec![b'x'; size];
            let frame = EncodedFrame::new([&[0; HEAD_BYTES_MAX], &text[..]].concat());
            assert_eq!(*frame, *text);
            assert_eq!(**frame.message(), [head, text].concat());
        }
    }
}
