//! The real server as a child process on a data folder of its own, and what its owner can do with it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::world::{Ran, World, program, run};

/// Longer than anything here takes, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two looks at something that tells nobody when it changes.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until something is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited too long: {what}");
        thread::sleep(LOOK_EVERY);
    }
}

/// Waits until something is there.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    wait_until(what, || {
        found = look();
        found.is_some()
    });
    found.unwrap()
}

/// A command on a data folder.
pub(crate) fn on(data: &Path) -> Command {
    let mut command = program();
    command
        .env("READALONG_DATA", data)
        .env_remove("READALONG_LOG")
        .env_remove("READALONG_TOKEN")
        .stdin(Stdio::null());
    command
}

/// Runs a command on a data folder; whatever the outcome.
pub(crate) fn try_on(data: &Path, args: &[&str]) -> Ran {
    run(on(data).args(args))
}

/// Runs a command on a data folder, which has to work; what it prints.
pub(crate) fn done_on(data: &Path, args: &[&str]) -> String {
    let ran = try_on(data, args);
    assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
    ran.out
}

/// Runs a command on a data folder that prints one line of JSON.
pub(crate) fn json_on(data: &Path, args: &[&str]) -> Value {
    let out = done_on(data, args);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{args:?}: {error}: {out}"))
}

/// A program that goes on: what it says is kept.
pub(crate) struct Running {
    child: Child,
    out: Arc<Mutex<String>>,
    err: Arc<Mutex<String>>,
    listeners: Vec<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (out, err) = (Arc::default(), Arc::default());
        let stdout: ChildStdout = child.stdout.take().unwrap();
        let stderr: ChildStderr = child.stderr.take().unwrap();
        let listeners = vec![listen(stdout, &out), listen(stderr, &err)];
        Self {
            child,
            out,
            err,
            listeners,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Standard output so far.
    pub(crate) fn out(&self) -> String {
        self.out.lock().unwrap().clone()
    }

    /// Standard error so far.
    pub(crate) fn err(&self) -> String {
        self.err.lock().unwrap().clone()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Sends a signal, as `-TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .arg(signal)
            .arg(self.pid().to_string())
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> Ran {
        wait_until("a program ends", || self.has_ended());
        for listener in self.listeners.drain(..) {
            listener.join().unwrap();
        }
        let ran = Ran {
            code: self.child.wait().unwrap().code().unwrap_or(-1),
            out: self.out(),
            err: self.err(),
        };
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
        ran
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn stop(&mut self, signal: &str) -> Ran {
        self.signal(signal);
        self.ended()
    }

    /// Ends it without a warning, as a crash does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.ended();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- a program said:\n{}{}---", self.out(), self.err());
        }
    }
}

fn listen(mut from: impl Read + Send + 'static, into: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let into = into.clone();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let said = String::from_utf8_lossy(&buffer[..count]).into_owned();
            into.lock().unwrap().push_str(&said);
        }
    })
}

/// `readalong serve` on a data folder.
pub(crate) struct Served {
    pub(crate) running: Running,
    pub(crate) data: PathBuf,
    pub(crate) api: Api,
    args: Vec<String>,
}

impl Served {
    /// Serves the data folder of a world.
    pub(crate) fn start(world: &World) -> Self {
        Self::with(&world.path("data"), &[])
    }

    /// Serves a data folder at any free port, with more arguments.
    pub(crate) fn with(data: &Path, args: &[&str]) -> Self {
        let mut args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let (running, api) = begin(data, &args, "127.0.0.1:0");
        args.shrink_to_fit();
        Self {
            running,
            data: data.to_owned(),
            api,
            args,
        }
    }

    /// Starts it again at the same address, after it ended.
    pub(crate) fn again(&mut self) {
        let addr = self.api.url.trim_start_matches("http://").to_owned();
        (self.running, self.api) = begin(&self.data, &self.args, &addr);
    }

    pub(crate) fn kill(&mut self) {
        self.running.kill();
    }

    /// A command on the same data folder.
    pub(crate) fn done(&self, args: &[&str]) -> String {
        done_on(&self.data, args)
    }

    /// The address of a share, with its `/` at the end.
    pub(crate) fn link(&self, share: &Value) -> String {
        format!("{}/s/{}/", self.api.url, id(share))
    }
}

fn begin(data: &Path, args: &[String], addr: &str) -> (Running, Api) {
    let mut command = on(data);
    command
        .args(["serve", "--addr", addr, "--log", "warn"])
        .args(args);
    let mut running = Running::start(&mut command);
    let api = wait_for("a server starts", || {
        assert!(!running.has_ended(), "{}", running.err());
        Api::of(data, Some(running.pid()))
    });
    wait_until("a server says that it is ready", || {
        assert!(!running.has_ended(), "{}", running.err());
        running.out().contains("readalong serves")
    });
    (running, api)
}

/// The id of what the API made.
pub(crate) fn id(made: &Value) -> &str {
    made["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no id in {made}"))
}

/// What a request was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{}: {}", self.status, self.text()))
    }
}

/// Asks over HTTP, without following redirects.
///
/// # Errors
/// There is no answer, as from a server that is down.
pub(crate) fn try_ask(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer, ureq::Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .max_redirects(0)
        .build()
        .into();
    ask_with(&agent, method, url, headers, body)
}

fn ask_with(
    agent: &ureq::Agent,
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer, ureq::Error> {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = agent.run(request.body(body.to_vec()).unwrap())?;
    Ok(Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response
            .body_mut()
            .with_config()
            .limit(u64::MAX)
            .read_to_vec()?,
    })
}

/// Gets what anybody with the address gets.
pub(crate) fn get(url: &str) -> Answer {
    try_ask("GET", url, &[], &[]).unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// Gets a page that has to be there.
pub(crate) fn get_text(url: &str) -> String {
    let answer = get(url);
    assert_eq!(answer.status, 200, "{url}: {}", answer.text());
    answer.text()
}

/// The API of a server that runs, as its owner.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) url: String,
    pub(crate) token: String,
    agent: ureq::Agent,
}

impl Api {
    /// That of the server that says in its data folder where it is.
    pub(crate) fn of(data: &Path, pid: Option<u32>) -> Option<Self> {
        let said = fs::read(data.join("server.json")).ok()?;
        let said: Value = serde_json::from_slice(&said).ok()?;
        if pid.is_some() && said["pid"].as_u64() != pid.map(u64::from) {
            return None;
        }
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .build()
            .into();
        Some(Self {
            url: said["url"].as_str()?.to_owned(),
            token: said["token"].as_str()?.to_owned(),
            agent,
        })
    }

    /// As somebody else.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self {
            token: token.trim().to_owned(),
            ..self.clone()
        }
    }

    /// Asks; whatever the answer is.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) fn try_ask(
        &self,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<Answer, ureq::Error> {
        let bytes = match body {
            Value::Null => Vec::new(),
            body => serde_json::to_vec(body).unwrap(),
        };
        let headers = [
            ("Authorization", &*format!("Bearer {}", self.token)),
            ("Content-Type", "application/json"),
        ];
        let url = format!("{}/api/v1/{path}", self.url);
        ask_with(&self.agent, method, &url, &headers, &bytes)
    }

    /// Asks for what has to work.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self
            .try_ask(method, path, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        assert!(
            (200..300).contains(&answer.status),
            "{method} {path}: {} {}",
            answer.status,
            answer.text()
        );
        match answer.body.is_empty() {
            true => Value::Null,
            false => answer.json(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.ask("GET", path, &Value::Null)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", path, body)
    }

    pub(crate) fn patch(&self, path: &str, body: &Value) -> Value {
        self.ask("PATCH", path, body)
    }

    pub(crate) fn delete(&self, path: &str) -> Value {
        self.ask("DELETE", path, &Value::Null)
    }

    /// A new chat; its id.
    pub(crate) fn chat(&self, title: &str) -> String {
        id(&self.post("chats", &json!({ "title": title }))).to_owned()
    }

    /// Adds messages `from..to`: prompts and answers in turn.
    pub(crate) fn say(&self, chat: &str, from: u32, to: u32) {
        let messages: Vec<Value> = (from..to).map(message).collect();
        self.post(&format!("chats/{chat}/messages"), &json!(messages));
    }

    /// A public share without artifacts, `live` or `frozen`.
    pub(crate) fn share(&self, chat: &str, updates: &str) -> Value {
        self.post(
            "shares",
            &json!({"chat": chat, "updates": updates, "visibility": "public"}),
        )
    }
}

/// Message number so-and-so of a chat: the same each time.
pub(crate) fn message(number: u32) -> Value {
    let (role, text) = match number % 4 {
        0 => ("user", format!("Question {number}?")),
        _ => (
            "assistant",
            format!("Answer {number}. {}", "And so on. ".repeat(20)),
        ),
    };
    json!({"id": format!("m-{number}"), "role": role, "text": text, "at": at(number)})
}

/// A time for a number: one a minute.
pub(crate) fn at(number: u32) -> String {
    let (days, minutes) = (number / 1440, number % 1440);
    format!(
        "2026-{:02}-{:02}T{:02}:{:02}:00.000Z",
        1 + days / 28,
        1 + days % 28,
        minutes / 60,
        minutes % 60
    )
}
