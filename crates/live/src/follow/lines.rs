//! Takes whole lines of a growing file, a piece at a time.

use std::{
    fs::{File, Metadata},
    io,
    time::Duration,
};

use memchr::{memchr, memrchr};
use readalong_import::LINE_BYTES_MAX;

use super::files::read_at;
use crate::cursor::Cursor;

/// Bytes of whole lines that are taken at once.
const PIECE_BYTES: u64 = 1 << 20;
/// The beginning of a line is looked through again each time up to here: a torn one may have been replaced.
const BEGUN_LINE_BYTES: u64 = 64 << 10;

/// Whole lines of a file that grows.
pub(crate) struct Lines {
    cursor: Cursor,
    /// No line ends between the cursor and here.
    searched: u64,
    /// The line at the cursor is longer than any that is read.
    too_long: bool,
    /// A last line without its end was taken: what comes must begin with the end of it.
    open_line_taken: bool,
}

/// A last line without its end that is a whole JSON value is taken when it stood still so long.
pub(crate) const OPEN_LINE_STANDS: Duration = Duration::from_secs(1);
/// One that is no whole value is taken as a damaged record when it stood still so long: its writer is gone.
pub(crate) const OPEN_LINE_IS_BROKEN: Duration = Duration::from_secs(10);

/// What came.
pub(crate) enum Piece {
    /// Whole lines; the last one may lack its end.
    Lines(Vec<u8>, Rest),
    /// A line of so many bytes was passed over.
    TooLong(u64),
    /// No whole line. True where the file ends in one that is not whole.
    Nothing(bool),
    /// The file is not the one that was read: it is to be read from its beginning.
    Replaced,
}

/// What follows some lines at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing.
    Nothing,
    /// A line without end.
    OpenLine,
    /// More lines.
    Lines,
}

impl Lines {
    /// From the beginning of a file.
    pub(crate) fn new(meta: &Metadata) -> Self {
        Self {
            cursor: Cursor::start(meta),
            searched: 0,
            too_long: false,
            open_line_taken: false,
        }
    }

    pub(crate) fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// The next lines, as whole lines. A last one without end is taken when the file stood still for a while: soon where it is a whole JSON
    /// value, much later where it is none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn next(
        &mut self,
        file: &File,
        meta: &Metadata,
        still: Duration,
    ) -> io::Result<Piece> {
        if !self.cursor.holds(file, meta)? {
            return Ok(Piece::Replaced);
        }
        if self.open_line_taken && meta.len() > self.cursor.offset() {
            match read_at(file, self.cursor.offset(), 2)?.as_slice() {
                [b'\n', ..] => self.cursor.advance(file, b"\n")?,
                end @ b"\r\n" => self.cursor.advance(file, end)?,
                b"\r" => return Ok(Piece::Nothing(true)),
                _ => return Ok(Piece::Replaced),
            }
            self.open_line_taken = false;
        }
        let (offset, size) = (self.cursor.offset(), meta.len());
        if self.searched < offset + BEGUN_LINE_BYTES || self.searched > size {
            self.searched = offset;
        }
        while self.searched < size {
            let bytes = read_at(file, self.searched, PIECE_BYTES as usize)?;
            if bytes.is_empty() {
                break;
            }
            let end = self.searched + bytes.len() as u64;
            let found = match self.too_long {
                true => memchr(b'\n', &bytes),
                false => memrchr(b'\n', &bytes),
            };
            let Some(found) = found else {
                self.searched = end;
                self.too_long |= end - offset > LINE_BYTES_MAX;
                continue;
            };
            let length = self.searched + found as u64 + 1 - offset;
            if self.too_long {
                self.too_long = false;
                self.cursor.pass_over(file, length)?;
                return Ok(Piece::TooLong(length - 1));
            }
            let lines = if self.searched == offset {
                let mut bytes = bytes;
                bytes.truncate(found + 1);
                bytes
            } else {
                read_at(file, offset, length as usize)?
            };
            self.cursor.advance(file, &lines)?;
            let rest = if end < size {
                Rest::Lines
            } else if self.cursor.offset() < size {
                Rest::OpenLine
            } else {
                Rest::Nothing
            };
            return Ok(Piece::Lines(lines, rest));
        }
        if size > offset && still >= OPEN_LINE_STANDS && !self.too_long {
            return self.take_open_line(file, still);
        }
        Ok(Piece::Nothing(size > offset))
    }

    fn take_open_line(&mut self, file: &File, still: Duration) -> io::Result<Piece> {
        let line = read_at(file, self.cursor.offset(), LINE_BYTES_MAX as usize)?;
        if memchr(b'\n', &line).is_some() {
            // It came just now, or in place of what was there: the next look finds it.
            self.searched = self.cursor.offset();
            return Ok(Piece::Nothing(true));
        }
        let is_value = serde_json::from_slice::<serde::de::IgnoredAny>(&line).is_ok();
        if !is_value && still < OPEN_LINE_IS_BROKEN {
            return Ok(Piece::Nothing(true));
        }
        self.cursor.advance(file, &line)?;
        self.open_line_taken = true;
        Ok(Piece::Lines(line, Rest::Nothing))
    }
}
