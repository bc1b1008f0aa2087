//! A WebSocket (RFC 6455) on which one side speaks and the other has nothing to say but pings, pongs and the end.
//!
//! A frame is written from the bytes that all viewers share, and what a viewer says is read into a place as large as the largest control frame: nothing is
//! copied for a viewer, and nothing kept.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use data_encoding::BASE64;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Version,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
    request::Parts,
};
use hyper::upgrade::OnUpgrade;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a server adds to the key of a viewer.
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const VERSION: &str = "13";
/// The largest payload of a control frame.
const CONTROL_BYTES_MAX: usize = 125;
/// The largest control frame of a viewer: with two bytes before it, and its mask.
const CAME_BYTES_MAX: usize = 2 + 4 + CONTROL_BYTES_MAX;
/// The longest head of a frame of ours.
const HEAD_BYTES_MAX: usize = 10;
/// A frame so long is put together for one plain write, which costs less than one of two parts.
const PLAIN_BYTES_MAX: usize = 2 << 10;
/// Bytes that are passed over at once.
const SKIPPED_AT_ONCE: usize = 4 << 10;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;

/// What a frame of ours is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text = 1,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// What a viewer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It is there.
    Pong,
    /// It wants a pong with this in it.
    Ping(Bytes),
    /// The end, with the code where it names one.
    Close(Bytes),
    /// Something that viewers have not to say.
    Message,
    /// What is no WebSocket: nothing that follows can be understood.
    Nonsense,
    /// Nothing, ever again.
    Gone,
}

/// Takes the upgrade out of a request for a WebSocket, with the headers of the answer.
pub(super) fn upgrade(parts: &mut Parts) -> Option<(OnUpgrade, HeaderMap)> {
    let headers = &parts.headers;
    let names = |name, wanted: &str| {
        let values = headers.get_all(name).iter();
        values
            .filter_map(|value: &HeaderValue| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|value| value.trim().eq_ignore_ascii_case(wanted))
    };
    let is_asked_for = parts.version == Version::HTTP_11
        && parts.method == Method::GET
        && names(CONNECTION, "upgrade")
        && names(UPGRADE, "websocket")
        && names(SEC_WEBSOCKET_VERSION, VERSION);
    if !is_asked_for {
        return None;
    }
    let accept = accept(headers.get(SEC_WEBSOCKET_KEY)?)?;
    let answer = [
        (CONNECTION, HeaderValue::from_static("upgrade")),
        (UPGRADE, HeaderValue::from_static("websocket")),
        (SEC_WEBSOCKET_ACCEPT, accept),
    ];
    let upgrade = parts.extensions.remove::<OnUpgrade>()?;
    Some((upgrade, answer.into_iter().collect()))
}

/// The status of the answer that goes with the headers of [`upgrade`].
pub(super) const SWITCHING: StatusCode = StatusCode::SWITCHING_PROTOCOLS;

fn accept(key: &HeaderValue) -> Option<HeaderValue> {
    let hash = Sha1::new()
        .chain_update(key.as_bytes())
        .chain_update(KEY_SUFFIX)
        .finalize();
    BASE64.encode(&hash).try_into().ok()
}

/// A connection after its upgrade. It must write by itself what it is given, as a socket does.
pub(super) struct Wire<S> {
    stream: S,
    /// The frame that is written, as far as it has not been.
    head: Head,
    payload: Bytes,
    /// What came and was not understood yet.
    came: [u8; CAME_BYTES_MAX],
    came_bytes: u8,
    /// Bytes of a message that are still to come and are not looked at.
    skipped: u64,
}

#[derive(Default)]
struct Head {
    bytes: [u8; HEAD_BYTES_MAX],
    from: u8,
    to: u8,
}

impl Head {
    fn new(kind: Kind, payload_bytes: usize) -> Self {
        let mut head = Self::default();
        head.put(&[FIN | kind as u8]);
        match (u8::try_from(payload_bytes), u16::try_from(payload_bytes)) {
            (Ok(short @ 0..126), _) => head.put(&[short]),
            (_, Ok(long)) => {
                head.put(&[126]);
                head.put(&long.to_be_bytes());
            }
            _ => {
                head.put(&[127]);
                head.put(&(payload_bytes as u64).to_be_bytes());
            }
        }
        head
    }

    fn put(&mut self, bytes: &[u8]) {
        let to = usize::from(self.to) + bytes.len();
        self.bytes[usize::from(self.to)..to].copy_from_slice(bytes);
        self.to = to as u8;
    }

    fn unsent(&self) -> &[u8] {
        &self.bytes[usize::from(self.from)..usize::from(self.to)]
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            head: Head::default(),
            payload: Bytes::new(),
            came: [0; CAME_BYTES_MAX],
            came_bytes: 0,
            skipped: 0,
        }
    }

    /// Sends a frame. Where this is dropped before its end, the rest goes out before the next one.
    pub(super) async fn send(&mut self, kind: Kind, payload: Bytes) -> io::Result<()> {
        poll_fn(|context| self.poll_sent(context)).await?;
        self.head = Head::new(kind, payload.len());
        self.payload = payload;
        poll_fn(|context| self.poll_sent(context)).await
    }

    fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let (head, payload) = (self.head.unsent(), &self.payload[..]);
            let size = head.len() + payload.len();
            if size == 0 {
                // Others may still need the bytes; this viewer does not.
                self.payload = Bytes::new();
                return Poll::Ready(Ok(()));
            }
            let stream = Pin::new(&mut self.stream);
            let wrote = if size <= PLAIN_BYTES_MAX {
                let mut plain = [0; PLAIN_BYTES_MAX];
                plain[..head.len()].copy_from_slice(head);
                plain[head.len()..size].copy_from_slice(payload);
                ready!(stream.poll_write(context, &plain[..size]))?
            } else {
                let parts = [IoSlice::new(head), IoSlice::new(payload)];
                ready!(stream.poll_write_vectored(context, &parts))?
            };
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_head = wrote.min(head.len());
            self.head.from += of_head as u8;
            self.payload.advance(wrote - of_head);
        }
    }

    /// What the viewer says next.
    pub(super) async fn said(&mut self) -> Said {
        poll_fn(|context| self.poll_said(context)).await
    }

    pub(super) fn poll_said(&mut self, context: &mut Context<'_>) -> Poll<Said> {
        loop {
            if self.skipped > 0 {
                if let Some(end) = ready!(self.poll_skip(context)) {
                    return Poll::Ready(end);
                }
                continue;
            }
            if let Some(said) = self.understood() {
                return Poll::Ready(said);
            }
            let mut buffer = ReadBuf::new(&mut self.came[usize::from(self.came_bytes)..]);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
            let count = buffer.filled().len();
            if read.is_err() || count == 0 {
                return Poll::Ready(Said::Gone);
            }
            self.came_bytes += count as u8;
        }
    }

    /// Passes over what comes of a message.
    fn poll_skip(&mut self, context: &mut Context<'_>) -> Poll<Option<Said>> {
        let here = self.skipped.min(self.came_bytes.into()) as usize;
        if here > 0 {
            self.take(here);
            self.skipped -= here as u64;
            return Poll::Ready(None);
        }
        let mut bytes = [0; SKIPPED_AT_ONCE];
        let size = self.skipped.min(SKIPPED_AT_ONCE as u64) as usize;
        let mut buffer = ReadBuf::new(&mut bytes[..size]);
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
        let count = buffer.filled().len();
        if read.is_err() || count == 0 {
            return Poll::Ready(Some(Said::Gone));
        }
        self.skipped -= count as u64;
        Poll::Ready(None)
    }

    /// The first of what came, where it came whole.
    fn understood(&mut self) -> Option<Said> {
        let came = &self.came[..usize::from(self.came_bytes)];
        let (&first, &second) = (came.first()?, came.get(1)?);
        let (opcode, length) = (first & OPCODE, second & LENGTH);
        let is_control = opcode & 8 != 0;
        let is_nonsense = first & RESERVED != 0
            || second & MASKED == 0
            || !matches!(opcode, 0..=2 | 8..=10)
            || is_control && (first & FIN == 0 || usize::from(length) > CONTROL_BYTES_MAX);
        if is_nonsense {
            return Some(Said::Nonsense);
        }
        let (size, mask_at) = match length {
            126 => (u64::from(u16::from_be_bytes(*came[2..].first_chunk()?)), 4),
            127 => (u64::from_be_bytes(*came[2..].first_chunk()?), 10),
            length => (length.into(), 2),
        };
        let mask: [u8; 4] = *came.get(mask_at..)?.first_chunk()?;
        let payload_at = mask_at + mask.len();
        if !is_control {
            self.take(payload_at);
            self.skipped = size;
            return Some(Said::Message);
        }
        let end = payload_at + usize::from(length);
        let payload = came.get(payload_at..end)?;
        let unmasked = payload.iter().zip(mask.iter().cycle());
        let said = match opcode {
            8 if length == 1 => Said::Nonsense,
            8 => Said::Close(unmasked.take(2).map(|(byte, mask)| byte ^ mask).collect()),
            9 => Said::Ping(unmasked.map(|(byte, mask)| byte ^ mask).collect()),
            _ => Said::Pong,
        };
        self.take(end);
        Some(said)
    }

    /// Forgets the beginning of what came.
    fn take(&mut self, count: usize) {
        self.came
            .copy_within(count..usize::from(self.came_bytes), 0);
        self.came_bytes -= count as u8;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
        time::timeout,
    };

    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [7, 200, 31, 5];
        let mut frame = vec![first];
        match payload.len() {
            size @ 0..126 => frame.push(MASKED | size as u8),
            size => {
                frame.push(MASKED | 126);
                frame.extend((size as u16).to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
        frame
    }

    #[test]
    fn the_key_is_answered_as_the_standard_says() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept(&key).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[tokio::test]
    async fn what_a_viewer_says_is_understood_in_any_pieces() {
        let longest = [b'x'; CONTROL_BYTES_MAX];
        let said = [
            masked(0x89, b"hello"),
            masked(0x8a, b""),
            masked(0x89, &longest),
            masked(0x81, &[b'y'; 9_000]),
            masked(0x01, b"be"),
            masked(0x88, &[3, 232, b'b', b'y', b'e']),
            masked(0x88, b""),
        ]
        .concat();
        for piece in [1, 3, 130, 131, 132, 4_096, said.len()] {
            let (ours, mut theirs) = duplex(piece);
            let said = said.clone();
            let viewer = tokio::spawn(async move {
                theirs.write_all(&said).await.unwrap();
            });
            let mut wire = Wire::new(ours);
            assert_eq!(wire.said().await, Said::Ping("hello".into()), "{piece}");
            assert_eq!(wire.said().await, Said::Pong);
            assert_eq!(
                wire.said().await,
                Said::Ping(Bytes::copy_from_slice(&longest))
            );
            assert_eq!(wire.said().await, Said::Message);
            assert_eq!(wire.said().await, Said::Message);
            assert_eq!(
                wire.said().await,
                Said::Close(Bytes::from_static(&[3, 232]))
            );
            assert_eq!(wire.said().await, Said::Close(Bytes::new()));
            assert_eq!(wire.said().await, Said::Gone);
            viewer.await.unwrap();
        }
    }

    #[tokio::test]
    async fn nonsense_is_seen() {
        for nonsense in [
            vec![0x89, 0, 0],
            masked(0xc1, b""),
            masked(0x83, b""),
            masked(0x8b, b""),
            masked(0x09, b""),
            masked(0x88, b"x"),
            masked(0x89, &[0; 126]),
            b"GET / HTTP/1.1".to_vec(),
        ] {
            let (ours, mut theirs) = duplex(4_096);
            theirs.write_all(&nonsense).await.unwrap();
            assert_eq!(Wire::new(ours).said().await, Said::Nonsense, "{nonsense:?}");
        }
    }

    #[tokio::test]
    async fn frames_of_all_lengths_arrive_though_they_are_cut_off() {
        let sizes = [0, 125, 126, 2_040, 2_048, 65_535, 65_536, 300_000];
        for size in sizes {
            let (ours, mut theirs) = duplex(1_000);
            let mut wire = Wire::new(ours);
            let payload = Bytes::from(vec![b'z'; size]);
            let viewer = tokio::spawn(async move {
                let mut came = Vec::new();
                theirs.read_to_end(&mut came).await.unwrap();
                came
            });
            let mut wanted = Vec::new();
            for _ in 0..2 {
                wanted.extend_from_slice(Head::new(Kind::Text, size).unsent());
                wanted.extend_from_slice(&payload);
            }
            let sending = wire.send(Kind::Text, payload.clone());
            let _ = timeout(Duration::ZERO, sending).await;
            wire.send(Kind::Text, payload).await.unwrap();
            drop(wire);
            assert!(viewer.await.unwrap() == wanted, "{size}");
        }
        assert_eq!(Head::new(Kind::Ping, 0).unsent(), [0x89, 0]);
        assert_eq!(Head::new(Kind::Text, 300).unsent(), [0x81, 126, 1, 44]);
        assert_eq!(
            Head::new(Kind::Text, 1 << 16).unsent(),
            [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]
        );
    }
}
