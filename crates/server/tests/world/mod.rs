//! A server on a temporary data folder, people who ask it things, and viewers who watch.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use readalong_model::Digest;
use readalong_server::{Limits, Server, ServerOptions};
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::oneshot, task::JoinHandle, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{self, Message, client::IntoClientRequest},
};
use tower::ServiceExt;

/// Longest time that anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// Words that stand in every chat here and on no page that is not its own.
pub const SECRET: &str = "the kite is under the bridge";
/// A picture of one point.
pub const PICTURE: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";

/// A server and what belongs to it.
pub struct World {
    pub server: Arc<Server>,
    pub router: Router,
    pub addr: SocketAddr,
    pub folder: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    Nobody,
    BadToken,
    Token(String),
    Cookie(String),
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{} {}", self.status, self.text()))
    }

    pub fn header(&self, name: impl Into<HeaderName>) -> &str {
        self.headers
            .get(name.into())
            .map_or("", |value| value.to_str().unwrap())
    }
}

pub fn options(folder: &std::path::Path, limits: Limits) -> ServerOptions {
    ServerOptions {
        highlight: false,
        limits,
        ..ServerOptions::new(folder.to_owned())
    }
}

impl World {
    pub async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub async fn with(limits: Limits) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), limits).await
    }

    pub async fn in_folder(folder: tempfile::TempDir, limits: Limits) -> Self {
        let options = options(folder.path(), limits);
        Self::of(folder, options).await
    }

    /// A server that follows something.
    pub async fn following(path: &std::path::Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = options(folder.path(), Limits::default());
        options.follow.push(path.to_owned());
        Self::of(folder, options).await
    }

    async fn of(folder: tempfile::TempDir, options: ServerOptions) -> Self {
        let server = Arc::new(Server::open(options).unwrap());
        let listener = server.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = server.clone();
        let (ready, is_ready) = oneshot::channel();
        let serving = tokio::spawn(async move {
            let shutdown = async move { drop(stopped.await) };
            let ready = move || ready.send(()).unwrap();
            served.serve(listener, shutdown, ready).await.unwrap();
        });
        is_ready.await.unwrap();
        let router = server.router();
        Self {
            server,
            router,
            addr,
            folder,
            stop: Some(stop),
            serving: Some(serving),
        }
    }

    /// Tells the server to stop and waits until it has.
    pub async fn stop(mut self) -> tempfile::TempDir {
        self.stop.take().unwrap().send(()).unwrap();
        timeout(PATIENCE, self.serving.take().unwrap())
            .await
            .unwrap()
            .unwrap();
        self.folder
    }

    /// Tells the server to stop.
    pub fn begin_to_stop(&mut self) -> JoinHandle<()> {
        self.stop.take().unwrap().send(()).unwrap();
        self.serving.take().unwrap()
    }

    pub fn owner(&self) -> Who {
        Who::Token(self.server.command_token().to_owned())
    }

    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        who: &Who,
        headers: &[(HeaderName, &str)],
        body: Body,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.addr.to_string());
        match who {
            Who::Nobody => {}
            Who::BadToken => {
                request = request.header(header::AUTHORIZATION, "Bearer readalong_wrong")
            }
            Who::Token(token) => {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"))
            }
            Who::Cookie(cookie) => request = request.header(header::COOKIE, cookie),
        }
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(body).unwrap();
        let answer = timeout(PATIENCE, self.router.clone().oneshot(request))
            .await
            .unwrap()
            .unwrap();
        let (parts, body) = answer.into_parts();
        let body = timeout(PATIENCE, body.collect())
            .await
            .unwrap()
            .unwrap()
            .to_bytes()
            .to_vec();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    pub async fn get(&self, path: &str, who: &Who) -> Answer {
        self.ask(Method::GET, path, who, &[], Body::empty()).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(HeaderName, &str)]) -> Answer {
        self.ask(Method::GET, path, &Who::Nobody, headers, Body::empty())
            .await
    }

    /// Sends JSON as the owner; it has to succeed.
    pub async fn send(&self, method: Method, path: &str, body: Value) -> Value {
        let json = [(header::CONTENT_TYPE, "application/json")];
        let answer = self
            .ask(
                method.clone(),
                path,
                &self.owner(),
                &json,
                Body::from(body.to_string()),
            )
            .await;
        assert!(
            answer.status.is_success(),
            "{method} {path} {}: {}",
            answer.status,
            answer.text()
        );
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// A chat with a message and a picture.
    pub async fn chat(&self) -> String {
        let chat = self
            .send(Method::POST, "/api/v1/chats", json!({ "title": "Kites" }))
            .await;
        let chat = chat["id"].as_str().unwrap().to_owned();
        let sha256 = Digest::of(PICTURE);
        let path = format!("/api/v1/chats/{chat}/artifacts/{sha256}");
        let kept = self
            .ask(Method::PUT, &path, &self.owner(), &[], Body::from(PICTURE))
            .await;
        assert!(kept.status.is_success(), "{}", kept.text());
        let changes = json!({
            "artifacts": [[0, { "name": "kite.png", "media_type": "image/png", "role": "uploaded",
                "content": { "present": { "sha256": sha256, "size_bytes": PICTURE.len() } } }]],
            "messages": [
                [0, { "id": "m-1", "role": "user", "parts": [{ "text": { "markdown": SECRET } }, { "image": { "artifact": 0 } }] }],
                [1, { "id": "m-2", "parent": "m-1", "role": "assistant", "parts": [{ "text": { "markdown": "I will look." } }] }],
            ],
        });
        self.send(
            Method::POST,
            &format!("/api/v1/chats/{chat}/changes"),
            changes,
        )
        .await;
        chat
    }

    pub async fn say(&self, chat: &str, id: &str, text: &str) {
        let message = json!({ "id": id, "role": "assistant", "text": text });
        self.send(
            Method::POST,
            &format!("/api/v1/chats/{chat}/messages"),
            message,
        )
        .await;
    }

    pub async fn share(
        &self,
        chat: &str,
        updates: &str,
        visibility: &str,
        artifacts: bool,
    ) -> String {
        let share = json!({ "chat": chat, "updates": updates, "visibility": visibility, "artifacts": artifacts });
        let share = self.send(Method::POST, "/api/v1/shares", share).await;
        share["id"].as_str().unwrap().to_owned()
    }

    pub async fn change_share(&self, share: &str, change: Value) {
        self.send(Method::PATCH, &format!("/api/v1/shares/{share}"), change)
            .await;
    }

    pub async fn delete_share(&self, share: &str) {
        self.send(
            Method::DELETE,
            &format!("/api/v1/shares/{share}"),
            Value::Null,
        )
        .await;
    }

    /// A user with a token.
    pub async fn user(&self, name: &str, role: &str) -> (i64, Who) {
        let user = self
            .send(
                Method::POST,
                "/api/v1/users",
                json!({ "name": name, "role": role }),
            )
            .await;
        let id = user["id"].as_i64().unwrap();
        let token = self
            .send(
                Method::POST,
                "/api/v1/tokens",
                json!({ "name": "test", "user": id }),
            )
            .await;
        (id, Who::Token(token["token"].as_str().unwrap().to_owned()))
    }

    /// Signs a user in and gives the cookie.
    pub async fn session(&self, user: i64) -> Who {
        let path = format!("/api/v1/users/{user}/signin_link");
        let link = self.send(Method::POST, &path, json!({})).await;
        let url = link["url"].as_str().unwrap();
        let path = &url[url.find("/signin").unwrap()..];
        let answer = self.get(path, &Who::Nobody).await;
        let cookie = answer
            .header(header::SET_COOKIE)
            .split(';')
            .next()
            .unwrap()
            .to_owned();
        assert!(!cookie.is_empty(), "{} {}", answer.status, answer.text());
        Who::Cookie(cookie)
    }

    /// Waits for something.
    pub async fn until(&self, mut is_so: impl AsyncFnMut() -> bool) {
        let wait = async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, wait).await.expect("it does not happen");
    }

    /// Connects a viewer to a path below the server.
    pub async fn watch(&self, path: &str, who: &Who) -> Result<Viewer, tungstenite::Error> {
        let mut request = format!("ws://{}{path}", self.addr)
            .into_client_request()
            .unwrap();
        let headers = request.headers_mut();
        match who {
            Who::Nobody => {}
            Who::BadToken => drop(headers.insert(
                header::AUTHORIZATION,
                HeaderValue::from_static("Bearer wrong"),
            )),
            Who::Token(token) => drop(headers.insert(
                header::AUTHORIZATION,
                format!("Bearer {token}").parse().unwrap(),
            )),
            Who::Cookie(cookie) => drop(headers.insert(header::COOKIE, cookie.parse().unwrap())),
        }
        let (socket, _) = timeout(PATIENCE, tokio_tungstenite::connect_async(request))
            .await
            .unwrap()?;
        Ok(Viewer { socket })
    }
}

/// Somebody who watches.
pub struct Viewer {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// What a viewer got.
#[derive(Clone, Debug, PartialEq)]
pub enum Got {
    Frame(Value),
    Closed(u16),
    Broken,
}

impl Viewer {
    /// The next frame but reader counts, or the end.
    pub async fn next(&mut self) -> Got {
        loop {
            match timeout(PATIENCE, self.socket.next())
                .await
                .expect("nothing comes")
            {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    if frame.get("viewers").is_none() {
                        return Got::Frame(frame);
                    }
                }
                Some(Ok(Message::Close(frame))) => {
                    return Got::Closed(frame.map_or(1005, |frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Got::Broken,
            }
        }
    }

    /// The next frame.
    pub async fn frame(&mut self) -> Value {
        match self.next().await {
            Got::Frame(frame) => frame,
            other => panic!("{other:?} and no frame"),
        }
    }

    /// All that comes until the code of the end.
    pub async fn end(&mut self) -> (Vec<Value>, Got) {
        let mut frames = Vec::new();
        loop {
            match self.next().await {
                Got::Frame(frame) => frames.push(frame),
                end => return (frames, end),
            }
        }
    }

    pub async fn send(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }
}
