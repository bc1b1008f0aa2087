//! Data about people and machines, each kind taken out only where its owner asks for it.

use std::{collections::BTreeSet, net::Ipv6Addr, ops::Range, sync::LazyLock};

use regex_automata::meta::Regex;
use serde::{Deserialize, Serialize};

use crate::view::is_invisible;

/// Which kinds of data about people are taken out; none by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Personal {
    /// Home folders: `/home/ann/x` becomes `~/x`.
    pub home_paths: bool,
    /// Names of users and machines, as home folders and prompts tell them.
    pub names: bool,
    /// Mail addresses.
    pub mail: bool,
    /// Telephone numbers.
    pub phones: bool,
    /// Addresses of machines in networks (IP).
    pub addresses: bool,
    /// Characters that are not seen and can carry text or turn it around.
    pub hidden: bool,
}

/// Names of programs and roles, which name nobody.
const NOBODY: [&str; 20] = [
    "root",
    "user",
    "users",
    "runner",
    "ubuntu",
    "debian",
    "admin",
    "app",
    "node",
    "vscode",
    "home",
    "shared",
    "public",
    "default",
    "guest",
    "test",
    "git",
    "www",
    "codespace",
    "username",
];
/// Shorter names are words.
const NAME_CHARS_MIN: usize = 3;

static HOME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:/home/|/Users/|/export/home/|[A-Za-z]:\\{1,4}Users\\{1,4})(?P<name>[0-9A-Za-z][0-9A-Za-z._-]{0,63})",
    )
});
static PROMPT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?P<user>\b[a-z_][0-9a-z_-]{1,31})@(?P<host>[0-9A-Za-z][0-9A-Za-z-]{1,62}):[~/][^\s$#%]{0,200}[$#%]",
    )
});
static MAIL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"\b[0-9A-Za-z][0-9A-Za-z._%+-]{0,63}@(?:[0-9A-Za-z-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")
});
static PHONE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\+[1-9][0-9]{0,2}[ .-]?(?:\([0-9]{1,4}\)[ .-]?)?(?:[0-9]{1,4}[ .-]?){2,5}[0-9]{2,4}\b|\(?\b[2-9][0-9]{2}\)?[ .-][0-9]{3}[ .-][0-9]{4}\b",
    )
});
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b|\b[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:]{1,37}[0-9A-Fa-f]\b|\b[0-9A-Fa-f]{1,4}::\b",
    )
});

fn pattern(pattern: &str) -> Regex {
    let syntax = regex_automata::util::syntax::Config::new()
        .unicode(false)
        .utf8(false);
    let built = Regex::builder().syntax(syntax).build(pattern);
    built.expect("the patterns of this file are regular expressions")
}

/// What stands in the place of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) range: Range<usize>,
    /// For the mark or the report.
    pub(crate) kind: &'static str,
    /// Instead of a mark.
    pub(crate) instead: Option<&'static str>,
}

/// Names that were found in a chat.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    users: BTreeSet<String>,
    hosts: BTreeSet<String>,
}

impl Personal {
    /// True where nothing is asked for.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// What a text holds of the kinds that are asked for.
    pub(crate) fn find(&self, text: &str, names: &mut Names) -> Vec<Trace> {
        let mut found = Vec::new();
        if self.is_none() {
            return found;
        }
        if self.names {
            names.learn(text);
        }
        let mut add = |range, kind, instead| {
            found.push(Trace {
                range,
                kind,
                instead,
            })
        };
        if self.home_paths {
            for path in HOME.find_iter(text) {
                add(path.range(), "home folder", Some("~"));
            }
        }
        if self.mail {
            let is_real = |mail: &str| {
                !mail.starts_with("git@") && !mail.to_ascii_lowercase().contains("noreply")
            };
            for mail in MAIL
                .find_iter(text)
                .filter(|mail| is_real(&text[mail.range()]))
            {
                add(mail.range(), "mail address", None);
            }
        }
        if self.phones {
            for phone in PHONE.find_iter(text) {
                let digits = text[phone.range()]
                    .bytes()
                    .filter(u8::is_ascii_digit)
                    .count();
                if (8..=15).contains(&digits) {
                    add(phone.range(), "phone number", None);
                }
            }
        }
        if self.addresses {
            for address in ADDRESS.find_iter(text) {
                if is_address(&text[address.range()]) {
                    add(address.range(), "IP address", None);
                }
            }
        }
        if self.names {
            names.find(text, &mut add);
        }
        if self.hidden {
            for (at, char) in text.char_indices() {
                if is_invisible(char) && !matches!(char, '\u{200c}' | '\u{200d}' | '\u{ad}') {
                    add(at..at + char.len_utf8(), "hidden character", Some(""));
                }
            }
        }
        found
    }
}

fn is_address(text: &str) -> bool {
    if let Ok(address) = text.parse::<std::net::Ipv4Addr>() {
        return !(address.is_loopback() || address.is_unspecified() || address.is_broadcast());
    }
    // Times of day look like the beginning of one.
    let is_long = text.matches(':').count() >= 3 || text.contains("::");
    is_long
        && text
            .parse::<Ipv6Addr>()
            .is_ok_and(|address| !address.is_loopback())
}

impl Names {
    fn learn(&mut self, text: &str) {
        let is_name = |name: &str| {
            name.len() >= NAME_CHARS_MIN && !NOBODY.contains(&name.to_ascii_lowercase().as_str())
        };
        let learn = |regex: &Regex, group: &str, names: &mut BTreeSet<String>| {
            for found in regex.captures_iter(text) {
                if let Some(name) = found.get_group_by_name(group) {
                    let name = text[name.range()].trim_end_matches(['.', '-']);
                    if is_name(name) {
                        names.insert(name.to_owned());
                    }
                }
            }
        };
        learn(&HOME, "name", &mut self.users);
        learn(&PROMPT, "user", &mut self.users);
        learn(&PROMPT, "host", &mut self.hosts);
    }

    fn find(
        &self,
        text: &str,
        add: &mut dyn FnMut(Range<usize>, &'static str, Option<&'static str>),
    ) {
        let bytes = text.as_bytes();
        let is_part = |at: Option<&u8>| at.is_some_and(u8::is_ascii_alphanumeric);
        for (names, instead) in [(&self.users, "user"), (&self.hosts, "host")] {
            for name in names {
                for (at, _) in text.match_indices(name.as_str()) {
                    let end = at + name.len();
                    let is_whole = !is_part(at.checked_sub(1).and_then(|at| bytes.get(at)))
                        && !is_part(bytes.get(end));
                    if is_whole {
                        add(at..end, "name", Some(instead));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(personal: Personal, text: &str, wanted: &str) {
        let mut found = personal.find(text, &mut Names::default());
        found.sort_by_key(|trace| trace.range.start);
        let mut new = String::new();
        let mut at = 0;
        for trace in found {
            if trace.range.start < at {
                continue;
            }
            new.push_str(&text[at..trace.range.start]);
            new.push_str(
                &trace
                    .instead
                    .map_or(format!("[{}]", trace.kind), str::to_owned),
            );
            at = trace.range.end;
        }
        new.push_str(&text[at..]);
        assert_eq!(new, wanted);
    }

    #[test]
    fn each_kind_is_taken_out_where_it_is_asked_for() {
        let none = Personal::default();
        let text = "/home/ann/x ann@build7:~/x$ mail a.b@site.org +49 30 1234567 10.1.2.3";
        check(none, text, text);
        let with = |set: fn(&mut Personal)| {
            let mut personal = none;
            set(&mut personal);
            personal
        };
        check(
            with(|p| p.home_paths = true),
            "cd /home/ann/x; C:\\Users\\ann\\y",
            "cd ~/x; ~\\y",
        );
        check(
            with(|p| p.names = true),
            text,
            &text.replace("ann", "user").replace("build7", "host"),
        );
        check(
            with(|p| p.mail = true),
            "a.b@site.org, git@github.com:x/y",
            "[mail address], git@github.com:x/y",
        );
        check(
            with(|p| p.phones = true),
            "+49 30 1234567, (555) 123-4567, 2026-11-27",
            "[phone number], [phone number], 2026-11-27",
        );
        check(
            with(|p| p.addresses = true),
            "10.1.2.3 127.0.0.1 fe80::1 12:34:56",
            "[IP address] 127.0.0.1 [IP address] 12:34:56",
        );
        check(
            with(|p| p.hidden = true),
            "a\u{200b}b\u{202e}c\u{e0041}",
            "abc",
        );
    }
}
