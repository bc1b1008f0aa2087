//! The keys that can be set, in the order in which docs/configuration.md has them; and what stands in a file besides.

use anyhow::{Context, anyhow, bail};
use strsim::jaro_winkler;
use toml::{
    Value,
    de::{DeTable, DeValue},
};

/// How like a key has to be to what was written to be what was meant.
const LIKENESS_MIN: f64 = 0.7;

/// One key of the configuration.
pub(crate) struct Key {
    /// Its name with its tables, as in `limits.streams`.
    pub(crate) name: &'static str,
    /// What it holds.
    pub(crate) kind: Kind,
}

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Number,
    /// True or false.
    Flag,
    /// A list of texts.
    List,
    /// Tables whose members whoever uses them checks; only a file can say so much.
    Tables,
}

const fn key(name: &'static str, kind: Kind) -> Key {
    Key { name, kind }
}

/// All keys.
pub(crate) const KEYS: &[Key] = &[
    key("data", Kind::Text),
    key("addr", Kind::Text),
    key("base_url", Kind::Text),
    key("trusted_proxies", Kind::List),
    key("follow", Kind::List),
    key("theme", Kind::Text),
    key("log", Kind::Text),
    key("signin.user_header", Kind::Text),
    key("signin.new_users", Kind::Text),
    key("signin.oidc.issuer", Kind::Text),
    key("signin.oidc.client_id", Kind::Text),
    key("signin.oidc.client_secret", Kind::Text),
    key("signin.oidc.name", Kind::Text),
    key("limits.requests_per_second", Kind::Number),
    key("limits.requests_burst", Kind::Number),
    key("limits.streams_per_address", Kind::Number),
    key("limits.streams", Kind::Number),
    key("limits.connections_per_address", Kind::Number),
    key("limits.connections", Kind::Number),
    key("limits.head_timeout_s", Kind::Number),
    key("limits.body_timeout_s", Kind::Number),
    key("limits.write_timeout_s", Kind::Number),
    key("limits.drain_s", Kind::Number),
    key("limits.file_cache_bytes", Kind::Number),
    key("redact.keep", Kind::List),
    key("redact.home_paths", Kind::Flag),
    key("redact.names", Kind::Flag),
    key("redact.mail", Kind::Flag),
    key("redact.phones", Kind::Flag),
    key("redact.addresses", Kind::Flag),
    key("redact.invisible", Kind::Flag),
    key("redact.rule", Kind::Tables),
    key("mirror", Kind::Text),
    key("mirror_encrypt", Kind::Flag),
    key("target", Kind::Tables),
];

impl Key {
    /// The variable of the environment that sets it.
    pub(crate) fn env(&self) -> Option<String> {
        let name = self.name.to_uppercase().replace('.', "_");
        (self.kind != Kind::Tables).then(|| format!("READALONG_{name}"))
    }
}

impl Kind {
    /// What a text of the environment means.
    ///
    /// # Errors
    /// It means nothing.
    pub(crate) fn read(self, text: &str) -> anyhow::Result<Value> {
        Ok(match self {
            Self::Text => text.into(),
            Self::Number => text
                .parse::<i64>()
                .with_context(|| format!("`{text}` is no whole number"))?
                .into(),
            Self::Flag => match text {
                "true" | "1" => true.into(),
                "false" | "0" => false.into(),
                _ => bail!("`{text}` is neither true nor false"),
            },
            Self::List => {
                let pieces = text.split(',').map(str::trim);
                let pieces = pieces.filter(|piece| !piece.is_empty());
                pieces.map(Value::from).collect::<Vec<_>>().into()
            }
            Self::Tables => bail!("this can be set in a file only"),
        })
    }

    /// Something that such a key can hold.
    #[cfg(test)]
    pub(crate) fn sample(self, name: &str) -> Value {
        match (self, name) {
            (_, "addr") => "127.0.0.1:0".into(),
            (_, "base_url") => "https://chats.example".into(),
            (_, "signin.new_users") => "refuse".into(),
            (_, "trusted_proxies") => vec!["10.0.0.9"].into(),
            (Self::Text, _) => "x".into(),
            (Self::Number, _) => 7.into(),
            (Self::Flag, _) => true.into(),
            (Self::List, _) => vec!["x"].into(),
            (Self::Tables, _) => vec![toml::Table::new()].into(),
        }
    }
}

/// True for names whose values are not shown.
pub(crate) fn is_secret(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    ["secret", "password", "token", "access_key"]
        .iter()
        .any(|word| last.contains(word))
}

/// The keys that a file sets, each with its line.
///
/// # Errors
/// It is no TOML, or says what is not known.
pub(crate) fn lines(text: &str) -> anyhow::Result<Vec<(&'static str, usize)>> {
    let table = DeTable::parse(text).map_err(|error| told(text, &error))?;
    let mut found = Vec::new();
    walk(text, table.get_ref(), "", &mut found)?;
    Ok(found)
}

/// What is wrong with a file, in one line: the parser shows the place in lines of its own.
pub(crate) fn told(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let message = error.message().replace('\n', "; ");
    let Some(span) = error.span() else {
        return anyhow!(message);
    };
    let number = text[..span.start].matches('\n').count();
    let line = text.lines().nth(number).unwrap_or_default();
    anyhow!("line {}: {message}, in `{}`", number + 1, line.trim())
}

fn walk(
    text: &str,
    table: &DeTable<'_>,
    before: &str,
    found: &mut Vec<(&'static str, usize)>,
) -> anyhow::Result<()> {
    for (name, value) in table {
        let line = 1 + text[..name.span().start].matches('\n').count();
        let whole = format!("{before}{}", name.get_ref());
        let inside = format!("{whole}.");
        let is_table = KEYS.iter().any(|key| key.name.starts_with(&inside));
        match (KEYS.iter().find(|key| key.name == whole), value.get_ref()) {
            (Some(key), _) => found.push((key.name, line)),
            (None, DeValue::Table(inner)) if is_table => walk(text, inner, &inside, found)?,
            (None, _) if is_table => bail!("line {line}: `{whole}` is a table: write `[{whole}]`"),
            (None, _) => bail!("line {line}: there is no key `{whole}`{}", meant(&whole)),
        }
    }
    Ok(())
}

/// The key that is most like one that is not there.
fn meant(wrong: &str) -> String {
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    let likeness = |key: &Key| {
        let whole = jaro_winkler(wrong, key.name);
        // Right, but in another table.
        let apart = jaro_winkler(&last(wrong), &last(key.name)) - 0.05;
        whole.max(apart)
    };
    let nearest = KEYS
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest.filter(|key| likeness(key) >= LIKENESS_MIN) {
        Some(key) => format!("; did you mean `{}`?", key.name),
        None => "; docs/configuration.md lists them".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_not_there_is_told_with_its_line_and_what_was_meant() {
        for (text, error) in [
            (
                "\naddrr = 1",
                "line 2: there is no key `addrr`; did you mean `addr`?",
            ),
            (
                "[limits]\nstream = 1",
                "line 2: there is no key `limits.stream`; did you mean `limits.streams`?",
            ),
            (
                "[redact]\nkepe = []",
                "line 2: there is no key `redact.kepe`; did you mean `redact.keep`?",
            ),
            (
                "[server]\nbase_url = 'x'",
                "line 1: there is no key `server`; docs/configuration.md lists them",
            ),
            (
                "[limits]\nbase_url = 'x'",
                "line 2: there is no key `limits.base_url`; did you mean `base_url`?",
            ),
            (
                "limits = 3",
                "line 1: `limits` is a table: write `[limits]`",
            ),
        ] {
            assert_eq!(lines(text).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn names_of_secrets_are_known() {
        assert!(is_secret("signin.oidc.client_secret"));
        assert!(is_secret("targets.site.secret_access_key"));
        assert!(!is_secret("redact.keep") && !is_secret("base_url"));
    }
}
