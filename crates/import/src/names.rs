//! What is remembered by name of a chat that grows: a number for each name, without the names.

use std::{collections::hash_map::RandomState, hash::BuildHasher};

/// Numbers by name. A name is held as a keyed hash of 64 bits, so that an entry costs fifteen bytes or so whatever the name; that two names
/// of a chat share one is out of the question, and nobody can make such names.
#[derive(Default)]
pub(crate) struct Names {
    state: RandomState,
    /// Open addressing; 0 where there is nothing.
    keys: Box<[u64]>,
    numbers: Box<[u32]>,
    count: usize,
}

impl Names {
    /// The number of a name.
    pub(crate) fn get(&self, name: &str) -> Option<u32> {
        self.number(self.key(name))
    }

    /// True where a name has a number.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Gives a name a number; the one that it had.
    pub(crate) fn insert(&mut self, name: &str, number: u32) -> Option<u32> {
        let key = self.key(name);
        self.put(key, number)
    }

    /// The number of a name, which is this one where it had none.
    pub(crate) fn get_or_insert(&mut self, name: &str, number: u32) -> u32 {
        let key = self.key(name);
        match self.number(key) {
            Some(known) => known,
            None => {
                self.put(key, number);
                number
            }
        }
    }

    /// The name, made short; never 0, and another one in each set of names.
    pub(crate) fn key(&self, name: &str) -> u64 {
        self.state.hash_one(name).max(1)
    }

    /// The number of the name with that key.
    pub(crate) fn number(&self, key: u64) -> Option<u32> {
        if self.keys.is_empty() {
            return None;
        }
        let at = self.slot(key);
        (self.keys[at] == key).then(|| self.numbers[at])
    }

    fn put(&mut self, key: u64, number: u32) -> Option<u32> {
        // Four fifths full at most, and a quarter larger each time: doubling would leave half of it empty.
        if self.count * 5 >= self.keys.len() * 4 {
            self.grow();
        }
        let at = self.slot(key);
        let known = self.keys[at] == key;
        self.keys[at] = key;
        let before = std::mem::replace(&mut self.numbers[at], number);
        self.count += usize::from(!known);
        known.then_some(before)
    }

    /// Where a key is, or would be put. There is always an empty slot.
    fn slot(&self, key: u64) -> usize {
        let size = self.keys.len();
        let mut at = ((u128::from(key) * size as u128) >> 64) as usize;
        while self.keys[at] != 0 && self.keys[at] != key {
            at += 1;
            if at == size {
                at = 0;
            }
        }
        at
    }

    fn grow(&mut self) {
        let size = (self.keys.len() + self.keys.len() / 4).max(16);
        let keys = std::mem::replace(&mut self.keys, vec![0; size].into());
        let numbers = std::mem::replace(&mut self.numbers, vec![0; size].into());
        for (key, number) in keys.into_iter().zip(numbers) {
            if key != 0 {
                let at = self.slot(key);
                self.keys[at] = key;
                self.numbers[at] = number;
            }
        }
    }
}

/// Adds to a list that lives long: it grows by an eighth, for half of it would be empty otherwise.
pub(crate) fn push_tightly<T>(list: &mut Vec<T>, entry: T) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 8).max(8));
    }
    list.push(entry);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_keeps_its_number() {
        let mut names = Names::default();
        assert!(!names.has(""));
        for number in 0..5_000 {
            assert_eq!(names.insert(&format!("n{number}"), number), None);
            assert_eq!(names.get("n0"), Some(0));
        }
        for number in 0..5_000 {
            assert_eq!(names.get(&format!("n{number}")), Some(number));
        }
        assert_eq!(names.get("n5000"), None);
        assert_eq!(names.insert("n7", 1), Some(7));
        assert_eq!(names.get_or_insert("n7", 2), 1);
        assert_eq!(names.get_or_insert("new", 2), 2);
        assert!(names.has("new"));
    }
}
