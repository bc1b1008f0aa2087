//! Strings within JSON that is otherwise kept as it was written.

use crate::assignment;

/// Calls `see` with each string of a JSON value, decoded, and what names it: the member that it is the value of with the member around that, or the flag before it in a list.
/// A string for which `see` gives another is written anew; everything else keeps its bytes. `None` where nothing changes.
pub(crate) fn rewrite(
    json: &str,
    mut see: impl FnMut(&str, &str) -> Option<String>,
) -> Option<String> {
    let bytes = json.as_bytes();
    let mut out = String::new();
    let mut copied = 0;
    let mut levels: Vec<Level> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            open @ (b'{' | b'[') => levels.push(Level::new(open == b'{', &levels)),
            b'}' | b']' => {
                levels.pop();
            }
            b':' => {
                if let Some(level) = levels.last_mut() {
                    level.is_key = false;
                }
            }
            b',' => {
                if let Some(level) = levels.last_mut() {
                    level.is_key = level.is_object;
                }
            }
            b'"' => {
                let end = string_end(bytes, at);
                let literal = &json[at..end];
                let value = decoded(literal);
                let name = match levels.last() {
                    Some(level) if level.is_key => String::new(),
                    _ => name(&levels),
                };
                if let Some(new) = see(&name, &value) {
                    out.push_str(&json[copied..at]);
                    out.push_str(&serde_json::Value::String(new).to_string());
                    copied = end;
                }
                if let Some(level) = levels.last_mut() {
                    level.heard(value.into_owned());
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    (copied > 0).then(|| {
        out.push_str(&json[copied..]);
        out
    })
}

/// An object or list that is open.
struct Level {
    is_object: bool,
    /// The next string is a member's name.
    is_key: bool,
    /// The last member's name, or the last string of a list.
    last: String,
    /// What the object is called by a member of its own: `{"name": "DB_PASSWORD", "value": …}`.
    called: String,
    /// The nearest object around it: to look for it at each string would take as long as lists are deep.
    object_around: Option<usize>,
}

/// Longer names and flags name nothing.
const NAME_BYTES_MAX: usize = 128;

/// Members that say what the object is called of which `value` is the value.
const NAMES: [&str; 4] = ["name", "key", "variable", "var"];

impl Level {
    fn new(is_object: bool, around: &[Self]) -> Self {
        let object_around = around.last().and_then(|level| match level.is_object {
            true => Some(around.len() - 1),
            false => level.object_around,
        });
        Self {
            is_object,
            is_key: is_object,
            last: String::new(),
            called: String::new(),
            object_around,
        }
    }

    fn heard(&mut self, value: String) {
        let is_name = NAMES
            .iter()
            .any(|name| self.last.eq_ignore_ascii_case(name));
        if self.is_object && !self.is_key && is_name && value.len() <= NAME_BYTES_MAX {
            self.called.clone_from(&value);
        }
        if self.is_key || !self.is_object {
            self.last = match value.len() {
                0..=NAME_BYTES_MAX => value,
                _ => String::new(),
            };
        }
    }
}

/// What names the string that comes next.
fn name(levels: &[Level]) -> String {
    let Some((level, around)) = levels.split_last() else {
        return String::new();
    };
    if !level.is_object {
        if level.last.starts_with('-') {
            return level.last.clone();
        }
        return match around.last() {
            Some(around) if around.is_object => around.last.clone(),
            _ => String::new(),
        };
    }
    if level.last.eq_ignore_ascii_case("value") && assignment::is_telling(&level.called) {
        return level.called.clone();
    }
    match level.object_around.and_then(|at| around.get(at)) {
        Some(around) if !around.last.is_empty() => format!("{}.{}", around.last, level.last),
        _ => level.last.clone(),
    }
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match memchr::memchr2(b'"', b'\\', &bytes[at..]) {
            Some(next) if bytes[at + next] == b'"' => return at + next + 1,
            Some(next) => at += next + 2,
            None => break,
        }
    }
    bytes.len()
}

fn decoded(literal: &str) -> std::borrow::Cow<'_, str> {
    if !literal.contains('\\') {
        return literal.trim_matches('"').into();
    }
    // Half a surrogate pair is no text; what is around it still is.
    match serde_json::from_str::<String>(literal) {
        Ok(text) => text.into(),
        Err(_) => literal.trim_matches('"').into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_seen_with_their_names_and_the_rest_keeps_its_bytes() {
        let json = r#"{ "a":{"b":"x\ny", "n":1.50,"args":["--token","t",  "u"]},"c" : ["v"] }"#;
        let mut seen = Vec::new();
        let unchanged = rewrite(json, |name, value| {
            seen.push(format!("{name}={value}"));
            None
        });
        assert_eq!(unchanged, None);
        assert_eq!(
            seen,
            [
                "=a",
                "=b",
                "a.b=x\ny",
                "=n",
                "=args",
                "args=--token",
                "--token=t",
                "args=u",
                "=c",
                "c=v"
            ]
        );
        let changed = rewrite(json, |_, value| {
            (value == "t").then(|| "[\"x\"]".to_owned())
        });
        let wanted = json.replace("\"t\"", r#""[\"x\"]""#);
        assert_eq!(changed.unwrap(), wanted);
    }

    #[test]
    fn a_value_is_named_by_the_name_beside_it() {
        let json = r#"[{"Name":"DB_PASSWORD","Value":"x"},{"value":"y"},{"key":"a","value":{"value":"z"}}]"#;
        let mut seen = Vec::new();
        rewrite(json, |name, value| {
            seen.push(format!("{name}={value}"));
            None
        });
        let json = format!("[{json},{{\"password\":{{\"key\":\"prod\",\"value\":\"w\"}}}}]");
        rewrite(&json, |name, value| {
            seen.push(format!("{name}={value}"));
            None
        });
        for wanted in [
            "DB_PASSWORD=x",
            "value=y",
            "value.value=z",
            "password.value=w",
        ] {
            assert!(seen.iter().any(|seen| seen == wanted), "{seen:?}");
        }
    }

    #[test]
    fn strings_deep_in_lists_are_named_as_fast_as_others() {
        let (depth, members) = (100_000, 100_000);
        let json = format!(
            "{{\"q\":{}{{{}\"b\":\"c\"}}{}}}",
            "[".repeat(depth),
            "\"a\":\"b\",".repeat(members),
            "]".repeat(depth)
        );
        let mut named = 0;
        rewrite(&json, |name, _| {
            named += usize::from(name == "q.a");
            None
        });
        assert_eq!(named, members);
    }
}
