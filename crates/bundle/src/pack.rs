//! A bundle as one file, for mail and download: written from a verified bundle, and read back to the same bundle id.
//!
//! What is read comes from anybody: names go through `BundlePath`, sizes are the manifest's and never those of the package, and nothing is
//! written but through `BundleWriter`.

mod html;
mod zip;

use std::{
    collections::BTreeSet,
    fmt,
    fs::{self, File},
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process,
};

use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use readalong_model::{Digest, DigestWriter};

use crate::{
    BundleError, BundleWriter, FileEntry, MANIFEST, Manifest, Problem, VerifiedBundle,
    WrittenBundle,
    manifest::MANIFEST_BYTES_MAX,
    verify::{check_manifest, check_name, compare, measure},
    write::sync_folder,
};

/// Bytes that are written at once.
const WRITE_BYTES: usize = 256 << 10;
/// A package whose files are together more than this many times its size is taken for a bomb, once they are larger than `BOMB_BYTES_MIN`.
const BOMB_RATIO: u64 = 200;
const BOMB_BYTES_MIN: u64 = 1 << 30;

/// Beyond this length an HTML file is slow to open. Measured: a small one takes a second on a busy machine, 50 MB half as long again, 100 MB twice as
/// long, 200 MB four times; phones and mail programs give up earlier.
pub const HTML_BYTES_COMFORTABLE: u64 = 50_000_000;
/// The level of deflate: what is gained beyond it is little.
const LEVEL: u32 = 6;
/// The script that shows a whole bundle in one document.
pub(crate) const BOOK: &str = include_str!("reader/book.js");

/// What a bundle is packed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackageKind {
    /// One HTML file that shows itself in any browser.
    Html,
    /// A zip, which every system opens.
    Zip,
}

impl fmt::Display for PackageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Html => "html",
            Self::Zip => "zip",
        })
    }
}

/// Writes a bundle as a package, as a stream. The same bundle gives the same bytes on every machine.
///
/// # Errors
/// `out` cannot be written, or a file of the bundle cannot be read or is not what it was when the bundle was verified. What `out` has got
/// until then is no whole package.
pub fn pack(
    bundle: &VerifiedBundle,
    kind: PackageKind,
    out: &mut dyn Write,
) -> Result<(), BundleError> {
    write(kind, &bundle.manifest, &mut Folder(bundle), out)
}

fn write(
    kind: PackageKind,
    manifest: &Manifest,
    files: &mut dyn Files,
    out: &mut dyn Write,
) -> Result<(), BundleError> {
    match kind {
        PackageKind::Html => html::write(manifest, files, out),
        PackageKind::Zip => zip::write(manifest, files, out),
    }
}

/// Writes a package to a file: beside it, synced and renamed, so that whoever looks sees the whole package, or what was there before.
/// `watch` sees what is written, and can stop it by an error.
///
/// # Errors
/// As [`pack`]; then nothing is left.
pub fn pack_to(
    bundle: &VerifiedBundle,
    kind: PackageKind,
    path: &Path,
    watch: &mut dyn FnMut(usize) -> io::Result<()>,
) -> Result<(), BundleError> {
    let partial = PartialFile::create(path)?;
    let mut out = BufWriter::with_capacity(
        WRITE_BYTES,
        Watched {
            out: &partial.file,
            watch,
        },
    );
    let packed = pack(bundle, kind, &mut out).and_then(|()| {
        out.flush()
            .map_err(|source| BundleError::Packing { source })
    });
    // What waits in the buffer of a failed package is of no use.
    drop(out.into_parts());
    packed.map_err(|error| match error {
        BundleError::Packing { source } => BundleError::io("writing", path)(source),
        error => error,
    })?;
    partial.finish()
}

/// A package that was opened.
pub struct Package {
    /// What it is; a sealed bundle is no single file.
    pub kind: Option<PackageKind>,
    /// The bundle's id.
    pub id: Digest,
    /// What the bundle should hold.
    pub manifest: Manifest,
    at: PathBuf,
    files: Box<dyn Files>,
    /// What is wrong with it as far as names tell.
    problems: Vec<Problem>,
}

/// What the files of a package are read from.
pub(crate) trait Files {
    /// Names of all files but the manifest.
    fn names(&self) -> BTreeSet<String>;
    /// A file by its name.
    fn open(&mut self, name: &str) -> io::Result<Box<dyn Read + '_>>;
    /// What the folder in it is called, if there is one.
    fn folder(&self) -> &str {
        ""
    }
}

/// Bytes that can be read and moved in.
trait ReadSeek: Read + Seek {}
impl<R: Read + Seek> ReadSeek for R {}

impl Package {
    /// Opens a package that is called `at`. Its kind is seen by its content.
    ///
    /// # Errors
    /// It is no package, or one of a later format version, or cannot be read.
    pub fn open(at: &Path, mut source: impl Read + Seek + 'static) -> Result<Self, BundleError> {
        let reading = |error| BundleError::io("reading", at)(error);
        let size_bytes = source.seek(SeekFrom::End(0)).map_err(reading)?;
        source.seek(SeekFrom::Start(0)).map_err(reading)?;
        let mut head = Vec::new();
        (&mut source)
            .take(html::SIGNATURE.len() as u64)
            .read_to_end(&mut head)
            .map_err(reading)?;
        source.seek(SeekFrom::Start(0)).map_err(reading)?;
        let mut problems = Vec::new();
        let (kind, files): (_, Box<dyn Files>) = if head.starts_with(zip::SIGNATURE) {
            let files = zip::ZipFiles::open(at, Box::new(source), &mut problems)?;
            (PackageKind::Zip, Box::new(files))
        } else if head == html::SIGNATURE {
            let files = html::HtmlFiles::open(at, Box::new(source))?;
            (PackageKind::Html, Box::new(files))
        } else {
            return Err(BundleError::NotAPackage {
                path: at.to_owned(),
            });
        };
        let mut package = Self::of(at, size_bytes, files)?;
        package.kind = Some(kind);
        package.problems.extend(problems);
        Ok(package)
    }

    /// The bundle in files that lie at `at` and are so large there.
    pub(crate) fn of(
        at: &Path,
        size_bytes: u64,
        mut files: Box<dyn Files>,
    ) -> Result<Self, BundleError> {
        let (manifest, id) = manifest_of(&mut *files, at)?;
        let total_bytes = total(&manifest);
        if total_bytes > BOMB_BYTES_MIN.max(size_bytes.saturating_mul(BOMB_RATIO)) {
            return Err(BundleError::Bomb {
                path: at.to_owned(),
                size_bytes,
                total_bytes,
            });
        }
        let mut problems = Vec::new();
        check_name(files.folder(), id, &mut problems);
        check_manifest(&manifest, id, &mut problems);
        Ok(Self {
            kind: None,
            id,
            manifest,
            at: at.to_owned(),
            files,
            problems,
        })
    }

    /// Reads every file and compares it with the manifest: what is wrong, by file name; nothing where the package is sound.
    pub fn verify(&mut self) -> Vec<Problem> {
        let mut problems = self.names_wrong();
        let names = self.files.names();
        let mut looked_at = Vec::new();
        for file in &self.manifest.files {
            if names.contains(file.path.as_str()) {
                let read = self.files.open(file.path.as_str());
                let measured = read.and_then(|read| measure(read.take(file.size_bytes + 1)));
                looked_at.push((file.path.to_string(), measured));
            }
        }
        compare(&self.manifest, looked_at, &mut problems);
        problems.sort();
        problems
    }

    /// Writes the bundle below `parent`, under its id. It is whole and verified, or it is not there.
    ///
    /// # Errors
    /// The package is damaged, or cannot be read, or the bundle cannot be written; then nothing is left.
    pub fn unpack(&mut self, parent: &Path) -> Result<WrittenBundle, BundleError> {
        let problems = self.names_wrong();
        let damaged = |problem, more| BundleError::Damaged {
            path: self.at.clone(),
            problem,
            more,
        };
        if let Some(problem) = problems.first() {
            return Err(damaged(problem.clone(), problems.len() - 1));
        }
        let names = self.files.names();
        let mut writer = BundleWriter::create(parent)?;
        for file in &self.manifest.files {
            let path = file.path.as_str();
            if !names.contains(path) {
                let path = path.to_owned();
                return Err(damaged(Problem::Missing { path }, 0));
            }
            let read = self.files.open(path);
            let read = read.map_err(BundleError::io("reading", &self.at))?;
            let mut read = read.take(file.size_bytes + 1);
            let written = writer.take(path, &file.media_type, (&mut read, &self.at))?;
            if written != (file.sha256, file.size_bytes) {
                let path = path.to_owned();
                return Err(damaged(Problem::Changed { path }, 0));
            }
        }
        writer.finish(&self.manifest.generator)
    }

    /// True where the whole file is what [`pack`] makes of the bundle in it. The bundle's id does not stand for what an HTML file has around
    /// the bundle: the script that shows it, above all.
    pub fn is_as_packed(&mut self, file: &mut dyn Read) -> bool {
        let Some(kind) = self.kind else {
            return false;
        };
        let mut digest = Digesting(DigestWriter::default());
        let packed = write(kind, &self.manifest, &mut *self.files, &mut digest);
        packed.is_ok() && measure(file).is_ok_and(|(found, _)| found == digest.0.finish())
    }

    /// What is wrong without reading any file.
    fn names_wrong(&self) -> Vec<Problem> {
        let mut problems = self.problems.clone();
        let mut names = self.files.names();
        for file in &self.manifest.files {
            names.remove(file.path.as_str());
        }
        problems.extend(names.into_iter().map(|path| Problem::Added { path }));
        problems.sort();
        problems
    }
}

fn total(manifest: &Manifest) -> u64 {
    let sizes = manifest.files.iter().map(|file| file.size_bytes);
    sizes.fold(0, u64::saturating_add)
}

/// Gives a file to `out`. At its end it has to be what the manifest says.
fn copy(entry: &FileEntry, read: &mut dyn Read, out: &mut dyn Write) -> Result<(), BundleError> {
    let mut digest = DigestWriter::default();
    let mut buffer = Vec::with_capacity(WRITE_BYTES);
    loop {
        // What deflate makes of a file follows from how it is cut: the same pieces, however much is read at once.
        buffer.clear();
        let mut piece = (&mut *read).take(WRITE_BYTES as u64);
        if piece.read_to_end(&mut buffer).map_err(packing)? == 0 {
            break;
        }
        digest.update(&buffer);
        out.write_all(&buffer).map_err(packing)?;
    }
    match digest.finish() == entry.sha256 {
        true => Ok(()),
        false => Err(BundleError::ChangedMeanwhile {
            path: entry.path.clone(),
        }),
    }
}

fn packing(source: io::Error) -> BundleError {
    BundleError::Packing { source }
}

/// True for what gets smaller; pictures, archives and the like are compressed already.
pub(crate) fn is_text(media_type: &str) -> bool {
    let kind = media_type.split(';').next().unwrap_or_default();
    kind.starts_with("text/") || kind.ends_with("json") || kind.ends_with("xml")
}

/// Deflated bytes (RFC 1951).
pub(crate) fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::new(LEVEL));
    let written = deflate.write_all(bytes).and_then(|()| deflate.finish());
    written.expect("memory takes what is written")
}

/// What deflated bytes were, if that is not longer than `bytes_max`.
pub(crate) fn inflated(bytes: &[u8], bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut inflate = DeflateDecoder::new(bytes).take(bytes_max as u64 + 1);
    match inflate.read_to_end(&mut out)? > bytes_max {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(out),
    }
}

/// The files of a bundle on disk.
struct Folder<'a>(&'a VerifiedBundle);

impl Files for Folder<'_> {
    fn names(&self) -> BTreeSet<String> {
        let files = self.0.manifest.files.iter();
        files.map(|file| file.path.to_string()).collect()
    }

    fn open(&mut self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(File::open(self.0.path.join(name))?))
    }
}

/// The manifest of a package.
fn manifest_of(files: &mut dyn Files, at: &Path) -> Result<(Manifest, Digest), BundleError> {
    let mut bytes = Vec::new();
    let read = files
        .open(MANIFEST)
        .and_then(|read| read.take(MANIFEST_BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => BundleError::NotAPackage {
            path: at.to_owned(),
        },
        _ => BundleError::io("reading", at)(source),
    })?;
    Manifest::parse(&bytes, at)
}

/// A file in the making, beside its place. Dropped before it is finished, it leaves nothing.
struct PartialFile {
    file: File,
    at: PathBuf,
    path: PathBuf,
    is_finished: bool,
}

impl PartialFile {
    fn create(path: &Path) -> Result<Self, BundleError> {
        let folder = parent(path);
        let mut number = 0;
        let (file, at) = loop {
            let at = folder.join(format!(".readalong-{}-{number}.partial", process::id()));
            match File::create_new(&at) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                file => break (file.map_err(BundleError::io("writing", path))?, at),
            }
        };
        Ok(Self {
            file,
            at,
            path: path.to_owned(),
            is_finished: false,
        })
    }

    fn finish(mut self) -> Result<(), BundleError> {
        self.file
            .sync_all()
            .map_err(BundleError::io("syncing", &self.path))?;
        fs::rename(&self.at, &self.path).map_err(BundleError::io("writing", &self.path))?;
        self.is_finished = true;
        sync_folder(parent(&self.path))
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.is_finished {
            // Nothing can be done about a failure here, and the file's name says what it is.
            let _ = fs::remove_file(&self.at);
        }
    }
}

/// The folder of a file; the present one where its name is all that is said.
fn parent(path: &Path) -> &Path {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Keeps of what is written only the digest.
struct Digesting(DigestWriter);

impl Write for Digesting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tells somebody what is written.
struct Watched<'a> {
    out: &'a File,
    watch: &'a mut dyn FnMut(usize) -> io::Result<()>,
}

impl Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.watch)(bytes.len())?;
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
