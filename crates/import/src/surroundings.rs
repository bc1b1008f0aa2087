//! What an importer may ask of the world around a transcript.

use std::io;

use readalong_model::Digest;

/// What an importer may ask of the world: the caller decides what is within reach.
pub trait Surroundings {
    /// Keeps the bytes of an artifact and tells their digest.
    ///
    /// # Errors
    /// The bytes could not be kept; the import ends.
    fn keep(&mut self, bytes: &[u8]) -> io::Result<Digest>;

    /// Reads a file that lies beside the transcript, by its path relative to the transcript's folder; `None` where there is none.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    fn beside(&mut self, path: &str) -> io::Result<Option<Vec<u8>>>;

    /// The first bytes of such a file, `bytes_max` at most.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    fn beside_start(&mut self, path: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = self.beside(path)?;
        if let Some(bytes) = &mut bytes {
            bytes.truncate(bytes_max);
        }
        Ok(bytes)
    }

    /// Names of what lies in a folder beside the transcript, sorted, those of folders with `/` at the end; empty where there is none.
    fn names_in(&mut self, folder: &str) -> Vec<String>;
}

/// Keeps nothing and sees nothing: for looking at a transcript without taking it.
pub struct Discard;

impl Surroundings for Discard {
    fn keep(&mut self, bytes: &[u8]) -> io::Result<Digest> {
        Ok(Digest::of(bytes))
    }

    fn beside(&mut self, _path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn names_in(&mut self, _folder: &str) -> Vec<String> {
        Vec::new()
    }
}
