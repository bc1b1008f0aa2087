//! Which file has its turn next.

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
};

/// Files that wait for their turn, in two lines that move on in turn.
///
/// Somebody waits for what just grew, so it does not stand behind all files that are read for the first time; and a file that grows without
/// pause keeps none of these from its turn.
#[derive(Default)]
pub(crate) struct Turns {
    grown: VecDeque<PathBuf>,
    others: VecDeque<PathBuf>,
    /// In which line each file waits. It may stand in the other one too, and is passed over there.
    waiting: HashMap<PathBuf, Line>,
    /// The line that the last turn was of.
    last: Line,
    /// Files of the others that waited when the round began and still do.
    left_of_round: usize,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Line {
    Grown,
    #[default]
    Others,
}

impl Turns {
    /// Takes a file that wants to be looked at.
    pub(crate) fn push(&mut self, path: PathBuf) {
        if !self.waiting.contains_key(&path) {
            self.waiting.insert(path.clone(), Line::Others);
            self.others.push_back(path);
        }
    }

    /// Takes a file that just grew.
    pub(crate) fn push_grown(&mut self, path: PathBuf) {
        if self.waiting.insert(path.clone(), Line::Grown) != Some(Line::Grown) {
            self.grown.push_back(path);
        }
    }

    /// The file that has its turn now.
    pub(crate) fn next(&mut self) -> Option<PathBuf> {
        let lines = match self.last {
            Line::Others => [Line::Grown, Line::Others],
            Line::Grown => [Line::Others, Line::Grown],
        };
        lines.into_iter().find_map(|line| self.next_of(line))
    }

    fn next_of(&mut self, line: Line) -> Option<PathBuf> {
        loop {
            let path = match line {
                Line::Grown => self.grown.pop_front()?,
                Line::Others => {
                    let path = self.others.pop_front()?;
                    self.left_of_round = self.left_of_round.saturating_sub(1);
                    path
                }
            };
            if self.waiting.get(&path) == Some(&line) {
                self.waiting.remove(&path);
                self.last = line;
                return Some(path);
            }
        }
    }

    /// Begins a round: of the files that wait now.
    pub(crate) fn begin_round(&mut self) {
        self.left_of_round = self.others.len();
    }

    /// True where all files that waited when the round began had their turn since.
    pub(crate) fn is_round_over(&self) -> bool {
        self.left_of_round == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(turns: &mut Turns) -> String {
        let path = turns.next();
        path.map_or_else(String::new, |path| path.display().to_string())
    }

    #[test]
    fn a_file_that_grows_without_pause_has_every_second_turn() {
        let mut turns = Turns::default();
        for path in ["a", "b", "c"] {
            turns.push(path.into());
        }
        turns.begin_round();
        for other in ["a", "b"] {
            turns.push_grown("busy".into());
            turns.push_grown("busy".into());
            assert_eq!(next(&mut turns), "busy");
            turns.push_grown("busy".into());
            assert_eq!(next(&mut turns), other);
            assert!(!turns.is_round_over());
            turns.push(other.into());
        }
        turns.push_grown("c".into());
        let rest: Vec<String> = (0..6).map(|_| next(&mut turns)).collect();
        assert_eq!(rest, ["busy", "a", "c", "b", "", ""]);
        assert!(turns.is_round_over());
    }
}
