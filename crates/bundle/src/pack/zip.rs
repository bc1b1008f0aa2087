//! A bundle as a zip: one folder called like the bundle's id, the manifest first, then the files in its order.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    io::{self, Read, Write},
    path::Path,
    rc::Rc,
};

use readalong_model::Digest;
use zip::{
    CompressionMethod, DateTime, System, ZipArchive, ZipWriter, result::ZipError,
    write::SimpleFileOptions,
};

use super::{Files, LEVEL, ReadSeek, copy, is_text, packing};
use crate::{BundleError, BundlePath, MANIFEST, Manifest, Problem};

/// What a zip begins with.
pub(super) const SIGNATURE: &[u8] = b"PK\x03\x04";
/// The most files that a zip may have: ten times those of a chat of 100,000 messages.
const ENTRIES_MAX: usize = 300_000;
/// From this size on a member needs the 64-bit form. Below it there is room for what cannot be made smaller.
const LARGE_BYTES: u64 = 0xf000_0000;

pub(super) fn write(
    manifest: &Manifest,
    files: &mut dyn Files,
    out: &mut dyn Write,
) -> Result<(), BundleError> {
    let is_cut = Rc::new(Cell::new(false));
    let mut zip = ZipWriter::new_stream(Cut {
        out,
        is_cut: is_cut.clone(),
    });
    let written = write_files(manifest, files, &mut zip);
    // A writer that is dropped ends its zip, and what has an end looks whole: so nothing of it comes through.
    is_cut.set(written.is_err());
    written?;
    zip.finish().map_err(zipping).map(|_| ())
}

fn write_files<W: Write + io::Seek>(
    manifest: &Manifest,
    files: &mut dyn Files,
    zip: &mut ZipWriter<W>,
) -> Result<(), BundleError> {
    let bytes = manifest.to_bytes().map_err(packing)?;
    let id = Digest::of(&bytes);
    let options = options("application/json", bytes.len() as u64);
    zip.start_file(format!("{id}/{MANIFEST}"), options)
        .map_err(zipping)?;
    zip.write_all(&bytes).map_err(packing)?;
    for file in &manifest.files {
        let options = self::options(&file.media_type, file.size_bytes);
        zip.start_file(format!("{id}/{}", file.path), options)
            .map_err(zipping)?;
        let mut read = files.open(file.path.as_str()).map_err(packing)?;
        copy(file, &mut read, zip)?;
    }
    Ok(())
}

/// Nothing of the machine and of the moment: no time, no owner, always the same mode.
fn options(media_type: &str, size_bytes: u64) -> SimpleFileOptions {
    let method = match is_text(media_type) {
        true => CompressionMethod::Deflated,
        false => CompressionMethod::Stored,
    };
    let options = SimpleFileOptions::default()
        .compression_method(method)
        .compression_level((method == CompressionMethod::Deflated).then_some(LEVEL.into()))
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(0o644)
        .large_file(size_bytes >= LARGE_BYTES);
    options.system(System::Unix)
}

fn zipping(error: ZipError) -> BundleError {
    packing(match error {
        ZipError::Io(source) => source,
        error => io::Error::other(error),
    })
}

/// Lets bytes through until it is cut, or until they cannot be written.
struct Cut<'a> {
    out: &'a mut dyn Write,
    is_cut: Rc<Cell<bool>>,
}

impl Write for Cut<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.is_cut.get() {
            true => Ok(bytes.len()),
            false => self.out.write(bytes).inspect_err(|error| {
                let is_over = error.kind() != io::ErrorKind::Interrupted;
                self.is_cut.set(is_over);
            }),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.is_cut.get() {
            true => Ok(()),
            false => self.out.flush(),
        }
    }
}

/// The files of a zip: one that we wrote, or one that another program made of a bundle's folder or of what is in it.
pub(super) struct ZipFiles {
    zip: ZipArchive<Box<dyn ReadSeek>>,
    /// The folder that all files are in; empty where there is none.
    folder: String,
    /// Where files are, by their names in the bundle.
    places: BTreeMap<String, usize>,
}

impl ZipFiles {
    pub(super) fn open(
        at: &Path,
        source: Box<dyn ReadSeek>,
        problems: &mut Vec<Problem>,
    ) -> Result<Self, BundleError> {
        let damaged = |source| BundleError::DamagedZip {
            path: at.to_owned(),
            source,
        };
        let zip = ZipArchive::new(source).map_err(damaged)?;
        if zip.len() > ENTRIES_MAX {
            return Err(BundleError::TooManyFiles {
                path: at.to_owned(),
                files: zip.len(),
                files_max: ENTRIES_MAX,
            });
        }
        if zip.has_duplicate_names() {
            return Err(damaged(ZipError::InvalidArchive(
                "two files have one name".into(),
            )));
        }
        let Some(folder) = folder_of(&zip) else {
            return Err(BundleError::NotAPackage {
                path: at.to_owned(),
            });
        };
        let mut places = BTreeMap::new();
        for index in 0..zip.len() {
            let entry = zip.by_index_data(index).map_err(damaged)?;
            let name = entry.name().map_err(damaged)?.into_owned();
            let path = name.strip_prefix(&folder).unwrap_or(&name);
            if entry.is_dir() || is_of_macos(&name) {
                continue; // archivers write them; a file's name says it all
            }
            if BundlePath::new(path).is_err() || !name.starts_with(&folder) {
                problems.push(Problem::Added { path: name });
            } else if entry.is_symlink() || entry.encrypted() {
                problems.push(Problem::Unreadable {
                    path: path.to_owned(),
                    reason: "not a plain file".to_owned(),
                });
            } else {
                places.insert(path.to_owned(), index);
            }
        }
        Ok(Self {
            zip,
            folder,
            places,
        })
    }
}

/// True for what macOS puts beside the files of a folder that it packs.
fn is_of_macos(name: &str) -> bool {
    name.starts_with("__MACOSX/") || name.rsplit('/').next() == Some(".DS_Store")
}

/// The folder that the manifest is in, with its slash: none, or one.
fn folder_of(zip: &ZipArchive<Box<dyn ReadSeek>>) -> Option<String> {
    if zip.index_for_name(MANIFEST).is_some() {
        return Some(String::new());
    }
    let names = zip.file_names().flatten();
    let mut folders = names.filter_map(|name| {
        let folder = name.strip_suffix(MANIFEST)?.strip_suffix('/')?;
        (!folder.contains('/')).then(|| format!("{folder}/"))
    });
    folders.next()
}

impl Files for ZipFiles {
    fn names(&self) -> BTreeSet<String> {
        let names = self.places.keys().filter(|name| *name != MANIFEST);
        names.cloned().collect()
    }

    fn open(&mut self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let index = *self.places.get(name).ok_or_else(gone)?;
        Ok(Box::new(self.zip.by_index(index).map_err(io::Error::from)?))
    }

    fn folder(&self) -> &str {
        self.folder.trim_end_matches('/')
    }
}
