//! Bundles for hosts that cannot check who reads: every file encrypted, opened in the reader's browser or here (`docs/encryption.md`).
//!
//! A *share key* of 256 random bits opens everything. Each piece has a key of its own, derived from the share key and from a tag that stands
//! for purpose, name and content, so no key ever meets two plaintexts. Sealing the same content again gives the same bytes.
//!
//! Random numbers are drawn for new share keys and salts, and for nothing else.

mod lock;
mod sealed;

use std::{fmt, str::FromStr};

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Payload},
};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use readalong_model::Digest;
use sha2::Sha256;

use crate::pack::{deflated, inflated};

pub use lock::{Lock, PASSPHRASE_ROUNDS};
pub use sealed::{Connections, INDEX, SealedBundle, SealedIndex, reader, seal};

/// What every derivation begins with: the scheme and its version.
const SCHEME: &str = "readalong sealed 1";
/// No key is used twice, so the nonce need not change.
const NONCE: [u8; 12] = [0; 12];
/// A plaintext begins with the form of its body and the body's length.
const HEAD_BYTES: usize = 5;
/// No piece is smaller: small files look alike.
const PADDED_BYTES_MIN: usize = 1024;
/// The largest content of a piece, so that no browser has to hold more of a file at once. What is larger is cut.
pub const PIECE_BYTES_MAX: usize = 4 << 20;
/// The body is as it was, or deflated.
const STORED: u8 = 0;
const DEFLATED: u8 = 1;

/// What opens an encrypted share: 256 random bits. It stays the same when the share is updated, so whoever publishes keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct ShareKey([u8; 32]);

/// The text is no share key.
#[derive(Debug, thiserror::Error)]
#[error("this is no key of a share: it has 43 letters, digits, `-` and `_`")]
pub struct ShareKeyError;

/// Something encrypted, as a script file: pages from `file://` can load nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Stands for purpose, name and content; only who has the share key can tell which.
    pub tag: Digest,
    /// The file.
    pub script: Vec<u8>,
}

/// Why a piece cannot be opened.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PieceError {
    /// It is not of this form.
    #[error("it is no encrypted piece")]
    NoPiece,
    /// A bit was changed, or it is of another share.
    #[error("it is damaged, or encrypted with another key")]
    Damaged,
    /// It is a piece of this share, and not the one that was asked for.
    #[error("it was exchanged for another")]
    Exchanged,
    /// With those before it, it is longer than any index.
    #[error("it makes the index longer than any is")]
    TooLong,
}

impl ShareKey {
    /// Draws a new key.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Encrypts something that is called `name` and serves a `purpose` (`[a-z-]+`). It is padded, so that its length tells little.
    ///
    /// # Panics
    /// The content is longer than [`PIECE_BYTES_MAX`], or purpose or name hold a NUL.
    pub fn seal(&self, purpose: &str, name: &str, content: &[u8]) -> Piece {
        self.seal_body(purpose, name, (DEFLATED, &deflated(content)))
    }

    /// The same for what is compressed already.
    fn seal_stored(&self, purpose: &str, name: &str, content: &[u8]) -> Piece {
        self.seal_body(purpose, name, (STORED, content))
    }

    fn seal_body(&self, purpose: &str, name: &str, (form, body): (u8, &[u8])) -> Piece {
        assert!(
            !purpose.contains('\0') && !name.contains('\0'),
            "names end at NUL"
        );
        let length = u32::try_from(body.len()).expect("a piece is cut before it gets so large");
        let mut plain = Vec::with_capacity(padded(HEAD_BYTES + body.len()));
        plain.push(form);
        plain.extend(length.to_be_bytes());
        plain.extend(body);
        plain.resize(padded(plain.len()), 0);
        let tag = self.tag(purpose, name, &plain);
        let aad = aad(purpose);
        let payload = Payload {
            msg: &plain,
            aad: aad.as_bytes(),
        };
        let sealed = self.cipher(purpose, tag).encrypt(&NONCE.into(), payload);
        let sealed = sealed.expect("the cipher takes 64 GiB");
        let script = format!(
            "sealed(\"{tag}\",\"{}\");\n",
            BASE64_STANDARD.encode(sealed)
        );
        Piece {
            tag,
            script: script.into_bytes(),
        }
    }

    /// Decrypts what [`ShareKey::seal`] gave for this purpose and name.
    ///
    /// # Errors
    /// It is another piece, or damaged, or no piece.
    pub fn open(&self, purpose: &str, name: &str, script: &[u8]) -> Result<Vec<u8>, PieceError> {
        let (tag, sealed) = call(script).ok_or(PieceError::NoPiece)?;
        let aad = aad(purpose);
        let payload = Payload {
            msg: &sealed,
            aad: aad.as_bytes(),
        };
        let plain = self.cipher(purpose, tag).decrypt(&NONCE.into(), payload);
        let plain = plain.map_err(|_| PieceError::Damaged)?;
        if self.tag(purpose, name, &plain) != tag {
            return Err(PieceError::Exchanged);
        }
        let (head, body) = plain
            .split_at_checked(HEAD_BYTES)
            .ok_or(PieceError::NoPiece)?;
        let length: [u8; 4] = head[1..].try_into().expect("the head has five bytes");
        let body = body.get(..u32::from_be_bytes(length) as usize);
        let body = body.ok_or(PieceError::NoPiece)?;
        match head[0] {
            STORED => Ok(body.to_vec()),
            DEFLATED => inflated(body, PIECE_BYTES_MAX).map_err(|_| PieceError::NoPiece),
            _ => Err(PieceError::NoPiece),
        }
    }

    /// A keyed digest of purpose, name and plaintext: it names a piece, and makes its key.
    fn tag(&self, purpose: &str, name: &str, plain: &[u8]) -> Digest {
        let key = self.derive::<32>(None, "names");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
        for part in [purpose, "\0", name, "\0"] {
            mac.update(part.as_bytes());
        }
        mac.update(Digest::of(plain).as_bytes());
        let tag: [u8; 32] = mac.finalize().into_bytes().into();
        tag.into()
    }

    fn cipher(&self, purpose: &str, tag: Digest) -> Aes256Gcm {
        let key = self.derive::<32>(Some(tag), &format!("piece {purpose}"));
        Aes256Gcm::new(&key.into())
    }

    /// What anybody may see of the key: it tells a wrong key from a damaged file.
    fn check(&self) -> [u8; 16] {
        self.derive(None, "check")
    }

    fn derive<const BYTES: usize>(&self, salt: Option<Digest>, what: &str) -> [u8; BYTES] {
        let salt = salt.as_ref().map(|salt| salt.as_bytes().as_slice());
        let mut key = [0; BYTES];
        Hkdf::<Sha256>::new(salt, &self.0)
            .expand(format!("{SCHEME} {what}").as_bytes(), &mut key)
            .expect("HKDF gives up to 8,160 bytes");
        key
    }
}

fn aad(purpose: &str) -> String {
    format!("{SCHEME} piece {purpose}")
}

/// Tag and ciphertext of a script file.
fn call(script: &[u8]) -> Option<(Digest, Vec<u8>)> {
    let script = std::str::from_utf8(script).ok()?;
    let arguments = script.strip_prefix("sealed(\"")?.strip_suffix("\");\n")?;
    let (tag, base64) = arguments.split_once("\",\"")?;
    Some((tag.parse().ok()?, BASE64_STANDARD.decode(base64).ok()?))
}

/// The length that a plaintext is padded to: at most 12 % more, and few lengths there are (Padmé, of the PURBs paper).
fn padded(length: usize) -> usize {
    let length = length.max(PADDED_BYTES_MIN);
    let exponent = length.ilog2();
    let free_bits = exponent - (exponent.ilog2() + 1);
    length.next_multiple_of(1 << free_bits)
}

/// As it stands in a link: base64url.
impl fmt::Display for ShareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl FromStr for ShareKey {
    type Err = ShareKeyError;

    fn from_str(text: &str) -> Result<Self, ShareKeyError> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text);
        let bytes = bytes.ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(ShareKeyError)
    }
}

/// Never the key itself.
impl fmt::Debug for ShareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShareKey(…)")
    }
}

#[cfg(test)]
mod tests;
