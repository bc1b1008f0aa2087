//! Zips that products export: their chats as a stream, their other members as what lies beside.
//!
//! Nothing is ever written under a member's name, and no member is believed about its size.

use std::{
    collections::HashMap,
    io::{self, Read},
};

use readalong_model::Digest;
use zip::ZipArchive;

use super::{ReadSeek, Source, io_error};
use crate::{ImportError, Surroundings};

/// A member that grows by more than this factor is taken for a bomb, once it is larger than `BOMB_BYTES_MIN`.
const BOMB_RATIO: u64 = 200;
const BOMB_BYTES_MIN: u64 = 256 << 20;
/// The largest member that is taken as an artifact.
const ARTIFACT_BYTES_MAX: u64 = 256 << 20;

/// A zip that holds chats.
pub(super) struct Archive {
    /// Members that hold chats, in order.
    chats: Vec<String>,
}

impl Archive {
    pub(super) fn open(source: &Source) -> Result<Self, ImportError> {
        let zip = open_zip(source)?;
        let mut chats: Vec<String> = names(&zip).filter(|name| holds_chats(name)).collect();
        chats.sort();
        if chats.is_empty() {
            return Err(ImportError::ForeignZip {
                file: source.name.clone(),
            });
        }
        Ok(Self { chats })
    }

    /// The first bytes of the first member that holds chats.
    pub(super) fn probe(&self, source: &Source, bytes_max: usize) -> Result<Vec<u8>, ImportError> {
        let mut probe = Vec::new();
        self.with_first_member(source, &mut |input| {
            input
                .take(bytes_max as u64)
                .read_to_end(&mut probe)
                .map(|_| ())
        })?;
        Ok(probe)
    }

    pub(super) fn with_first_member(
        &self,
        source: &Source,
        see: &mut dyn FnMut(&mut dyn Read) -> io::Result<()>,
    ) -> Result<(), ImportError> {
        let mut zip = open_zip(source)?;
        let Some(name) = self.chats.first() else {
            return Ok(());
        };
        let mut member = open_member(source, &mut zip, name)?;
        see(&mut member).map_err(|error| io_error(&source.name, error))
    }

    pub(super) fn for_each_member(
        &self,
        source: &Source,
        see: &mut dyn FnMut(&str, &mut dyn Read) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let mut zip = open_zip(source)?;
        for name in &self.chats {
            see(name, &mut open_member(source, &mut zip, name)?)?;
        }
        Ok(())
    }

    /// The other members as what lies beside the chats.
    pub(super) fn surroundings<'a>(
        &self,
        source: &Source,
        outer: &'a mut dyn Surroundings,
    ) -> Result<Members<'a>, ImportError> {
        let zip = open_zip(source)?;
        let by_base_name = names(&zip)
            .map(|name| (base_name(&name).to_owned(), name))
            .collect();
        Ok(Members {
            zip,
            by_base_name,
            outer,
        })
    }
}

/// The members of a zip as what lies beside its chats: found by path or by base name.
pub(super) struct Members<'a> {
    zip: ZipArchive<Box<dyn ReadSeek>>,
    by_base_name: HashMap<String, String>,
    outer: &'a mut dyn Surroundings,
}

impl Surroundings for Members<'_> {
    fn keep(&mut self, bytes: &[u8]) -> io::Result<Digest> {
        self.outer.keep(bytes)
    }

    fn beside(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let name = match self.zip.index_for_name(path) {
            Some(_) => path,
            None => match self.by_base_name.get(base_name(path)) {
                Some(name) => name.as_str(),
                None => return Ok(None),
            },
        };
        let member = self.zip.by_name(name).map_err(io::Error::other)?;
        let mut bytes = Vec::new();
        member
            .take(ARTIFACT_BYTES_MAX + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > ARTIFACT_BYTES_MAX {
            let reason = format!("`{name}` is larger than {} MB", ARTIFACT_BYTES_MAX >> 20);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
        }
        Ok(Some(bytes))
    }

    fn names_in(&mut self, folder: &str) -> Vec<String> {
        let prefix = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        let mut names: Vec<String> = names(&self.zip)
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

fn open_zip(source: &Source) -> Result<ZipArchive<Box<dyn ReadSeek>>, ImportError> {
    let input = (source.open)().map_err(|error| io_error(&source.name, error))?;
    ZipArchive::new(input).map_err(|error| ImportError::DamagedZip {
        file: source.name.clone(),
        source: error,
    })
}

fn open_member<'a>(
    source: &Source,
    zip: &'a mut ZipArchive<Box<dyn ReadSeek>>,
    name: &str,
) -> Result<impl Read + 'a, ImportError> {
    let member = zip.by_name(name).map_err(|error| ImportError::DamagedZip {
        file: source.name.clone(),
        source: error,
    })?;
    let bytes_max = BOMB_BYTES_MIN.max(member.compressed_size().saturating_mul(BOMB_RATIO));
    Ok(Fused {
        member,
        left: bytes_max,
    })
}

/// Stops a member that grows beyond all reason.
struct Fused<R> {
    member: R,
    left: u64,
}

impl<R: Read> Read for Fused<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.member.read(out)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("a member of the zip grows more than {BOMB_RATIO} times: a zip bomb"),
            )
        })?;
        Ok(read)
    }
}
