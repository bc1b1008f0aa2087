//! `readalong config`: what is in force, and where each value comes from.

use std::process::ExitCode;

use clap::Args;
use readalong_publish::without_credentials;
use serde_json::{Value as Json, json};
use toml::Value;

use crate::{
    cmd::serve::ServerFlags,
    config::{KEYS, is_secret},
    data::Data,
    output,
};

/// What is shown in place of a secret.
const MASK: &str = "(set, not shown)";

/// Keys whose values are places to publish to: their addresses can carry passwords.
const PLACES: [&str; 2] = ["to", "mirror"];

/// Print what is set, and where each value comes from: a file's line, the environment, a flag, or the default
#[derive(Args)]
#[command(
    after_help = "Examples:\n  readalong config\n  readalong config --config /etc/readalong/config.toml\n  readalong config --addr 0.0.0.0:4141\n\n\
                  Takes the flags of `serve`, to show what they change. What is printed can be used as a configuration file; secrets are not shown, and their lines are comments."
)]
pub(crate) struct Config {
    #[command(flatten)]
    flags: ServerFlags,

    /// Print one line of JSON for each key, for scripts
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    data: Data,
}

impl Config {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let settings = self.data.settings(self.flags.flags())?;
        if !self.json {
            output::print_line(&match &settings.file {
                Some(file) => format!("# read from {}", file.display()),
                None => "# there is no configuration file".to_owned(),
            })?;
        }
        for key in KEYS {
            let (value, origin) = settings.value(key)?;
            let shown = value.clone().map(|value| masked(key.name, value));
            if self.json {
                let from = origin.to_string();
                let line = json!({ "key": key.name, "value": shown, "from": from });
                output::print_line(&line.to_string())?;
                continue;
            }
            // What stands for a secret is none: read as a file, it would take the secret's place.
            let comment = if shown == value { "" } else { "# " };
            output::print_line(&match shown {
                Some(shown) => format!(
                    "{comment}{} = {}  # {origin}",
                    key.name,
                    on_one_line(&shown)
                ),
                None => format!("# {} is not set", key.name),
            })?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A value without the secrets in it.
fn masked(name: &str, value: Value) -> Value {
    match value {
        Value::Table(table) => {
            let inner = table.into_iter().map(|(inner, value)| {
                let value = masked(&inner, value);
                (inner, value)
            });
            Value::Table(inner.collect())
        }
        Value::Array(values) => {
            let values = values.into_iter().map(|value| masked(name, value));
            Value::Array(values.collect())
        }
        _ if is_secret(name) => MASK.into(),
        Value::String(place) if PLACES.contains(&name) => without_credentials(&place).into(),
        value => value,
    }
}

/// A value as TOML writes it behind `=`.
fn on_one_line(value: &Value) -> String {
    match value {
        Value::Table(table) => {
            let pairs = table.iter().map(|(name, value)| {
                let name = Value::from(name.as_str());
                format!("{} = {}", on_one_line(&name), on_one_line(value))
            });
            let pairs: Vec<String> = pairs.collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(on_one_line).collect();
            format!("[{}]", values.join(", "))
        }
        // Texts of several lines would be written as such.
        Value::String(text) => Json::from(text.as_str()).to_string(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown_wherever_they_stand() {
        let table: toml::Table =
            "url = 'https://a'\nsecret_access_key = 'x'\nto = 'git+http://me:x-y@b'\n[[more]]\ntoken = 'y'"
                .parse()
                .unwrap();
        let shown = on_one_line(&masked("targets", table.into()));
        assert!(shown.contains("https://a"), "{shown}");
        assert!(
            !shown.contains("\"x\"") && !shown.contains("\"y\""),
            "{shown}"
        );
        assert!(shown.contains("\"git+http://b\""), "{shown}");
        let again: toml::Table = format!("a = {shown}").parse().unwrap();
        assert_eq!(again["a"]["secret_access_key"].as_str(), Some(MASK));
    }
}
