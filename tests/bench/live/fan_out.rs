//! Fan-out through the real viewer route, side by side with the bare limit in one run: CPU for each delivered message, memory for each
//! idle viewer, and how late the latest hundredth comes.

use std::time::Duration;

use crate::crowd::Crowd;
use crate::numbers::{Promise, Row, median, percentile};
use crate::process::Limit;
use crate::served::Served;
use crate::stage::{Pace, Stage, limit_stage, play};
use crate::{Outcome, Plan, Report};

/// Viewers that come first, so that what a server makes for its first viewer is not counted for the others.
const FIRST_VIEWERS: usize = 3;
/// Time for a server to come to rest after many viewers came.
const REST: Duration = Duration::from_millis(1_500);
/// Messages further apart than what is joined into one frame, so that each is a frame of its own.
const PACE_1_000: Pace = Pace {
    times: 200,
    every: Duration::from_millis(50),
    at_once: 1,
};
/// Ten thousand viewers get ten messages a second for ten seconds.
const PACE_10_000: Pace = Pace {
    times: 100,
    every: Duration::from_millis(100),
    at_once: 1,
};
const CPU_TIMES_LIMIT_MAX: f64 = 1.4;
const IDLE_KB_MAX: f64 = 8.0;
const P99_TIMES_LIMIT_MAX: f64 = 1.5;

/// What a row says: its name, its unit, and where it stands.
type Figure = (&'static str, &'static str, fn(&Cost) -> f64);

/// What one round cost.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    cpu_us: f64,
    idle_kb: f64,
    busy_kb: f64,
    p50_ms: f64,
    p99_ms: f64,
    missing: f64,
    late_ms: f64,
    frame_bytes: f64,
    messages_a_second: f64,
}

pub(crate) fn run(plan: &Plan, report: &mut Report) -> Outcome<()> {
    for (viewers, pace) in [(1_000, PACE_1_000), (10_000, PACE_10_000)] {
        if plan.viewers.is_none_or(|only| only == viewers) {
            run_with(plan, report, viewers, pace)?;
        }
    }
    Ok(())
}

/// The limit by itself: for machines where ours is not built, and to see how steady the machine is.
pub(crate) fn run_limit(plan: &Plan, report: &mut Report) -> Outcome<()> {
    for (viewers, pace) in [(1_000, PACE_1_000), (10_000, PACE_10_000)] {
        if plan.viewers.is_some_and(|only| only != viewers) {
            continue;
        }
        let mut costs = Vec::new();
        for _ in 0..plan.rounds {
            costs.push(limit_cost(viewers, pace, None)?);
        }
        let limit = Cost::median(&costs);
        for (what, unit, of) in Cost::FIGURES {
            report.row(Row::new(format!("{viewers} viewers: {what}"), unit).limit(of(&limit)));
        }
    }
    Ok(())
}

fn run_with(plan: &Plan, report: &mut Report, viewers: usize, pace: Pace) -> Outcome<()> {
    let (mut limits, mut long_limits, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        limits.push(limit_cost(viewers, pace, None)?);
        let cost = our_cost(plan, viewers, pace)?;
        long_limits.push(limit_cost(viewers, pace, Some(cost.frame_bytes as usize))?);
        ours.push(cost);
    }
    let (limit, long, ours) = (
        Cost::median(&limits),
        Cost::median(&long_limits),
        Cost::median(&ours),
    );
    for (what, unit, of) in Cost::FIGURES {
        let promise = match what {
            Cost::CPU => Promise::TimesLimit(CPU_TIMES_LIMIT_MAX),
            Cost::IDLE => Promise::AtMost(IDLE_KB_MAX),
            Cost::P99 => Promise::TimesLimit(P99_TIMES_LIMIT_MAX),
            Cost::MISSING => Promise::AtMost(0.0),
            _ => Promise::Nothing,
        };
        let row = Row::new(format!("{viewers} viewers: {what}"), unit);
        report.row(row.limit(of(&limit)).ours(of(&ours)).promise(promise));
    }
    for (what, of) in [
        (Cost::CPU, (|cost| cost.cpu_us) as fn(&Cost) -> f64),
        (Cost::P99, |cost| cost.p99_ms),
    ] {
        let row = Row::new(
            format!("{viewers} viewers: {what}, limit with frames as long as ours"),
            if what == Cost::CPU { "µs" } else { "ms" },
        );
        report.row(row.limit(of(&long)).ours(of(&ours)));
    }
    Ok(())
}

fn limit_cost(viewers: usize, pace: Pace, frame_bytes: Option<usize>) -> Outcome<Cost> {
    let limit = Limit::start()?;
    cost(limit_stage(&limit, frame_bytes)?, viewers, pace)
}

fn our_cost(plan: &Plan, viewers: usize, pace: Pace) -> Outcome<Cost> {
    let served = Served::start(plan, &[])?;
    cost(served.stage("Fan-out")?, viewers, pace)
}

fn cost(mut stage: Stage<'_>, viewers: usize, pace: Pace) -> Outcome<Cost> {
    let mut crowd = Crowd::new()?;
    crowd.join(&stage.door, FIRST_VIEWERS)?;
    let warm = Pace { times: 20, ..pace };
    play(&mut crowd, &mut stage.send, 0, warm)?;
    crowd.read_for(REST)?;
    let idle_before = stage.usage.resident_kb()?;
    crowd.join(&stage.door, viewers - FIRST_VIEWERS)?;
    crowd.read_for(REST)?;
    let idle_after = stage.usage.resident_kb()?;
    crowd.take_tally();

    let cpu_before = stage.usage.cpu_s()?;
    let begin = std::time::Instant::now();
    let late = play(&mut crowd, &mut stage.send, warm.messages(), pace)?;
    let took = begin.elapsed();
    let cpu = stage.usage.cpu_s()? - cpu_before;
    let last = warm.messages() + pace.messages() - 1;
    let missing = crowd.without(last);
    let mut tally = crowd.take_tally();
    let a_viewer = |kb: f64| (kb - idle_before) / (viewers - FIRST_VIEWERS) as f64;
    Ok(Cost {
        cpu_us: cpu * 1e6 / tally.delivered as f64,
        idle_kb: a_viewer(idle_after),
        busy_kb: a_viewer(stage.usage.resident_kb()?),
        p50_ms: percentile(&mut tally.latencies_us, 0.5) / 1e3,
        p99_ms: percentile(&mut tally.latencies_us, 0.99) / 1e3,
        missing: tally.lost as f64 + tally.doubled as f64 + missing as f64,
        late_ms: late.as_secs_f64() * 1e3,
        frame_bytes: tally.bytes as f64 / tally.frames as f64,
        messages_a_second: tally.delivered as f64 / took.as_secs_f64(),
    })
}

impl Cost {
    const CPU: &'static str = "server CPU a delivered message";
    const IDLE: &'static str = "memory an idle viewer";
    const P99: &'static str = "latency, p99";
    const MISSING: &'static str = "messages lost or doubled";
    const FIGURES: [Figure; 9] = [
        (Self::CPU, "µs", |cost| cost.cpu_us),
        (Self::IDLE, "KB", |cost| cost.idle_kb),
        ("memory a viewer after all messages", "KB", |cost| {
            cost.busy_kb
        }),
        ("latency, median", "ms", |cost| cost.p50_ms),
        (Self::P99, "ms", |cost| cost.p99_ms),
        (Self::MISSING, "", |cost| cost.missing),
        ("latest sending after its time", "ms", |cost| cost.late_ms),
        ("bytes a frame", "B", |cost| cost.frame_bytes),
        ("deliveries a second", "", |cost| cost.messages_a_second),
    ];

    /// The middle of each figure by itself; of what is missing, the worst.
    fn median(costs: &[Cost]) -> Cost {
        let middle = |of: fn(&Cost) -> f64| median(costs.iter().map(of).collect());
        Cost {
            cpu_us: middle(|cost| cost.cpu_us),
            idle_kb: middle(|cost| cost.idle_kb),
            busy_kb: middle(|cost| cost.busy_kb),
            p50_ms: middle(|cost| cost.p50_ms),
            p99_ms: middle(|cost| cost.p99_ms),
            missing: costs.iter().map(|cost| cost.missing).fold(0.0, f64::max),
            late_ms: costs.iter().map(|cost| cost.late_ms).fold(0.0, f64::max),
            frame_bytes: middle(|cost| cost.frame_bytes),
            messages_a_second: middle(|cost| cost.messages_a_second),
        }
    }
}
