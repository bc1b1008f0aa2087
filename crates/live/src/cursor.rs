//! Where reading of a file stands, and whether the file is still the one that was read.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt},
};

use readalong_model::{Digest, DigestWriter};

/// Bytes before the place of reading, and at the beginning of the file, that are compared before reading goes on.
const COMPARED_BYTES: u64 = 4 << 10;
/// What was read is compared with the file in blocks of so many bytes.
const BLOCK_BYTES: u64 = 1 << 20;

/// A place in a file behind which nothing was read yet.
pub(crate) struct Cursor {
    dev: u64,
    inode: u64,
    offset: u64,
    /// The first bytes of the file and those before the place.
    marks: Option<(Digest, Digest)>,
    /// The digests of the whole blocks before the place, and what was read of the one that it lies in.
    blocks: Vec<Digest>,
    block: DigestWriter,
}

impl Cursor {
    /// The beginning of a file.
    pub(crate) fn start(meta: &Metadata) -> Self {
        Self {
            dev: meta.dev(),
            inode: meta.ino(),
            offset: 0,
            marks: None,
            blocks: Vec::new(),
            block: DigestWriter::default(),
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

    /// True where a block still has the bytes that were read of it; `None` after the last one. What writes in the middle leaves no other trace.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn holds_block(&self, file: &File, number: u64) -> io::Result<Option<bool>> {
        let from = number * BLOCK_BYTES;
        if from >= self.offset {
            return Ok(None);
        }
        let known = self.blocks.get(number as usize).copied();
        let known = known.unwrap_or_else(|| self.block.clone().finish());
        let bytes = read_exactly(file, from, BLOCK_BYTES.min(self.offset - from))?;
        Ok(Some(bytes.is_some_and(|bytes| Digest::of(&bytes) == known)))
    }

    /// Moves the place on, behind what was read.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn advance(&mut self, file: &File, read: &[u8]) -> io::Result<()> {
        self.take(read);
        self.marks = marks_at(file, self.offset)?;
        Ok(())
    }

    /// Moves the place on over bytes that nobody keeps.
    ///
    /// # Errors
    /// The file cannot be read, or is shorter.
    pub(crate) fn pass_over(&mut self, file: &File, bytes: u64) -> io::Result<()> {
        let end = self.offset + bytes;
        while self.offset < end {
            let piece = read_exactly(file, self.offset, BLOCK_BYTES.min(end - self.offset))?;
            self.take(&piece.ok_or(io::ErrorKind::UnexpectedEof)?);
        }
        self.marks = marks_at(file, self.offset)?;
        Ok(())
    }

    fn take(&mut self, mut read: &[u8]) {
        while !read.is_empty() {
            let room = (BLOCK_BYTES - self.offset % BLOCK_BYTES) as usize;
            let (now, later) = read.split_at(read.len().min(room));
            self.block.update(now);
            self.offset += now.len() as u64;
            if now.len() == room {
                self.blocks.push(std::mem::take(&mut self.block).finish());
            }
            read = later;
        }
    }
}

/// The digests of the first bytes and of those before a place; `None` where the file is shorter.
fn marks_at(file: &File, offset: u64) -> io::Result<Option<(Digest, Digest)>> {
    let length = offset.min(COMPARED_BYTES);
    let mark = |from: u64| {
        let bytes = read_exactly(file, from, length)?;
        Ok::<_, io::Error>(bytes.map(|bytes| Digest::of(&bytes)))
    };
    let Some(before) = mark(offset - length)? else {
        return Ok(None);
    };
    if offset == length {
        return Ok(Some((before, before)));
    }
    Ok(mark(0)?.map(|first| (first, before)))
}

/// So many bytes from a place on; `None` where the file is shorter.
fn read_exactly(file: &File, from: u64, bytes: u64) -> io::Result<Option<Vec<u8>>> {
    let mut read = vec![0; bytes as usize];
    match file.read_exact_at(&mut read, from) {
        Ok(()) => Ok(Some(read)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
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
        cursor.advance(&file, &old).unwrap();
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

    #[test]
    fn what_is_written_in_the_middle_shows_in_its_block() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let old = vec![b'x'; (BLOCK_BYTES * 2 + 9_000) as usize];
        fs::write(&path, &old).unwrap();
        let (file, meta) = look(&path);
        let mut cursor = Cursor::start(&meta);
        cursor.advance(&file, &old[..5]).unwrap();
        cursor.pass_over(&file, BLOCK_BYTES).unwrap();
        cursor
            .advance(&file, &old[BLOCK_BYTES as usize + 5..])
            .unwrap();
        let blocks = || [0, 1, 2, 3].map(|number| cursor.holds_block(&file, number).unwrap());
        assert_eq!(blocks(), [Some(true), Some(true), Some(true), None]);
        for (place, changed) in [(BLOCK_BYTES + 50_000, 1), (BLOCK_BYTES * 2 + 4_500, 2)] {
            let mut other = old.clone();
            other[place as usize] = b'y';
            fs::write(&path, &other).unwrap();
            let (file, meta) = look(&path);
            assert!(cursor.holds(&file, &meta).unwrap());
            assert_eq!(cursor.holds_block(&file, changed).unwrap(), Some(false));
        }
    }
}
