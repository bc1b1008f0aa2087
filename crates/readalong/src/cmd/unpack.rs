//! `readalong unpack`: a bundle again, from the file that it was packed in, or from an encrypted share.

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use readalong_bundle::{Package, SealedBundle, ShareKey};

use crate::{files, link, output};

/// Where the passphrase of an encrypted share is taken from, before somebody is asked for it.
const PASSPHRASE: &str = "READALONG_PASSPHRASE";

/// Unpack a bundle from the file that it was packed in, or from an encrypted share; it comes out verified, or not at all.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  readalong unpack chat.zip\n  readalong unpack chat.zip -o archive\n  readalong unpack encrypted-share --key 'https://chats.example/s/0c5f…/#k=…'"
)]
pub(crate) struct Unpack {
    /// What `readalong pack` wrote, a zip of a bundle's folder, or the folder of an encrypted share
    #[arg(value_name = "FILE|DIR")]
    file: PathBuf,

    /// Folder that the bundle goes to, under its id
    #[arg(short, long, default_value = "exports", value_name = "DIR")]
    out: PathBuf,

    /// What opens an encrypted share: its link, or the key in it; without it the passphrase is asked for
    #[arg(long, env = "READALONG_KEY", hide_env_values = true, value_name = "KEY|LINK", value_parser = parse_key)]
    key: Option<ShareKey>,
}

impl Unpack {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let bar = output::progress_bar("unpacking", 0, true);
        let mut package = match self.file.is_dir() {
            true => opened(&self.file, self.key)?,
            false => files::package(&self.file, &bar)?,
        };
        let written = package.unpack(&self.out)?;
        bar.finish_and_clear();
        let index = written.path.join("index.html");
        output::print_line(&format!("{}  {}", index.display(), written.id))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The bundle in an encrypted share.
fn opened(folder: &Path, key: Option<ShareKey>) -> anyhow::Result<Package> {
    let key = match key {
        Some(key) => key,
        None => {
            let lock = SealedBundle::lock(folder)?;
            let passphrase = match env::var(PASSPHRASE) {
                Ok(passphrase) => passphrase,
                // Nobody is asked for what would not help.
                Err(_) if !lock.has_passphrase() => String::new(),
                Err(_) => output::ask_secret(
                    "Passphrase of the share: ",
                    &format!("set {PASSPHRASE}, or give the link with --key"),
                )?,
            };
            lock.unlock(&passphrase)?
        }
    };
    Ok(SealedBundle::package(folder, &key)?)
}

/// Reads a key, or a link that ends with one.
fn parse_key(text: &str) -> Result<ShareKey, String> {
    let parsed = link::key(text).unwrap_or(text).parse();
    parsed.map_err(|error: readalong_bundle::ShareKeyError| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_from_its_link() {
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        let link = format!("https://chats.example/s/x/#m0123456789ab&p=2.html&k={key}");
        for text in [key, &link, &format!("#k={key}")] {
            assert_eq!(parse_key(text).unwrap().to_string(), key);
        }
        assert!(parse_key("https://chats.example/s/x/").is_err());
    }
}
