//! A data folder, its routes in this process, and the people who use them.

use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::{Router, body::Body};
use http_body_util::BodyExt;
use readalong_server::{Server, ServerOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

pub(crate) struct World {
    pub(crate) router: Router,
    /// Token of the data folder's owner, who is the first user.
    pub(crate) root: String,
    /// Two owners and a viewer, by their tokens.
    pub(crate) ada: String,
    pub(crate) bob: String,
    pub(crate) eve: String,
    _server: Server,
    pub(crate) folder: TempDir,
}

/// What a request was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Fails unless the status is as expected.
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Fails unless it is an error in the shape that every client reads.
    pub(crate) fn expect_error(self, status: u16, kind: &str) -> Self {
        let error = self.expect(status);
        let json = error.json();
        assert_eq!(json["code"], status, "{json}");
        assert_eq!(json["error_type"], kind, "{json}");
        assert!(
            json["message"].is_string() && json["error"] == json["message"],
            "{json}"
        );
        error
    }

    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut ServerOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = ServerOptions::new(folder.path().join("data"));
        options.highlight = false;
        change(&mut options);
        let server = Server::open(options).unwrap();
        let mut world = Self {
            router: server.router(),
            root: server.command_token().to_owned(),
            ada: String::new(),
            bob: String::new(),
            eve: String::new(),
            _server: server,
            folder,
        };
        world.ada = world.user("ada", "owner").await;
        world.bob = world.user("bob", "owner").await;
        world.eve = world.user("eve", "viewer").await;
        world
    }

    /// Makes a user with the password `password of NAME`, and a token of theirs.
    async fn user(&self, name: &str, role: &str) -> String {
        let password = format!("password of {name}");
        let user = json!({"name": name, "role": role, "password": password});
        let user = self
            .post("/api/v1/users", &self.root, user)
            .await
            .expect(201)
            .json();
        let token = json!({"name": "test", "user": user["id"]});
        let token = self
            .post("/api/v1/tokens", &self.root, token)
            .await
            .expect(201)
            .json();
        token["token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }

    /// A request with a token, or none where it is empty.
    pub(crate) fn request(method: &str, path: &str, token: &str) -> axum::http::request::Builder {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "chats.test");
        match token {
            "" => request,
            token => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
        }
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.bare("GET", path, token).await
    }

    pub(crate) async fn delete(&self, path: &str, token: &str) -> Answer {
        self.bare("DELETE", path, token).await
    }

    pub(crate) async fn bare(&self, method: &str, path: &str, token: &str) -> Answer {
        let request = Self::request(method, path, token).body(Body::empty());
        self.send(request.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        self.json("POST", path, token, body).await
    }

    pub(crate) async fn patch(&self, path: &str, token: &str, body: Value) -> Answer {
        self.json("PATCH", path, token, body).await
    }

    pub(crate) async fn json(&self, method: &str, path: &str, token: &str, body: Value) -> Answer {
        self.raw(
            method,
            path,
            token,
            "application/json",
            body.to_string().into_bytes(),
        )
        .await
    }

    pub(crate) async fn raw(
        &self,
        method: &str,
        path: &str,
        token: &str,
        media_type: &str,
        body: Vec<u8>,
    ) -> Answer {
        let request = Self::request(method, path, token).header(header::CONTENT_TYPE, media_type);
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// A chat with two messages; its id.
    pub(crate) async fn chat(&self, token: &str) -> String {
        let chat = self
            .post("/api/v1/chats", token, json!({"title": "Kites"}))
            .await;
        let id = chat.expect(201).json()["id"].as_str().unwrap().to_owned();
        let messages = json!([
            {"id": "m1", "role": "user", "text": "Where is the kite?", "at": "2026-01-01T00:00:00Z"},
            {"id": "m2", "role": "assistant", "text": "In the tree.", "at": "2026-01-01T00:00:01Z"},
        ]);
        self.post(&format!("/api/v1/chats/{id}/messages"), token, messages)
            .await
            .expect(200);
        id
    }

    /// A share of a chat; its id.
    pub(crate) async fn share(
        &self,
        token: &str,
        chat: &str,
        updates: &str,
        visibility: &str,
    ) -> String {
        let share = json!({"chat": chat, "updates": updates, "visibility": visibility});
        let share = self.post("/api/v1/shares", token, share).await.expect(201);
        share.json()["id"].as_str().unwrap().to_owned()
    }

    /// Texts of a chat's messages, in order.
    pub(crate) async fn texts(&self, token: &str, chat: &str) -> Vec<String> {
        let messages = self
            .get(&format!("/api/v1/chats/{chat}/messages?limit=1000"), token)
            .await;
        let messages = messages.expect(200).json();
        let text = |entry: &Value| {
            let text = &entry["message"]["parts"][0]["text"]["markdown"];
            text.as_str().unwrap_or_default().to_owned()
        };
        messages.as_array().unwrap().iter().map(text).collect()
    }

    /// Sends the sign-in form.
    pub(crate) async fn sign_in(&self, name: &str, password: &str, next: &str) -> Answer {
        let form = serde_urlencoded(&[("name", name), ("password", password), ("next", next)]);
        let media_type = "application/x-www-form-urlencoded";
        self.raw("POST", "/signin", "", media_type, form.into_bytes())
            .await
    }
}

/// A form as browsers write it.
fn serde_urlencoded(pairs: &[(&str, &str)]) -> String {
    let encoded = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect()
    };
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// The name and value of the session cookie that an answer sets.
pub(crate) fn cookie(answer: &Answer) -> String {
    let cookie = answer.header(header::SET_COOKIE);
    cookie.split(';').next().unwrap_or_default().to_owned()
}

/// True for statuses that say who asked in vain.
pub(crate) fn is_refusal(status: u16) -> bool {
    StatusCode::from_u16(status).unwrap().is_client_error()
}
