//! A plain HTTP/1.1 client on one connection that is kept: what it costs is small and always the same.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::Outcome;

/// Whoever does not answer for so long will not.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// How much is read at once.
const READ_BYTES: usize = 64 * 1024;

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header, by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The body as text, for errors and JSON.
    pub(crate) fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

/// One connection that is kept.
pub(crate) struct Connection {
    stream: TcpStream,
    host: String,
    buffer: Vec<u8>,
    scratch: Vec<u8>,
}

impl Connection {
    /// Connects; `host` is what the address bar would say.
    pub(crate) fn open(address: SocketAddr, host: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Self {
            stream,
            host: host.to_owned(),
            buffer: Vec::new(),
            scratch: vec![0; READ_BYTES],
        })
    }

    /// Sends a request and waits for its answer. Headers are whole lines, each with its line end.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> Outcome<Answer> {
        let request = request(method, path, &self.host, headers, body);
        self.send(&request)
            .and_then(|()| self.answer())
            .map_err(|error| format!("{method} {path}: {error}").into())
    }

    /// Sends what [`request`] made.
    pub(crate) fn send(&mut self, request: &[u8]) -> Outcome<()> {
        Ok(self.stream.write_all(request)?)
    }

    /// The next answer on the connection.
    pub(crate) fn answer(&mut self) -> Outcome<Answer> {
        let head = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            self.fill()?;
        };
        let text = String::from_utf8_lossy(&self.buffer[..head]).into_owned();
        self.buffer.drain(..head + 4);
        let status = text
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .ok_or("the server's answer is not HTTP")?;
        let mut answer = Answer {
            status,
            head: text,
            body: Vec::new(),
        };
        if status == 204 || status == 304 || status < 200 {
            return Ok(answer);
        }
        answer.body = match answer.header("content-length").map(str::parse) {
            Some(length) => self.take(length?)?,
            None if answer.header("transfer-encoding").is_some() => self.chunks()?,
            None => self.rest()?,
        };
        Ok(answer)
    }

    fn fill(&mut self) -> Outcome<()> {
        match self.stream.read(&mut self.scratch)? {
            0 => Err("the server closed the connection".into()),
            count => {
                self.buffer.extend_from_slice(&self.scratch[..count]);
                Ok(())
            }
        }
    }

    fn take(&mut self, count: usize) -> Outcome<Vec<u8>> {
        while self.buffer.len() < count {
            self.fill()?;
        }
        let rest = self.buffer.split_off(count);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    fn chunks(&mut self) -> Outcome<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                match find(&self.buffer, b"\r\n") {
                    Some(end) => break end,
                    None => self.fill()?,
                }
            };
            let length = usize::from_str_radix(
                std::str::from_utf8(&self.buffer[..line])?
                    .split(';')
                    .next()
                    .unwrap_or_default()
                    .trim(),
                16,
            )?;
            self.buffer.drain(..line + 2);
            let chunk = self.take(length + 2)?;
            if length == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..length]);
        }
    }

    fn rest(&mut self) -> Outcome<Vec<u8>> {
        self.stream.read_to_end(&mut self.buffer)?;
        Ok(std::mem::take(&mut self.buffer))
    }
}

/// The bytes of a request.
pub(crate) fn request(method: &str, path: &str, host: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = match (method, body.len()) {
        ("GET" | "DELETE", 0) => String::new(),
        (_, length) => format!("Content-Length: {length}\r\n"),
    };
    let mut request =
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}{length}\r\n").into_bytes();
    request.extend_from_slice(body);
    request
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|some| some == what)
}
