//! A bundle as one HTML file that shows itself: its files as script elements that do not run, and the script that puts its pages in place.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::Path,
};

use base64::{
    engine::general_purpose::STANDARD,
    prelude::{BASE64_STANDARD, Engine as _},
    read::DecoderReader,
    write::EncoderWriter,
};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use readalong_model::Digest;
use serde::Deserialize;

use super::{BOOK, Files, LEVEL, ReadSeek, copy, is_text, packing};
use crate::{BundleError, BundlePath, FileEntry, MANIFEST, Manifest};

/// What the file begins with, up to its version.
pub(super) const SIGNATURE: &[u8] = b"<!doctype html>\n<html lang=\"en\" data-package=\"readalong ";
/// The version of this form.
const VERSION: u32 = 1;
/// How much of `chat.md` stands in the page for those whose browser runs no script.
const TEXT_BYTES_MAX: u64 = 1 << 20;
/// What the element of a file begins with.
const FILE: &str = "<script type=\"text/plain\" data-file=\"";
/// Bytes in which the tag of a file ends: a name has 200 at most.
const TAG_BYTES_MAX: usize = 400;
/// The most files that are read.
const FILES_MAX: usize = 300_000;
const STYLE: &str = include_str!("../reader/html.css");
const SCRIPT: &str = include_str!("../reader/html.js");

pub(super) fn write(
    manifest: &Manifest,
    files: &mut dyn Files,
    out: &mut dyn Write,
) -> Result<(), BundleError> {
    let bytes = manifest.to_bytes().map_err(packing)?;
    let id = Digest::of(&bytes);
    head(files, (manifest, id), out).map_err(packing)?;
    let entry = FileEntry {
        path: BundlePath::new(MANIFEST)?,
        media_type: "application/json".to_owned(),
        size_bytes: bytes.len() as u64,
        sha256: id,
    };
    file(&entry, &mut bytes.as_slice(), out)?;
    for entry in &manifest.files {
        let mut read = files.open(entry.path.as_str()).map_err(packing)?;
        file(entry, &mut read, out)?;
    }
    let script = script();
    write!(out, "<script>{script}</script>\n</body>\n</html>\n").map_err(packing)
}

fn script() -> String {
    format!("{BOOK}{SCRIPT}")
}

/// Everything before the files.
fn head(
    files: &mut dyn Files,
    (manifest, id): (&Manifest, Digest),
    out: &mut dyn Write,
) -> io::Result<()> {
    let hash = |text: &str| BASE64_STANDARD.encode(Digest::of(text.as_bytes()).as_bytes());
    out.write_all(SIGNATURE)?;
    write!(
        out,
        "{VERSION}\" data-bundle=\"{id}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'sha256-{}' blob:; style-src 'sha256-{}' blob:; \
         img-src data: blob:; media-src blob:; font-src blob:; connect-src 'none'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"robots\" content=\"noindex,nofollow,noarchive\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        hash(&script()),
        hash(STYLE),
        escape(&title(files).unwrap_or_default()),
    )?;
    let has_text = manifest
        .files
        .iter()
        .any(|file| file.path.as_str() == "chat.md");
    let text = if has_text {
        text(files)?
    } else {
        String::new()
    };
    write!(
        out,
        "<p id=\"notice\" role=\"status\"></p>\n<div class=\"late\">\n<p>The pages of this chat are in this file, and a script shows them. \
         Where this stays, scripts do not run: open the file in a browser. This is the text of the chat:</p>\n<pre>\n{}</pre>\n</div>\n",
        escape(&text)
    )
}

/// The chat's title, as `chat.json` has it.
fn title(files: &mut dyn Files) -> Option<String> {
    #[derive(Deserialize)]
    struct Titled {
        title: String,
    }
    let read = files.open("chat.json").ok()?;
    let titled: Titled = serde_json::from_reader(BufReader::new(read)).ok()?;
    Some(titled.title)
}

/// The beginning of `chat.md`.
fn text(files: &mut dyn Files) -> io::Result<String> {
    let mut bytes = Vec::new();
    let read = files.open("chat.md")?.take(TEXT_BYTES_MAX + 1);
    BufReader::new(read).read_to_end(&mut bytes)?;
    let is_cut = bytes.len() as u64 > TEXT_BYTES_MAX;
    if is_cut {
        let last_line = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        bytes.truncate(last_line);
        bytes.extend(b"\n\nThe chat goes on; only its beginning can be read here.\n");
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// One file: deflated where that makes it smaller, in base64, on a line.
fn file(entry: &FileEntry, read: &mut dyn Read, out: &mut dyn Write) -> Result<(), BundleError> {
    let is_deflated = is_text(&entry.media_type);
    let flag = if is_deflated { " data-deflated" } else { "" };
    write!(out, "{FILE}{}\"{flag}>", entry.path).map_err(packing)?;
    let mut base64 = EncoderWriter::new(&mut *out, &BASE64_STANDARD);
    if is_deflated {
        let mut deflate = DeflateEncoder::new(&mut base64, Compression::new(LEVEL));
        copy(entry, read, &mut deflate)?;
        deflate.finish().map_err(packing)?;
    } else {
        copy(entry, read, &mut base64)?;
    }
    base64.finish().map_err(packing)?;
    drop(base64);
    out.write_all(b"</script>\n").map_err(packing)
}

/// The files of an HTML file that [`write`] wrote. Whatever else stands in it is not looked at.
pub(super) struct HtmlFiles {
    source: BufReader<Box<dyn ReadSeek>>,
    /// The bundle's id, as the file says.
    id: String,
    places: BTreeMap<String, Place>,
}

/// Where a file is.
struct Place {
    begin: u64,
    size_bytes: u64,
    is_deflated: bool,
}

impl HtmlFiles {
    pub(super) fn open(at: &Path, source: Box<dyn ReadSeek>) -> Result<Self, BundleError> {
        let mut source = BufReader::new(source);
        let reading = |error| BundleError::io("reading", at)(error);
        let mut head = vec![0; SIGNATURE.len()];
        source.read_exact(&mut head).map_err(reading)?;
        let mut version = Vec::new();
        (&mut source)
            .take(12)
            .read_until(b'"', &mut version)
            .map_err(reading)?;
        let version = String::from_utf8_lossy(&version);
        match version.trim_end_matches('"').parse() {
            Ok(VERSION) => {}
            Ok(version) => {
                return Err(BundleError::TooNew {
                    path: at.to_owned(),
                    version,
                });
            }
            Err(_) => {
                return Err(BundleError::NotAPackage {
                    path: at.to_owned(),
                });
            }
        }
        let mut places = BTreeMap::new();
        let mut id = String::new();
        (&mut source)
            .take(TAG_BYTES_MAX as u64)
            .read_line(&mut id)
            .map_err(reading)?;
        let id = id.trim().trim_start_matches("data-bundle=\"");
        let id = id.trim_end_matches("\">").to_owned();
        while let Some((name, place)) = next_file(&mut source).map_err(reading)? {
            if places.len() == FILES_MAX {
                return Err(BundleError::TooManyFiles {
                    path: at.to_owned(),
                    files: places.len() + 1,
                    files_max: FILES_MAX,
                });
            }
            if places.insert(name.clone(), place).is_some() {
                return Err(BundleError::Twice { path: name });
            }
        }
        Ok(Self { source, id, places })
    }
}

/// The next element of a file, and where its data are.
fn next_file(source: &mut BufReader<Box<dyn ReadSeek>>) -> io::Result<Option<(String, Place)>> {
    loop {
        let line = source.stream_position()?;
        let mut tag = Vec::new();
        (&mut *source)
            .take(TAG_BYTES_MAX as u64)
            .read_until(b'\n', &mut tag)?;
        if tag.is_empty() {
            return Ok(None);
        }
        let found = tag_of(&tag);
        if let Some((name, is_deflated, length)) = found {
            let begin = line + length;
            source.seek(SeekFrom::Start(begin))?;
            let skipped = source.skip_until(b'<')? as u64;
            let size_bytes = skipped.saturating_sub(1);
            source.skip_until(b'\n')?;
            let place = Place {
                begin,
                size_bytes,
                is_deflated,
            };
            return Ok(Some((name, place)));
        }
        if tag.last() != Some(&b'\n') {
            source.skip_until(b'\n')?;
        }
    }
}

/// Name, whether it is deflated, and length of the tag that a line begins with, if it is one of a file.
fn tag_of(line: &[u8]) -> Option<(String, bool, u64)> {
    let end = line.iter().position(|byte| *byte == b'>')?;
    let tag = std::str::from_utf8(&line[..end]).ok()?;
    let (name, flag) = tag.strip_prefix(FILE)?.split_once('"')?;
    Some((name.to_owned(), flag == " data-deflated", end as u64 + 1))
}

impl Files for HtmlFiles {
    fn names(&self) -> BTreeSet<String> {
        let names = self.places.keys().filter(|name| *name != MANIFEST);
        names.cloned().collect()
    }

    fn open(&mut self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let place = self.places.get(name).ok_or_else(gone)?;
        self.source.seek(SeekFrom::Start(place.begin))?;
        let base64 = (&mut self.source).take(place.size_bytes);
        let bytes = DecoderReader::new(base64, &STANDARD);
        Ok(match place.is_deflated {
            true => Box::new(DeflateDecoder::new(bytes)),
            false => Box::new(bytes),
        })
    }

    fn folder(&self) -> &str {
        &self.id
    }
}
