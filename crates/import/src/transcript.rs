//! A transcript from its bytes to a chat: open, detect, list, read. The path of `import`, top to bottom.

use std::io::{self, Read, Seek, SeekFrom};

use readalong_model::{Chat, Place, Warning};
use serde::de::IgnoredAny;

use crate::{
    Detection, Discard, FORMATS, Format, ImportError, Layout, Surroundings,
    builder::ChatBuilder,
    formats::{Reader, Record, Refusal, Taken},
    framer::{self, Frame, Framer, Salvaged},
    head::{Framing, HEAD_RECORDS_MAX, Head, HeadRecord},
    messages::Recall,
};

mod archive;
mod growing;

use archive::Archive;
pub use growing::{Amount, Changes, GrowingTranscript, Lack};

/// Bytes at the start of a file that tell how its records lie in it.
const PROBE_BYTES: usize = 256 << 10;
/// Bytes of records that detection reads at most, once it has one.
const HEAD_BYTES_MAX: usize = 8 << 20;

/// Something that can be read from any place.
pub trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}

/// Where a transcript's bytes come from. It is opened once for every pass over it.
pub struct Source {
    /// Its name, for messages and warnings.
    pub name: String,
    /// Opens it at its beginning.
    pub open: Box<dyn Fn() -> io::Result<Box<dyn ReadSeek>>>,
}

/// A transcript whose format is known.
pub struct Transcript {
    source: Source,
    archive: Option<Archive>,
    framing: Framing,
    detection: Detection,
    /// The caller named the format.
    forced: bool,
}

/// One chat of a transcript, as lists show it.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatEntry {
    /// Its number in the file, from 1.
    pub number: usize,
    /// Its id in the transcript, where it has one.
    pub id: Option<String>,
    /// Its title.
    pub title: String,
    /// How many messages readers would see.
    pub messages: usize,
    /// When it changed last.
    pub updated_at: Option<readalong_model::Timestamp>,
}

/// Which chat of a transcript is wanted.
#[derive(Clone, Debug)]
pub enum Pick {
    /// The only one there is.
    Only,
    /// The one with this number, id, title or unique piece of a title.
    Named(String),
}

/// A chat as it was read.
pub struct Imported {
    /// The chat.
    pub chat: Chat,
    /// What could not be read or was repaired.
    pub warnings: Vec<Warning>,
    /// What became of the records.
    pub stats: RecordStats,
}

/// What became of the records of a transcript: `records = mapped + bookkeeping + kept_raw + damaged`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordStats {
    /// Records found.
    pub records: u64,
    /// Records that are in the chat, or repeat what is.
    pub mapped: u64,
    /// Records known to say nothing that a reader could want.
    pub bookkeeping: u64,
    /// Unknown records kept as they were.
    pub kept_raw: u64,
    /// Records that could not be read.
    pub damaged: u64,
}

impl RecordStats {
    fn count(&mut self, taken: Taken) {
        self.records += 1;
        match taken {
            Taken::Mapped => self.mapped += 1,
            Taken::Bookkeeping => self.bookkeeping += 1,
            Taken::KeptRaw => self.kept_raw += 1,
        }
    }

    fn count_damaged(&mut self) {
        self.records += 1;
        self.damaged += 1;
    }
}

impl Transcript {
    /// Looks at the beginning of a source and tells its format; `format` names one that is taken without asking.
    ///
    /// # Errors
    /// The source is empty, no transcript, or cannot be read.
    pub fn open(source: Source, format: Option<&str>) -> Result<Self, ImportError> {
        let forced = format.map(format_named).transpose()?;
        let mut input = (source.open)().map_err(|error| io_error(&source.name, error))?;
        let mut probe = Vec::new();
        input
            .by_ref()
            .take(PROBE_BYTES as u64)
            .read_to_end(&mut probe)
            .map_err(|error| io_error(&source.name, error))?;
        let mut damage = None;
        let archive = if probe.starts_with(b"PK\x03\x04") || probe.starts_with(b"PK\x05\x06") {
            let archive = Archive::open(&source)?;
            (probe, damage) = archive.probe(&source, PROBE_BYTES)?;
            Some(archive)
        } else {
            None
        };
        let framing =
            framing_of(&probe).map_err(|reason| not_read(&source.name, reason, damage.take()))?;
        let beginning = read_head(&source, archive.as_ref(), framing)?;
        let detection = match forced {
            Some(format) => Detection::forced(format, &beginning.head),
            None => Detection::of(&beginning.head).ok_or_else(|| {
                let reason = Some(beginning.why_unknown());
                not_read(&source.name, reason, beginning.damage)
            })?,
        };
        Ok(Self {
            source,
            archive,
            framing,
            detection,
            forced: forced.is_some(),
        })
    }

    /// The format and why it is taken for this one.
    pub fn detection(&self) -> &Detection {
        &self.detection
    }

    /// Goes over all chats of the transcript, one in memory at a time.
    ///
    /// # Errors
    /// The source cannot be read.
    pub fn list(&self) -> Result<Vec<ChatEntry>, ImportError> {
        Ok(self.list_with_warnings()?.0)
    }

    /// As [`list`](Self::list), with what is wrong between the chats.
    ///
    /// # Errors
    /// The source cannot be read.
    pub fn list_with_warnings(&self) -> Result<(Vec<ChatEntry>, Vec<Warning>), ImportError> {
        let mut entries = Vec::new();
        let mut warnings = Vec::new();
        self.for_each_chat(&mut Discard, None, &mut |imported| {
            match self.is_chat(&imported) {
                true => entries.push(entry(entries.len() + 1, &imported.chat)),
                false => warnings.extend(imported.warnings),
            }
            Ok(())
        })?;
        Ok((entries, warnings))
    }

    /// Reads one chat.
    ///
    /// # Errors
    /// The source cannot be read, or holds no such chat, or holds several where one was expected.
    pub fn read(
        &self,
        pick: &Pick,
        surroundings: &mut dyn Surroundings,
    ) -> Result<Imported, ImportError> {
        if self.detection.layout == Layout::OneChat {
            let mut found = None;
            self.for_each_chat(surroundings, None, &mut |imported| {
                found = Some(imported);
                Ok(())
            })?;
            let imported = match found {
                Some(imported) if self.is_chat(&imported) => imported,
                lost => return Err(self.no_chat(lost.map_or(Vec::new(), |lost| lost.warnings))),
            };
            return match pick {
                Pick::Named(name) if !matches_pick(&entry(1, &imported.chat), name) => {
                    Err(self.no_such_chat(name, 0))
                }
                _ => Ok(imported),
            };
        }
        let number = self.find(pick)?;
        let mut seen = 0;
        let mut found: Option<Imported> = None;
        let mut of_the_file = Vec::new();
        self.for_each_chat(surroundings, Some(number), &mut |imported| {
            if !self.is_chat(&imported) {
                of_the_file.extend(imported.warnings);
                return Ok(());
            }
            seen += 1;
            if seen == number {
                found = Some(imported);
            }
            Ok(())
        })?;
        let Some(mut imported) = found else {
            return Err(self.no_chat(of_the_file));
        };
        // What is wrong between chats is no chat's own, and whoever takes one should know.
        imported.warnings.extend(of_the_file);
        Ok(imported)
    }

    /// True where there is something to read. A format that was asked for and knows no record keeps all as they are, and would show what nobody should see.
    fn is_chat(&self, imported: &Imported) -> bool {
        let is_known = !self.forced || imported.stats.mapped > 0;
        is_known && !imported.chat.messages.is_empty()
    }

    fn no_chat(&self, warnings: Vec<Warning>) -> ImportError {
        let file = self.source.name.clone();
        match warnings.into_iter().next() {
            None if self.forced => ImportError::NotATranscript {
                file,
                reason: format!(
                    "no record of it could be read as `{}`",
                    self.detection.format.name
                ),
            },
            loss => ImportError::NoChat { file, loss },
        }
    }

    fn no_such_chat(&self, pick: &str, found: usize) -> ImportError {
        ImportError::NoSuchChat {
            file: self.source.name.clone(),
            pick: pick.to_owned(),
            found,
        }
    }

    /// The number of the chat that is wanted.
    fn find(&self, pick: &Pick) -> Result<usize, ImportError> {
        let (entries, warnings) = self.list_with_warnings()?;
        let name = match pick {
            Pick::Only if entries.len() == 1 => return Ok(1),
            Pick::Only if entries.is_empty() => return Err(self.no_chat(warnings)),
            Pick::Only => {
                return Err(ImportError::ManyChats {
                    file: self.source.name.clone(),
                    count: entries.len(),
                });
            }
            Pick::Named(name) => name,
        };
        // The first way in which any is meant counts, and has to mean one.
        let ways: [fn(&ChatEntry, &str) -> bool; 4] = [
            |entry, name| entry.id.as_deref() == Some(name),
            |entry, name| entry.title == name,
            |entry, name| name.parse() == Ok(entry.number),
            matches_pick,
        ];
        for is_meant in ways {
            let found: Vec<&ChatEntry> = entries
                .iter()
                .filter(|entry| is_meant(entry, name))
                .collect();
            match found.as_slice() {
                [] => {}
                [entry] => return Ok(entry.number),
                several => return Err(self.no_such_chat(name, several.len())),
            }
        }
        Err(self.no_such_chat(name, 0))
    }

    /// Reads chats one after the other. Artifacts of all but the wanted chat are not kept.
    fn for_each_chat(
        &self,
        surroundings: &mut dyn Surroundings,
        wanted: Option<usize>,
        see: &mut dyn FnMut(Imported) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        match &self.archive {
            Some(archive) => self.take_chats(
                &mut archive.surroundings(&self.source, surroundings)?,
                wanted,
                see,
            ),
            None => self.take_chats(surroundings, wanted, see),
        }
    }

    fn take_chats(
        &self,
        surroundings: &mut dyn Surroundings,
        wanted: Option<usize>,
        see: &mut dyn FnMut(Imported) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let per_record = self.detection.layout == Layout::ChatPerRecord;
        let failed = |error| io_error(&self.source.name, error);
        let mut number = 1;
        let mut open: Option<Taking> = None;
        self.for_each_piece(&mut |piece| {
            let around: &mut dyn Surroundings = match per_record && wanted != Some(number) {
                true => &mut Discard,
                false => &mut *surroundings,
            };
            let mut taking = open
                .take()
                .unwrap_or_else(|| Taking::new(self.detection.format, piece.place()));
            taking.take(piece, around).map_err(failed)?;
            if !per_record || taking.stats.records == 0 {
                open = Some(taking);
                return Ok(());
            }
            let imported = taking.finish(around).map_err(failed)?;
            number += usize::from(self.is_chat(&imported));
            see(imported)
        })?;
        match open {
            Some(taking) => see(taking.finish(surroundings).map_err(failed)?),
            None => Ok(()),
        }
    }

    fn for_each_piece(
        &self,
        see: &mut dyn FnMut(Piece<'_>) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        match &self.archive {
            Some(archive) => archive.for_each_member(&self.source, &mut |name, part| match part {
                archive::Part::Bytes(input) => read_pieces(name, input, self.framing, see),
                archive::Part::Problem(problem) => see(Piece::Skipped(
                    problem,
                    &Place {
                        file: name.to_owned(),
                        unit: "item",
                        number: 0,
                    },
                )),
            }),
            None => {
                let input =
                    (self.source.open)().map_err(|error| io_error(&self.source.name, error))?;
                read_pieces(&self.source.name, input, self.framing, see)
            }
        }
    }
}

/// A frame with its place.
enum Piece<'a> {
    Bytes(&'a [u8], &'a Place),
    Skipped(String, &'a Place),
}

impl Piece<'_> {
    fn place(&self) -> &Place {
        match self {
            Self::Bytes(_, place) | Self::Skipped(_, place) => place,
        }
    }
}

fn read_pieces(
    name: &str,
    input: impl Read,
    framing: Framing,
    see: &mut dyn FnMut(Piece<'_>) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let mut place = Place {
        file: name.to_owned(),
        unit: framing.unit(),
        number: 0,
    };
    let mut framer = Framer::new(input, framing);
    while let Some(frame) = framer.next().map_err(|error| io_error(name, error))? {
        match frame {
            Frame::Piece { bytes, number } => {
                place.number = number;
                see(Piece::Bytes(bytes, &place))?;
            }
            Frame::Skipped { number, reason } => {
                place.number = number;
                see(Piece::Skipped(reason, &place))?;
            }
        }
    }
    Ok(())
}

/// A chat while its records are being taken.
struct Taking {
    reader: Box<dyn Reader>,
    chat: ChatBuilder,
    stats: RecordStats,
}

impl Taking {
    fn new(format: &'static Format, first: &Place) -> Self {
        let place = Place {
            number: 0,
            ..first.clone()
        };
        Self {
            reader: (format.reader)(),
            chat: ChatBuilder::new(format.name, place),
            stats: RecordStats::default(),
        }
    }

    fn growing(format: &'static Format, place: &Place, recall: Recall) -> Self {
        Self {
            chat: ChatBuilder::growing(format.name, place.clone(), recall),
            ..Self::new(format, place)
        }
    }

    /// Takes note of bytes that were passed over.
    fn skip(&mut self, reason: String, place: &Place) {
        self.chat.at(place);
        self.stats.count_damaged();
        self.chat.warn(reason);
    }

    fn take(&mut self, piece: Piece<'_>, surroundings: &mut dyn Surroundings) -> io::Result<()> {
        let (bytes, place) = match piece {
            Piece::Bytes(bytes, place) => (framer::trim(bytes), place),
            Piece::Skipped(reason, place) => {
                self.skip(reason, place);
                return Ok(());
            }
        };
        self.chat.at(place);
        if bytes.is_empty() {
            return Ok(());
        }
        match self
            .reader
            .push(&Record { bytes, place }, &mut self.chat, surroundings)
        {
            Ok(taken) => self.stats.count(taken),
            Err(Refusal::Io(error)) => return Err(error),
            Err(Refusal::Unreadable(reason)) => {
                self.take_damaged(bytes, place, &reason, surroundings)?
            }
        }
        Ok(())
    }

    /// Takes what can be read of a piece that was refused as a whole.
    fn take_damaged(
        &mut self,
        bytes: &[u8],
        place: &Place,
        reason: &str,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<()> {
        for salvaged in framer::salvage(bytes) {
            let (json, note) = match salvaged {
                Salvaged::Lost { bytes } => {
                    self.stats.count_damaged();
                    self.chat
                        .warn(format!("{bytes} bytes could not be read: {reason}"));
                    continue;
                }
                Salvaged::Value { json, note } => (json, note),
            };
            let again = Record {
                bytes: json.as_bytes(),
                place,
            };
            match self.reader.push(&again, &mut self.chat, surroundings) {
                Ok(taken) => {
                    self.stats.count(taken);
                    self.chat
                        .warn(note.unwrap_or("several records stand in one place; all were read"));
                }
                Err(Refusal::Io(error)) => return Err(error),
                Err(Refusal::Unreadable(reason)) => {
                    self.stats.count_damaged();
                    self.chat
                        .warn(format!("a record could not be read: {reason}"));
                }
            }
        }
        Ok(())
    }

    fn finish(mut self, surroundings: &mut dyn Surroundings) -> io::Result<Imported> {
        self.reader.finish(&mut self.chat, surroundings)?;
        let (chat, warnings) = self.chat.finish(self.stats.damaged);
        Ok(Imported {
            chat,
            warnings,
            stats: self.stats,
        })
    }
}

fn entry(number: usize, chat: &Chat) -> ChatEntry {
    let shown = chat
        .messages
        .iter()
        .filter(|message| message.visibility == readalong_model::Visibility::Shown);
    ChatEntry {
        number,
        id: chat.origin.native_id.clone(),
        title: chat.title.clone(),
        messages: shown.count(),
        updated_at: chat.updated_at,
    }
}

fn matches_pick(entry: &ChatEntry, name: &str) -> bool {
    entry.id.as_deref() == Some(name)
        || name.parse() == Ok(entry.number)
        || entry.title.to_lowercase().contains(&name.to_lowercase())
}

fn format_named(name: &str) -> Result<&'static Format, ImportError> {
    FORMATS
        .iter()
        .find(|format| format.name == name)
        .ok_or_else(|| ImportError::NoSuchFormat {
            name: name.to_owned(),
        })
}

/// How the records lie in a file that begins so; `Err(None)` for a file without content.
fn framing_of(probe: &[u8]) -> Result<Framing, Option<String>> {
    let text = framer::trim(probe);
    let complete = |line: &[u8]| serde_json::from_slice::<IgnoredAny>(framer::trim(line)).is_ok();
    let lines = || {
        text.split(|byte| *byte == b'\n')
            .filter(|line| !framer::trim(line).is_empty())
    };
    match text.first() {
        None => Err(None),
        Some(_) if is_utf16(probe) => Err(Some("it is UTF-16; save it as UTF-8".to_owned())),
        Some(b'[') => {
            let first_is_whole = lines().next().is_some_and(complete);
            let more = lines()
                .nth(1)
                .is_some_and(|line| matches!(framer::trim(line).first(), Some(b'[' | b'{')));
            Ok(if first_is_whole && more {
                Framing::Lines
            } else {
                Framing::Array
            })
        }
        // A `chat.json` of ours has a message a line within one value.
        Some(b'{') if text.starts_with(b"{\"readalong\":") => Ok(Framing::Values),
        Some(b'{') => {
            // A record's line ends as it begins, though it may be torn in between. The last line is cut where the probe ends.
            let is_record = |line: &&[u8]| framer::trim(line).ends_with(b"}");
            let begun: Vec<&[u8]> = lines().filter(|line| line.starts_with(b"{")).collect();
            let records = begun.iter().copied().filter(is_record).count();
            let cut = lines()
                .next_back()
                .filter(|line| line.starts_with(b"{") && !is_record(line));
            let broken = begun.len() - records - usize::from(cut.is_some());
            let is_one_line = lines().nth(1).is_none();
            Ok(if is_one_line || (records > 0 && records >= broken) {
                Framing::Lines
            } else {
                Framing::Values
            })
        }
        Some(_) if probe.starts_with(b"SQLite format 3\0") => {
            Err(Some("it is a SQLite database".to_owned()))
        }
        // The first line may be torn: a later whole one decides.
        Some(_) if lines().any(|line| framer::trim(line).starts_with(b"{") && complete(line)) => {
            Ok(Framing::Lines)
        }
        Some(_) => Err(Some(no_json(probe))),
    }
}

/// True with a byte order mark, and where every second byte of the first two characters is zero.
fn is_utf16(probe: &[u8]) -> bool {
    match probe {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [a, b, c, d, ..] => {
            [*b, *d] == [0, 0] && *a > 0 && *c > 0 || [*a, *c] == [0, 0] && *b > 0 && *d > 0
        }
        _ => false,
    }
}

/// What something is that is neither JSON nor a zip.
fn no_json(probe: &[u8]) -> String {
    let text = framer::trim(probe);
    match infer::get(probe) {
        Some(kind) if kind.matcher_type() == infer::MatcherType::Archive => {
            format!(
                "it is packed ({}); unpack it and give the transcript from within it",
                kind.mime_type()
            )
        }
        Some(kind) => format!("it is {}", kind.mime_type()),
        None if text.iter().take(512).any(|byte| *byte == 0) => "it is a binary file".to_owned(),
        None => {
            let begin: String = String::from_utf8_lossy(text)
                .chars()
                .take(20)
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            format!(
                "it begins with `{}`, which is neither JSON nor a zip",
                begin.trim()
            )
        }
    }
}

/// Why a file that gave nothing is not read; without a reason it is empty.
fn not_read(file: &str, reason: Option<String>, damage: Option<io::Error>) -> ImportError {
    let file = file.to_owned();
    match (damage, reason) {
        (Some(error), _) => ImportError::DamagedZip {
            file,
            source: error.into(),
        },
        (None, Some(reason)) => ImportError::NotATranscript { file, reason },
        (None, None) => ImportError::Empty { file },
    }
}

/// The first records, and what is wrong with them.
struct Beginning {
    head: Head,
    /// The first thing that could not be read, where no record is whole.
    loss: Option<String>,
    /// Why a zip's member could not be read on.
    damage: Option<io::Error>,
}

impl Beginning {
    /// Why no format knows the records.
    fn why_unknown(&self) -> String {
        match (&self.loss, self.head.records.len()) {
            (Some(loss), _) => {
                format!("nothing of it can be read: {loss}; if it was cut or damaged, get it again")
            }
            (None, 0) => "it is JSON and holds no record".to_owned(),
            (None, 1) => "it is JSON, and its record has no marks of a known format".to_owned(),
            (None, count) => format!(
                "it is JSON, and none of its first {count} records has the marks of a known format"
            ),
        }
    }
}

fn read_head(
    source: &Source,
    archive: Option<&Archive>,
    framing: Framing,
) -> Result<Beginning, ImportError> {
    let mut records = Vec::new();
    let (mut is_any_whole, mut loss) = (false, None);
    let mut looked_at = 0;
    let mut see = |input: &mut dyn Read| -> io::Result<()> {
        let mut framer = Framer::new(input, framing);
        while let Some(frame) = framer.next()? {
            let (bytes, number) = match frame {
                Frame::Piece { bytes, number } => (bytes, number),
                Frame::Skipped { number, reason } => {
                    loss.get_or_insert(format!("{} {number}: {reason}", framing.unit()));
                    continue;
                }
            };
            looked_at += bytes.len();
            let bytes = framer::trim(bytes);
            if !bytes.is_empty() {
                records.push(HeadRecord::parse(&String::from_utf8_lossy(bytes)));
                match serde_json::from_slice::<IgnoredAny>(bytes) {
                    Ok(_) => is_any_whole = true,
                    Err(error) => {
                        loss.get_or_insert(format!("{} {number}: {error}", framing.unit()));
                    }
                }
            }
            if records.len() >= HEAD_RECORDS_MAX || looked_at > HEAD_BYTES_MAX {
                break;
            }
        }
        Ok(())
    };
    let damage = match archive {
        Some(archive) => archive.with_first_member(source, &mut see)?,
        None => {
            let mut input = (source.open)().map_err(|error| io_error(&source.name, error))?;
            input
                .seek(SeekFrom::Start(0))
                .map_err(|error| io_error(&source.name, error))?;
            see(&mut input).map_err(|error| io_error(&source.name, error))?;
            None
        }
    };
    Ok(Beginning {
        head: Head { framing, records },
        loss: loss.filter(|_| !is_any_whole),
        damage,
    })
}

fn io_error(file: &str, source: io::Error) -> ImportError {
    ImportError::Io {
        file: file.to_owned(),
        source,
    }
}
