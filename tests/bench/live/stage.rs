//! A server with a door for viewers and a way to send them a message: the bare limit, or ours.

use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::crowd::{Crowd, Door};
use crate::http::Connection;
use crate::message;
use crate::process::{Limit, Usage};

/// Sends messages to all viewers at once; back when the server has them.
pub(crate) type Send<'a> = Box<dyn FnMut(&[String]) -> Outcome<()> + std::marker::Send + 'a>;

/// A server under measurement.
pub(crate) struct Stage<'a> {
    pub(crate) usage: Usage,
    pub(crate) door: Door,
    pub(crate) send: Send<'a>,
}

/// The limit as a stage; its frames are as long as `frame_bytes` says, or as the message.
pub(crate) fn limit_stage(limit: &Limit, frame_bytes: Option<usize>) -> Outcome<Stage<'_>> {
    let host = limit.address.to_string();
    let mut connection = Connection::open(limit.address, &host)?;
    Ok(Stage {
        usage: limit.program.usage(),
        door: Door {
            address: limit.address,
            host,
            share: None,
        },
        send: Box::new(move |texts| {
            let mut text = texts.join("\n");
            message::filler(
                frame_bytes.unwrap_or(0).saturating_sub(text.len()),
                &mut text,
            );
            let answer = connection.ask("POST", "/", "", text.as_bytes())?;
            match answer.status {
                200 => Ok(()),
                status => Err(format!("the limit answered {status}").into()),
            }
        }),
    })
}

/// When messages are sent: how often, how far apart, how many at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) times: u32,
    pub(crate) every: Duration,
    pub(crate) at_once: u32,
}

impl Pace {
    pub(crate) fn lasts(self) -> Duration {
        self.every * self.times
    }

    pub(crate) fn messages(self) -> u32 {
        self.times * self.at_once
    }
}

/// Sends messages `first..` at the pace from a thread of its own while the crowd reads; back when all viewers have all of them, or too
/// long after the last. Says how late the latest sending began.
pub(crate) fn play(
    crowd: &mut Crowd,
    send: &mut Send<'_>,
    first: u32,
    pace: Pace,
) -> Outcome<Duration> {
    /// Whoever has nothing so long after the last message was sent will not get it.
    const AFTER_LAST: Duration = Duration::from_secs(15);
    crowd.expect(first);
    let wanted = crowd.tally.delivered + crowd.open as u64 * u64::from(pace.messages());
    thread::scope(|scope| {
        let sender = scope.spawn(move || send_at_pace(send, first, pace));
        crowd.read_until(pace.lasts() + AFTER_LAST, |crowd| {
            crowd.tally.delivered >= wanted || (sender.is_finished() && crowd.open == 0)
        })?;
        sender.join().map_err(|_| "the sender panicked")?
    })
}

fn send_at_pace(send: &mut Send<'_>, first: u32, pace: Pace) -> Outcome<Duration> {
    let begin = Instant::now();
    let mut latest = Duration::ZERO;
    for time in 0..pace.times {
        let due = begin + pace.every * time;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        latest = latest.max(due.elapsed());
        let from = first + time * pace.at_once;
        let texts: Vec<String> = (from..from + pace.at_once).map(message::text).collect();
        send(&texts)?;
    }
    Ok(latest)
}
