//! How a share is encrypted before it is published: the key that it keeps, the passphrase that readers have.

use std::{collections::BTreeSet, env, io};

use anyhow::{Context, anyhow, bail};
use readalong_bundle::{
    Connections, INDEX, Lock, SealedBundle, SealedIndex, ShareKey, VerifiedBundle, closed_folder,
    reader, seal,
};
use readalong_publish::NewFile;
use tempfile::TempDir;

use crate::{cancel, output, publications::Sealed};

/// Names a passphrase where nobody is there to be asked.
const PASSPHRASE_ENV: &str = "READALONG_PASSPHRASE";
/// Characters that a passphrase has at least: shorter ones are guessed in no time.
const PASSPHRASE_CHARS_MIN: usize = 12;

/// Different ones that it has at least, blanks aside: one that is repeated is guessed as soon.
const PASSPHRASE_LETTERS_MIN: usize = 5;

/// What pieces are made for that come later.
const LATE: &str = "live";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A share key and how it is unlocked.
pub(crate) struct Seal {
    key: ShareKey,
    lock: Lock,
}

impl Seal {
    /// A new key.
    ///
    /// # Errors
    /// There are no random numbers, or no passphrase was given.
    pub(crate) fn new(has_passphrase: bool) -> anyhow::Result<Self> {
        let key = ShareKey::random()
            .map_err(|error| anyhow!("the system has no random numbers: {error}"))?;
        let lock = match has_passphrase {
            true => with_passphrase(&key, &ask()?)?,
            false => Lock::of(&key),
        };
        Ok(Self { key, lock })
    }

    /// The key that a share has; its passphrase stays where it is given again.
    ///
    /// # Errors
    /// What is remembered is damaged, or no passphrase was given.
    pub(crate) fn again(sealed: &Sealed, has_passphrase: bool) -> anyhow::Result<Self> {
        let key: ShareKey = sealed
            .key
            .parse()
            .context("the key of the share that is remembered here is damaged")?;
        let lock = match has_passphrase {
            true => {
                let passphrase = ask()?;
                match sealed.lock.has_passphrase() && sealed.lock.unlock(&passphrase).is_ok() {
                    true => sealed.lock.clone(),
                    false => with_passphrase(&key, &passphrase)?,
                }
            }
            false if sealed.lock.has_passphrase() => Lock::of(&key),
            false => sealed.lock.clone(),
        };
        Ok(Self { key, lock })
    }

    /// The bundle, encrypted, in a temporary folder that goes with it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn bundle(
        &self,
        bundle: &VerifiedBundle,
    ) -> anyhow::Result<(SealedBundle, TempDir)> {
        let folder = closed_folder("readalong-sealed-", &std::env::temp_dir())
            .context("cannot make a temporary folder")?;
        let total = bundle
            .manifest
            .files
            .iter()
            .map(|file| file.size_bytes)
            .sum();
        let bar = output::progress_bar("encrypting", total, true);
        let sealed = seal(
            bundle,
            (&self.key, &self.lock),
            folder.path(),
            &mut |bytes| {
                bar.inc(bytes);
                cancel::check()
            },
        )?;
        bar.finish_and_clear();
        Ok((sealed, folder))
    }

    /// The link that readers need.
    pub(crate) fn link(&self, link: &str) -> String {
        match self.lock.has_passphrase() {
            true => link.to_owned(),
            false => format!("{link}#k={}", self.key),
        }
    }

    /// What has to be remembered.
    pub(crate) fn remembered(&self) -> Sealed {
        Sealed {
            key: self.key.to_string(),
            lock: self.lock.clone(),
        }
    }

    /// The page that opens a share that grows, and its files.
    pub(crate) fn reader(&self) -> Vec<(String, &'static str, Vec<u8>)> {
        reader(Connections::OwnHost)
    }

    /// The pieces of a file, which the index then names.
    pub(crate) fn pieces(
        &self,
        index: &mut SealedIndex,
        file: (&str, &str),
        bytes: &[u8],
    ) -> Vec<NewFile> {
        let pieces = index.add(&self.key, file, bytes).into_iter();
        pieces
            .map(|(name, piece)| NewFile::bytes(name, piece.script, SCRIPT))
            .collect()
    }

    /// The index, and its name.
    pub(crate) fn index(&self, index: &SealedIndex) -> (String, Vec<u8>) {
        (INDEX.to_owned(), index.to_bytes(&self.key, &self.lock))
    }

    /// The index that a place has, where it is one of this key and this lock.
    pub(crate) fn open_index(&self, bytes: &[u8]) -> Option<SealedIndex> {
        SealedIndex::of_bytes(&self.key, &self.lock, bytes)
    }

    /// A file, given its pieces; `None` where one is damaged.
    pub(crate) fn open_file(&self, path: &str, pieces: &[Vec<u8>]) -> Option<Vec<u8>> {
        SealedIndex::open(&self.key, path, pieces).ok()
    }

    /// Something that comes later than the files that the index names (docs/encryption.md). What a step that did not end had encrypted under a name, and what the
    /// next one encrypts under it, have other keys unless they are the same: a key is made of the content, too. So whoever goes on need not know what was sent.
    pub(crate) fn late(&self, name: &str, bytes: &[u8]) -> Vec<u8> {
        self.key.seal(LATE, name, bytes).script
    }

    /// What [`Seal::late`] made, opened; `None` where it is damaged or something else.
    pub(crate) fn open_late(&self, name: &str, script: &[u8]) -> Option<Vec<u8>> {
        self.key.open(LATE, name, script).ok()
    }
}

fn with_passphrase(key: &ShareKey, passphrase: &str) -> anyhow::Result<Lock> {
    Lock::with_passphrase(key, passphrase)
        .map_err(|error| anyhow!("the system has no random numbers: {error}"))
}

/// Refuses what is guessed in no time.
fn check(passphrase: &str) -> anyhow::Result<()> {
    let letters: BTreeSet<char> = passphrase.chars().filter(|c| !c.is_whitespace()).collect();
    if passphrase.trim().chars().count() < PASSPHRASE_CHARS_MIN
        || letters.len() < PASSPHRASE_LETTERS_MIN
    {
        bail!(
            "a passphrase of fewer than {PASSPHRASE_CHARS_MIN} characters, or of fewer than {PASSPHRASE_LETTERS_MIN} different ones, is guessed in no time by whoever has the files; take four random words"
        );
    }
    Ok(())
}

/// The passphrase that readers are to have.
fn ask() -> anyhow::Result<String> {
    let passphrase = match env::var(PASSPHRASE_ENV) {
        Ok(passphrase) if !passphrase.is_empty() => passphrase,
        _ => {
            let instead = format!("set {PASSPHRASE_ENV}");
            let first = output::ask_secret("Passphrase for readers: ", &instead)?;
            let again = output::ask_secret("The same again: ", &instead)?;
            if first != again {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "the two passphrases differ",
                )
                .into());
            }
            first
        }
    };
    check(&passphrase)?;
    Ok(passphrase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_guessed_in_no_time_is_no_passphrase() {
        for bad in [
            "",
            "short words",
            "            ",
            "aaaaaaaaaaaaaaaa",
            "    short     ",
            "a b a b a b a b",
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        for good in ["correct horse battery staple", "naïve Übung 12"] {
            assert!(check(good).is_ok(), "{good:?}");
        }
    }
}
