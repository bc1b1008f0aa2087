//! Pages of frozen shares over connections that are kept, beside nginx with the same bytes: CPU for each request.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::follow::fresh_folder;
use crate::http::{self, Connection};
use crate::message;
use crate::numbers::{Promise, Row, median};
use crate::process::{self, Program, Usage};
use crate::served::{Api, Served};
use crate::{Outcome, Plan, Report};

/// The page that is asked for.
const PAGE_BYTES: usize = 10_000;
const CONNECTIONS: usize = 32;
const REQUESTS: usize = 40_000;
/// How long nginx may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(10);
const TIMES_NGINX_MAX: f64 = 1.5;
/// As a browser asks, but for the encoding.
const HEADERS: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n";

pub(crate) fn run(plan: &Plan, report: &mut Report) -> Outcome<()> {
    if !process::is_installed("nginx") {
        report.skip("static: nginx (Debian's `nginx-light`) is not installed".to_owned());
        return Ok(());
    }
    let served = Served::start(plan, &[])?;
    let share = share_of_length(&served, PAGE_BYTES)?;
    let path = format!("/s/{share}/");
    let root = fresh_folder(plan, "nginx")?;
    let mut kinds = Vec::new();
    for (what, encoding) in [
        ("10 KB page", "identity"),
        ("precompressed 10 KB page", "gzip"),
    ] {
        let headers = format!("{HEADERS}Accept-Encoding: {encoding}\r\n");
        let page = served.anybody()?.ask("GET", &path, &headers, b"")?;
        let came = page.header("content-encoding").unwrap_or("identity");
        if page.status != 200 || came != encoding {
            return Err(
                format!("{path} as {encoding} is answered {} as {came}", page.status).into(),
            );
        }
        let name = if encoding == "gzip" {
            "page.html.gz"
        } else {
            "page.html"
        };
        fs::write(root.join(name), &page.body)?;
        kinds.push((what, headers, page.body.len()));
    }
    let nginx = Nginx::start(&root)?;
    for (what, headers, length) in kinds {
        let (mut limit, mut ours, mut limit_a_second, mut ours_a_second) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..plan.rounds {
            let (cpu_us, a_second) = load(
                nginx.address,
                &nginx.usages()?,
                "/page.html",
                &headers,
                length,
            )?;
            limit.push(cpu_us);
            limit_a_second.push(a_second);
            let (cpu_us, a_second) =
                load(served.address(), &[served.usage()], &path, &headers, length)?;
            ours.push(cpu_us);
            ours_a_second.push(a_second);
        }
        report.row(
            Row::new(
                format!("{what} ({length} B), CPU a request (limit: nginx)"),
                "µs",
            )
            .limit(median(limit))
            .ours(median(ours))
            .promise(Promise::TimesLimit(TIMES_NGINX_MAX)),
        );
        report.row(
            Row::new(format!("{what}: requests a second of one client"), "/s")
                .limit(median(limit_a_second))
                .ours(median(ours_a_second)),
        );
    }
    Ok(())
}

/// One request on each connection, then one answer from each, over and over. Says CPU µs a request and requests a second.
fn load(
    address: SocketAddr,
    usages: &[Usage],
    path: &str,
    headers: &str,
    length: usize,
) -> Outcome<(f64, f64)> {
    let host = address.to_string();
    let request = http::request("GET", path, &host, headers, b"");
    let mut connections = (0..CONNECTIONS)
        .map(|_| Connection::open(address, &host))
        .collect::<Outcome<Vec<_>>>()?;
    let mut round = || -> Outcome<()> {
        for connection in &mut connections {
            connection.send(&request)?;
        }
        for connection in &mut connections {
            let answer = connection.answer()?;
            if answer.status != 200 || answer.body.len() != length {
                return Err(format!(
                    "{path} of {address} is answered {} with {} bytes",
                    answer.status,
                    answer.body.len()
                )
                .into());
            }
        }
        Ok(())
    };
    let cpu = || {
        usages
            .iter()
            .map(|usage| usage.cpu_s())
            .sum::<Outcome<f64>>()
    };
    for _ in 0..20 {
        round()?;
    }
    let (cpu_before, begin) = (cpu()?, Instant::now());
    for _ in 0..REQUESTS / CONNECTIONS {
        round()?;
    }
    let count = (REQUESTS / CONNECTIONS * CONNECTIONS) as f64;
    let a_second = count / begin.elapsed().as_secs_f64();
    Ok(((cpu()? - cpu_before) * 1e6 / count, a_second))
}

/// A frozen share whose page has about that length: what is missing after a first try is added to a second.
fn share_of_length(served: &Served, bytes: usize) -> Outcome<String> {
    let mut api = served.api()?;
    let (short, length) = frozen(served, &mut api, 100)?;
    if length >= bytes {
        println!("  the shortest page has {length} bytes");
        return Ok(short);
    }
    Ok(frozen(served, &mut api, 100 + bytes - length)?.0)
}

fn frozen(served: &Served, api: &mut Api, text_bytes: usize) -> Outcome<(String, usize)> {
    let chat = api.create_chat("Frozen")?;
    api.append(&chat, &[message::prose(text_bytes)])?;
    let share = api.share(&chat, &json!({"updates": "frozen"}))?;
    let page = served.anybody()?.ask(
        "GET",
        &format!("/s/{share}/"),
        "Accept-Encoding: identity\r\n",
        b"",
    )?;
    Ok((share, page.body.len()))
}

/// nginx as Debian configures it for files, without its log.
struct Nginx {
    program: Program,
    root: PathBuf,
    address: SocketAddr,
}

impl Nginx {
    fn start(root: &Path) -> Outcome<Self> {
        // Free at this moment; nginx takes no port 0.
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let folder = root.display();
        let configuration = format!(
            "daemon off; worker_processes auto; pid {folder}/pid; error_log stderr error;
events {{ worker_connections 768; }}
http {{
  sendfile on; tcp_nopush on; types {{ text/html html; }}
  access_log off; keepalive_requests 100000000; gzip_static on;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen {address}; root {folder}; }}
}}
"
        );
        fs::write(root.join("nginx.conf"), configuration)?;
        let nginx = Self {
            program: Program::start(&mut command(root))?,
            root: root.to_owned(),
            address,
        };
        let deadline = Instant::now() + START_TIMEOUT;
        while std::net::TcpStream::connect(address).is_err() {
            if Instant::now() > deadline {
                return Err("nginx does not start".into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(nginx)
    }

    /// Of its main process and of its workers.
    fn usages(&self) -> Outcome<Vec<Usage>> {
        let mut usages = vec![self.program.usage()];
        usages.extend(self.program.usages_of_children()?);
        Ok(usages)
    }
}

/// Killing its main process would leave the workers, so it is told.
impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = command(&self.root)
            .args(["-s", "stop"])
            .stderr(Stdio::null())
            .status();
        self.program.wait();
    }
}

fn command(root: &Path) -> Command {
    let mut command = Command::new("nginx");
    command
        .arg("-p")
        .arg(root)
        .arg("-c")
        .arg(root.join("nginx.conf"))
        .env("PATH", "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}
