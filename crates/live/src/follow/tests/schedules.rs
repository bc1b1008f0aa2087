//! A writer that does anything to its file: in the end the chat is what the file is.

use super::*;

/// Schedules of a quick run; `READALONG_SCHEDULES` says how many.
const SCHEDULES: u64 = 200;

struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit.max(1)
    }
}

/// The lines of a session: prompts, answers in pieces, calls with results that come late.
fn session(dice: &mut Dice) -> Vec<String> {
    let mut lines = Vec::new();
    let mut parent = "null".to_owned();
    for turn in 0..3 + dice.below(6) {
        let mut record = |kind: &str, message: String| {
            let uuid = format!("{turn}-{}", lines.len());
            lines.push(format!(
                "{{\"type\":\"{kind}\",\"uuid\":\"{uuid}\",\"parentUuid\":{parent},\"sessionId\":\"s\",\"timestamp\":\"2026-01-02T03:04:{:02}Z\",\"message\":{message}}}\n",
                lines.len() % 60
            ));
            parent = format!("\"{uuid}\"");
        };
        record(
            "user",
            format!("{{\"role\":\"user\",\"content\":\"Question {turn} äöü\"}}"),
        );
        let calls = dice.below(3);
        for piece in 0..1 + calls {
            let block = match piece {
                0 => format!("{{\"type\":\"text\",\"text\":\"Answer {turn}\"}}"),
                _ => format!(
                    "{{\"type\":\"tool_use\",\"id\":\"c{turn}-{piece}\",\"name\":\"Bash\",\"input\":{{\"command\":\"ls {piece}\"}}}}"
                ),
            };
            record(
                "assistant",
                format!("{{\"id\":\"m{turn}\",\"role\":\"assistant\",\"content\":[{block}]}}"),
            );
        }
        for piece in 1..=calls {
            record(
                "user",
                format!(
                    "{{\"role\":\"user\",\"content\":[{{\"type\":\"tool_result\",\"tool_use_id\":\"c{turn}-{piece}\",\"content\":\"done\"}}]}}"
                ),
            );
        }
    }
    lines
}

/// Writes a session in one of the ways that writers have, more or less badly.
fn write(path: &Path, dice: &mut Dice) {
    let lines = session(dice);
    let mut done = 0;
    while done < lines.len() {
        let count = 1 + dice.below(3);
        let next = lines[done..lines.len().min(done + count)].concat();
        match dice.below(12) {
            0..6 => append(path, &next),
            6 => {
                // In two pieces, cut anywhere.
                let cut = dice.below(next.len());
                let bytes = next.as_bytes();
                for piece in [&bytes[..cut], &bytes[cut..]] {
                    let mut file = OpenOptions::new()
                        .create(true)
                        .append(true)
                        .open(path)
                        .unwrap();
                    file.write_all(piece).unwrap();
                    pause(dice);
                }
            }
            7 => {
                // A torn fragment that is taken back.
                let length = path.metadata().map_or(0, |meta| meta.len());
                append(
                    path,
                    &next[..next.len() / 2 - next.len() / 2 % 2]
                        .chars()
                        .take(20)
                        .collect::<String>(),
                );
                pause(dice);
                let file = OpenOptions::new().write(true).open(path).unwrap();
                file.set_len(length).unwrap();
                append(path, &next);
            }
            8 => {
                // Taken back by some lines, and written again.
                let keep = dice.below(done + 1);
                if path.exists() {
                    let file = OpenOptions::new().write(true).open(path).unwrap();
                    file.set_len(lines[..keep].concat().len() as u64).unwrap();
                }
                pause(dice);
                append(path, &(lines[keep..done].concat() + &next));
            }
            9 => {
                // Written beside it and renamed into its place.
                let other = path.with_extension("tmp");
                fs::write(&other, lines[..done].concat() + &next).unwrap();
                fs::rename(&other, path).unwrap();
            }
            10 => {
                // Emptied and written anew.
                fs::write(path, "").unwrap();
                pause(dice);
                append(path, &(lines[..done].concat() + &next));
            }
            _ => {
                // Rotated away and begun anew.
                if path.exists() {
                    fs::rename(path, path.with_extension("old")).unwrap();
                }
                pause(dice);
                append(path, &(lines[..done].concat() + &next));
            }
        }
        done += count;
        pause(dice);
    }
    if dice.below(4) == 0 {
        // Without the last end of line.
        let length = path.metadata().unwrap().len();
        OpenOptions::new()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(length - 1)
            .unwrap();
    }
}

fn pause(dice: &mut Dice) {
    if dice.below(3) == 0 {
        std::thread::sleep(Duration::from_millis(dice.below(12) as u64));
    }
}

fn schedule(seed: u64) {
    let dice = &mut Dice(seed);
    let place = Place::new("s.jsonl");
    let mut follower = Some(start(&place.path, &place.sink));
    write(&place.path, dice);
    if dice.below(3) == 0 {
        // Restarted, and something is written meanwhile.
        follower = None;
        append(&place.path, "\n");
        append(
            &place.path,
            &session(dice)
                .concat()
                .replace("\"uuid\":\"", "\"uuid\":\"later-"),
        );
        follower = follower.or_else(|| Some(start(&place.path, &place.sink)));
    }
    let begun = Instant::now();
    while !place.is_whole() {
        if begun.elapsed() > LONG {
            let held = place.sink.only().chat();
            assert_same(&held, &whole(&place.path), &format!("schedule {seed}"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(follower);
}

#[test]
fn whatever_is_written_the_chat_is_what_the_file_is() {
    let count = std::env::var("READALONG_SCHEDULES")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(SCHEDULES);
    let next = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if seed >= count {
                        break;
                    }
                    schedule(seed);
                }
            });
        }
    });
}
