//! Many viewers on one thread and one epoll: they upgrade, read every frame, and say what was lost, doubled, out of order or late.
//!
//! A frame's text is looked at once however many viewers get it, so that ten thousand of them cost little beside what serves them.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::Outcome;
use crate::http::Connection;
use crate::message::{self, Mark};
use crate::websocket::{self, Kind};

/// How many events one look at the kernel brings at most.
const EVENTS_MAX: usize = 1_024;
/// How much is read at once; viewers that are behind need more than one read.
const READ_BYTES: usize = 256 * 1024;
/// Upgrades under way at once: less than any listener's backlog.
const CONNECTING_MAX: usize = 128;
/// Viewers of one address, of those that the loopback has sixteen million of: fewer than a server lets in from one.
const VIEWERS_OF_ADDRESS: usize = 20;
/// Different frames that are remembered; viewers are seldom further apart.
const FRAMES_REMEMBERED: usize = 16;
/// Longest answer to an upgrade.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The close code of a viewer whose connection ended without one.
pub(crate) const CUT: u16 = 1006;

/// What all viewers of a crowd got.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Text frames of any kind.
    pub(crate) frames: u64,
    /// Bytes of their payloads.
    pub(crate) bytes: u64,
    /// Messages that came to a viewer for the first time.
    pub(crate) delivered: u64,
    /// Messages that were passed over when a later one came.
    pub(crate) lost: u64,
    /// Messages that came as new a second time, and frames whose number did not grow.
    pub(crate) doubled: u64,
    /// How long each delivered message took, in µs.
    pub(crate) latencies_us: Vec<u32>,
}

/// Viewers of one path.
pub(crate) struct Crowd {
    poll: Poll,
    events: Events,
    viewers: Vec<Viewer>,
    scratch: Vec<u8>,
    remembered: Vec<Remembered>,
    asking: usize,
    /// How many are open now.
    pub(crate) open: usize,
    /// Viewers by the code that they were closed with, and when the last of them was.
    pub(crate) closed: BTreeMap<u16, usize>,
    pub(crate) last_closed: Option<Instant>,
    pub(crate) tally: Tally,
}

struct Viewer {
    stream: Option<TcpStream>,
    is_open: bool,
    /// The beginning of what has not come whole.
    half: Vec<u8>,
    /// The number of the message that has to come next; unknown before the first.
    next: Option<u32>,
    seq: u64,
    /// Whether a change of the page came since [`Crowd::forget_changes`].
    is_told: bool,
    code: Option<u16>,
}

/// What a frame says, for all viewers that get the same bytes.
struct Remembered {
    payload: Vec<u8>,
    said: Said,
}

#[derive(Clone, Debug, Default)]
struct Said {
    seq: Option<u64>,
    /// The page changes by it, or is fetched anew.
    is_change: bool,
    marks: Vec<Mark>,
}

impl Crowd {
    pub(crate) fn new() -> Outcome<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_MAX),
            viewers: Vec::new(),
            scratch: vec![0; READ_BYTES],
            remembered: Vec::new(),
            asking: 0,
            open: 0,
            closed: BTreeMap::new(),
            last_closed: None,
            tally: Tally::default(),
        })
    }

    /// Adds viewers and waits until all of them are open.
    pub(crate) fn join(&mut self, door: &Door, count: usize) -> Outcome<()> {
        let request = door.request()?;
        let deadline = Instant::now() + Duration::from_secs(60);
        let wanted = self.viewers.len() + count;
        while self.viewers.len() < wanted || self.asking > 0 {
            while self.viewers.len() < wanted && self.asking < CONNECTING_MAX {
                self.add(door, &request)?;
            }
            self.turn(Duration::from_millis(100))?;
            if !self.closed.is_empty() {
                return Err(format!("viewers were not let in: {:?}", self.closed).into());
            }
            if Instant::now() > deadline {
                return Err(format!("only {} of {wanted} viewers were let in", self.open).into());
            }
        }
        Ok(())
    }

    /// Says that message `first` has to come next to every viewer.
    pub(crate) fn expect(&mut self, first: u32) {
        for viewer in &mut self.viewers {
            viewer.next = Some(first);
        }
    }

    /// From here on [`Crowd::are_told`] counts.
    pub(crate) fn forget_changes(&mut self) {
        for viewer in &mut self.viewers {
            viewer.is_told = false;
        }
    }

    /// Whether a change of the page came to every viewer.
    pub(crate) fn are_told(&self) -> bool {
        self.viewers.iter().all(|viewer| viewer.is_told)
    }

    /// Reads what comes until it is enough, or until the time is over; says whether it was enough.
    pub(crate) fn read_until(
        &mut self,
        timeout: Duration,
        mut is_enough: impl FnMut(&Self) -> bool,
    ) -> Outcome<bool> {
        let deadline = Instant::now() + timeout;
        while !is_enough(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            self.turn(left.min(Duration::from_millis(20)))?;
        }
        Ok(true)
    }

    /// Reads what comes for so long.
    pub(crate) fn read_for(&mut self, time: Duration) -> Outcome<()> {
        self.read_until(time, |_| false).map(|_| ())
    }

    /// The tally since it was last taken.
    pub(crate) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    fn add(&mut self, door: &Door, request: &[u8]) -> Outcome<()> {
        let place = self.viewers.len();
        let mut stream = door.connect(place)?;
        self.poll.registry().register(
            &mut stream,
            Token(place),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        self.asking += 1;
        self.viewers.push(Viewer {
            stream: Some(stream),
            is_open: false,
            half: request.to_vec(),
            next: None,
            seq: 0,
            is_told: false,
            code: None,
        });
        Ok(())
    }

    fn turn(&mut self, timeout: Duration) -> Outcome<()> {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        match self.poll.poll(&mut events, Some(timeout)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => other?,
        }
        for event in &events {
            let Token(place) = event.token();
            if event.is_writable() && !event.is_error() {
                self.send_request(place);
            }
            if event.is_readable() || event.is_error() {
                self.readable(place);
            }
        }
        self.events = events;
        Ok(())
    }

    /// A connection that was just made sends its request; later there is nothing to send.
    fn send_request(&mut self, place: usize) {
        let viewer = &mut self.viewers[place];
        let Some(stream) = &mut viewer.stream else {
            return;
        };
        if !viewer.is_open && viewer.half.starts_with(b"GET ") {
            let request = std::mem::take(&mut viewer.half);
            match stream.write(&request) {
                Ok(count) if count == request.len() => {}
                _ => self.close(place, CUT),
            }
        }
    }

    /// Reads until nothing is left; a read that does not fill the buffer was the last.
    fn readable(&mut self, place: usize) {
        loop {
            let viewer = &mut self.viewers[place];
            let Some(stream) = &mut viewer.stream else {
                return;
            };
            let count = match stream.read(&mut self.scratch) {
                Ok(0) => return self.close(place, CUT),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.close(place, CUT),
            };
            let scratch = std::mem::take(&mut self.scratch);
            if self.viewers[place].half.is_empty() {
                let rest = self.take_frames(place, &scratch[..count]);
                self.viewers[place]
                    .half
                    .extend_from_slice(&scratch[rest..count]);
            } else {
                let mut bytes = std::mem::take(&mut self.viewers[place].half);
                bytes.extend_from_slice(&scratch[..count]);
                let rest = self.take_frames(place, &bytes);
                bytes.drain(..rest);
                if !bytes.is_empty() {
                    self.viewers[place].half = bytes;
                }
            }
            self.scratch = scratch;
            if count < self.scratch.len() {
                return;
            }
        }
    }

    /// Takes what is whole and says where the rest begins.
    fn take_frames(&mut self, place: usize, bytes: &[u8]) -> usize {
        let mut at = 0;
        if !self.viewers[place].is_open {
            let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
                if bytes.len() > HEAD_BYTES_MAX {
                    self.close(place, CUT);
                }
                return 0;
            };
            let head = String::from_utf8_lossy(&bytes[..end]);
            if !head.starts_with("HTTP/1.1 101") || !head.contains(websocket::ACCEPT) {
                let status = head
                    .split(' ')
                    .nth(1)
                    .and_then(|status| status.parse().ok());
                self.close(place, status.unwrap_or(CUT));
                return bytes.len();
            }
            self.viewers[place].is_open = true;
            self.asking -= 1;
            self.open += 1;
            at = end + 4;
        }
        let now_us = message::now_us();
        while let Some(frame) = websocket::frame_at(bytes, at) {
            let payload = &bytes[frame.payload.clone()];
            match frame.kind {
                Kind::Text => self.text(place, payload, now_us),
                Kind::Ping => self.reply(place, &websocket::masked(Kind::Other, payload)),
                Kind::Close => {
                    let code = payload
                        .first_chunk()
                        .map_or(1005, |code| u16::from_be_bytes(*code));
                    self.reply(place, &websocket::masked(Kind::Close, payload));
                    self.close(place, code);
                    return bytes.len();
                }
                Kind::Other => {}
            }
            at = frame.payload.end;
        }
        at
    }

    fn text(&mut self, place: usize, payload: &[u8], now_us: u64) {
        self.tally.frames += 1;
        self.tally.bytes += payload.len() as u64;
        let known = match self
            .remembered
            .iter()
            .rposition(|known| known.payload == payload)
        {
            Some(known) => known,
            None => {
                if self.remembered.len() == FRAMES_REMEMBERED {
                    self.remembered.remove(0);
                }
                self.remembered.push(Remembered {
                    payload: payload.to_vec(),
                    said: Said::of(payload),
                });
                self.remembered.len() - 1
            }
        };
        let said = &self.remembered[known].said;
        let viewer = &mut self.viewers[place];
        viewer.is_told |= said.is_change;
        if let Some(seq) = said.seq {
            if seq <= viewer.seq {
                self.tally.doubled += 1;
            }
            viewer.seq = seq;
        }
        for mark in &said.marks {
            let next = viewer.next.unwrap_or(mark.number);
            if mark.number < next {
                self.tally.doubled += 1;
                continue;
            }
            self.tally.lost += u64::from(mark.number - next);
            self.tally.delivered += 1;
            let took = now_us.saturating_sub(mark.sent_us);
            self.tally
                .latencies_us
                .push(u32::try_from(took).unwrap_or(u32::MAX));
            viewer.next = Some(mark.number + 1);
        }
    }

    /// Small enough for any socket buffer, so that one write does it.
    fn reply(&mut self, place: usize, frame: &[u8]) {
        if let Some(stream) = &mut self.viewers[place].stream {
            let _ = stream.write(frame);
        }
    }

    fn close(&mut self, place: usize, code: u16) {
        let viewer = &mut self.viewers[place];
        if viewer.stream.take().is_none() {
            return;
        }
        if viewer.is_open {
            self.open -= 1;
        } else {
            self.asking -= 1;
        }
        viewer.code = Some(code);
        *self.closed.entry(code).or_default() += 1;
        self.last_closed = Some(Instant::now());
    }

    /// Viewers that were in the crowd from the beginning and are not any more, or that miss the last message.
    pub(crate) fn without(&self, last: u32) -> usize {
        let has_all = |viewer: &&Viewer| viewer.next == Some(last + 1);
        self.viewers.len() - self.viewers.iter().filter(has_all).count()
    }
}

impl Said {
    /// A frame of ours is JSON with operations, where only what is put as new counts; one of the limit is the message's text.
    fn of(payload: &[u8]) -> Self {
        let text = String::from_utf8_lossy(payload);
        let Ok(Value::Object(frame)) = serde_json::from_str::<Value>(&text) else {
            return Self {
                seq: None,
                is_change: false,
                marks: message::marks(&text),
            };
        };
        let mut said = Self {
            seq: frame.get("seq").and_then(Value::as_u64),
            is_change: frame.contains_key("ops") || frame.contains_key("reset"),
            marks: Vec::new(),
        };
        for op in frame
            .get("ops")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if let Some(put) = op.get("put")
                && put.get("new").and_then(Value::as_bool) != Some(false)
                && let Some(html) = put.get("html").and_then(Value::as_str)
            {
                let mut marks = message::marks(html);
                marks.dedup_by_key(|mark| mark.number);
                said.marks.extend(marks);
            }
        }
        said
    }
}

/// Where viewers connect to.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    /// What the address bar says, for `Host` and `Origin`.
    pub(crate) host: String,
    /// The share's own path, `/s/<share>/`; the limit has none and takes any path.
    pub(crate) share: Option<String>,
}

impl Door {
    /// The request of a viewer who has just loaded the page.
    pub(crate) fn request(&self) -> Outcome<Vec<u8>> {
        let Some(share) = &self.share else {
            return Ok(websocket::upgrade("/", &self.host));
        };
        let mut connection = Connection::open(self.address, &self.host)?;
        let page = connection.ask("GET", share, "Accept-Encoding: identity\r\n", b"")?;
        if page.status != 200 {
            return Err(format!("the page {share} is answered {}", page.status).into());
        }
        let html = page.text();
        let of = |name: &str| {
            attribute(&html, name).ok_or_else(|| format!("the page {share} has no {name}"))
        };
        let (epoch, seq) = (of("data-epoch")?, of("data-seq")?);
        let path = format!("{share}live?epoch={epoch}&after={seq}");
        Ok(websocket::upgrade(&path, &self.host))
    }

    /// Each few viewers come from an address of their own, as far as the system has more than one for the loopback.
    /// A connection that is dropped is reset, so that it leaves no port behind that has to wait.
    pub(crate) fn socket(&self, place: usize) -> Outcome<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_linger(Some(Duration::ZERO))?;
        socket.set_tcp_nodelay(true)?;
        let person = place / VIEWERS_OF_ADDRESS;
        let from = Ipv4Addr::new(127, 1, (person / 250) as u8, (person % 250 + 1) as u8);
        match socket.bind(&SocketAddr::from((from, 0)).into()) {
            Err(error) if error.kind() != ErrorKind::AddrNotAvailable => Err(error.into()),
            _ => Ok(socket),
        }
    }

    fn connect(&self, place: usize) -> Outcome<TcpStream> {
        let socket = self.socket(place)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&self.address.into()) {
            Err(error) if !is_under_way(&error) => return Err(error.into()),
            _ => {}
        }
        Ok(TcpStream::from_std(socket.into()))
    }
}

/// The value of an attribute that stands once in a page.
fn attribute<'a>(html: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = html.split_once(&format!(" {name}=\""))?;
    Some(rest.split_once('"')?.0)
}

/// A connection that is being made: what `connect` says of it has no kind of its own on every system.
fn is_under_way(error: &std::io::Error) -> bool {
    /// `EINPROGRESS` of Linux and of macOS.
    const IN_PROGRESS: [i32; 2] = [115, 36];
    error.kind() == ErrorKind::WouldBlock
        || error
            .raw_os_error()
            .is_some_and(|code| IN_PROGRESS.contains(&code))
}
