//! Finds every changed, added, missing or renamed file of a bundle.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use rayon::prelude::*;
use readalong_model::{Digest, DigestWriter};

use crate::{BundleError, BundlePath, MANIFEST, Manifest};

/// Bytes of a file that are read at once.
const READ_BYTES: usize = 256 << 10;

/// What a verification found.
#[derive(Debug)]
pub struct Verification {
    /// The bundle's id: the digest of its manifest.
    pub id: Digest,
    /// What it should hold.
    pub manifest: Manifest,
    /// What is wrong with it, by file name; empty for a sound bundle.
    pub problems: Vec<Problem>,
    path: PathBuf,
}

/// Something that is wrong with a bundle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// The folder's name is a digest and not the bundle's.
    WrongName {
        /// The name that it has.
        name: String,
        /// The id that the manifest gives.
        id: Digest,
    },
    /// The manifest is not as readalong writes it.
    ManifestChanged,
    /// The manifest names a file twice, or not in order.
    ManifestOrder {
        /// The file.
        path: String,
    },
    /// A file is not what the manifest says.
    Changed {
        /// The file.
        path: String,
    },
    /// A file is not there.
    Missing {
        /// The file.
        path: String,
    },
    /// A file is there that the manifest does not name.
    Added {
        /// The file.
        path: String,
    },
    /// A file is there under another name.
    Renamed {
        /// The name that it should have.
        from: String,
        /// The name that it has.
        to: String,
    },
    /// A file cannot be read, or is no plain file.
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongName { name, id } => write!(
                f,
                "wrong name: the folder is called {name}, the bundle's id is {id}"
            ),
            Self::ManifestChanged => {
                f.write_str("changed: manifest.json is not as readalong writes it")
            }
            Self::ManifestOrder { path } => write!(
                f,
                "changed: manifest.json names {path} twice or out of order"
            ),
            Self::Changed { path } => write!(f, "changed: {path}"),
            Self::Missing { path } => write!(f, "missing: {path}"),
            Self::Added { path } => write!(f, "added: {path}"),
            Self::Renamed { from, to } => write!(f, "renamed: {from} is now {to}"),
            Self::Unreadable { path, reason } => write!(f, "unreadable: {path}: {reason}"),
        }
    }
}

/// A bundle of which every byte is what its id stands for.
#[derive(Debug)]
pub struct VerifiedBundle {
    /// Its folder.
    pub path: PathBuf,
    /// Its id.
    pub id: Digest,
    /// What it holds.
    pub manifest: Manifest,
}

impl Verification {
    /// The bundle, if nothing is wrong with it.
    pub fn into_verified(self) -> Result<VerifiedBundle, Vec<Problem>> {
        match self.problems.is_empty() {
            true => Ok(VerifiedBundle {
                path: self.path,
                id: self.id,
                manifest: self.manifest,
            }),
            false => Err(self.problems),
        }
    }
}

/// Reads a bundle whole and compares it with its manifest.
///
/// # Errors
/// The folder is not there, or holds no bundle, or one of a later format version.
pub fn verify(bundle: &Path) -> Result<Verification, BundleError> {
    fs::metadata(bundle).map_err(BundleError::io("reading", bundle))?;
    let (manifest, id) = Manifest::open(bundle)?;
    let mut problems = Vec::new();
    check_name(&file_name(bundle), id, &mut problems);
    check_manifest(&manifest, id, &mut problems);
    let found = list(bundle, &mut problems)?;
    let looked_at: Vec<(String, io::Result<(Digest, u64)>)> = found
        .into_par_iter()
        .map(|path| {
            let measured = File::open(bundle.join(&path)).and_then(measure);
            (path, measured)
        })
        .collect();
    compare(&manifest, looked_at, &mut problems);
    problems.sort();
    Ok(Verification {
        id,
        manifest,
        problems,
        path: bundle.to_owned(),
    })
}

/// Holds what a bundle has against what its manifest says.
pub(crate) fn compare(
    manifest: &Manifest,
    looked_at: Vec<(String, io::Result<(Digest, u64)>)>,
    problems: &mut Vec<Problem>,
) {
    let mut expected = BTreeMap::new();
    for file in &manifest.files {
        expected.insert(file.path.as_str(), file);
    }
    let mut added = Vec::new();
    for (path, measured) in looked_at {
        match (expected.remove(path.as_str()), measured) {
            (_, Err(error)) => problems.push(Problem::Unreadable {
                path,
                reason: error.to_string(),
            }),
            (Some(file), Ok(found)) if found == (file.sha256, file.size_bytes) => {}
            (Some(_), Ok(_)) => problems.push(Problem::Changed { path }),
            (None, Ok(found)) => added.push((path, found)),
        }
    }
    for (path, file) in expected {
        let from = path.to_owned();
        match added
            .iter()
            .position(|(_, found)| *found == (file.sha256, file.size_bytes))
        {
            Some(at) => problems.push(Problem::Renamed {
                from,
                to: added.remove(at).0,
            }),
            None => problems.push(Problem::Missing { path: from }),
        }
    }
    problems.extend(added.into_iter().map(|(path, _)| Problem::Added { path }));
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy());
    name.unwrap_or_default().into_owned()
}

/// A folder that is called like a digest must be called like this one; any other name says nothing.
pub(crate) fn check_name(name: &str, id: Digest, problems: &mut Vec<Problem>) {
    if name.parse::<Digest>().is_ok_and(|named| named != id) {
        problems.push(Problem::WrongName {
            name: name.to_owned(),
            id,
        });
    }
}

pub(crate) fn check_manifest(manifest: &Manifest, id: Digest, problems: &mut Vec<Problem>) {
    if manifest.format != Manifest::FORMAT
        || manifest.version == 0
        || manifest.to_bytes().map(|bytes| Digest::of(&bytes)).ok() != Some(id)
    {
        problems.push(Problem::ManifestChanged);
    }
    for pair in manifest
        .files
        .windows(2)
        .filter(|pair| pair[0].path >= pair[1].path)
    {
        problems.push(Problem::ManifestOrder {
            path: pair[1].path.to_string(),
        });
    }
}

/// All files below a folder of files of ours.
///
/// # Errors
/// It cannot be read, or has something that is no plain file.
pub(crate) fn names_in(folder: &Path) -> Result<Vec<String>, BundleError> {
    let mut problems = Vec::new();
    let names = list(folder, &mut problems)?;
    match problems.is_empty() {
        true => Ok(names),
        false => Err(BundleError::SealedChanged {
            path: folder.to_owned(),
        }),
    }
}

/// All files below a bundle's folder but the manifest. Links are not followed.
fn list(bundle: &Path, problems: &mut Vec<Problem>) -> Result<Vec<String>, BundleError> {
    let mut found = Vec::new();
    let mut open = vec![String::new()];
    while let Some(folder) = open.pop() {
        let at = bundle.join(&folder);
        for entry in fs::read_dir(&at).map_err(BundleError::io("reading", &at))? {
            let entry = entry.map_err(BundleError::io("reading", &at))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() {
                name
            } else {
                format!("{folder}/{name}")
            };
            let kind = entry.file_type().map_err(BundleError::io("reading", &at))?;
            if kind.is_dir() && BundlePath::new(&path).is_ok() {
                open.push(path);
            } else if kind.is_file() {
                if path != MANIFEST {
                    found.push(path);
                }
            } else {
                problems.push(Problem::Unreadable {
                    path,
                    reason: "not a plain file".to_owned(),
                });
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Digest and length of what is read.
pub(crate) fn measure(mut file: impl Read) -> io::Result<(Digest, u64)> {
    let mut digest = DigestWriter::default();
    let mut size_bytes = 0;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((digest.finish(), size_bytes)),
            Ok(read) => {
                digest.update(&buffer[..read]);
                size_bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
