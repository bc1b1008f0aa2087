//! Checks that some formats of secrets carry within themselves.

use readalong_model::Digest;

/// A check of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// The last six characters are the CRC-32 of the 30 before them in base 62 (GitHub's and npm's tokens).
    Crc32Base62,
    /// The last eight characters are the CRC-32 of what stands before the last `_`, in hexadecimal (Grafana's tokens).
    Crc32Hex,
    /// Base 58 with the beginning of a double SHA-256 at its end (Bitcoin's keys).
    Base58Check,
    /// Bech32 (BIP-173), as age writes its identities.
    Bech32,
    /// Luhn's digit (cards).
    Luhn,
}

const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const BECH32: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
/// Longer texts are no keys in base 58.
const BASE58_CHARS_MAX: usize = 128;

impl Checksum {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "crc32-base62" => Self::Crc32Base62,
            "crc32-hex" => Self::Crc32Hex,
            "base58check" => Self::Base58Check,
            "bech32" => Self::Bech32,
            "luhn" => Self::Luhn,
            _ => return None,
        })
    }

    /// True where a secret's own check is right.
    pub(crate) fn holds(self, secret: &str) -> bool {
        match self {
            Self::Crc32Base62 => crc32_base62(secret),
            Self::Crc32Hex => crc32_hex(secret),
            Self::Base58Check => base58check(secret),
            Self::Bech32 => bech32(&secret.to_ascii_lowercase()),
            Self::Luhn => luhn(secret),
        }
    }
}

fn crc32_base62(secret: &str) -> bool {
    let Some((_, body)) = secret.rsplit_once('_') else {
        return false;
    };
    let Some((random, check)) = body.split_at_checked(body.len().saturating_sub(6)) else {
        return false;
    };
    let mut crc = crc32fast::hash(random.as_bytes());
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(crc % 62) as usize];
        crc /= 62;
    }
    check.as_bytes() == digits
}

fn crc32_hex(secret: &str) -> bool {
    secret
        .rsplit_once('_')
        .is_some_and(|(body, check)| check == format!("{:08x}", crc32fast::hash(body.as_bytes())))
}

fn base58check(secret: &str) -> bool {
    if secret.len() > BASE58_CHARS_MAX {
        return false;
    }
    // The number's bytes, the last first.
    let mut bytes: Vec<u8> = Vec::with_capacity(secret.len());
    for char in secret.bytes() {
        let Some(digit) = BASE58.iter().position(|known| *known == char) else {
            return false;
        };
        let mut carry = digit;
        for byte in &mut bytes {
            carry += usize::from(*byte) * 58;
            *byte = carry as u8;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.push(carry as u8);
            carry >>= 8;
        }
    }
    bytes.extend(secret.bytes().take_while(|char| *char == b'1').map(|_| 0));
    bytes.reverse();
    let Some((body, check)) = bytes.split_last_chunk::<4>() else {
        return false;
    };
    let once = Digest::of(body);
    Digest::of(once.as_bytes()).as_bytes().starts_with(check)
}

fn bech32(secret: &str) -> bool {
    let Some((prefix, data)) = secret.rsplit_once('1') else {
        return false;
    };
    let mut check: u32 = 1;
    let mut add = |value: u8| {
        const GENERATOR: [u32; 5] = [
            0x3b6a_57b2,
            0x2650_8e6d,
            0x1ea1_19fa,
            0x3d42_33dd,
            0x2a14_62b3,
        ];
        let top = check >> 25;
        check = (check & 0x01ff_ffff) << 5 ^ u32::from(value);
        for (bit, generator) in GENERATOR.iter().enumerate() {
            if top >> bit & 1 == 1 {
                check ^= generator;
            }
        }
    };
    prefix.bytes().for_each(|char| add(char >> 5));
    add(0);
    prefix.bytes().for_each(|char| add(char & 31));
    for char in data.bytes() {
        let Some(digit) = BECH32.iter().position(|known| *known == char) else {
            return false;
        };
        add(digit as u8);
    }
    check == 1
}

fn luhn(number: &str) -> bool {
    let digits: Vec<u32> = number
        .chars()
        .filter_map(|char| char.to_digit(10))
        .collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 => *digit,
            _ => (digit * 2) / 10 + (digit * 2) % 10,
        })
        .sum();
    digits.len() >= 12 && sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_holds_for_what_is_sound_and_for_nothing_else() {
        for (checksum, sound) in [
            (
                Checksum::Crc32Base62,
                "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",
            ),
            // The examples of BIP-173 and of Bitcoin's wiki; the number is the usual one of test cards.
            (Checksum::Bech32, "a12uel5l"),
            (
                Checksum::Base58Check,
                "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ",
            ),
            (Checksum::Luhn, "4242 4242 4242 4242"),
        ] {
            assert!(checksum.holds(sound), "{sound}");
            let last = sound.chars().last().unwrap_or('x');
            let other = if last == '2' { '3' } else { '2' };
            let damaged = format!("{}{other}", &sound[..sound.len() - 1]);
            assert!(!checksum.holds(&damaged), "{damaged}");
            assert!(!checksum.holds(""));
        }
    }
}
