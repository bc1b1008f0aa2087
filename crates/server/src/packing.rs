//! Packs bytes by brotli and gzip.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use crate::content::Packing;

/// Up to this size brotli works at level 5: its higher levels cost 30 ms a file before they gain anything.
const QUICK_BYTES_MAX: u64 = 256 << 10;
/// Up to this size brotli works at level 9; beyond it that takes seconds.
const THOROUGH_BYTES_MAX: u64 = 8 << 20;
/// Levels of brotli for the sizes above.
const QUICK: i32 = 5;
const THOROUGH: i32 = 9;
/// Window of brotli, as a power of two: 4 MiB.
const BROTLI_WINDOW: i32 = 22;

/// Packs a file into `to` with the endings of its packings, where that is smaller.
pub(crate) fn pack(from: &Path, to: &Path) -> io::Result<()> {
    let bytes = fs::read(from)?;
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    for (packing, packed) in [
        (Packing::Brotli, brotli(&bytes)?),
        (Packing::Gzip, gzip(&bytes)?),
    ] {
        if packed.len() < bytes.len() {
            let mut path = to.as_os_str().to_owned();
            path.push(packing.ending());
            fs::write(path, packed)?;
        }
    }
    Ok(())
}

/// Bytes packed by brotli, as thoroughly as their number allows.
pub(crate) fn brotli(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let quality = match bytes.len() as u64 {
        size if size <= QUICK_BYTES_MAX => QUICK,
        size if size <= THOROUGH_BYTES_MAX => THOROUGH,
        _ => QUICK,
    };
    let params = brotli::enc::BrotliEncoderParams {
        quality,
        lgwin: BROTLI_WINDOW,
        size_hint: bytes.len(),
        ..Default::default()
    };
    let mut out = Vec::with_capacity(bytes.len() / 4);
    brotli::BrotliCompress(&mut &*bytes, &mut out, &params)?;
    Ok(out)
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = flate2::write::GzEncoder::new(
        Vec::with_capacity(bytes.len() / 4),
        flate2::Compression::default(),
    );
    out.write_all(bytes)?;
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_bytes_are_the_same_when_unpacked() {
        let text = "a chat about kites and wind ".repeat(500).into_bytes();
        let mut unpacked = Vec::new();
        brotli::BrotliDecompress(&mut &*brotli(&text).unwrap(), &mut unpacked).unwrap();
        assert_eq!(unpacked, text);
        let packed = gzip(&text).unwrap();
        let mut unpacked = Vec::new();
        io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*packed), &mut unpacked).unwrap();
        assert_eq!(unpacked, text);
    }
}
