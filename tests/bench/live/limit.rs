//! The bare limit of fan-out: one thread and one epoll that writes a frame, encoded once, to each socket with one write.
//!
//! It reads what viewers send and forgets it, since sockets whose read half nobody looks at never end. It knows no chats, no shares, no
//! rights; every upgrade is answered, every posted body goes to everybody as one text frame. What our fan-out costs is told as a multiple
//! of this, so it must stay as small and as quick as it can be made in plain code.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::thread;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::websocket;

/// How many events one look at the kernel brings at most.
const EVENTS_MAX: usize = 1_024;
/// Longest request, head and body.
const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// Token of the listener; connections have their places in the list.
const LISTENER: Token = Token(usize::MAX);

/// Listens on a free port of the loopback, prints the address as its first line, and serves until its input ends.
pub(crate) fn serve() -> io::Result<()> {
    // Whoever started it may be gone without a word; this thread sleeps until then.
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    let mut limit = Limit::new()?;
    println!("{}", limit.listener.local_addr()?);
    io::stdout().flush()?;
    let mut events = Events::with_capacity(EVENTS_MAX);
    loop {
        match limit.poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            match event.token() {
                LISTENER => limit.accept()?,
                Token(place) => limit.readable(place),
            }
        }
    }
}

struct Limit {
    poll: Poll,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    scratch: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    state: State,
}

enum State {
    /// Has not sent a whole request yet; this much came.
    Asking(Vec<u8>),
    /// Its upgrade was answered: it gets every frame.
    Viewing,
}

impl Limit {
    fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            connections: Vec::new(),
            free: Vec::new(),
            scratch: vec![0; REQUEST_BYTES_MAX],
        })
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            let place = self.free.pop().unwrap_or(self.connections.len());
            self.poll
                .registry()
                .register(&mut stream, Token(place), Interest::READABLE)?;
            let connection = Connection {
                stream,
                state: State::Asking(Vec::new()),
            };
            match self.connections.get_mut(place) {
                Some(free) => *free = Some(connection),
                None => self.connections.push(Some(connection)),
            }
        }
    }

    /// Reads until nothing is left; a read that does not fill the buffer was the last.
    fn readable(&mut self, place: usize) {
        loop {
            let Some(Some(connection)) = self.connections.get_mut(place) else {
                return;
            };
            let count = match connection.stream.read(&mut self.scratch) {
                Ok(0) => return self.cut(place),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.cut(place),
            };
            if let State::Asking(request) = &mut connection.state {
                request.extend_from_slice(&self.scratch[..count]);
                self.answer(place);
            }
            if count < self.scratch.len() {
                return;
            }
        }
    }

    fn answer(&mut self, place: usize) {
        let Some(Some(connection)) = self.connections.get_mut(place) else {
            return;
        };
        let State::Asking(request) = &mut connection.state else {
            return;
        };
        match whole_request(request) {
            Request::Half if request.len() < REQUEST_BYTES_MAX => {}
            Request::Half => self.cut(place),
            Request::Upgrade => {
                connection.state = State::Viewing;
                if connection.stream.write(websocket::SWITCHING).is_err() {
                    self.cut(place);
                }
            }
            Request::Body { from, to } => {
                let frame = websocket::text_frame(&request[from..to]);
                request.drain(..to);
                // The writer is answered first and may send on: what waits then is late, as it is in a server that does more.
                self.write(place, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                self.fan_out(&frame);
            }
        }
    }

    fn fan_out(&mut self, frame: &[u8]) {
        for place in 0..self.connections.len() {
            if let Some(Some(Connection {
                state: State::Viewing,
                ..
            })) = self.connections.get(place)
            {
                self.write(place, frame);
            }
        }
    }

    /// One write; whoever does not take all of it at once is cut, since the limit keeps nothing for anybody.
    fn write(&mut self, place: usize, bytes: &[u8]) {
        if let Some(Some(connection)) = self.connections.get_mut(place) {
            match connection.stream.write(bytes) {
                Ok(count) if count == bytes.len() => {}
                _ => self.cut(place),
            }
        }
    }

    fn cut(&mut self, place: usize) {
        if let Some(connection) = self.connections.get_mut(place)
            && connection.take().is_some()
        {
            self.free.push(place);
        }
    }
}

enum Request {
    Half,
    Upgrade,
    Body { from: usize, to: usize },
}

fn whole_request(bytes: &[u8]) -> Request {
    let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Request::Half;
    };
    let from = head + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    if text.contains("upgrade: websocket") {
        return Request::Upgrade;
    }
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|length| length.trim().parse::<usize>().ok())
        .unwrap_or(0);
    if bytes.len() < from + length {
        Request::Half
    } else {
        Request::Body {
            from,
            to: from + length,
        }
    }
}
