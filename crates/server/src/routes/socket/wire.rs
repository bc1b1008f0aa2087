//! A WebSocket (RFC 6455) on which one side speaks and the other has nothing to say but pings, pongs and the end.
//!
//! A frame is written from the bytes that all viewers share, and what a viewer says is read into a place as large as the largest control frame: nothing is
//! copied for a viewer, and nothing kept. The two halves are apart, so that others can write while the viewer's task reads.

use std::{
    future::poll_fn,
    io, mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
use readalong_live::{hub::Outlet, protocol::EncodedFrame};
use sha1::{Digest, Sha1};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::tcp::OwnedWriteHalf,
};

use crate::metrics::Metrics;

/// What a server adds to the key of a viewer.
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const VERSION: &str = "13";
/// The largest payload of a control frame.
const CONTROL_BYTES_MAX: usize = 125;
/// The largest control frame of a viewer: with two bytes before it, and its mask.
const CAME_BYTES_MAX: usize = 2 + 4 + CONTROL_BYTES_MAX;
/// Bytes that are passed over at once.
const SKIPPED_AT_ONCE: usize = 4 << 10;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;

/// What a control frame of ours is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Control {
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

/// The writing half of a connection after its upgrade. Who writes is agreed upon elsewhere (see [`Outlet`]); a frame is begun when the one before it has gone.
pub(super) struct FrameWriter {
    unsent: Mutex<Unsent>,
    metrics: Arc<Metrics>,
}

/// What is left of a frame that was begun.
struct Unsent {
    stream: OwnedWriteHalf,
    bytes: Bytes,
    /// Frames that were begun and are not in the metrics yet, and their bytes.
    frames: u64,
    frame_bytes: u64,
    /// Bytes that the connection took piece by piece.
    taken: u64,
}

impl FrameWriter {
    pub(super) fn new(stream: OwnedWriteHalf, metrics: Arc<Metrics>) -> Self {
        Self {
            unsent: Mutex::new(Unsent {
                stream,
                bytes: Bytes::new(),
                frames: 0,
                frame_bytes: 0,
                taken: 0,
            }),
            metrics,
        }
    }

    /// Sends a frame. Where this is dropped before its end, the rest goes out before the next one.
    pub(super) async fn send(&self, frame: &EncodedFrame) -> io::Result<()> {
        self.unsent().count(frame);
        self.send_bytes(frame.message().clone()).await
    }

    /// Sends a control frame.
    pub(super) async fn control(&self, kind: Control, payload: &[u8]) -> io::Result<()> {
        let payload = &payload[..payload.len().min(CONTROL_BYTES_MAX)];
        let head = [FIN | kind as u8, payload.len() as u8];
        self.send_bytes([&head, payload].concat().into()).await
    }

    /// Sends what is left of a frame.
    pub(super) async fn finish(&self) -> io::Result<()> {
        poll_fn(|context| self.unsent().poll_sent(context)).await
    }

    /// How many bytes the connection took piece by piece: where that stands still, it takes nothing.
    pub(super) fn taken(&self) -> u64 {
        self.unsent().taken
    }

    /// Adds what this viewer got to what all got. This is done from time to time: at each frame, thousands would hold each other up.
    pub(super) fn report(&self) {
        let mut unsent = self.unsent();
        self.metrics.frames.add(mem::take(&mut unsent.frames));
        let bytes = mem::take(&mut unsent.frame_bytes);
        self.metrics.frame_bytes.add(bytes);
    }

    async fn send_bytes(&self, bytes: Bytes) -> io::Result<()> {
        self.finish().await?;
        self.unsent().bytes = bytes;
        self.finish().await
    }

    fn unsent(&self) -> MutexGuard<'_, Unsent> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FrameWriter {
    fn drop(&mut self) {
        self.report();
    }
}

impl Outlet for FrameWriter {
    fn offer(&self, frame: &EncodedFrame) -> bool {
        let bytes = frame.message();
        let mut unsent = self.unsent();
        unsent.count(frame);
        // Straight to the socket: whether it takes something it says by itself, and at less cost than the runtime's notes of that.
        let sent = SockRef::from(unsent.stream.as_ref()).send(bytes);
        // An error comes again where the rest is sent.
        let sent = sent.unwrap_or(0);
        let is_all = sent == bytes.len();
        if !is_all {
            unsent.bytes = bytes.slice(sent..);
        }
        is_all
    }
}

impl Unsent {
    fn count(&mut self, frame: &EncodedFrame) {
        self.frames += 1;
        self.frame_bytes += frame.len() as u64;
    }

    fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.bytes.is_empty() {
            let stream = Pin::new(&mut self.stream);
            let wrote = ready!(stream.poll_write(context, &self.bytes))?;
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.bytes.advance(wrote);
            self.taken += wrote as u64;
        }
        // Others may still need the bytes; this viewer does not.
        self.bytes = Bytes::new();
        Poll::Ready(Ok(()))
    }
}

/// The reading half of a connection after its upgrade.
pub(super) struct FrameReader<R> {
    stream: R,
    /// What came and was not understood yet.
    came: [u8; CAME_BYTES_MAX],
    came_bytes: u8,
    /// Bytes of a message that are still to come and are not looked at.
    skipped: u64,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(stream: R) -> Self {
        Self {
            stream,
            came: [0; CAME_BYTES_MAX],
            came_bytes: 0,
            skipped: 0,
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

    use readalong_live::protocol::Frame;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
        net::{TcpListener, TcpStream},
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
            let mut reader = FrameReader::new(ours);
            assert_eq!(reader.said().await, Said::Ping("hello".into()), "{piece}");
            assert_eq!(reader.said().await, Said::Pong);
            assert_eq!(
                reader.said().await,
                Said::Ping(Bytes::copy_from_slice(&longest))
            );
            assert_eq!(reader.said().await, Said::Message);
            assert_eq!(reader.said().await, Said::Message);
            assert_eq!(
                reader.said().await,
                Said::Close(Bytes::from_static(&[3, 232]))
            );
            assert_eq!(reader.said().await, Said::Close(Bytes::new()));
            assert_eq!(reader.said().await, Said::Gone);
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
            assert_eq!(
                FrameReader::new(ours).said().await,
                Said::Nonsense,
                "{nonsense:?}"
            );
        }
    }

    /// Both ends of a connection that holds little.
    async fn narrow() -> (FrameWriter, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let theirs = TcpStream::connect(listener.local_addr().unwrap());
        let (ours, theirs) = tokio::join!(listener.accept(), theirs);
        let ours = ours.unwrap().0;
        SockRef::from(&ours).set_send_buffer_size(1).unwrap();
        let writer = FrameWriter::new(ours.into_split().1, Arc::default());
        (writer, theirs.unwrap())
    }

    fn frame_of(html_bytes: usize) -> EncodedFrame {
        let html = "z".repeat(html_bytes);
        let op = readalong_live::protocol::Op::Header {
            html,
            title: String::new(),
        };
        let frame = Frame {
            ops: Some(vec![op]),
            ..Frame::default()
        };
        frame.encode()
    }

    #[tokio::test]
    async fn frames_of_all_lengths_arrive_though_they_are_cut_off() {
        for size in [0, 2_000, 65_535, 70_000, 300_000, 8_000_000] {
            let (writer, mut theirs) = narrow().await;
            let frame = frame_of(size);
            let wanted = [&frame.message()[..], &frame.message()[..], &[0x89, 1, 7]].concat();
            let viewer = tokio::spawn(async move {
                let mut came = Vec::new();
                theirs.read_to_end(&mut came).await.unwrap();
                came
            });
            let _ = timeout(Duration::ZERO, writer.send(&frame)).await;
            writer.send(&frame).await.unwrap();
            writer.control(Control::Ping, &[7]).await.unwrap();
            drop(writer);
            assert!(viewer.await.unwrap() == wanted, "{size}");
        }
    }

    #[tokio::test]
    async fn what_does_not_go_at_once_is_left_over() {
        let (writer, mut theirs) = narrow().await;
        let mut wanted = Vec::new();
        let frame = frame_of(100_000);
        while writer.offer(&frame) {
            wanted.extend_from_slice(frame.message());
        }
        assert!(!writer.unsent().bytes.is_empty());
        wanted.extend_from_slice(frame.message());
        let viewer = tokio::spawn(async move {
            let mut came = Vec::new();
            theirs.read_to_end(&mut came).await.unwrap();
            came
        });
        writer.finish().await.unwrap();
        assert!(writer.unsent().bytes.is_empty());
        drop(writer);
        assert!(viewer.await.unwrap() == wanted);
    }

    #[tokio::test]
    async fn a_viewer_who_is_gone_leaves_an_error_for_the_task() {
        let (writer, theirs) = narrow().await;
        SockRef::from(&theirs)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(theirs);
        while writer.offer(&frame_of(10)) {
            tokio::task::yield_now().await;
        }
        assert!(writer.finish().await.is_err());
    }
}
