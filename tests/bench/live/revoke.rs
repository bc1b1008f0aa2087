//! How fast what an owner does reaches all who have the page open: an edit, a switch, and a share that is gone, with its sockets closed with the right
//! code and every artifact's address answered 404.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::crowd::Crowd;
use crate::numbers::{Promise, Row};
use crate::served::{Api, Served};
use crate::{Outcome, Plan, Report, message};

const VIEWERS: usize = 1_000;
const ARTIFACTS: u32 = 20;
/// What a viewer is told of a share that is gone, and of one that is private now.
const GONE: u16 = 4404;
const SIGN_IN: u16 = 4401;
/// Longer than any promise, so that a miss has a figure.
const TIMEOUT: Duration = Duration::from_secs(20);
const SECONDS_MAX: f64 = 1.0;

pub(crate) fn run(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let served = Served::start(plan, &[])?;
    let mut api = served.api()?;
    let chat = chat_with_artifacts(&mut api)?;
    change(&served, &mut api, &chat, report)?;
    let made_private = json!({"visibility": "private"});
    for (what, code, status, method, body) in [
        ("deleted", GONE, 404, "DELETE", json!(null)),
        ("made private", SIGN_IN, 0, "PATCH", made_private),
    ] {
        let share = api.share(&chat, &json!({"updates": "live", "artifacts": true}))?;
        let door = served.door(&share);
        let links = artifact_links(&served, &share)?;
        let mut crowd = Crowd::new()?;
        crowd.join(&door, VIEWERS)?;
        crowd.read_for(Duration::from_secs(1))?;

        let begin = Instant::now();
        let (answered, denied) = thread::scope(|scope| -> Outcome<_> {
            let owner = scope.spawn(|| -> Outcome<f64> {
                api.json(method, &format!("/api/v1/shares/{share}"), &body)?;
                Ok(begin.elapsed().as_secs_f64())
            });
            let asker = scope.spawn(|| wait_until_denied(&served, &links, begin, status));
            crowd.read_until(TIMEOUT, |crowd| crowd.open == 0)?;
            let answered = owner.join().map_err(|_| "the owner panicked")??;
            Ok((answered, asker.join().map_err(|_| "the asker panicked")??))
        })?;
        let closed = crowd.last_closed.filter(|_| crowd.open == 0);
        let closed_s = closed.map_or(f64::INFINITY, |at| (at - begin).as_secs_f64());
        let wrong = VIEWERS - crowd.closed.get(&code).copied().unwrap_or(0);
        let seconds = |figure: &str, value: f64| {
            Row::new(format!("share {what}: {figure}"), "s")
                .ours(value)
                .promise(Promise::AtMost(SECONDS_MAX))
        };
        report.row(seconds("the owner is answered after", answered));
        report.row(seconds("1,000 sockets are closed after", closed_s));
        report.row(seconds("20 artifacts' addresses are denied after", denied));
        report.row(
            Row::new(format!("share {what}: sockets not closed with {code}"), "")
                .ours(wrong as f64)
                .promise(Promise::AtMost(0.0)),
        );
    }
    Ok(())
}

/// How soon every viewer has an edit and a switch.
fn change(served: &Served, api: &mut Api, chat: &str, report: &mut Report) -> Outcome<()> {
    let said = json!([{"id": "said", "role": "assistant", "text": "What is edited."}]);
    api.json("POST", &format!("/api/v1/chats/{chat}/messages"), &said)?;
    let share = api.share(chat, &json!({"updates": "live", "artifacts": true}))?;
    let mut crowd = Crowd::new()?;
    crowd.join(&served.door(&share), VIEWERS)?;
    let message = format!("/api/v1/chats/{chat}/messages/said");
    let share = format!("/api/v1/shares/{share}");
    for (what, path, body) in [
        ("a message is edited", &message, json!({"text": "Edited."})),
        (
            "artifacts are left out",
            &share,
            json!({"artifacts": false}),
        ),
    ] {
        crowd.read_for(Duration::from_secs(1))?;
        crowd.forget_changes();
        let begin = Instant::now();
        let told = thread::scope(|scope| -> Outcome<_> {
            let owner = scope.spawn(|| api.json("PATCH", path, &body));
            let are_told = crowd.read_until(TIMEOUT, Crowd::are_told)?;
            let told_s = begin.elapsed().as_secs_f64();
            owner.join().map_err(|_| "the owner panicked")??;
            Ok(if are_told { told_s } else { f64::INFINITY })
        })?;
        report.row(
            Row::new(format!("{what}: 1,000 viewers are told after"), "s")
                .ours(told)
                .promise(Promise::AtMost(SECONDS_MAX)),
        );
    }
    Ok(())
}

/// Asks for every artifact over and over; says when the last answer that was not a denial had come. Status 0 stands for any that denies.
/// An answer that breaks off is none: what is on its way when the right ends may be cut.
fn wait_until_denied(
    served: &Served,
    links: &[String],
    begin: Instant,
    status: u16,
) -> Outcome<f64> {
    let mut connection = served.anybody()?;
    let mut last_given = 0.0;
    let mut left: Vec<&String> = links.iter().collect();
    while !left.is_empty() && begin.elapsed() < TIMEOUT {
        let mut given = Vec::new();
        for link in left {
            let Ok(answer) = connection.ask("GET", link, "", b"") else {
                connection = served.anybody()?;
                given.push(link);
                continue;
            };
            let is_denied = match status {
                0 => (300..500).contains(&answer.status),
                status => answer.status == status,
            };
            if !is_denied {
                given.push(link);
                last_given = begin.elapsed().as_secs_f64();
            }
        }
        left = given;
    }
    if !left.is_empty() {
        return Ok(f64::INFINITY);
    }
    // Once denied is denied for good: all are asked once more.
    for link in links {
        if connection.ask("GET", link, "", b"")?.status == 200 {
            return Ok(f64::INFINITY);
        }
    }
    Ok(last_given)
}

/// The addresses of all files that the page shows.
fn artifact_links(served: &Served, share: &str) -> Outcome<Vec<String>> {
    let page = served
        .anybody()?
        .ask("GET", &format!("/s/{share}/"), "", b"")?;
    let html = page.text().replace("&#x2f;", "/");
    let mut links: Vec<String> = html
        .split("\"files/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(|name| format!("/s/{share}/files/{name}"))
        .collect();
    links.sort_unstable();
    links.dedup();
    if links.len() < ARTIFACTS as usize {
        return Err(format!(
            "the page names {} files instead of {ARTIFACTS}",
            links.len()
        )
        .into());
    }
    Ok(links)
}

/// A chat of text and of small text files, each in a message of its own.
fn chat_with_artifacts(api: &mut Api) -> Outcome<String> {
    let chat = api.create_chat("Revoked")?;
    let mut artifacts: Vec<Value> = Vec::new();
    let mut messages: Vec<Value> = Vec::new();
    for number in 0..ARTIFACTS {
        let mut text = format!("file {number}\n");
        message::filler(2_000, &mut text);
        let sha256 = sha256(text.as_bytes());
        api.bytes(
            "PUT",
            &format!("/api/v1/chats/{chat}/artifacts/{sha256}"),
            text.as_bytes(),
        )?;
        let content = json!({"present": {"sha256": sha256, "size_bytes": text.len()}});
        artifacts.push(json!([number, {"name": format!("file-{number}.txt"), "media_type": "text/plain", "role": "uploaded", "content": content}]));
        // Each follows the one before; without that they would be versions of one message.
        let parent = number.checked_sub(1).map(|before| format!("m-{before}"));
        messages.push(json!([number, {"id": format!("m-{number}"), "parent": parent, "role": "user", "parts": [{"file": {"artifact": number}}]}]));
    }
    let changes = json!({"artifacts": artifacts, "messages": messages});
    api.json("POST", &format!("/api/v1/chats/{chat}/changes"), &changes)?;
    Ok(chat)
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
