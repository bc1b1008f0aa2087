//! What looks like a secret and is none: placeholders, references to where the secret is, words, digests, well-known examples.

use crate::view::is_token;

/// Pieces that no real secret has: people who write documentation put them where one would stand.
const TELLING: [&str; 24] = [
    "xxxx",
    "****",
    "....",
    "____",
    "----",
    "example",
    "placeholder",
    "change-me",
    "changeme",
    "change_me",
    "replace_me",
    "replaceme",
    "replace-me",
    "your-",
    "your_",
    "yourkey",
    "yourtoken",
    "yoursecret",
    "yourpassword",
    "redacted",
    "dummy",
    "foobar",
    "insert_",
    "not-a-real",
];

/// In longer texts such a piece tells nothing.
const TELLING_BYTES_MAX: usize = 160;

/// Values that stand for a value.
const WORDS: [&str; 74] = [
    "password",
    "passwd",
    "passw0rd",
    "pass",
    "pwd",
    "secret",
    "token",
    "key",
    "apikey",
    "api_key",
    "api-key",
    "value",
    "string",
    "str",
    "text",
    "none",
    "null",
    "nil",
    "true",
    "false",
    "undefined",
    "empty",
    "default",
    "test",
    "testing",
    "test123",
    "user",
    "username",
    "admin",
    "root",
    "guest",
    "postgres",
    "mysql",
    "required",
    "optional",
    "hidden",
    "masked",
    "required|string",
    "bearer",
    "basic",
    "auto",
    "yes",
    "no",
    "int",
    "number",
    "bool",
    "boolean",
    "bytes",
    "object",
    "any",
    "unknown",
    "todo",
    "tbd",
    "here",
    "foo",
    "bar",
    "baz",
    "qux",
    "mypassword",
    "my_password",
    "mysecret",
    "my_secret",
    "mytoken",
    "my_token",
    "supersecret",
    "super_secret",
    "super-secret",
    "my-secret",
    "my-token",
    "my-password",
    "letmein",
    "sample",
    "fake",
    "s3cr3t",
];

/// What people put around a name for what is to be put there, and how programs say where it comes from.
const REFERENCES: [&str; 26] = [
    "${",
    "$(",
    "{{",
    "}}",
    "<%",
    "%>",
    "#{",
    "@{",
    "process.env",
    "os.environ",
    "os.getenv",
    "getenv(",
    "env(",
    "env.",
    "env[",
    "secrets.",
    "vault:",
    "vault.",
    "ssm:",
    "arn:aws",
    "op://",
    "secretref",
    "import.meta",
    "config.",
    "settings.",
    "self.",
];

/// A longer text in brackets is no name.
const NAME_BYTES_MAX: usize = 48;

/// Keys that vendors print in their documentation.
const WELL_KNOWN: [&str; 9] = [
    "4eC39HqLyjWDarjtT1zdp7dc",
    "BQokikJOvBiI2HlWgH4olfQ2",
    "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lI",
    "AIzaSyA1234567890",
    "16C7e42F292c6912E7710c838347Ae178B4a",
    "00000000-0000-0000-0000-000000000000",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
];

/// True for what stands in a secret's place and is none.
pub(crate) fn is_placeholder(secret: &str) -> bool {
    let lower = secret.to_ascii_lowercase();
    let core = lower.trim_matches(|char: char| !char.is_alphanumeric());
    core.is_empty()
        || WORDS.contains(&lower.as_str())
        || WORDS.contains(&core)
        || (secret.len() <= TELLING_BYTES_MAX && TELLING.iter().any(|piece| lower.contains(piece)))
        || is_reference(&lower)
        || is_monotonous(core)
        || WELL_KNOWN.iter().any(|known| secret.contains(known))
        || is_mark(secret)
}

/// True for a value that says where the secret is instead of what it is.
pub(crate) fn is_reference(lower: &str) -> bool {
    let is_wrapped = |open, close| {
        lower.len() <= NAME_BYTES_MAX && lower.starts_with(open) && lower.ends_with(close)
    };
    is_wrapped('<', '>')
        || is_wrapped('[', ']')
        || is_wrapped('{', '}')
        || is_wrapped('%', '%')
        || is_variable(lower)
        || REFERENCES.iter().any(|piece| lower.contains(piece))
}

/// `$NAME` and `${NAME}`; not `$6$…`, which is the beginning of a hash.
fn is_variable(lower: &str) -> bool {
    lower.strip_prefix('$').is_some_and(|rest| {
        !rest.contains('$')
            && rest.starts_with(|char: char| {
                char.is_ascii_alphabetic() || matches!(char, '_' | '{' | '(')
            })
    })
}

/// True for marks of ours and of others that remove secrets.
fn is_mark(secret: &str) -> bool {
    secret.contains("[redacted") || secret.contains("REDACTED") || secret.contains('•')
}

/// True for what has no more in it than a rule to make it: one character, a row of them, a repeated piece.
pub(crate) fn is_monotonous(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 4 {
        return false;
    }
    let mut seen = [false; 256];
    bytes
        .iter()
        .for_each(|byte| seen[usize::from(*byte)] = true);
    let distinct = seen.iter().filter(|seen| **seen).count();
    if distinct <= 2 || (distinct <= 3 && bytes.len() >= 12) {
        return true;
    }
    let steps = bytes
        .windows(2)
        .filter(|pair| pair[1] == pair[0] + 1 || (pair == b"90"))
        .count();
    if steps + 3 >= bytes.len() {
        return true;
    }
    // A run of digits in order, which no random text of the length has.
    let has_row = bytes.len() < 40
        && bytes.windows(8).any(|row| {
            row.windows(2)
                .all(|pair| pair[1] == pair[0] + 1 || pair == b"90")
        });
    has_row
        || (2..=8).any(|length| {
            bytes.len() >= 3 * length && bytes.chunks(length).all(|chunk| bytes.starts_with(chunk))
        })
}

/// Shannon's entropy in bits a character.
pub(crate) fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let length = text.len().max(1) as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / length;
            -share * share.log2()
        })
        .sum()
}

/// True for what is made of words as people name things: `my-app-secret`, `UserTokenService`, `src/auth/token`.
pub(crate) fn is_wordy(text: &str) -> bool {
    let mut in_words = 0;
    let mut letters_and_digits = 0;
    let mut end = 0;
    for piece in pieces(text) {
        let start = piece.as_ptr() as usize - text.as_ptr() as usize;
        let follows = start == end && start > 0;
        end = start + piece.len();
        letters_and_digits += piece.len();
        let is_case = piece[1..].iter().all(u8::is_ascii_lowercase)
            || piece.iter().all(u8::is_ascii_uppercase);
        let is_word = piece.len() >= 3 && is_case && has_usual_vowels(piece);
        // A number within letters is no number.
        let is_number = piece.len() <= 4 && !follows && piece.iter().all(u8::is_ascii_digit);
        if is_word || is_number {
            in_words += piece.len();
        }
    }
    letters_and_digits == 0 || in_words * 10 >= letters_and_digits * 7
}

/// Words, numbers and what lies between, cut where letters become digits or small become capital.
fn pieces(text: &str) -> impl Iterator<Item = &[u8]> {
    let bytes = text.as_bytes();
    bytes
        .chunk_by(|a, b| {
            let both = |is: fn(&u8) -> bool| is(a) && is(b);
            both(u8::is_ascii_lowercase)
                || both(u8::is_ascii_digit)
                || both(u8::is_ascii_uppercase)
                || a.is_ascii_uppercase() && b.is_ascii_lowercase()
        })
        .filter(|piece| piece[0].is_ascii_alphanumeric())
}

fn has_usual_vowels(word: &[u8]) -> bool {
    let vowels = word
        .iter()
        .filter(|byte| {
            matches!(
                byte.to_ascii_lowercase(),
                b'a' | b'e' | b'i' | b'o' | b'u' | b'y'
            )
        })
        .count();
    let longest_without = word
        .split(|byte| {
            matches!(
                byte.to_ascii_lowercase(),
                b'a' | b'e' | b'i' | b'o' | b'u' | b'y'
            )
        })
        .map(<[u8]>::len)
        .max()
        .unwrap_or(0);
    vowels * 6 >= word.len() && longest_without <= 4
}

/// True for what programs name things and places with.
pub(crate) fn is_path_or_address(value: &str) -> bool {
    let is_relative = ["./", "../", "~/", "/", "\\\\", "C:\\", "c:\\"];
    value.contains("://")
        || (is_relative.iter().any(|start| value.starts_with(start)) && is_wordy(value))
        || value.starts_with('@')
}

/// True for code in a value's place: a call, an index, a member, a type.
pub(crate) fn is_code(value: &str) -> bool {
    if value.contains("::") || value.contains("->") || value.contains("=>") {
        return true;
    }
    if value.contains(['(', ')', '[', ']', '{', '}']) {
        return true;
    }
    // `request.form.token`, `self.token`, `obj?.key`
    let is_name = |piece: &str| {
        let mut bytes = piece.trim_end_matches(['?', '!']).bytes();
        bytes
            .next()
            .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let pieces: Vec<&str> = value.split('.').collect();
    let is_member =
        pieces.len() >= 2 && pieces.iter().all(|piece| is_name(piece) && is_wordy(piece));
    let is_identifier = pieces.len() == 1 && is_name(value) && is_wordy(value);
    is_member || is_identifier
}

/// True where every byte is one that tokens are made of, or punctuation of passwords.
pub(crate) fn is_solid(value: &str) -> bool {
    value
        .bytes()
        .all(|byte| is_token(byte) || byte.is_ascii_punctuation())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_told_from_secrets() {
        for placeholder in [
            "xxxxxxxxxxxxxxxx",
            "<your token>",
            "${DB_PASSWORD}",
            "$TOKEN",
            "changeme",
            "{{ secret }}",
            "********",
            "sk-your_key_here",
            "AKIAIOSFODNN7EXAMPLE",
            "1234567890",
            "abcdefghijklmnop",
            "0123456789abcdef",
            "process.env.TOKEN",
            "aaaaaaaaaaaa",
            "deadbeefdeadbeefdeadbeefdeadbeef",
            "[redacted: token]",
            "...",
            "Password",
        ] {
            assert!(is_placeholder(placeholder), "{placeholder}");
        }
        for secret in [
            "hunter2",
            "Zq7Lw2Kd9Xc4",
            "p@ss,w0rd;x",
            "4f8a1c9e2b7d6035",
            "tr0ub4dor&3",
            "correcthorse",
        ] {
            assert!(!is_placeholder(secret), "{secret}");
        }
    }

    #[test]
    fn names_are_told_from_random_text() {
        for name in [
            "my-app-secret-2",
            "UserTokenService",
            "src/auth/token",
            "access_token_expiry",
            "GITHUB_TOKEN",
        ] {
            assert!(is_wordy(name), "{name}");
        }
        for random in ["Zq7Lw2Kd9Xc4Vb6N", "4f8a1c9e2b7d6035", "xkcdqwrtzpsdfghj"] {
            assert!(!is_wordy(random), "{random}");
        }
    }
}
