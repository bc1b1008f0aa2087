//! What commands say to a data folder: the API, through the server that runs on the folder, or, where none runs, in this process.
//!
//! One path for both, so that a command has no rules of its own and open viewers see at once what it did.

use std::{
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use readalong_server::{RunningServer, ServeError, Server};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{cancel, config::Config, output};

/// How long a server may take to answer. Freezing a large chat renders all of it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);
/// After so long people are told what is waited for.
const TOLD_AFTER: Duration = Duration::from_secs(3);
/// How long a server on this machine may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long another command may have the folder: freezing a large chat takes some seconds.
const BUSY_MAX: Duration = Duration::from_secs(30);
/// Time between two looks at whether it is done.
const BUSY_LOOK_EVERY: Duration = Duration::from_millis(50);

/// Speaks the API of one data folder.
pub(crate) struct Client {
    way: Way,
}

enum Way {
    /// To the server that runs on the folder.
    Http {
        agent: ureq::Agent,
        server: RunningServer,
    },
    /// To the same routes in this process; the folder is ours as long as this lives.
    InProcess {
        runtime: tokio::runtime::Runtime,
        server: Box<Server>,
    },
}

/// An answer that is an error, as the API words it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refused {
    /// The HTTP status.
    pub(crate) status: u16,
    /// What the server says.
    pub(crate) message: String,
}

/// True where the API says that something is not there, or not yours.
pub(crate) fn is_not_found(error: &anyhow::Error) -> bool {
    status(error) == Some(404)
}

/// The HTTP status of an answer that is an error.
pub(crate) fn status(error: &anyhow::Error) -> Option<u16> {
    let refused = error.downcast_ref::<Refused>();
    refused.map(|refused| refused.status)
}

impl Client {
    /// Reaches a data folder: the server that runs on it, else the folder itself.
    ///
    /// # Errors
    /// The folder cannot be opened, or its server does not answer.
    pub(crate) fn of(config: &Config) -> anyhow::Result<Self> {
        let data = config.data()?;
        let begun = Instant::now();
        loop {
            match Server::open(config.server_options()?) {
                Ok(server) => return Self::in_process(server),
                Err(busy @ ServeError::Busy { .. }) => match RunningServer::of(&data)? {
                    Some(server) => return Ok(Self::of_server(server)),
                    // Another command has it, and will be done in a moment.
                    None if begun.elapsed() < BUSY_MAX => thread::sleep(BUSY_LOOK_EVERY),
                    None => return Err(busy.into()),
                },
                Err(error) => return Err(error.into()),
            }
            cancel::check()?;
        }
    }

    /// Speaks to a server that runs.
    pub(crate) fn of_server(server: RunningServer) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .http_status_as_error(false)
            // The server of one's own data folder is here: its token is for nobody between.
            .proxy(None)
            .build()
            .into();
        Self {
            way: Way::Http { agent, server },
        }
    }

    /// Speaks to a server in this process that listens nowhere.
    ///
    /// # Errors
    /// No runtime can be made.
    pub(crate) fn in_process(server: Server) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start")?;
        Ok(Self {
            way: Way::InProcess {
                runtime,
                server: Box::new(server),
            },
        })
    }

    /// True where a server runs, so that links work now.
    pub(crate) fn is_served(&self) -> bool {
        matches!(self.way, Way::Http { .. })
    }

    /// Asks for something.
    ///
    /// # Errors
    /// [`Refused`] where the API says no; others where it was not reached.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        answer(self.call("GET", path, None)?)
    }

    /// Makes or does something.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> anyhow::Result<T> {
        answer(self.call("POST", path, Some(Body::Json(body)))?)
    }

    /// Changes something.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) fn patch<T: DeserializeOwned>(&self, path: &str, body: &Value) -> anyhow::Result<T> {
        answer(self.call("PATCH", path, Some(Body::Json(body)))?)
    }

    /// Removes something.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) fn delete(&self, path: &str) -> anyhow::Result<()> {
        answer(self.call("DELETE", path, None)?)
    }

    /// Sends bytes to a place.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) fn send<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> anyhow::Result<T> {
        answer(self.call(method, path, Some(Body::Bytes(media_type, bytes)))?)
    }

    fn call(&self, method: &str, path: &str, body: Option<Body<'_>>) -> anyhow::Result<Answer> {
        let (media_type, bytes) = match body {
            None => (None, Vec::new()),
            Some(Body::Json(json)) => (Some("application/json"), serde_json::to_vec(json)?),
            Some(Body::Bytes(media_type, bytes)) => (Some(media_type), bytes.to_vec()),
        };
        match &self.way {
            Way::Http { agent, server } => {
                let unreachable = || {
                    format!(
                        "the server of this data folder (process {}) does not answer at {}",
                        server.pid, server.url
                    )
                };
                let mut request = ureq::http::Request::builder()
                    .method(method)
                    .uri(format!("{}{path}", server.url))
                    .header("Authorization", format!("Bearer {}", server.token));
                if let Some(media_type) = media_type {
                    request = request.header("Content-Type", media_type);
                }
                let request = request.body(bytes)?;
                let mut response =
                    told_if_slow(server.pid, || agent.run(request)).with_context(unreachable)?;
                Ok(Answer {
                    status: response.status().as_u16(),
                    body: response
                        .body_mut()
                        .with_config()
                        .limit(u64::MAX)
                        .read_to_vec()
                        .with_context(unreachable)?,
                })
            }
            Way::InProcess { runtime, server } => {
                let (status, body) =
                    runtime.block_on(server.call(method, path, media_type, bytes))?;
                Ok(Answer { status, body })
            }
        }
    }
}

/// Does what a server is waited for, and says so where that takes long.
fn told_if_slow<T>(pid: u32, wait: impl FnOnce() -> T) -> T {
    let (ended, end) = channel::<()>();
    thread::spawn(move || {
        if end.recv_timeout(TOLD_AFTER) == Err(RecvTimeoutError::Timeout) {
            output::note(&format!(
                "waiting for the server of this data folder (process {pid}); Ctrl-C twice ends this command"
            ));
        }
    });
    let answer = wait();
    drop(ended);
    answer
}

enum Body<'a> {
    Json(&'a Value),
    Bytes(&'a str, &'a [u8]),
}

struct Answer {
    status: u16,
    body: Vec<u8>,
}

fn answer<T: DeserializeOwned>(answer: Answer) -> anyhow::Result<T> {
    if !(200..300).contains(&answer.status) {
        let said: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let message = said
            .as_ref()
            .and_then(|said| said["message"].as_str())
            .map_or_else(
                || format!("the server answered {}", answer.status),
                str::to_owned,
            );
        return Err(Refused {
            status: answer.status,
            message,
        }
        .into());
    }
    let body = if answer.body.is_empty() {
        b"null".as_slice()
    } else {
        &answer.body
    };
    serde_json::from_slice(body).map_err(|error| anyhow!("the server's answer is no JSON: {error}"))
}

/// A piece of a path, percent-encoded.
pub(crate) fn encode(piece: &str) -> String {
    let mut out = String::with_capacity(piece.len());
    for byte in piece.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
