//! The real program as a child: `readalong serve` on a data folder of its own, and its API.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::crowd::Door;
use crate::http::{Answer, Connection};
use crate::process::{Program, Usage};
use crate::stage::Stage;
use crate::{Outcome, Plan};

/// How long a server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How often something that has no event is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A server of ours that runs; its data folder goes with it.
pub(crate) struct Served {
    program: Program,
    folder: PathBuf,
    address: SocketAddr,
    host: String,
    token: String,
}

impl Served {
    /// Starts a server on an empty data folder that follows these files and folders.
    pub(crate) fn start(plan: &Plan, follow: &[PathBuf]) -> Outcome<Self> {
        let folder = plan.folder.join("data");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let log = plan.folder.join("server.log");
        let mut program = Program::start(
            Command::new(&plan.program)
                .arg("serve")
                .args(["--addr", "127.0.0.1:0", "--data"])
                .arg(&folder)
                .args(follow)
                .stdin(Stdio::null())
                .stdout(File::create(&log)?)
                .stderr(File::options().append(true).open(&log)?),
        )?;
        let said = wait_for_server(&mut program, &folder.join("server.json"), &log)?;
        let text = |name: &str| {
            said[name]
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| format!("server.json has no {name}"))
        };
        let url = text("url")?;
        Ok(Self {
            address: text("addr")?.parse()?,
            host: url
                .trim_start_matches("http://")
                .split('/')
                .next()
                .unwrap_or_default()
                .to_owned(),
            token: text("token")?,
            program,
            folder,
        })
    }

    pub(crate) fn usage(&self) -> Usage {
        self.program.usage()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where viewers of a share connect to.
    pub(crate) fn door(&self, share: &str) -> Door {
        Door {
            address: self.address,
            host: self.host.clone(),
            share: Some(format!("/s/{share}/")),
        }
    }

    /// A connection of the owner.
    pub(crate) fn api(&self) -> Outcome<Api> {
        Ok(Api {
            connection: Connection::open(self.address, &self.host)?,
            authorization: format!("Authorization: Bearer {}\r\n", self.token),
        })
    }

    /// A connection of somebody who has a link and nothing else.
    pub(crate) fn anybody(&self) -> Outcome<Connection> {
        Connection::open(self.address, &self.host)
    }

    /// A new chat, shared live, with a writer of its own.
    pub(crate) fn stage(&self, title: &str) -> Outcome<Stage<'static>> {
        let mut api = self.api()?;
        let chat = api.create_chat(title)?;
        let share = api.share(&chat, &json!({"updates": "live"}))?;
        Ok(Stage {
            usage: self.usage(),
            door: self.door(&share),
            send: Box::new(move |texts| api.append(&chat, texts)),
        })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.program.end();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What `server.json` says, once the process that was started has written it.
fn wait_for_server(program: &mut Program, file: &Path, log: &Path) -> Outcome<Value> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        if let Ok(text) = fs::read_to_string(file)
            && let Ok(said) = serde_json::from_str::<Value>(&text)
            && said["pid"].as_u64() == Some(u64::from(program.id()))
        {
            return Ok(said);
        }
        if program.has_ended()? || Instant::now() > deadline {
            let said = fs::read_to_string(log).unwrap_or_default();
            return Err(format!("the server did not start: {}", said.trim()).into());
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// The API, as the owner.
pub(crate) struct Api {
    connection: Connection,
    authorization: String,
}

impl Api {
    pub(crate) fn create_chat(&mut self, title: &str) -> Outcome<String> {
        id(&self.json("POST", "/api/v1/chats", &json!({"title": title}))?)
    }

    /// A share of a chat; public, frozen and without artifacts where `options` do not say otherwise.
    pub(crate) fn share(&mut self, chat: &str, options: &Value) -> Outcome<String> {
        let mut wanted = json!({"chat": chat, "updates": "frozen", "visibility": "public"});
        if let (Value::Object(wanted), Value::Object(options)) = (&mut wanted, options) {
            wanted.extend(options.clone());
        }
        id(&self.json("POST", "/api/v1/shares", &wanted)?)
    }

    pub(crate) fn append(&mut self, chat: &str, texts: &[String]) -> Outcome<()> {
        let messages: Vec<Value> = texts
            .iter()
            .map(|text| json!({"role": "assistant", "text": text}))
            .collect();
        self.json(
            "POST",
            &format!("/api/v1/chats/{chat}/messages"),
            &Value::from(messages),
        )
        .map(|_| ())
    }

    /// Asks with a JSON body; `Null` sends none.
    pub(crate) fn json(&mut self, method: &str, path: &str, body: &Value) -> Outcome<Value> {
        let headers = format!("{}Content-Type: application/json\r\n", self.authorization);
        let bytes = match body {
            Value::Null => Vec::new(),
            body => serde_json::to_vec(body)?,
        };
        let answer = self.connection.ask(method, path, &headers, &bytes)?;
        read_json(method, path, &answer)
    }

    /// A page of the desk.
    pub(crate) fn page(&mut self, path: &str) -> Outcome<Answer> {
        let answer = self.connection.ask("GET", path, &self.authorization, b"")?;
        match answer.status {
            200 => Ok(answer),
            status => Err(format!("{path} is answered {status}").into()),
        }
    }

    /// Asks with a body of bytes.
    pub(crate) fn bytes(&mut self, method: &str, path: &str, body: &[u8]) -> Outcome<Value> {
        let headers = format!(
            "{}Content-Type: application/octet-stream\r\n",
            self.authorization
        );
        let answer = self.connection.ask(method, path, &headers, body)?;
        read_json(method, path, &answer)
    }

    /// Waits until the chat whose source ends so has that many messages; says its id.
    pub(crate) fn wait_for_chat(
        &mut self,
        source: &str,
        messages: u64,
        timeout: Duration,
    ) -> Outcome<String> {
        let deadline = Instant::now() + timeout;
        loop {
            let chats = self.json("GET", "/api/v1/chats", &Value::Null)?;
            let found = chats.as_array().into_iter().flatten().find(|chat| {
                let is_it = chat["source"]
                    .as_str()
                    .is_some_and(|name| name.ends_with(source));
                is_it && chat["messages"].as_u64() >= Some(messages)
            });
            if let Some(chat) = found {
                return id(chat);
            }
            if Instant::now() > deadline {
                return Err(
                    format!("no chat of {source} with {messages} messages: {chats}").into(),
                );
            }
            thread::sleep(LOOK_EVERY * 5);
        }
    }
}

fn id(made: &Value) -> Outcome<String> {
    made["id"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("no id in {made}").into())
}

fn read_json(method: &str, path: &str, answer: &Answer) -> Outcome<Value> {
    match answer.status {
        200..300 if answer.body.is_empty() => Ok(Value::Null),
        200..300 => Ok(serde_json::from_slice(&answer.body)?),
        status => Err(format!("{method} {path} is answered {status}: {}", answer.text()).into()),
    }
}
