//! A viewer of a live share, as docs/protocol.md says it: fetches a page, connects, applies what comes, comes back.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, time::Duration};

use futures_util::StreamExt;
use serde_json::Value;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest, http::HeaderValue},
};

use crate::served::{PATIENCE, get_text, try_ask};

/// One item of a page: its key, and its HTML with the day's line before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) key: String,
    pub(crate) html: String,
}

/// What a page says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) is_live: bool,
    pub(crate) epoch: String,
    pub(crate) seq: u64,
    pub(crate) pages: Vec<String>,
    pub(crate) has_next: bool,
    pub(crate) has_previous: bool,
    pub(crate) title: String,
    pub(crate) items: Vec<Item>,
}

impl Page {
    pub(crate) fn parse(html: &str) -> Self {
        let (_, rest) = html
            .split_once("<body ")
            .unwrap_or_else(|| panic!("no page: {html}"));
        let (body, rest) = rest.split_once('>').unwrap();
        let main = rest
            .split_once("<main ")
            .and_then(|(_, main)| main.split_once('>'))
            .and_then(|(_, main)| main.rsplit_once("</main>"))
            .map(|(main, _)| main)
            .unwrap_or_default();
        let text = |name: &str| attribute(body, name).unwrap_or_default().to_owned();
        let pages = match attribute(body, "data-pages") {
            Some(pages) => pages.split(' ').map(str::to_owned).collect(),
            None => vec![text("data-page")],
        };
        Self {
            is_live: attribute(body, "data-live").is_some(),
            epoch: text("data-epoch"),
            seq: text("data-seq").parse().unwrap_or_default(),
            pages,
            has_next: main.contains("<a rel=\"next\""),
            has_previous: main.contains("<a rel=\"prev\""),
            title: between(html, "<h1", "</h1>")
                .and_then(|title| title.split_once('>'))
                .map(|(_, title)| plain(title))
                .unwrap_or_default(),
            items: items(main),
        }
    }

    pub(crate) fn keys(&self) -> Vec<&str> {
        self.items.iter().map(|item| item.key.as_str()).collect()
    }
}

/// A text without tags, blanks collapsed.
fn plain(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        text.push_str(before);
        rest = after.split_once('>').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An attribute of a tag. The renderer quotes all of them, and escapes what would end one.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    between(tag, &format!("{name}=\""), "\"")
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(begin)?;
    rest.split_once(end).map(|(inner, _)| inner)
}

/// The items in a piece of HTML. Foreign text in it is escaped, so that a tag is a tag.
pub(crate) fn items(html: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let (mut depth, mut begin, mut from) = (0_u32, 0, 0);
    let mut day = None;
    while let Some(at) = html[from..].find('<').map(|at| from + at) {
        let tag = &html[at..];
        let starts = |name: &str| {
            tag.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with([' ', '>', '\n']))
        };
        if starts("<article") {
            if depth == 0 {
                begin = day.take().unwrap_or(at);
            }
            depth += 1;
        } else if starts("</article") {
            depth -= 1;
            if depth == 0 {
                let end = at + "</article>".len();
                let html = &html[begin..end];
                let opening = html.split_once("<article").unwrap().1;
                let opening = opening.split_once('>').unwrap().0;
                if let Some(key) = attribute(opening, "data-item") {
                    items.push(Item {
                        key: key.to_owned(),
                        html: html.to_owned(),
                    });
                }
            }
        } else if depth == 0 && tag.starts_with("<p class=\"day\"") {
            day = Some(at);
        }
        from = at + 1;
    }
    assert_eq!(depth, 0, "an article without an end");
    items
}

/// All items of the pages of messages at an address, from the first page on.
pub(crate) fn all_items(link: &str) -> Vec<Item> {
    all_items_by(|name| get_text(&format!("{link}{name}")))
}

/// All items of the pages of messages of a bundle in a folder.
pub(crate) fn items_of_bundle(folder: &Path) -> Vec<Item> {
    all_items_by(|name| std::fs::read_to_string(folder.join(name)).unwrap())
}

fn all_items_by(fetch: impl Fn(&str) -> String) -> Vec<Item> {
    let mut items = Vec::new();
    let mut name = "index.html".to_owned();
    loop {
        let html = fetch(&name);
        let page = Page::parse(&html);
        items.extend(page.items);
        match between(&html, "<a rel=\"next\" href=\"", "\"") {
            Some(next) => name = next.to_owned(),
            None => break items,
        }
    }
}

/// Why a page of a share is not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// 404.
    Gone,
    /// 401, or asked to sign in.
    SignIn,
}

/// What a viewer lived through.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    pub(crate) frames: u64,
    pub(crate) puts: u64,
    pub(crate) new: u64,
    pub(crate) fetched: u64,
    pub(crate) connections: u64,
}

/// What came next.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A frame; it is applied.
    Frame(Value),
    /// The connection ended, with a code or, where the network did it, without one.
    Closed(Option<u16>),
    /// Nothing for so long.
    Silence,
}

/// A connection of a viewer.
pub(crate) struct Line {
    socket: WebSocketStream<TcpStream>,
    /// The last number on it: numbers only grow.
    last: u64,
    greeted: bool,
}

/// A page that is open.
pub(crate) struct Viewer {
    /// The share's address, with its `/` at the end.
    link: String,
    /// The page's name there; empty for that with the newest messages.
    name: String,
    cookie: Option<String>,
    pub(crate) page: Page,
    pub(crate) told: Told,
    /// Nothing more will come.
    pub(crate) ended: bool,
    /// What stands below the messages of a share that ended.
    pub(crate) footer: Option<String>,
    /// The header after it was shown anew.
    pub(crate) header: Option<String>,
    /// Bytes that the system keeps for a viewer who does not read; as usual where `None`.
    pub(crate) receive_buffer: Option<u32>,
}

impl Viewer {
    /// Opens the newest messages of a share.
    pub(crate) async fn open(link: &str) -> Self {
        Self::open_page(link, "", None).await
    }

    /// Opens a page of a share.
    pub(crate) async fn open_page(link: &str, name: &str, cookie: Option<&str>) -> Self {
        let mut viewer = Self {
            link: link.to_owned(),
            name: name.to_owned(),
            cookie: cookie.map(str::to_owned),
            page: Page::default(),
            told: Told::default(),
            ended: false,
            footer: None,
            header: None,
            receive_buffer: None,
        };
        let begun = std::time::Instant::now();
        while viewer.fetch().await.is_err() {
            assert!(begun.elapsed() < PATIENCE, "the server does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(viewer.told.fetched == 1, "{link}{name} is not there");
        viewer
    }

    /// Takes the content of the page as it is now.
    ///
    /// # Errors
    /// The server is down.
    pub(crate) async fn fetch(&mut self) -> Result<Result<(), Closed>, ()> {
        let url = format!("{}{}", self.link, self.name);
        let cookie = self.cookie.clone();
        let ask = move || match &cookie {
            Some(cookie) => try_ask("GET", &url, &[("Cookie", cookie)], &[]),
            None => try_ask("GET", &url, &[], &[]),
        };
        let answer = tokio::task::spawn_blocking(ask).await.unwrap();
        let answer = answer.map_err(drop)?;
        match answer.status {
            200 => {}
            404 => return Ok(Err(Closed::Gone)),
            401 | 302 | 303 => return Ok(Err(Closed::SignIn)),
            // It is going down.
            503 => return Err(()),
            status => panic!("{}{}: {status} {}", self.link, self.name, answer.text()),
        }
        self.page = Page::parse(&answer.text());
        self.ended = !self.page.is_live;
        self.told.fetched += 1;
        Ok(Ok(()))
    }

    /// Connects.
    ///
    /// # Errors
    /// The server is down, or refuses.
    pub(crate) async fn connect(&mut self) -> Result<Line, Error> {
        let ws = self.link.replace("http://", "ws://");
        let url = format!("{ws}live?epoch={}&after={}", self.page.epoch, self.page.seq);
        let mut request = url.into_client_request()?;
        if let Some(cookie) = &self.cookie {
            let cookie = HeaderValue::from_str(cookie).unwrap();
            request.headers_mut().insert("Cookie", cookie);
        }
        let addr = request.uri().authority().unwrap().as_str().parse().unwrap();
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        let open = async {
            let stream = socket.connect(addr).await?;
            stream.set_nodelay(true)?;
            client_async(request, stream).await
        };
        let (socket, _) = timeout(PATIENCE, open)
            .await
            .expect("connecting takes too long")?;
        self.told.connections += 1;
        Ok(Line {
            socket,
            last: 0,
            greeted: false,
        })
    }

    /// Connects, however often that takes.
    pub(crate) async fn come_back(&mut self) -> Line {
        let begun = std::time::Instant::now();
        loop {
            match self.connect().await {
                Ok(line) => return line,
                Err(_) => assert!(begun.elapsed() < PATIENCE, "the server does not come back"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Applies what comes next.
    pub(crate) async fn hear(&mut self, line: &mut Line, silence: Duration) -> Heard {
        loop {
            let message = match timeout(silence, line.socket.next()).await {
                Err(_) => return Heard::Silence,
                Ok(None | Some(Err(_))) => return Heard::Closed(None),
                Ok(Some(Ok(message))) => message,
            };
            match message {
                Message::Text(text) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    return match self.apply(line, &frame).await {
                        Ok(()) => Heard::Frame(frame),
                        Err(()) => Heard::Closed(None),
                    };
                }
                Message::Close(frame) => {
                    return Heard::Closed(frame.map(|frame| frame.code.into()));
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                Message::Binary(_) => panic!("a binary message"),
            }
        }
    }

    /// Applies a frame.
    ///
    /// # Errors
    /// The page cannot be fetched, or is of another epoch: the viewer connects anew.
    async fn apply(&mut self, line: &mut Line, frame: &Value) -> Result<(), ()> {
        if let Some(hello) = frame.get("hello") {
            assert!(!line.greeted, "greeted twice");
            line.greeted = true;
            assert_eq!(hello["protocol"], 1);
            return Ok(());
        }
        assert!(line.greeted, "the first frame is no hello: {frame}");
        if let Some(reset) = frame.get("reset") {
            self.refetch().await?;
            return match reset["epoch"] == self.page.epoch.as_str() {
                true => Ok(()),
                false => Err(()),
            };
        }
        let Some(ops) = frame["ops"].as_array() else {
            assert!(frame["viewers"].is_u64(), "{frame}");
            return Ok(());
        };
        let seq = frame["seq"].as_u64().unwrap();
        assert!(seq > line.last, "{seq} comes after {}", line.last);
        line.last = seq;
        self.told.frames += 1;
        if seq <= self.page.seq {
            return Ok(());
        }
        for op in ops {
            if op.get("reload").is_some() {
                return self.refetch().await;
            }
            self.apply_op(op);
        }
        self.page.seq = seq;
        Ok(())
    }

    async fn refetch(&mut self) -> Result<(), ()> {
        match self.fetch().await? {
            Ok(()) => Ok(()),
            // The connection will say so too.
            Err(_) => Err(()),
        }
    }

    fn place(&self, key: &Value) -> Option<usize> {
        let key = key.as_str()?;
        self.page.items.iter().position(|item| item.key == key)
    }

    fn apply_op(&mut self, op: &Value) {
        if let Some(put) = op.get("put") {
            self.put(put);
        } else if let Some(remove) = op.get("remove") {
            if let Some(place) = self.place(&remove["item"]) {
                self.page.items.remove(place);
            }
        } else if let Some(header) = op.get("header") {
            self.page.title = header["title"].as_str().unwrap().to_owned();
            self.header = Some(header["html"].as_str().unwrap().to_owned());
        } else if let Some(end) = op.get("end") {
            assert_eq!(end["reason"], "frozen");
            self.ended = true;
            self.footer = Some(end["html"].as_str().unwrap().to_owned());
        } else if op.get("taken_back").is_none() {
            panic!("an operation that the protocol does not have: {op}");
        }
    }

    fn put(&mut self, put: &Value) {
        self.told.puts += 1;
        let is_new = put["new"].as_bool().unwrap_or(false);
        self.told.new += u64::from(is_new);
        let html = put["html"].as_str().unwrap();
        let mut parsed = items(html);
        assert_eq!(parsed.len(), 1, "a put has one item: {html}");
        let item = parsed.pop().unwrap();
        assert_eq!(put["item"], item.key.as_str());
        assert_eq!(
            html.trim(),
            item.html,
            "a put has an item and its day's line, nothing else"
        );
        let page = put["page"].as_str().unwrap();
        let is_end = !self.page.has_next;
        let is_here = self.page.pages.iter().any(|name| name == page);
        let known = self.place(&put["item"]);
        if let Some(known) = known
            && !is_end
            && !is_here
        {
            self.page.items.remove(known);
            return;
        }
        let before = self.place(&put["after"]);
        match (known, before) {
            (Some(known), Some(before)) if before + 1 != known => {
                assert_ne!(known, before, "an item after itself");
                self.page.items.remove(known);
                let before = self.place(&put["after"]).unwrap();
                self.page.items.insert(before + 1, item);
            }
            (Some(known), _) => self.page.items[known] = item,
            (None, Some(before)) if is_end || is_here => self.page.items.insert(before + 1, item),
            (None, None) if self.page.pages.first().map(String::as_str) == Some(page) => {
                self.page.items.insert(0, item);
            }
            (None, None) if is_end && self.page.items.is_empty() => self.page.items.push(item),
            _ => {}
        }
    }

    /// Applies frames until something is so.
    pub(crate) async fn hear_until(
        &mut self,
        line: &mut Line,
        what: &str,
        mut is_so: impl FnMut(&Self) -> bool,
    ) {
        let begun = std::time::Instant::now();
        while !is_so(self) {
            match self.hear(line, Duration::from_millis(200)).await {
                Heard::Frame(_) => {}
                Heard::Silence => {
                    assert!(
                        begun.elapsed() < PATIENCE,
                        "no viewer saw it: {what}; {:?}",
                        self.page.keys()
                    );
                }
                Heard::Closed(code) => panic!("closed with {code:?} before {what}"),
            }
        }
    }

    /// Applies frames until the connection ends; its code.
    pub(crate) async fn hear_end(&mut self, line: &mut Line) -> Option<u16> {
        let begun = std::time::Instant::now();
        loop {
            match self.hear(line, Duration::from_millis(200)).await {
                Heard::Closed(code) => return code,
                _ => assert!(begun.elapsed() < PATIENCE, "the connection does not end"),
            }
        }
    }

    /// Applies frames, and comes back where the connection ends, until the page is of that number; however long ago it was written.
    pub(crate) async fn catch_up(&mut self, line: &mut Line, seq: u64) {
        let begun = std::time::Instant::now();
        while self.page.seq < seq {
            match self.hear(line, Duration::from_millis(200)).await {
                Heard::Closed(_) => *line = self.come_back().await,
                _ => assert!(
                    begun.elapsed() < PATIENCE,
                    "the page stays at {} and does not come to {seq}",
                    self.page.seq
                ),
            }
        }
    }

    /// The text of the items, without tags.
    pub(crate) fn text(&self) -> String {
        let texts = self.page.items.iter().map(|item| plain(&item.html));
        texts.collect::<Vec<_>>().join("\n")
    }

    /// Fails unless the page shows what these items are from its first one on, and at least `newest`: a page at the end of the chat.
    pub(crate) fn assert_is_end_of(&self, all: &[Item], newest: &Page, what: &str) {
        let mine = &self.page.items;
        assert!(
            mine.len() >= newest.items.len() && mine.len() <= all.len(),
            "{what}: {} items, a fresh page has {}, all are {}",
            mine.len(),
            newest.items.len(),
            all.len()
        );
        assert_same_items(mine, &all[all.len() - mine.len()..], what);
    }
}

/// Fails at the first item that is not the same.
pub(crate) fn assert_same_items(a: &[Item], b: &[Item], what: &str) {
    let keys = |items: &[Item]| {
        items
            .iter()
            .map(|item| item.key.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(a), keys(b), "{what}: other items");
    for (a, b) in a.iter().zip(b) {
        assert_eq!(a.html, b.html, "{what}: item {}", a.key);
    }
}

/// Runs viewers.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}
