//! What commands take out of chats: flags, the configuration file, and what is said of it at the end.

use std::{
    collections::BTreeSet,
    env, fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use readalong_bundle::Spool;
use readalong_model::Digest;
use readalong_redact::{Files, Finding, Options, Personal, Redactor, Report};
use serde::Deserialize;

use crate::output;

/// Name of the configuration file below the folder for that.
const CONFIG_FILE: &str = "readalong/config.toml";
/// Names another configuration file.
const CONFIG_ENV: &str = "READALONG_CONFIG";

/// Whether secrets are taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// All are taken out but those that are waived.
    On,
    /// All stay; each has to be waived.
    Off,
}

/// What is taken out of a chat before anybody else sees it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Secrets")]
pub(crate) struct Redaction {
    /// Take secrets out; `off` leaves them in, and wants --waive to say which
    #[arg(long, value_enum, default_value = "on", value_name = "on|off")]
    redact: Mode,

    /// Leave this in: a kind or rule, the id of a secret (see `readalong inspect --secrets`), or `all`; can be given several times
    #[arg(long, value_name = "WHAT")]
    waive: Vec<String>,

    /// Also shorten home folders: /home/ann/x becomes ~/x
    #[arg(long)]
    hide_home_paths: bool,

    /// Also take out names of users and machines
    #[arg(long)]
    hide_names: bool,

    /// Also take out mail addresses
    #[arg(long)]
    hide_mail: bool,

    /// Also take out telephone numbers
    #[arg(long)]
    hide_phones: bool,

    /// Also take out IP addresses
    #[arg(long)]
    hide_addresses: bool,

    /// Also take out characters that nobody sees
    #[arg(long)]
    hide_invisible: bool,

    /// Configuration file with rules of your own and what may stay
    #[arg(long, value_name = "FILE", env = CONFIG_ENV, hide_env_values = true)]
    config: Option<PathBuf>,
}

impl Redaction {
    /// What takes the secrets out.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub(crate) fn redactor(&self) -> anyhow::Result<Redactor> {
        Ok(Redactor::new(self.options()?)?)
    }

    /// What is taken out, and what stays.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub(crate) fn options(&self) -> anyhow::Result<Options> {
        let mut options = options(self.config.as_deref())?;
        options.kept.extend(self.waive.iter().cloned());
        let personal = &mut options.personal;
        personal.home_paths |= self.hide_home_paths;
        personal.names |= self.hide_names;
        personal.mail |= self.hide_mail;
        personal.phones |= self.hide_phones;
        personal.addresses |= self.hide_addresses;
        personal.hidden |= self.hide_invisible;
        Ok(options)
    }

    /// True where data about people is to go that the configuration does not name.
    pub(crate) fn hides_more(&self) -> bool {
        self.hide_home_paths
            || self.hide_names
            || self.hide_mail
            || self.hide_phones
            || self.hide_addresses
            || self.hide_invisible
    }

    /// What stays because somebody said so on the command line.
    pub(crate) fn waived(&self) -> &[String] {
        &self.waive
    }

    /// True where nothing is to be taken out.
    pub(crate) fn is_off(&self) -> bool {
        self.redact == Mode::Off
    }

    /// Refuses to go on where nothing is to be taken out and it was not said of everything that it may stay.
    ///
    /// # Errors
    /// Something was found that is not waived.
    pub(crate) fn check(&self, report: &Report) -> anyhow::Result<()> {
        if self.redact == Mode::On || report.removed() == 0 {
            return Ok(());
        }
        print_findings(report)?;
        bail!(
            "`--redact off` would publish {}; say that you waive it: --waive all, or --waive with kinds, rules or ids from the list",
            summary(report)
        )
    }
}

/// The configuration file. Members that it does not know are an error: a slip of the pen must not leave a secret in.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    redact: RedactConfig,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RedactConfig {
    /// What may stay everywhere.
    keep: Vec<String>,
    home_paths: bool,
    names: bool,
    mail: bool,
    phones: bool,
    addresses: bool,
    invisible: bool,
    /// Rules of one's own.
    rule: Vec<toml::Table>,
}

/// What the configuration says: the file that is named, else the usual one where it is there.
///
/// # Errors
/// The file cannot be read or says something that is not known.
pub(crate) fn options(named: Option<&Path>) -> anyhow::Result<Options> {
    let from_env = || {
        env::var_os(CONFIG_ENV)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let path = match named.map(Path::to_owned).or_else(from_env) {
        Some(path) => path,
        None => match usual_path().filter(|path| path.is_file()) {
            Some(path) => path,
            None => return Ok(Options::default()),
        },
    };
    let reading = || format!("cannot use the configuration `{}`", path.display());
    let text = fs::read_to_string(&path).with_context(reading)?;
    let config: Config = toml::from_str(&text).with_context(reading)?;
    let RedactConfig {
        keep,
        home_paths,
        names,
        mail,
        phones,
        addresses,
        invisible,
        rule,
    } = config.redact;
    let rules = match rule.is_empty() {
        true => None,
        false => {
            let mut rules = toml::Table::new();
            rules.insert("rule".to_owned(), rule.into());
            Some(toml::to_string(&rules).with_context(reading)?)
        }
    };
    Ok(Options {
        rules,
        kept: keep,
        personal: Personal {
            home_paths,
            names,
            mail,
            phones,
            addresses,
            hidden: invisible,
        },
    })
}

fn usual_path() -> Option<PathBuf> {
    let named = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let folder = named("XDG_CONFIG_HOME").or_else(|| Some(named("HOME")?.join(".config")))?;
    Some(folder.join(CONFIG_FILE))
}

/// Artifacts of a chat that lie in a spool.
pub(crate) struct Spooled<'a>(pub(crate) &'a Spool);

impl Files for Spooled<'_> {
    fn read(&mut self, digest: Digest) -> io::Result<Option<Vec<u8>>> {
        match self.0.read(digest) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> io::Result<Digest> {
        self.0.keep(bytes)
    }
}

/// What was taken out, in words: `2 secrets (GitHub token, password)`.
pub(crate) fn summary(report: &Report) -> String {
    let count = report.removed();
    let kinds: Vec<&str> = report.removed_by_kind().into_keys().collect();
    let more = kinds.len().saturating_sub(KINDS_NAMED);
    let mut named = kinds[..kinds.len().min(KINDS_NAMED)].join(", ");
    if more > 0 {
        named.push_str(&format!(" and {more} other kinds"));
    }
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} secret{plural} ({named})")
}

/// Kinds that a summary names.
const KINDS_NAMED: usize = 6;

/// Says what was taken out, where anything was.
pub(crate) fn note(report: &Report) {
    if report.removed() > 0 {
        output::note(&format!("{} taken out", summary(report)));
    }
    if report.kept() > 0 {
        let plural = if report.kept() == 1 { "" } else { "s" };
        output::note(&format!(
            "warning: {} secret{plural} left in, as you said",
            report.kept()
        ));
    }
}

/// Lists every finding, a line each; never a secret.
///
/// # Errors
/// The output cannot be written.
pub(crate) fn print_findings(report: &Report) -> anyhow::Result<()> {
    let mut ids = BTreeSet::new();
    for found in &report.findings {
        ids.insert(&found.id);
        output::print_line(&line(found))?;
    }
    if !report.findings.is_empty() {
        output::print_line(&format!(
            "{} places, {} secrets",
            report.findings.len(),
            ids.len()
        ))?;
    }
    Ok(())
}

fn line(found: &Finding) -> String {
    let kept = if found.kept { "  (stays)" } else { "" };
    format!(
        "{}  {:<8}  {}  {}  [{}] in {}{kept}",
        found.id, found.sure, found.kind, found.hint, found.rule, found.place
    )
}
