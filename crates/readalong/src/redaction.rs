//! What commands take out of chats: the configuration, flags, and what is said of it at the end.

use std::{collections::BTreeSet, io};

use anyhow::bail;
use clap::{Args, ValueEnum};
use readalong_bundle::Spool;
use readalong_model::Digest;
use readalong_redact::{Files, Finding, Options, Redactor, Report};

use crate::{config::Config, output};

/// Whether secrets are taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// All are taken out but those that are waived.
    On,
    /// All stay; each has to be waived.
    Off,
}

/// What these flags stand below in help; of each, since a heading of the whole goes on over the flags that follow.
const SECRETS: &str = "Secrets";

/// What is taken out of a chat before anybody else sees it.
#[derive(Args, Clone, Debug)]
pub(crate) struct Redaction {
    /// Take secrets out, as is done where nothing is said; `off` leaves them in, and wants --waive to say which
    #[arg(long, value_enum, value_name = "on|off", help_heading = SECRETS)]
    redact: Option<Mode>,

    /// Leave this in: a kind or rule, the id of a secret (see `readalong inspect --secrets`), or `all`; can be given several times
    #[arg(long, value_name = "WHAT", help_heading = SECRETS)]
    waive: Vec<String>,

    /// Also shorten home folders: /home/ann/x becomes ~/x
    #[arg(long, help_heading = SECRETS)]
    hide_home_paths: bool,

    /// Also take out names of users and machines
    #[arg(long, help_heading = SECRETS)]
    hide_names: bool,

    /// Also take out mail addresses
    #[arg(long, help_heading = SECRETS)]
    hide_mail: bool,

    /// Also take out telephone numbers
    #[arg(long, help_heading = SECRETS)]
    hide_phones: bool,

    /// Also take out IP addresses
    #[arg(long, help_heading = SECRETS)]
    hide_addresses: bool,

    /// Also take out characters that nobody sees
    #[arg(long, help_heading = SECRETS)]
    hide_invisible: bool,
}

impl Redaction {
    /// What takes the secrets out.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub(crate) fn redactor(&self, config: &Config) -> anyhow::Result<Redactor> {
        Ok(Redactor::new(self.options(config)?)?)
    }

    /// What is taken out, and what stays.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub(crate) fn options(&self, config: &Config) -> anyhow::Result<Options> {
        let mut options = config.redact()?;
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

    /// The first of these flags that was given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--redact", self.redact.is_some()),
            ("--waive", !self.waive.is_empty()),
            ("--hide-home-paths", self.hide_home_paths),
            ("--hide-names", self.hide_names),
            ("--hide-mail", self.hide_mail),
            ("--hide-phones", self.hide_phones),
            ("--hide-addresses", self.hide_addresses),
            ("--hide-invisible", self.hide_invisible),
        ];
        let given = given.into_iter().find(|(_, is_given)| *is_given);
        given.map(|(flag, _)| flag)
    }

    /// What stays because somebody said so on the command line.
    pub(crate) fn waived(&self) -> &[String] {
        &self.waive
    }

    /// True where nothing is to be taken out.
    pub(crate) fn is_off(&self) -> bool {
        self.redact == Some(Mode::Off)
    }

    /// Refuses to go on where nothing is to be taken out and it was not said of everything that it may stay. Warns of what was waived and is not there: it may be a slip.
    ///
    /// # Errors
    /// Something was found that is not waived.
    pub(crate) fn check(&self, report: &Report) -> anyhow::Result<()> {
        for what in self.waive.iter().filter(|what| *what != "all") {
            let is_found = |found: &Finding| {
                found.kind.eq_ignore_ascii_case(what)
                    || [found.rule.as_str(), found.id.as_str()].contains(&what.as_str())
            };
            if !report.findings.iter().any(is_found) {
                output::note(&format!(
                    "warning: --waive {what}: the chat has no secret of that kind, rule or id"
                ));
            }
        }
        if !self.is_off() || report.removed() == 0 {
            return Ok(());
        }
        print_findings(report)?;
        bail!(
            "`--redact off` would publish {}; say that you waive it: --waive all, or --waive with kinds, rules or ids from the list",
            summary(report)
        )
    }
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
    format!("{} ({named})", output::count(count, "secret"))
}

/// Kinds that a summary names.
const KINDS_NAMED: usize = 6;

/// Says what was taken out, where anything was.
pub(crate) fn note(report: &Report) {
    if report.removed() > 0 {
        output::note(&format!("{} taken out", summary(report)));
    }
    if report.kept() > 0 {
        let kept = output::count(report.kept(), "secret");
        output::note(&format!("warning: {kept} left in, as you said"));
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
            "{}, {}",
            output::count(report.findings.len(), "place"),
            output::count(ids.len(), "secret")
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
