//! How a sealed bundle is unlocked: with the key in the link, or with a passphrase that the share key is wrapped with.

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Payload},
};
use data_encoding::HEXLOWER;
use readalong_model::Digest;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{NONCE, SCHEME, ShareKey};
use crate::BundleError;

/// Rounds of PBKDF2-SHA256 that a passphrase costs; each guess costs them again.
pub const PASSPHRASE_ROUNDS: u32 = 600_000;
/// The most rounds that are counted on behalf of a file from elsewhere: about a minute.
const ROUNDS_MAX: u32 = 60_000_000;
/// The version of the sealed form.
pub(super) const VERSION: u32 = 1;

/// What lies in clear beside a sealed bundle, so that it can be unlocked. It has no secret of the share, and stays the same as long as key
/// and passphrase do: whoever publishes keeps it with the share key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Version of the sealed form.
    pub(super) version: u32,
    /// Tells a wrong key, hex.
    check: String,
    /// There where a passphrase opens it.
    #[serde(skip_serializing_if = "Option::is_none")]
    passphrase: Option<Wrapped>,
    /// The beginning of the digest of the other members, hex: tells a damaged file from a wrong passphrase.
    sum: String,
}

/// A share key that a passphrase opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Wrapped {
    /// 16 random bytes, hex.
    salt: String,
    rounds: u32,
    /// The encrypted share key, hex.
    key: String,
}

impl Lock {
    /// For a link that carries the key.
    pub fn of(key: &ShareKey) -> Self {
        Self::new(key, None)
    }

    /// For a passphrase.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn with_passphrase(key: &ShareKey, passphrase: &str) -> Result<Self, getrandom::Error> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt)?;
        let cipher = wrapping(passphrase, &salt, PASSPHRASE_ROUNDS);
        let sealed = cipher.encrypt(&NONCE.into(), payload(&key.0, &aad()));
        let sealed = sealed.expect("the cipher takes 64 GiB");
        let wrapped = Wrapped {
            salt: HEXLOWER.encode(&salt),
            rounds: PASSPHRASE_ROUNDS,
            key: HEXLOWER.encode(&sealed),
        };
        Ok(Self::new(key, Some(wrapped)))
    }

    /// True where a passphrase opens it.
    pub fn has_passphrase(&self) -> bool {
        self.passphrase.is_some()
    }

    /// The share key, by its passphrase.
    ///
    /// # Errors
    /// The passphrase is another, or the lock has none or is damaged.
    pub fn unlock(&self, passphrase: &str) -> Result<ShareKey, BundleError> {
        let damaged = || BundleError::DamagedLock;
        self.check_sum()?;
        let wrapped = self.passphrase.as_ref().ok_or(BundleError::NoPassphrase)?;
        let salt = HEXLOWER.decode(wrapped.salt.as_bytes());
        let sealed = HEXLOWER.decode(wrapped.key.as_bytes());
        let (Ok(salt), Ok(sealed), true) = (salt, sealed, wrapped.rounds <= ROUNDS_MAX) else {
            return Err(damaged());
        };
        let cipher = wrapping(passphrase, &salt, wrapped.rounds);
        let key = cipher.decrypt(&NONCE.into(), payload(&sealed, &aad()));
        let key = key.map_err(|_| BundleError::WrongPassphrase)?;
        let key = ShareKey(key.try_into().map_err(|_| damaged())?);
        self.check(&key).map(|()| key)
    }

    /// Fails where this is not the key that opens it.
    pub(super) fn check(&self, key: &ShareKey) -> Result<(), BundleError> {
        self.check_sum()?;
        match HEXLOWER.encode(&key.check()) == self.check {
            true => Ok(()),
            false => Err(BundleError::WrongKey),
        }
    }

    fn check_sum(&self) -> Result<(), BundleError> {
        match self.sum == self.sum() {
            true => Ok(()),
            false => Err(BundleError::DamagedLock),
        }
    }

    fn new(key: &ShareKey, passphrase: Option<Wrapped>) -> Self {
        let mut lock = Self {
            version: VERSION,
            check: HEXLOWER.encode(&key.check()),
            passphrase,
            sum: String::new(),
        };
        lock.sum = lock.sum();
        lock
    }

    fn sum(&self) -> String {
        let mut text = format!("{} {}", self.version, self.check);
        if let Some(Wrapped { salt, rounds, key }) = &self.passphrase {
            text.push_str(&format!(" {salt} {rounds} {key}"));
        }
        Digest::of(text.as_bytes()).short(16)
    }
}

fn wrapping(passphrase: &str, salt: &[u8], rounds: u32) -> Aes256Gcm {
    let mut key = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(passphrase.as_bytes(), salt, rounds, &mut key);
    Aes256Gcm::new(&key.into())
}

fn aad() -> String {
    format!("{SCHEME} passphrase")
}

fn payload<'a>(msg: &'a [u8], aad: &'a str) -> Payload<'a, 'a> {
    Payload {
        msg,
        aad: aad.as_bytes(),
    }
}
