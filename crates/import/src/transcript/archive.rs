//! Zips that products export: their chats as a stream, their other members as what lies beside.
//!
//! Nothing is ever written under a member's name, and no member is believed about its size.

use std::{
    collections::HashMap,
    io::{self, Read},
};

use readalong_model::Digest;
use zip::{
    ZipArchive,
    read::{ZipFile, read_zipfile_from_stream},
    result::ZipError,
};

use super::{ReadSeek, Source, io_error};
use crate::{ImportError, Surroundings};

/// A member that grows by more than this factor is taken for a bomb, once it is larger than `BOMB_BYTES_MIN`.
const BOMB_RATIO: u64 = 200;
const BOMB_BYTES_MIN: u64 = 256 << 20;
/// The largest member that is taken as an artifact.
const ARTIFACT_BYTES_MAX: u64 = 256 << 20;
/// By how much all members that are taken may grow together, each time one is read: some minutes. Each chat reads the lists of files anew,
/// and those of people with thousands of chats and files come to a quarter of it.
const GROWTH_BYTES_MAX: u64 = 64 << 30;

/// A zip that holds chats.
pub(super) struct Archive {
    /// Members that hold chats, in order.
    chats: Vec<String>,
    /// Why the zip's directory cannot be read: then members are read one after the other, as far as they go.
    damage: Option<ZipError>,
}

impl Archive {
    pub(super) fn open(source: &Source) -> Result<Self, ImportError> {
        let (mut chats, damage) = match open_zip(source)? {
            Ok(zip) => (names(&zip).filter(|name| holds_chats(name)).collect(), None),
            Err(damage) => (members_in_order(source)?, Some(damage)),
        };
        chats.sort();
        match damage {
            Some(damage) if chats.is_empty() => Err(ImportError::DamagedZip {
                file: source.name.clone(),
                source: damage,
            }),
            None if chats.is_empty() => Err(ImportError::ForeignZip {
                file: source.name.clone(),
            }),
            damage => Ok(Self { chats, damage }),
        }
    }

    /// The first bytes of the first member that holds chats, and why there are no more of them.
    pub(super) fn probe(
        &self,
        source: &Source,
        bytes_max: usize,
    ) -> Result<(Vec<u8>, Option<io::Error>), ImportError> {
        let mut probe = Vec::new();
        let damage = self.with_first_member(source, &mut |input| {
            input
                .take(bytes_max as u64)
                .read_to_end(&mut probe)
                .map(|_| ())
        })?;
        Ok((probe, damage))
    }

    /// Reads the first member that holds chats as far as it goes, and tells why it went no further.
    pub(super) fn with_first_member(
        &self,
        source: &Source,
        see: &mut dyn FnMut(&mut dyn Read) -> io::Result<()>,
    ) -> Result<Option<io::Error>, ImportError> {
        let Some(name) = self.chats.first() else {
            return Ok(None);
        };
        self.with_member(source, name, &mut |input| {
            see(input).map_err(|error| io_error(&source.name, error))
        })
    }

    /// Goes over the members that hold chats. What is wrong with the zip or a member is told after what could be read of it.
    pub(super) fn for_each_member(
        &self,
        source: &Source,
        see: &mut dyn FnMut(&str, Part<'_>) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        for name in &self.chats {
            let damage =
                self.with_member(source, name, &mut |input| see(name, Part::Bytes(input)))?;
            if let Some(damage) = damage {
                see(
                    name,
                    Part::Problem(format!("it is damaged or cut: {damage}")),
                )?;
            }
        }
        match &self.damage {
            Some(damage) => see(
                &source.name,
                Part::Problem(format!(
                    "the zip is damaged or cut ({damage}); its files and whatever followed are missing"
                )),
            ),
            None => Ok(()),
        }
    }

    /// Reads a member as far as it goes, and tells why it went no further.
    fn with_member(
        &self,
        source: &Source,
        name: &str,
        see: &mut dyn FnMut(&mut dyn Read) -> Result<(), ImportError>,
    ) -> Result<Option<io::Error>, ImportError> {
        let damaged = |error| ImportError::DamagedZip {
            file: source.name.clone(),
            source: error,
        };
        if self.damage.is_none() {
            let mut zip = open_zip(source)?.map_err(damaged)?;
            let mut member = Member::of(zip.by_name(name).map_err(damaged)?);
            see(&mut member)?;
            return Ok(member.damage);
        }
        let mut input = (source.open)().map_err(|error| io_error(&source.name, error))?;
        while let Ok(Some(file)) = read_zipfile_from_stream(&mut input) {
            if file.name().is_ok_and(|found| found == name) {
                let mut member = Member::of(file);
                see(&mut member)?;
                return Ok(member.damage);
            }
        }
        Ok(None)
    }

    /// The other members as what lies beside the chats.
    pub(super) fn surroundings<'a>(
        &self,
        source: &Source,
        outer: &'a mut dyn Surroundings,
    ) -> Result<Members<'a>, ImportError> {
        let zip = open_zip(source)?.ok();
        let by_base_name = zip
            .iter()
            .flat_map(names)
            .map(|name| (base_name(&name).to_owned(), name))
            .collect();
        Ok(Members {
            zip,
            by_base_name,
            growth_left: GROWTH_BYTES_MAX,
            outer,
        })
    }
}

/// The members of a zip as what lies beside its chats: found by path or by base name.
pub(super) struct Members<'a> {
    /// `None` where the zip is damaged: then nothing lies beside.
    zip: Option<ZipArchive<Box<dyn ReadSeek>>>,
    by_base_name: HashMap<String, String>,
    growth_left: u64,
    outer: &'a mut dyn Surroundings,
}

impl Surroundings for Members<'_> {
    fn keep(&mut self, bytes: &[u8]) -> io::Result<Digest> {
        self.outer.keep(bytes)
    }

    /// A member that is damaged, or larger than an artifact may be, counts as missing.
    fn beside(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(zip) = &mut self.zip else {
            return Ok(None);
        };
        let name = match zip.index_for_name(path) {
            Some(_) => path,
            None => match self.by_base_name.get(base_name(path)) {
                Some(name) => name.as_str(),
                None => return Ok(None),
            },
        };
        let Ok(member) = zip.by_name(name) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        let packed_bytes = member.compressed_size();
        let mut member = Member::of(member);
        (&mut member)
            .take(ARTIFACT_BYTES_MAX + 1)
            .read_to_end(&mut bytes)?;
        let growth = (bytes.len() as u64).saturating_sub(packed_bytes);
        self.growth_left = self.growth_left.checked_sub(growth).ok_or_else(|| {
            let reason = format!(
                "the members of the zip grow by more than {} GiB: a zip bomb",
                GROWTH_BYTES_MAX >> 30
            );
            io::Error::new(io::ErrorKind::FileTooLarge, reason)
        })?;
        let is_whole = member.damage.is_none() && bytes.len() as u64 <= ARTIFACT_BYTES_MAX;
        Ok(is_whole.then_some(bytes))
    }

    fn names_in(&mut self, folder: &str) -> Vec<String> {
        let prefix = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        let mut names: Vec<String> = self
            .zip
            .iter()
            .flat_map(names)
            .filter_map(|name| name.strip_prefix(&prefix).map(str::to_owned))
            .collect();
        names.sort();
        names
    }
}

/// Names of members that can be read as text; others are as good as not there.
fn names(zip: &ZipArchive<Box<dyn ReadSeek>>) -> impl Iterator<Item = String> {
    zip.file_names()
        .filter_map(Result::ok)
        .map(std::borrow::Cow::into_owned)
}

fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// `conversations.json`, or the numbered pieces that large exports split it into.
fn holds_chats(member: &str) -> bool {
    let name = base_name(member);
    let middle = name
        .strip_prefix("conversations")
        .and_then(|rest| rest.strip_suffix(".json"));
    middle.is_some_and(|middle| {
        middle.is_empty()
            || middle
                .trim_start_matches(['-', '_'])
                .bytes()
                .all(|b| b.is_ascii_digit())
    })
}

/// Names of the members that hold chats in a zip whose directory is lost, as they follow each other.
fn members_in_order(source: &Source) -> Result<Vec<String>, ImportError> {
    let mut input = (source.open)().map_err(|error| io_error(&source.name, error))?;
    let mut found = Vec::new();
    while let Ok(Some(file)) = read_zipfile_from_stream(&mut input) {
        if let Some(name) = file.name().ok().filter(|name| holds_chats(name)) {
            found.push(name.into_owned());
        }
    }
    Ok(found)
}

/// Opens a zip by its directory.
fn open_zip(
    source: &Source,
) -> Result<Result<ZipArchive<Box<dyn ReadSeek>>, ZipError>, ImportError> {
    let input = (source.open)().map_err(|error| io_error(&source.name, error))?;
    match ZipArchive::new(input) {
        Err(ZipError::Io(error)) if error.kind() != io::ErrorKind::UnexpectedEof => {
            Err(io_error(&source.name, error))
        }
        opened => Ok(opened),
    }
}

/// A member's bytes, or what is wrong with it.
pub(super) enum Part<'a> {
    Bytes(&'a mut dyn Read),
    Problem(String),
}

/// A member that ends where it is damaged, and stops where it grows beyond all reason.
struct Member<R> {
    file: R,
    bytes_left: u64,
    damage: Option<io::Error>,
}

impl<'z, R: Read> Member<ZipFile<'z, R>> {
    fn of(file: ZipFile<'z, R>) -> Self {
        let bytes_left = BOMB_BYTES_MIN.max(file.compressed_size().saturating_mul(BOMB_RATIO));
        Self {
            file,
            bytes_left,
            damage: None,
        }
    }
}

impl<R: Read> Read for Member<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.damage.is_some() {
            return Ok(0);
        }
        let read = match self.file.read(out) {
            Err(error) if is_damage(error.kind()) => {
                self.damage = Some(error);
                return Ok(0);
            }
            read => read?,
        };
        self.bytes_left = self.bytes_left.checked_sub(read as u64).ok_or_else(|| {
            let reason =
                format!("a member of the zip grows more than {BOMB_RATIO} times: a zip bomb");
            io::Error::new(io::ErrorKind::FileTooLarge, reason)
        })?;
        Ok(read)
    }
}

fn is_damage(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(kind, InvalidData | InvalidInput | UnexpectedEof)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use super::*;
    use crate::Discard;

    #[test]
    fn members_do_not_grow_without_end_by_being_read_again() {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in [("conversations.json", &b"[]"[..]), ("file-a", &[0; 10_000])] {
            let options = zip::write::SimpleFileOptions::default();
            zip.start_file(name, options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        let bytes = zip.finish().unwrap().into_inner();
        let source = Source {
            name: "export.zip".to_owned(),
            open: Box::new(move || Ok(Box::new(Cursor::new(bytes.clone())) as Box<dyn ReadSeek>)),
        };
        let archive = Archive::open(&source).unwrap();
        let mut outer = Discard;
        let mut members = archive.surroundings(&source, &mut outer).unwrap();
        members.growth_left = 25_000;
        for _ in 0..2 {
            assert_eq!(members.beside("file-a").unwrap().unwrap().len(), 10_000);
        }
        let error = members.beside("file-a").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
