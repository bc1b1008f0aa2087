//! Brings followed chats to a readalong server elsewhere, through its API and with a token.
//!
//! Where the server cannot be reached or is busy, every call waits and tries again until it is told to stop: a follower that uses it simply
//! stands still meanwhile, and what it was about to bring is brought once the server is back.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use readalong_model::{ChangeSet, ChatHead, ChatId, Digest, Message, MessageId};
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use ureq::{
    Agent, Body,
    http::{Request, Response, Uri},
};

use crate::sink::{IndexEntry, Sink, SinkError};

/// How long is waited after the first failure and at most: short enough that nobody waits for a server that came back.
const RETRY_AFTER: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(30)];
/// The longest wait that a server may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);
/// While waiting, it is looked so often whether to stop.
const STOP_CHECK: Duration = Duration::from_millis(50);
/// A server that takes no connection for so long is not reached.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A server that says or takes nothing for so long is not reached any more; large bodies take longer as a whole.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest answer that is read: an index of a million messages.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// Bytes of an error's text that are shown.
const REASON_BYTES_MAX: usize = 400;
/// Artifacts that are known to be there already, at most.
const KNOWN_ARTIFACTS_MAX: usize = 10_000;

/// The status with which changes are refused whose artifacts are not there.
const MISSING_ARTIFACT: u16 = 409;

/// A server elsewhere. Tries again for ever where it cannot be reached, until it is told to stop.
pub struct HttpSink {
    url: String,
    authorization: String,
    agent: Agent,
    is_stopped: AtomicBool,
    /// The token was not taken: nothing will be.
    is_denied: AtomicBool,
    /// A chat that was deleted there stays deleted.
    stays_deleted: bool,
    /// Artifacts that the server has, by chat.
    known_artifacts: Mutex<HashSet<(ChatId, Digest)>>,
    /// Followers that lose the server at the same time are told once.
    is_lost: AtomicBool,
    notice: Box<dyn Fn(&Connection) + Send + Sync>,
}

/// How the connection to a server elsewhere is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// It failed; the next try comes after a while. The text says why.
    Lost(String),
    /// It works again.
    Back,
}

impl HttpSink {
    /// The server at that address, such as `https://chats.example.org`, and a token of it.
    ///
    /// # Errors
    /// The address is none, or the token is none.
    pub fn new(url: &str, token: &str) -> Result<Self, SinkError> {
        let url = url.trim_end_matches('/');
        let is_address = url.parse::<Uri>().is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|host| !host.is_empty())
                && uri.query().is_none()
        });
        if !is_address {
            return Err(SinkError::Refused(format!(
                "`{url}` is no address of a server; it begins with https:// or http://"
            )));
        }
        let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_token {
            return Err(SinkError::Refused(
                "the token has characters that no token has; `readalong token new` makes one"
                    .to_owned(),
            ));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_per_read(Some(SILENCE_TIMEOUT))
            .timeout_per_write(Some(SILENCE_TIMEOUT))
            .user_agent(concat!("readalong/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            url: url.to_owned(),
            authorization: format!("Bearer {token}"),
            agent: Agent::new_with_config(config),
            is_stopped: AtomicBool::new(false),
            is_denied: AtomicBool::new(false),
            stays_deleted: false,
            known_artifacts: Mutex::default(),
            is_lost: AtomicBool::new(false),
            notice: Box::new(|_| {}),
        })
    }

    /// Calls back when the connection is lost and when it is back, so that people can be told why nothing happens.
    pub fn with_notice(mut self, notice: impl Fn(&Connection) + Send + Sync + 'static) -> Self {
        self.notice = Box::new(notice);
        self
    }

    /// Brings no chat back that was deleted on the server.
    pub fn without_deleted(mut self) -> Self {
        self.stays_deleted = true;
        self
    }

    /// True once the server did not take the token: it takes nothing then, whatever the file.
    pub fn is_denied(&self) -> bool {
        self.is_denied.load(Ordering::Acquire)
    }

    /// Ends all waiting: from now on every call says [`SinkError::Stopped`].
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
    }

    /// Sends a request until it is answered in a way that stands.
    fn send(&self, method: &str, path: &str, body: &RequestBody<'_>) -> Result<Answer, SinkError> {
        let mut tries = 0;
        loop {
            self.check()?;
            let (reason, wait) = match self.try_send(method, path, body) {
                Ok(answer) if answer.is_final() => {
                    if matches!(answer.status, 401 | 403) {
                        self.is_denied.store(true, Ordering::Release);
                    }
                    if self.is_lost.swap(false, Ordering::AcqRel) {
                        (self.notice)(&Connection::Back);
                    }
                    return Ok(answer);
                }
                Ok(answer) => (answer.reason(&self.url), answer.retry_after),
                Err(error) => (format!("`{}` cannot be reached: {error}", self.url), None),
            };
            tracing::debug!(%reason, tries, "a request is tried again");
            if !self.is_lost.swap(true, Ordering::AcqRel) {
                (self.notice)(&Connection::Lost(reason));
            }
            self.wait(wait.unwrap_or_else(|| back_off(tries)))?;
            tries += 1;
        }
    }

    fn try_send(
        &self,
        method: &str,
        path: &str,
        body: &RequestBody<'_>,
    ) -> Result<Answer, ureq::Error> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", &self.authorization);
        let response = match body {
            RequestBody::Nothing => self.agent.run(request.body(())?)?,
            RequestBody::Json(json) => self.agent.run(
                request
                    .header("content-type", "application/json")
                    .body(*json)?,
            )?,
            RequestBody::Bytes(bytes) => self.agent.run(
                request
                    .header("content-type", "application/octet-stream")
                    .body(*bytes)?,
            )?,
        };
        Answer::of(response)
    }

    fn check(&self) -> Result<(), SinkError> {
        match self.is_stopped.load(Ordering::Acquire) {
            true => Err(SinkError::Stopped),
            false => Ok(()),
        }
    }

    fn wait(&self, time: Duration) -> Result<(), SinkError> {
        let until = Instant::now() + time;
        loop {
            self.check()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(STOP_CHECK));
        }
    }

    /// Sends a request whose answer is JSON.
    fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: &RequestBody<'_>,
    ) -> Result<T, SinkError> {
        let answer = self.send(method, path, body)?.of_success(&self.url)?;
        serde_json::from_slice(&answer.body).map_err(|error| {
            SinkError::Refused(format!(
                "`{}` answered {method} {path} in a way that is not readalong's ({error}); is it such a server, and of this version?",
                self.url
            ))
        })
    }
}

enum RequestBody<'b> {
    Nothing,
    Json(&'b [u8]),
    Bytes(&'b [u8]),
}

/// What a server answered.
struct Answer {
    status: u16,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl Answer {
    fn of(mut response: Response<Body>) -> Result<Self, ureq::Error> {
        let seconds = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Ok(Self {
            status: response.status().as_u16(),
            retry_after: seconds.map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX)),
            body: response
                .body_mut()
                .with_config()
                .limit(ANSWER_BYTES_MAX)
                .read_to_vec()?,
        })
    }

    /// True where trying again would change nothing.
    fn is_final(&self) -> bool {
        self.status < 500 && !matches!(self.status, 408 | 429)
    }

    fn of_success(self, url: &str) -> Result<Self, SinkError> {
        match self.status {
            200..300 => Ok(self),
            _ => Err(SinkError::Refused(self.reason(url))),
        }
    }

    /// What went wrong, for people, and what to do.
    fn reason(&self, url: &str) -> String {
        #[derive(Deserialize)]
        struct Told {
            message: String,
        }
        let told = serde_json::from_slice::<Told>(&self.body).map_or_else(
            |_| format!("status {}", self.status),
            |told| told.message.chars().take(REASON_BYTES_MAX).collect(),
        );
        match self.status {
            401 => format!(
                "`{url}` does not take the token ({told}); make one there with `readalong token new`"
            ),
            403 => format!(
                "`{url}` does not allow it ({told}); use a token of a user who may have chats"
            ),
            404 => format!(
                "`{url}` has no such chat any more, or the address is not the one of a readalong server ({told})"
            ),
            413 => format!("`{url}` takes nothing so large ({told})"),
            300..=399 => format!("`{url}` has moved; give the address that it leads to"),
            _ => format!("`{url}` answered: {told}"),
        }
    }
}

/// The wait after so many failures, with some chance in it, so that many who lost a server do not come back at once.
fn back_off(tries: u32) -> Duration {
    let wait = RETRY_AFTER[0]
        .saturating_mul(2_u32.saturating_pow(tries))
        .min(RETRY_AFTER[1]);
    let chance = RandomState::new().hash_one(tries) % 1_000;
    wait.mul_f64(0.5 + chance as f64 / 1_000.0)
}

/// A text as a piece of a path.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            // A point too: `..` has a meaning in paths.
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, SinkError> {
    serde_json::to_vec(value).map_err(|error| SinkError::Refused(error.to_string()))
}

/// A chat that was made or was there.
#[derive(Deserialize)]
struct Opened {
    id: ChatId,
}

#[derive(Deserialize)]
struct Index {
    messages: Vec<(MessageId, Digest, u32)>,
}

#[derive(Serialize)]
struct Changes<'a> {
    #[serde(flatten)]
    set: &'a ChangeSet,
    /// What is read anew comes in pieces: a place may be that of two messages until the last of them.
    unsettled: bool,
}

#[derive(Serialize)]
struct NewChat<'a> {
    source: &'a str,
    head: &'a ChatHead,
    stays_deleted: bool,
}

impl Sink for HttpSink {
    fn open_chat(&self, source: &str, head: &ChatHead) -> Result<ChatId, SinkError> {
        let json = to_json(&NewChat {
            source,
            head,
            stays_deleted: self.stays_deleted,
        })?;
        let opened: Opened = self.ask("POST", "/api/v1/chats", &RequestBody::Json(&json))?;
        Ok(opened.id)
    }

    fn has_chat(&self, source: &str) -> Result<bool, SinkError> {
        let path = format!("/api/v1/chats?source={}", percent_encoded(source));
        let found: Vec<IgnoredAny> = self.ask("GET", &path, &RequestBody::Nothing)?;
        Ok(!found.is_empty())
    }

    fn index(&self, chat: &ChatId) -> Result<Vec<IndexEntry>, SinkError> {
        let path = format!("/api/v1/chats/{chat}/index");
        let index: Index = self.ask("GET", &path, &RequestBody::Nothing)?;
        let entry = |(id, digest, place)| IndexEntry { id, digest, place };
        Ok(index.messages.into_iter().map(entry).collect())
    }

    fn recall(&self, chat: &ChatId, id: &MessageId) -> Result<Option<Message>, SinkError> {
        let path = format!("/api/v1/chats/{chat}/messages/{}", percent_encoded(&id.0));
        let answer = self.send("GET", &path, &RequestBody::Nothing)?;
        if answer.status == 404 {
            return Ok(None);
        }
        let answer = answer.of_success(&self.url)?;
        Ok(serde_json::from_slice(&answer.body).ok())
    }

    fn apply(&self, chat: &ChatId, changes: ChangeSet) -> Result<(), SinkError> {
        let json = to_json(&Changes {
            set: &changes,
            unsettled: true,
        })?;
        let path = format!("/api/v1/chats/{chat}/changes");
        let answer = self.send("POST", &path, &RequestBody::Json(&json))?;
        if answer.status == MISSING_ARTIFACT {
            // The server restarted since it got them: all is read again, and they are sent again.
            self.known_artifacts
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clear();
            return Err(SinkError::Later(
                "an artifact has to be sent again".to_owned(),
            ));
        }
        answer.of_success(&self.url).map(drop)
    }

    fn keep_artifact(&self, chat: &ChatId, bytes: &[u8]) -> Result<Digest, SinkError> {
        let digest = Digest::of(bytes);
        let key = (chat.clone(), digest);
        let known = || {
            self.known_artifacts
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if known().contains(&key) {
            return Ok(digest);
        }
        let path = format!("/api/v1/chats/{chat}/artifacts/{digest}");
        let there = self.send("HEAD", &path, &RequestBody::Nothing)?;
        if there.status != 200 {
            let answer = self.send("PUT", &path, &RequestBody::Bytes(bytes))?;
            answer.of_success(&self.url)?;
        }
        let mut known = known();
        if known.len() >= KNOWN_ARTIFACTS_MAX {
            known.clear();
        }
        known.insert(key);
        Ok(digest)
    }
}

#[cfg(test)]
mod tests;
