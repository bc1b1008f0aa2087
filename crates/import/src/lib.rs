//! Foreign transcripts into the model: one file a format under `formats/`, found by content, read record by record.
//!
//! The only crate that knows names and shapes of foreign formats. It does no I/O of its own: the caller opens files ([`Source`]) and
//! keeps artifacts ([`Surroundings`]). One bad record never loses a chat.

mod anthropic_blocks;
mod builder;
mod detect;
mod error;
mod formats;
mod framer;
mod head;
mod messages;
mod names;
mod responses_items;
mod surroundings;
mod transcript;

pub use detect::Detection;
pub use error::ImportError;
pub use formats::{FORMATS, Format, Growth, Layout};
pub use messages::Recall;
/// The longest line that is read, in bytes; [`GrowingTranscript::pass_over`] takes note of longer ones.
pub const LINE_BYTES_MAX: u64 = framer::LINE_BYTES_MAX as u64;

pub use surroundings::{Discard, Surroundings};
pub use transcript::{
    Amount, Changes, ChatEntry, GrowingTranscript, Imported, Lack, Pick, ReadSeek, RecordStats,
    Source, Transcript,
};
