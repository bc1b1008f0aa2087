//! Answers with bytes that have a name: strong ETags, one range, precompressed forms, from memory or from disk.

use std::{
    io,
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{
        ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
        CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE, VARY,
    },
};
use http_body::{Frame, SizeHint};
use readalong_model::Digest;
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncSeekExt, ReadBuf},
};

use crate::underway::Cut;

/// Bytes of a file that are read at once when it is streamed.
const READ_BYTES: usize = 64 << 10;

/// How bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Packing {
    /// As they are.
    Plain,
    /// By gzip.
    Gzip,
    /// By brotli.
    Brotli,
}

impl Packing {
    /// What a file is called that holds bytes packed so, after its own name.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Gzip => ".gz",
            Self::Brotli => ".br",
        }
    }

    fn coding(self) -> Option<HeaderValue> {
        match self {
            Self::Plain => None,
            Self::Gzip => Some(HeaderValue::from_static("gzip")),
            Self::Brotli => Some(HeaderValue::from_static("br")),
        }
    }

    fn etag(self, sha256: Digest) -> HeaderValue {
        let text = match self {
            Self::Plain => format!("\"{sha256}\""),
            Self::Gzip => format!("\"{sha256}-gz\""),
            Self::Brotli => format!("\"{sha256}-br\""),
        };
        HeaderValue::try_from(text).expect("a digest is ASCII")
    }
}

/// Which packings a client takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Takes {
    /// Brotli.
    pub(crate) brotli: bool,
    /// Gzip.
    pub(crate) gzip: bool,
}

impl Takes {
    /// What a request says. Who wants a part of the bytes gets them plain: parts of packed bytes are of no use.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut takes = Self::default();
        if headers.contains_key(RANGE) {
            return takes;
        }
        for value in headers.get_all(ACCEPT_ENCODING) {
            for coding in value.to_str().unwrap_or_default().split(',') {
                let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
                let refused = weight.split_once('=').is_some_and(|(_, weight)| {
                    weight
                        .trim()
                        .parse::<f32>()
                        .is_ok_and(|weight| weight == 0.0)
                });
                match name.trim() {
                    name if name.eq_ignore_ascii_case("br") => takes.brotli = !refused,
                    name if name.eq_ignore_ascii_case("gzip") => takes.gzip = !refused,
                    _ => {}
                }
            }
        }
        takes
    }
}

/// Where bytes are.
pub(crate) enum Source {
    /// In memory.
    Bytes(Bytes),
    /// On disk. The stream ends with an error when it is cut: what it belongs to is gone.
    File {
        /// The file.
        path: PathBuf,
        /// Its length.
        size_bytes: u64,
        /// Says when nobody may read on.
        cut: Cut,
    },
}

impl Source {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { size_bytes, .. } => *size_bytes,
        }
    }
}

/// Bytes with all that an answer says of them.
pub(crate) struct Content {
    /// What they are.
    pub(crate) media_type: HeaderValue,
    /// Digest of the plain bytes.
    pub(crate) sha256: Digest,
    /// How they are packed.
    pub(crate) packing: Packing,
    /// Where they are.
    pub(crate) source: Source,
}

/// True where the client has these bytes already.
pub(crate) fn is_known(headers: &HeaderMap, sha256: Digest, packing: Packing) -> bool {
    let Some(known) = headers.get(IF_NONE_MATCH) else {
        return false;
    };
    let etag = packing.etag(sha256);
    let etag = etag.as_bytes();
    known.as_bytes() == b"*"
        || known.as_bytes() == etag
        || known.to_str().is_ok_and(|list| {
            list.split(',')
                .any(|one| one.trim().trim_start_matches("W/").as_bytes() == etag)
        })
}

/// 304: the client has these bytes.
pub(crate) fn not_modified(sha256: Digest, packing: Packing) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    let headers = response.headers_mut();
    headers.insert(ETAG, packing.etag(sha256));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    response
}

impl Content {
    /// The answer to a request for these bytes.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(crate) async fn answer(self, request: &HeaderMap) -> io::Result<Response> {
        if is_known(request, self.sha256, self.packing) {
            return Ok(not_modified(self.sha256, self.packing));
        }
        let etag = self.packing.etag(self.sha256);
        let len = self.source.len();
        let part = match self.packing {
            Packing::Plain => part(request, len, &etag),
            _ => Part::Whole,
        };
        let (status, first, count) = match part {
            Part::Whole => (StatusCode::OK, 0, len),
            Part::Range { first, count } => (StatusCode::PARTIAL_CONTENT, first, count),
            Part::Outside => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0),
        };
        let body = match (self.source, count) {
            (_, 0) => Body::empty(),
            (Source::Bytes(bytes), _) => {
                let first = usize::try_from(first)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                let end = first.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
                Body::from(bytes.slice(first..end.min(bytes.len())))
            }
            (Source::File { path, cut, .. }, _) => {
                let mut file = File::open(&path).await?;
                if first > 0 {
                    file.seek(io::SeekFrom::Start(first)).await?;
                }
                file.set_max_buf_size(READ_BYTES);
                Body::new(FileBody {
                    file,
                    left: count,
                    buffer: BytesMut::new(),
                    cut,
                })
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.reserve(16);
        headers.insert(CONTENT_TYPE, self.media_type);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(count));
        headers.insert(ETAG, etag);
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if let Some(coding) = self.packing.coding() {
            headers.insert(CONTENT_ENCODING, coding);
        }
        let range = match part {
            Part::Whole => None,
            Part::Range { first, count } => {
                Some(format!("bytes {first}-{}/{len}", first + count - 1))
            }
            Part::Outside => Some(format!("bytes */{len}")),
        };
        if let Some(range) = range.and_then(|range| HeaderValue::try_from(range).ok()) {
            headers.insert(CONTENT_RANGE, range);
        }
        Ok(response)
    }
}

/// Which of the bytes are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Range { first: u64, count: u64 },
    Outside,
}

/// Reads `Range`. Several ranges, other units and what cannot be read mean the whole.
fn part(headers: &HeaderMap, len: u64, etag: &HeaderValue) -> Part {
    let wanted = headers.get(RANGE).and_then(|value| value.to_str().ok());
    let Some(wanted) = wanted.and_then(|text| text.strip_prefix("bytes=")) else {
        return Part::Whole;
    };
    if headers.get(IF_RANGE).is_some_and(|known| known != etag) {
        return Part::Whole;
    }
    let Some((from, to)) = wanted.trim().split_once('-') else {
        return Part::Whole;
    };
    let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse::<u64>().ok(),
        false => None,
    };
    let (first, last) = match (from, to) {
        ("", to) => match number(to) {
            Some(0) => return Part::Outside,
            Some(count) => (len.saturating_sub(count), len.saturating_sub(1)),
            None => return Part::Whole,
        },
        (from, "") => match number(from) {
            Some(first) => (first, len.saturating_sub(1)),
            None => return Part::Whole,
        },
        (from, to) => match (number(from), number(to)) {
            (Some(first), Some(last)) if first <= last => (first, last.min(len.saturating_sub(1))),
            _ => return Part::Whole,
        },
    };
    match first < len {
        true => Part::Range {
            first,
            count: last - first + 1,
        },
        false => Part::Outside,
    }
}

/// A file on its way, piece by piece.
struct FileBody {
    file: File,
    left: u64,
    buffer: BytesMut,
    cut: Cut,
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        if self.cut.is_set() {
            let gone = io::Error::new(io::ErrorKind::NotFound, "the share is gone");
            return Poll::Ready(Some(Err(gone)));
        }
        let this = &mut *self;
        let wanted = READ_BYTES.min(usize::try_from(this.left).unwrap_or(READ_BYTES));
        this.buffer.resize(wanted, 0);
        let mut into = ReadBuf::new(&mut this.buffer);
        ready!(Pin::new(&mut this.file).poll_read(context, &mut into))?;
        let read = into.filled().len();
        if read == 0 {
            let short = io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter now");
            return Poll::Ready(Some(Err(short)));
        }
        this.left -= read as u64;
        let piece = this.buffer.split_to(read).freeze();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(http::HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.clone(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn one_range_is_served_and_several_are_not() {
        let etag = HeaderValue::from_static("\"x\"");
        for (range, expected) in [
            ("bytes=0-0", Part::Range { first: 0, count: 1 }),
            ("bytes=5-", Part::Range { first: 5, count: 5 }),
            ("bytes=-3", Part::Range { first: 7, count: 3 }),
            (
                "bytes=-30",
                Part::Range {
                    first: 0,
                    count: 10,
                },
            ),
            ("bytes=2-300", Part::Range { first: 2, count: 8 }),
            ("bytes=10-", Part::Outside),
            ("bytes=-0", Part::Outside),
            ("bytes=0-1,4-5", Part::Whole),
            ("bytes=5-2", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=99999999999999999999-", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("bytes=", Part::Whole),
        ] {
            assert_eq!(
                part(&headers(&[(RANGE, range)]), 10, &etag),
                expected,
                "{range}"
            );
        }
        let known = headers(&[(RANGE, "bytes=1-2"), (IF_RANGE, "\"x\"")]);
        assert_eq!(part(&known, 10, &etag), Part::Range { first: 1, count: 2 });
        let old = headers(&[(RANGE, "bytes=1-2"), (IF_RANGE, "\"y\"")]);
        assert_eq!(part(&old, 10, &etag), Part::Whole);
        assert_eq!(
            part(&headers(&[(RANGE, "bytes=-3")]), 0, &etag),
            Part::Outside
        );
    }

    #[test]
    fn packings_are_taken_as_the_request_says() {
        let takes = |text: &str| {
            let takes = Takes::of(&headers(&[(ACCEPT_ENCODING, text)]));
            (takes.brotli, takes.gzip)
        };
        assert_eq!(takes("gzip, deflate, br, zstd"), (true, true));
        assert_eq!(takes("gzip;q=1.0, br;q=0"), (false, true));
        assert_eq!(takes("GZIP"), (false, true));
        assert_eq!(takes("identity"), (false, false));
        assert_eq!(takes("brotli, x-gzip"), (false, false));
    }

    #[test]
    fn known_bytes_are_found_in_lists() {
        let sha256 = Digest::of(b"");
        let known =
            |text: String, packing| is_known(&headers(&[(IF_NONE_MATCH, &text)]), sha256, packing);
        assert!(known(format!("\"{sha256}\""), Packing::Plain));
        assert!(known(format!("\"a\", W/\"{sha256}-br\""), Packing::Brotli));
        assert!(!known(format!("\"{sha256}\""), Packing::Brotli));
        assert!(known("*".to_owned(), Packing::Gzip));
    }
}
