//! Where reading of a file stands, and whether the file is still the one that was read.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt},
};

use readalong_model::Digest;

/// Bytes before the place of reading, and at the beginning of the file, that are compared before reading goes on.
const COMPARED_BYTES: u64 = 4 << 10;

/// A place in a file behind which nothing was read yet.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    dev: u64,
    inode: u64,
    offset: u64,
    /// The first bytes of the file and those before the place.
    marks: Option<(Digest, Digest)>,
}

impl Cursor {
    /// The beginning of a file.
    pub(crate) fn start(meta: &Metadata) -> Self {
        Self {
            dev: meta.dev(),
            inode: meta.ino(),
            offset: 0,
            marks: None,
        }
    }

    /// Bytes before the place.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// True where what was read is still there: the same file, not shorter, and with the same bytes before the place.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn holds(&self, file: &File, meta: &Metadata) -> io::Result<bool> {
        if (meta.dev(), meta.ino()) != (self.dev, self.inode) || meta.len() < self.offset {
            return Ok(false);
        }
        match &self.marks {
            None => Ok(true),
            Some(marks) => Ok(marks_at(file, self.offset)?.as_ref() == Some(marks)),
        }
    }

    /// Moves the place on.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn advance(&mut self, file: &File, bytes: u64) -> io::Result<()> {
        self.offset += bytes;
        self.marks = marks_at(file, self.offset)?;
        Ok(())
    }
}

/// The digests of the first bytes and of those before a place; `None` where the file is shorter.
fn marks_at(file: &File, offset: u64) -> io::Result<Option<(Digest, Digest)>> {
    let length = offset.min(COMPARED_BYTES);
    let mut bytes = vec![0; length as usize];
    let mut mark = |from: u64| match file.read_exact_at(&mut bytes, from) {
        Ok(()) => Ok(Some(Digest::of(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    };
    let Some(before) = mark(offset - length)? else {
        return Ok(None);
    };
    if offset == length {
        return Ok(Some((before, before)));
    }
    Ok(mark(0)?.map(|first| (first, before)))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn look(path: &Path) -> (File, Metadata) {
        let file = File::open(path).unwrap();
        let meta = file.metadata().unwrap();
        (file, meta)
    }

    #[test]
    fn a_place_holds_while_the_file_only_grows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let old: Vec<u8> = (0..20_000_u32).flat_map(|n| n.to_le_bytes()).collect();
        fs::write(&path, &old).unwrap();
        let (file, meta) = look(&path);
        let mut cursor = Cursor::start(&meta);
        assert!(cursor.holds(&file, &meta).unwrap());
        cursor.advance(&file, old.len() as u64).unwrap();
        let holds = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            let (file, meta) = look(&path);
            cursor.holds(&file, &meta).unwrap()
        };
        assert!(holds(&[&old[..], b"more"].concat()));
        assert!(holds(&old));
        assert!(!holds(&old[..old.len() - 1]), "cut");
        let mut other = old.clone();
        *other.last_mut().unwrap() ^= 1;
        assert!(!holds(&other), "other bytes before the place");
        let mut other = old.clone();
        other[0] ^= 1;
        assert!(!holds(&other), "other bytes at the beginning");
        assert!(holds(&old));
        fs::rename(&path, folder.path().join("b")).unwrap();
        assert!(!holds(&old), "another file under the same name");
    }
}
