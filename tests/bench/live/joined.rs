//! What comes within a short time is one frame: what a busy chat costs a viewer in writes.

use std::time::{Duration, Instant};

use crate::crowd::Crowd;
use crate::numbers::{Promise, Row};
use crate::served::Served;
use crate::stage::{Pace, play};
use crate::{Outcome, Plan, Report};

const VIEWERS: usize = 10;
/// Fifty appends a second, for ten seconds.
const PACE: Pace = Pace {
    times: 500,
    every: Duration::from_millis(20),
    at_once: 1,
};
const WRITES_A_SECOND_MAX: f64 = 25.0;

pub(crate) fn run(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let served = Served::start(plan, &[])?;
    let mut stage = served.stage("Joined")?;
    let mut crowd = Crowd::new()?;
    crowd.join(&stage.door, VIEWERS)?;
    crowd.read_for(Duration::from_secs(2))?;
    crowd.take_tally();
    let begin = Instant::now();
    let late = play(&mut crowd, &mut stage.send, 0, PACE)?;
    let seconds = begin.elapsed().as_secs_f64();
    let tally = crowd.take_tally();
    let missing = tally.lost + tally.doubled + crowd.without(PACE.messages() - 1) as u64;
    let appends = f64::from(PACE.messages()) / seconds;
    report.row(Row::new("appends a second, one at a time", "/s").ours(appends));
    // The first frame goes out at once: what is counted is how many follow it in that time.
    let frames = tally.frames as f64 / VIEWERS as f64 - 1.0;
    report.row(
        Row::new(
            "writes a second to each viewer at 50 appends a second",
            "/s",
        )
        .limit(appends)
        .ours(frames / seconds)
        .promise(Promise::AtMost(WRITES_A_SECOND_MAX)),
    );
    report.row(
        Row::new("joined frames: messages lost or doubled", "")
            .ours(missing as f64)
            .promise(Promise::AtMost(0.0)),
    );
    report.row(
        Row::new("joined frames: latest sending after its time", "ms")
            .ours(late.as_secs_f64() * 1e3),
    );
    Ok(())
}
