//! Viewers that stop reading: what the server and the kernel hold for each, and whether the others notice.

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::crowd::{Crowd, Door, Tally};
use crate::numbers::{Promise, Row, median, percentile};
use crate::process::{self, Usage};
use crate::served::Served;
use crate::stage::{Pace, play};
use crate::{Outcome, Plan, Report};

const VIEWERS: usize = 500;
const STALLED: usize = 50;
/// 100 KB of text a second, so that a viewer that does not read has filled everything long before the end.
const PACE: Pace = Pace {
    times: 120,
    every: Duration::from_millis(50),
    at_once: 10,
};
/// What a stalled viewer's own kernel takes: little, so that the rest is the server's to hold.
const RECEIVE_BYTES: usize = 4_096;
/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Time for a server to come to rest.
const REST: Duration = Duration::from_secs(1);
/// Longer than any phase.
const TIMEOUT: Duration = Duration::from_secs(120);
const HELD_KB_MAX: f64 = 256.0;
const P99_TIMES_QUIET_MAX: f64 = 1.1;

pub(crate) fn run(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let served = Served::start(plan, &[])?;
    let mut stage = served.stage("Stalled")?;
    let mut crowd = Crowd::new()?;
    crowd.join(&stage.door, VIEWERS)?;
    let mut first = 0;
    play(&mut crowd, &mut stage.send, first, PACE)?;
    first += PACE.messages();
    let (mut quiet, mut beside) = (Phase::default(), Phase::default());
    for _ in 0..plan.rounds {
        // As many viewers in both phases: in one of them all read.
        let before_kb = settled_kb(&mut crowd, stage.usage)?;
        let mut readers = Crowd::new()?;
        readers.join(&stage.door, STALLED)?;
        let watch = Watch::new(stage.usage, before_kb, &stage.door, &[])?;
        let is_over = AtomicBool::new(false);
        let seen = thread::scope(|scope| {
            let reading =
                scope.spawn(|| readers.read_until(TIMEOUT, |_| is_over.load(Ordering::Relaxed)));
            let seen = watch.during(|| play(&mut crowd, &mut stage.send, first, PACE));
            is_over.store(true, Ordering::Relaxed);
            reading.join().map_err(|_| "the readers panicked")??;
            seen
        })?;
        drop(readers);
        first += PACE.messages();
        quiet.add(crowd.take_tally(), seen);

        let before_kb = settled_kb(&mut crowd, stage.usage)?;
        let stalled = stall(&stage.door, STALLED)?;
        let watch = Watch::new(stage.usage, before_kb, &stage.door, &stalled)?;
        let seen = watch.during(|| play(&mut crowd, &mut stage.send, first, PACE))?;
        drop(stalled);
        first += PACE.messages();
        beside.add(crowd.take_tally(), seen);
    }
    // What the server grows by for the chat itself it grows by in both phases of a round.
    let pairs = beside.grew_kb.iter().zip(&quiet.grew_kb);
    let own_kb = median(pairs.map(|(beside, quiet)| beside - quiet).collect()) / STALLED as f64;
    report.row(Row::new("stalled viewer: server's own memory", "KB").ours(own_kb));
    match beside.kernel_kb {
        Some(kernel_kb) => {
            report.row(Row::new("stalled viewer: kernel's memory, most of all", "KB").ours(kernel_kb));
            report.row(
                Row::new("stalled viewer: held together", "KB")
                    .ours(own_kb.max(0.0) + kernel_kb)
                    .promise(Promise::AtMost(HELD_KB_MAX)),
            );
        }
        None => report.skip("what the kernel holds for a stalled viewer: `ss` (Debian's `iproute2`) is not installed".to_owned()),
    }
    report.row(
        Row::new(
            "others' p99 beside stalled viewers (limit: where all read)",
            "ms",
        )
        .limit(percentile(&mut quiet.latencies_us, 0.99) / 1e3)
        .ours(percentile(&mut beside.latencies_us, 0.99) / 1e3)
        .promise(Promise::TimesLimit(P99_TIMES_QUIET_MAX)),
    );
    report.row(
        Row::new("others beside stalled viewers: lost or doubled", "")
            .ours((quiet.missing + beside.missing) as f64)
            .promise(Promise::AtMost(0.0)),
    );
    Ok(())
}

#[derive(Default)]
struct Phase {
    latencies_us: Vec<u32>,
    missing: u64,
    grew_kb: Vec<f64>,
    kernel_kb: Option<f64>,
}

impl Phase {
    fn add(&mut self, tally: Tally, seen: Seen) {
        self.latencies_us.extend(tally.latencies_us);
        self.missing += tally.lost + tally.doubled;
        self.grew_kb.push(seen.grew_kb);
        self.kernel_kb = most(self.kernel_kb, seen.kernel_kb);
    }
}

/// The server's memory once what was before is over.
fn settled_kb(crowd: &mut Crowd, usage: Usage) -> Outcome<f64> {
    crowd.read_for(REST)?;
    crowd.take_tally();
    usage.resident_kb()
}

fn most(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).reduce(f64::max)
}

/// Viewers that are let in, read the answer, and never read again.
fn stall(door: &Door, count: usize) -> Outcome<Vec<TcpStream>> {
    let request = door.request()?;
    let mut stalled = Vec::new();
    for place in 0..count {
        let socket = door.socket(place)?;
        socket.set_recv_buffer_size(RECEIVE_BYTES)?;
        socket.connect(&door.address.into())?;
        let mut stream = TcpStream::from(socket);
        stream.write_all(&request)?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        if head != *b"HTTP/1.1 101" {
            return Err("a viewer was not let in".into());
        }
        stalled.push(stream);
    }
    Ok(stalled)
}

/// Looks at the memory of a server, and of the kernel for some of its viewers, while something goes on.
struct Watch {
    usage: Usage,
    port: u16,
    viewers: HashSet<u16>,
    before_kb: f64,
}

/// The most that was seen.
#[derive(Clone, Copy, Default)]
struct Seen {
    grew_kb: f64,
    kernel_kb: Option<f64>,
}

impl Watch {
    fn new(usage: Usage, before_kb: f64, door: &Door, viewers: &[TcpStream]) -> Outcome<Self> {
        let ports: Result<_, std::io::Error> = viewers
            .iter()
            .map(|viewer| Ok(viewer.local_addr()?.port()))
            .collect();
        Ok(Self {
            usage,
            port: door.address.port(),
            viewers: ports?,
            before_kb,
        })
    }

    fn during<T>(&self, what: impl FnOnce() -> Outcome<T>) -> Outcome<Seen> {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let looking = scope.spawn(|| {
                let mut seen = Seen::default();
                while !is_over.load(Ordering::Relaxed) {
                    self.look(&mut seen)?;
                    thread::sleep(LOOK_EVERY);
                }
                Outcome::Ok(seen)
            });
            let done = what();
            is_over.store(true, Ordering::Relaxed);
            let seen = looking.join().map_err(|_| "the watcher panicked")?;
            done?;
            seen
        })
    }

    /// Costs the same whether there are viewers to look at or not, so that looking itself does not tell the phases apart.
    fn look(&self, seen: &mut Seen) -> Outcome<()> {
        seen.grew_kb = seen.grew_kb.max(self.usage.resident_kb()? - self.before_kb);
        let held = process::kernel_bytes(self.port)?.map(|held| {
            let of_stalled = held.iter().filter(|(port, _)| self.viewers.contains(port));
            of_stalled.map(|(_, bytes)| *bytes).max().unwrap_or(0) as f64 / 1e3
        });
        seen.kernel_kb = most(seen.kernel_kb, held);
        Ok(())
    }
}
