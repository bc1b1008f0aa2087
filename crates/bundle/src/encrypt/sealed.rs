//! A bundle whose files are encrypted, as a folder: pieces under names that say nothing, one index, and the page that opens them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs, io,
    io::{Cursor, Read},
    path::{Path, PathBuf},
};

use readalong_model::Digest;
use serde::{Deserialize, Serialize};

use super::{Lock, PIECE_BYTES_MAX, Piece, PieceError, ShareKey, lock::VERSION};
use crate::{
    BundleError, BundlePath, BundleWriter, FileEntry, MANIFEST, Package, VerifiedBundle,
    pack::{BOOK, Files, is_text},
};

/// The file that names all others; the only one besides `index.html` that changes under its name.
pub const INDEX: &str = "index.js";
/// The largest index that is read, as it lies there and as it is unpacked: of a bundle of about 300,000 pieces.
const INDEX_BYTES_MAX: u64 = 64 << 20;
const FIRST: &str = "index.html";
const SCRIPT: &str = "text/javascript; charset=utf-8";
/// What pieces are made for.
const FILE: &str = "file";
const ENTRIES: &str = "index";

/// A sealed bundle on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBundle {
    /// The digest of all its files: what it is called.
    pub id: Digest,
    /// Its folder.
    pub path: PathBuf,
    /// Its files, in order. All but its heads are named by their content, and never change.
    pub files: Vec<FileEntry>,
}

/// Whether the page that opens a sealed bundle may ask its own host for something: where new messages are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// To nowhere.
    Never,
    /// To where it came from.
    OwnHost,
}

/// The files of the page that opens sealed bundles: name, media type, content. They are the same for all bundles.
pub fn reader(connections: Connections) -> Vec<(String, &'static str, Vec<u8>)> {
    let script = format!("{BOOK}{}", include_str!("../reader/sealed.js"));
    let style = include_str!("../reader/sealed.css");
    let name = |text: &str, ending| format!("assets/{}.{ending}", Digest::of(text.as_bytes()));
    let (script_name, style_name) = (name(&script, "js"), name(style, "css"));
    let page = include_str!("../reader/sealed.html")
        .replace("{script}", &script_name)
        .replace("{style}", &style_name)
        .replace(
            "{connect}",
            match connections {
                Connections::Never => "'none'",
                Connections::OwnHost => "'self'",
            },
        );
    vec![
        (FIRST.to_owned(), "text/html; charset=utf-8", page.into()),
        (script_name, SCRIPT, script.into()),
        (style_name, "text/css; charset=utf-8", style.into()),
    ]
}

/// What an encrypted share holds: its files, and the pieces of each in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedIndex {
    files: Vec<(String, String, Vec<Digest>)>,
}

/// The index as it is encrypted.
#[derive(Serialize, Deserialize)]
struct Entries {
    files: Vec<(String, String, Vec<Digest>)>,
}

impl SealedIndex {
    /// Encrypts a file and enters it, in place of one of the same path. Gives its pieces, each with the name that it lies under.
    pub fn add(
        &mut self,
        key: &ShareKey,
        (path, media_type): (&str, &str),
        content: &[u8],
    ) -> Vec<(String, Piece)> {
        // An empty file has a piece, too.
        let chunks = content.chunks(PIECE_BYTES_MAX);
        let chunks = chunks.chain(content.is_empty().then_some(content));
        let pieces: Vec<Piece> = chunks
            .enumerate()
            .map(|(number, chunk)| {
                let name = format!("{path}/{number}");
                match is_text(media_type) {
                    true => key.seal(FILE, &name, chunk),
                    false => key.seal_stored(FILE, &name, chunk),
                }
            })
            .collect();
        let tags = pieces.iter().map(|piece| piece.tag).collect();
        let entry = (path.to_owned(), media_type.to_owned(), tags);
        match self.files.iter_mut().find(|(there, ..)| there == path) {
            Some(there) => *there = entry,
            None => self.files.push(entry),
        }
        let named = pieces.into_iter();
        named.map(|piece| (piece_name(&piece.tag), piece)).collect()
    }

    /// What [`SealedIndex::to_bytes`] gave, if this key and this lock open it.
    pub fn of_bytes(key: &ShareKey, lock: &Lock, bytes: &[u8]) -> Option<Self> {
        let (found, pieces) = parse_index(std::str::from_utf8(bytes).ok()?)?;
        if serde_json::from_str::<Lock>(found).ok()? != *lock {
            return None;
        }
        let Entries { files } = entries(key, &pieces).ok()?;
        Some(Self { files })
    }

    /// Paths of the files.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(path, ..)| path.as_str())
    }

    /// Names of the pieces of a file, in order; none where it is not there.
    pub fn pieces(&self, path: &str) -> Vec<String> {
        let file = self.files.iter().filter(|(there, ..)| there == path);
        file.flat_map(|(.., tags)| tags.iter().map(piece_name))
            .collect()
    }

    /// Names of all pieces.
    pub fn names(&self) -> BTreeSet<String> {
        let tags = self.files.iter().flat_map(|(.., tags)| tags);
        tags.map(piece_name).collect()
    }

    /// Forgets files of which this says no.
    pub fn retain(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.files.retain(|(path, ..)| is_kept(path));
    }

    /// Decrypts a file, given its pieces in order.
    ///
    /// # Errors
    /// One is damaged, or another than it should be.
    pub fn open(key: &ShareKey, path: &str, pieces: &[Vec<u8>]) -> Result<Vec<u8>, PieceError> {
        let mut content = Vec::new();
        for (number, piece) in pieces.iter().enumerate() {
            content.extend(key.open(FILE, &format!("{path}/{number}"), piece)?);
        }
        Ok(content)
    }

    /// The file [`INDEX`].
    pub fn to_bytes(&self, key: &ShareKey, lock: &Lock) -> Vec<u8> {
        let entries = Entries {
            files: self.files.clone(),
        };
        let entries = serde_json::to_vec(&entries).expect("names and digests are JSON");
        // One text, whatever its length: it is cut as files are.
        let pieces = entries.chunks(PIECE_BYTES_MAX).enumerate();
        let pieces = pieces.map(|(number, chunk)| key.seal(ENTRIES, &number.to_string(), chunk));
        let pieces: Vec<String> = pieces
            .map(|piece| String::from_utf8(piece.script).expect("base64 is ASCII"))
            .collect();
        let lock = serde_json::to_string(lock).expect("a lock is JSON");
        format!("sealedLock({lock});\n{}", pieces.concat()).into_bytes()
    }
}

/// Encrypts a bundle into a folder below `parent`, which is there whole or not at all. The same bundle, key and lock give the same bytes; of a
/// bundle that is much the same, most files are the same. `watch` sees what is encrypted, and can stop it by an error.
///
/// # Errors
/// A file cannot be read or written, or is not what it was when the bundle was verified.
pub fn seal(
    bundle: &VerifiedBundle,
    (key, lock): (&ShareKey, &Lock),
    parent: &Path,
    watch: &mut dyn FnMut(u64) -> io::Result<()>,
) -> Result<SealedBundle, BundleError> {
    lock.check(key)?;
    let mut writer = BundleWriter::create(parent)?;
    for (path, media_type, content) in reader(Connections::Never) {
        writer.write(&path, media_type, &mut std::iter::once(content))?;
    }
    let mut index = SealedIndex::default();
    let manifest = bundle
        .manifest
        .to_bytes()
        .map_err(BundleError::io("reading", bundle.path.join(MANIFEST)))?;
    let mut add = |writer: &mut BundleWriter, named: (&str, &str), content: &[u8]| {
        watch(content.len() as u64).map_err(BundleError::io("writing", parent))?;
        for (name, piece) in index.add(key, named, content) {
            writer.write(&name, SCRIPT, &mut std::iter::once(piece.script))?;
        }
        Ok::<(), BundleError>(())
    };
    add(&mut writer, (MANIFEST, "application/json"), &manifest)?;
    for file in &bundle.manifest.files {
        let at = bundle.path.join(file.path.as_str());
        let content = fs::read(&at).map_err(BundleError::io("reading", &at))?;
        if Digest::of(&content) != file.sha256 {
            return Err(BundleError::ChangedMeanwhile {
                path: file.path.clone(),
            });
        }
        add(
            &mut writer,
            (file.path.as_str(), &file.media_type),
            &content,
        )?;
    }
    let index = index.to_bytes(key, lock);
    writer.write(INDEX, SCRIPT, &mut std::iter::once(index))?;
    let (id, path, files) = writer.finish_as(id_of, &|path| SealedBundle::open(path).is_ok())?;
    Ok(SealedBundle { id, path, files })
}

/// The digest of all files.
fn id_of(files: &[FileEntry]) -> Digest {
    let lines = files
        .iter()
        .map(|file| format!("{}  {}\n", file.sha256, file.path));
    Digest::of(lines.collect::<String>().as_bytes())
}

impl SealedBundle {
    /// The files that change under their names, and name all others: whoever publishes sends them last.
    pub const HEADS: [&str; 2] = [FIRST, INDEX];

    /// Opens a sealed bundle that was written here, and looks at every byte: its folder is called by the digest of its files.
    ///
    /// # Errors
    /// It is none, or it changed.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let not_sealed = || BundleError::NotSealed {
            path: path.to_owned(),
        };
        if !path.join(INDEX).is_file() {
            return Err(not_sealed());
        }
        let files = files_in(path)?;
        let id = id_of(&files);
        let name = path.file_name().map(|name| name.to_string_lossy());
        if name.as_deref() != Some(&id.to_string()) {
            return Err(BundleError::SealedChanged {
                path: path.to_owned(),
            });
        }
        Ok(Self {
            id,
            path: path.to_owned(),
            files,
        })
    }

    /// The digest of all files of a sealed bundle, wherever it lies: no key is needed to see whether they are what they were.
    ///
    /// # Errors
    /// A file cannot be read, or is none of ours.
    pub fn digest(path: &Path) -> Result<Digest, BundleError> {
        Ok(id_of(&files_in(path)?))
    }

    /// The lock of a sealed bundle, wherever it comes from.
    ///
    /// # Errors
    /// There is none, or it is of a later version, or damaged.
    pub fn lock(path: &Path) -> Result<Lock, BundleError> {
        Ok(read_index(path)?.0)
    }

    /// The bundle in a sealed one, wherever that comes from.
    ///
    /// # Errors
    /// The key is another, or the index is missing, damaged or of a later version, or that of a share that grows.
    pub fn package(path: &Path, key: &ShareKey) -> Result<Package, BundleError> {
        let (lock, pieces) = read_index(path)?;
        lock.check(key)?;
        let damaged = |source| BundleError::BadPiece {
            path: path.join(INDEX),
            source,
        };
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let Entries { files } = entries(key, &pieces).map_err(damaged)?;
        let files = SealedFiles {
            folder: path.to_owned(),
            key: key.clone(),
            files: files
                .into_iter()
                .map(|(path, _, tags)| (path, tags))
                .collect(),
        };
        if !files.files.contains_key(MANIFEST) {
            return Err(BundleError::IsGrowing {
                path: path.to_owned(),
            });
        }
        // What is not there unpacks to nothing.
        let pieces = files.files.values().flatten();
        let sizes =
            pieces.filter_map(|tag| Some(fs::metadata(path.join(piece_name(tag))).ok()?.len()));
        let size_bytes = sizes.sum();
        Package::of(path, size_bytes, Box::new(files))
    }
}

/// All files of a sealed bundle, with their digests.
fn files_in(path: &Path) -> Result<Vec<FileEntry>, BundleError> {
    let mut files = Vec::new();
    for name in crate::verify::names_in(path)? {
        let at = path.join(&name);
        let bytes = fs::read(&at).map_err(BundleError::io("reading", &at))?;
        files.push(FileEntry {
            media_type: media_type(&name).to_owned(),
            size_bytes: bytes.len() as u64,
            sha256: Digest::of(&bytes),
            path: BundlePath::new(&name)?,
        });
    }
    Ok(files)
}

/// The lock and the pieces of an index.
fn read_index(path: &Path) -> Result<(Lock, Vec<String>), BundleError> {
    let at = path.join(INDEX);
    let not_sealed = || BundleError::NotSealed {
        path: path.to_owned(),
    };
    let file = match fs::File::open(&at) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(not_sealed()),
        file => file.map_err(BundleError::io("reading", &at))?,
    };
    let mut text = String::new();
    file.take(INDEX_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(BundleError::io("reading", &at))?;
    let (lock, pieces) = parse_index(&text).ok_or_else(not_sealed)?;
    /// Read first, so that a later version is named as such and not called damaged.
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let bad = |_| BundleError::DamagedLock;
    let Version { version } = serde_json::from_str(lock).map_err(bad)?;
    if version > VERSION {
        return Err(BundleError::TooNew {
            path: path.to_owned(),
            version,
        });
    }
    let lock = serde_json::from_str(lock).map_err(bad)?;
    Ok((lock, pieces.into_iter().map(str::to_owned).collect()))
}

/// The lock, as JSON, and the pieces of an index.
fn parse_index(text: &str) -> Option<(&str, Vec<&str>)> {
    let (lock, pieces) = text.split_once('\n')?;
    let lock = lock.strip_prefix("sealedLock(")?.strip_suffix(");")?;
    Some((lock, pieces.split_inclusive('\n').collect()))
}

/// What the pieces of an index say.
fn entries(key: &ShareKey, pieces: &[&str]) -> Result<Entries, PieceError> {
    let mut entries = Vec::new();
    for (number, piece) in pieces.iter().enumerate() {
        entries.extend(key.open(ENTRIES, &number.to_string(), piece.as_bytes())?);
        if entries.len() as u64 > INDEX_BYTES_MAX {
            return Err(PieceError::TooLong);
        }
    }
    serde_json::from_slice(&entries).map_err(|_| PieceError::NoPiece)
}

/// The file that holds a piece.
fn piece_name(tag: &Digest) -> String {
    format!("files/{tag}.js")
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => SCRIPT,
    }
}

/// The files of a sealed bundle.
struct SealedFiles {
    folder: PathBuf,
    key: ShareKey,
    files: BTreeMap<String, Vec<Digest>>,
}

impl Files for SealedFiles {
    fn names(&self) -> BTreeSet<String> {
        let names = self.files.keys().filter(|name| *name != MANIFEST);
        names.cloned().collect()
    }

    fn open(&mut self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let tags = self.files.get(name).ok_or_else(gone)?;
        Ok(Box::new(SealedFile {
            files: self,
            name: name.to_owned(),
            tags: tags.iter().copied().enumerate().collect(),
            plain: Cursor::default(),
        }))
    }
}

/// A file of a sealed bundle, decrypted piece by piece.
struct SealedFile<'a> {
    files: &'a SealedFiles,
    name: String,
    tags: VecDeque<(usize, Digest)>,
    plain: Cursor<Vec<u8>>,
}

impl Read for SealedFile<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.plain.read(out)?;
            if read > 0 || out.is_empty() {
                return Ok(read);
            }
            let Some((number, tag)) = self.tags.pop_front() else {
                return Ok(0);
            };
            let path = piece_name(&tag);
            let limit = (PIECE_BYTES_MAX as u64) * 2; // base64 and padding make it half as long again
            let mut script = Vec::new();
            fs::File::open(self.files.folder.join(&path))
                .and_then(|file| file.take(limit).read_to_end(&mut script))
                .map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))?;
            let wrong =
                |error| io::Error::new(io::ErrorKind::InvalidData, format!("{path}: {error}"));
            if super::call(&script).is_some_and(|(found, _)| found != tag) {
                return Err(wrong(PieceError::Exchanged));
            }
            let name = format!("{}/{number}", self.name);
            let plain = self.files.key.open(FILE, &name, &script).map_err(wrong)?;
            self.plain = Cursor::new(plain);
        }
    }
}
