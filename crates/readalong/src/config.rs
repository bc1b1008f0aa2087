//! What readalong is set to: the configuration file, the environment and the flags, merged in this order into one [`Config`].
//!
//! Nothing else reads the file. A key that is not known is an error: a slip of the pen must not leave a secret in, or a door open.

mod keys;

use std::{
    collections::BTreeMap,
    env, fmt, fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use readalong_redact::{Options, Personal};
use readalong_server::{Limits, NewUsers, OidcOptions, ServerOptions, SignInOptions};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

pub(crate) use keys::{KEYS, Key, is_secret};

/// Name of the configuration file below the folder for that.
const CONFIG_FILE: &str = "readalong/config.toml";
/// Where the configuration of a machine lies, where a user has none.
const CONFIG_OF_MACHINE: &str = "/etc/readalong/config.toml";
/// Names another configuration file.
const CONFIG_ENV: &str = "READALONG_CONFIG";

/// The configuration file, as every command that needs one asks for it.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConfigFile {
    /// Configuration file (default: readalong/config.toml in $XDG_CONFIG_HOME or ~/.config, else /etc/readalong/config.toml)
    #[arg(
        long,
        value_name = "FILE",
        env = CONFIG_ENV,
        hide_env_values = true,
        global = true
    )]
    config: Option<PathBuf>,
}

/// Everything that can be set, with what is in force where nothing is said.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// The data folder.
    pub(crate) data: Option<PathBuf>,
    /// Where the server listens.
    #[serde(deserialize_with = "addr_of")]
    pub(crate) addr: SocketAddr,
    /// Under which address people reach the server.
    #[serde(deserialize_with = "base_url_of")]
    pub(crate) base_url: Option<String>,
    /// Proxies that are believed, beside this machine itself.
    pub(crate) trusted_proxies: Vec<IpAddr>,
    /// Folders and transcripts that the server follows.
    pub(crate) follow: Vec<PathBuf>,
    /// Theme of pages.
    pub(crate) theme: String,
    /// What is logged.
    pub(crate) log: String,
    /// How people sign in who have their accounts elsewhere.
    pub(crate) signin: SignInConfig,
    /// How much anybody may take.
    pub(crate) limits: LimitsConfig,
    /// What is taken out of chats.
    pub(crate) redact: RedactConfig,
    /// Where a server publishes its frozen shares to.
    pub(crate) mirror: Option<String>,
    /// Whether it publishes private ones, encrypted.
    pub(crate) mirror_encrypt: bool,
    /// Places to publish to, by name.
    pub(crate) target: Vec<TargetConfig>,
}

/// A place to publish to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TargetConfig {
    /// How it is called on the command line.
    pub(crate) name: String,
    /// The place itself.
    pub(crate) to: String,
    /// Under which address readers reach it.
    #[serde(deserialize_with = "base_url_of")]
    pub(crate) url: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: None,
            addr: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4141),
            base_url: None,
            trusted_proxies: Vec::new(),
            follow: Vec::new(),
            theme: readalong_themes::DEFAULT.to_owned(),
            log: "info".to_owned(),
            signin: SignInConfig::default(),
            limits: LimitsConfig::default(),
            redact: RedactConfig::default(),
            mirror: None,
            mirror_encrypt: false,
            target: Vec::new(),
        }
    }
}

/// How people sign in who have their accounts elsewhere.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SignInConfig {
    user_header: Option<String>,
    new_users: NewUsersConfig,
    oidc: OidcConfig,
}

/// What becomes of people who are not known here yet.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum NewUsersConfig {
    #[default]
    Viewer,
    Owner,
    Refuse,
}

/// A provider of OpenID Connect.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OidcConfig {
    issuer: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    name: String,
}

impl Default for OidcConfig {
    fn default() -> Self {
        Self {
            issuer: None,
            client_id: None,
            client_secret: None,
            name: "OpenID Connect".to_owned(),
        }
    }
}

impl SignInConfig {
    /// # Errors
    /// Something that belongs together is not there, or could not be believed.
    fn options(&self, proxies: &[IpAddr]) -> anyhow::Result<SignInOptions> {
        let mut options = SignInOptions {
            new_users: match self.new_users {
                NewUsersConfig::Viewer => NewUsers::Viewer,
                NewUsersConfig::Owner => NewUsers::Owner,
                NewUsersConfig::Refuse => NewUsers::Refuse,
            },
            ..SignInOptions::default()
        };
        if let Some(name) = &self.user_header {
            let parsed = name.parse();
            options.user_header = Some(parsed.with_context(|| {
                format!("`signin.user_header`: `{name}` is no name of a header")
            })?);
            if proxies.is_empty() {
                bail!(
                    "`signin.user_header` is believed of `trusted_proxies` only, and none is named"
                );
            }
        }
        options.oidc = self.oidc.options()?;
        Ok(options)
    }
}

impl OidcConfig {
    fn options(&self) -> anyhow::Result<Option<OidcOptions>> {
        let Some(issuer) = &self.issuer else {
            return match self.client_id.is_some() || self.client_secret.is_some() {
                true => bail!("`signin.oidc.issuer` is needed too"),
                false => Ok(None),
            };
        };
        let client_id = self.client_id.clone();
        let client_id =
            client_id.ok_or_else(|| anyhow!("`signin.oidc.client_id` is needed too"))?;
        let is_here = ["http://127.0.0.1", "http://[::1]", "http://localhost"]
            .iter()
            .any(|here| issuer.starts_with(here));
        if !issuer.starts_with("https://") && !is_here {
            bail!("`signin.oidc.issuer` has to begin with https://");
        }
        Ok(Some(OidcOptions {
            issuer: issuer.clone(),
            client_id,
            client_secret: self.client_secret.clone(),
            name: self.name.clone(),
        }))
    }
}

/// The server's limits that can be set; times in seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsConfig {
    requests_per_second: NonZeroU32,
    requests_burst: NonZeroU32,
    streams_per_address: usize,
    streams: usize,
    connections_per_address: usize,
    connections: usize,
    head_timeout_s: u64,
    body_timeout_s: u64,
    write_timeout_s: u64,
    drain_s: u64,
    file_cache_bytes: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            requests_per_second: limits.requests_per_second,
            requests_burst: limits.requests_burst,
            streams_per_address: limits.streams_per_address,
            streams: limits.streams,
            connections_per_address: limits.connections_per_address,
            connections: limits.connections,
            head_timeout_s: limits.head_timeout.as_secs(),
            body_timeout_s: limits.body_timeout.as_secs(),
            write_timeout_s: limits.write_timeout.as_secs(),
            drain_s: limits.drain.as_secs(),
            file_cache_bytes: limits.file_cache_bytes,
        }
    }
}

/// What is taken out of chats, and what stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RedactConfig {
    keep: Vec<String>,
    home_paths: bool,
    names: bool,
    mail: bool,
    phones: bool,
    addresses: bool,
    invisible: bool,
    rule: Vec<Table>,
}

impl Config {
    /// The data folder.
    ///
    /// # Errors
    /// No folder is named and the user has no home.
    pub(crate) fn data(&self) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.data {
            return Ok(folder.clone());
        }
        home_folder("XDG_DATA_HOME", ".local/share")
            .map(|base| base.join("readalong"))
            .ok_or_else(|| anyhow!("there is no home folder; name a data folder with --data DIR"))
    }

    /// How a server is opened, as the configuration says; it follows nothing.
    ///
    /// # Errors
    /// There is no data folder.
    pub(crate) fn server_options(&self) -> anyhow::Result<ServerOptions> {
        let mut options = ServerOptions::new(self.data()?);
        options.base_url = self.base_url.clone();
        options.theme = self.theme.clone();
        options.limits = self.limits();
        options.signin = self.signin.options(&self.trusted_proxies)?;
        options.redact = self.redact()?;
        Ok(options)
    }

    fn limits(&self) -> Limits {
        let limits = &self.limits;
        Limits {
            requests_per_second: limits.requests_per_second,
            requests_burst: limits.requests_burst,
            streams_per_address: limits.streams_per_address,
            streams: limits.streams,
            connections_per_address: limits.connections_per_address,
            connections: limits.connections,
            head_timeout: Duration::from_secs(limits.head_timeout_s),
            body_timeout: Duration::from_secs(limits.body_timeout_s),
            write_timeout: Duration::from_secs(limits.write_timeout_s),
            drain: Duration::from_secs(limits.drain_s),
            file_cache_bytes: limits.file_cache_bytes,
            trusted_proxies: self.trusted_proxies.clone(),
            ..Limits::default()
        }
    }

    /// What is taken out of chats, and what stays.
    ///
    /// # Errors
    /// A rule cannot be written as TOML.
    pub(crate) fn redact(&self) -> anyhow::Result<Options> {
        let redact = &self.redact;
        let rules = match redact.rule.is_empty() {
            true => None,
            false => {
                let mut rules = Table::new();
                rules.insert("rule".to_owned(), redact.rule.clone().into());
                Some(toml::to_string(&rules).context("cannot use the rules for secrets")?)
            }
        };
        Ok(Options {
            rules,
            kept: redact.keep.clone(),
            personal: Personal {
                home_paths: redact.home_paths,
                names: redact.names,
                mail: redact.mail,
                phones: redact.phones,
                addresses: redact.addresses,
                hidden: redact.invisible,
            },
        })
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody said anything.
    Default,
    /// A line of the configuration file, counted from 1.
    File(PathBuf, usize),
    /// A variable of the environment.
    Env(String),
    /// A flag of the command.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// What the flags of a command say: key, flag, value.
pub(crate) type Flags = Vec<(&'static str, &'static str, Value)>;

/// The configuration, and where each of its values comes from.
pub(crate) struct Settings {
    /// What is in force.
    pub(crate) config: Config,
    /// The file that was read, where there is one.
    pub(crate) file: Option<PathBuf>,
    /// What was set, by key; everything else is the default.
    set: BTreeMap<&'static str, (Value, Origin)>,
}

impl Settings {
    /// What the file, the environment and the flags say, each over the one before.
    ///
    /// # Errors
    /// The file cannot be read, or one of them says what is not known or cannot be.
    pub(crate) fn load(file: &ConfigFile, flags: Flags) -> anyhow::Result<Self> {
        let mut set = BTreeMap::new();
        let file = file.path();
        if let Some(path) = &file {
            take_file(path, &mut set)?;
        }
        for key in KEYS {
            take_env(key, &mut set)?;
        }
        for (key, flag, value) in flags {
            set.insert(key, (value, Origin::Flag(flag)));
        }
        let mut merged = Table::new();
        for (key, (value, _)) in &set {
            put(&mut merged, key, value.clone());
        }
        Ok(Self {
            config: merged.try_into().context("cannot use the configuration")?,
            file,
            set,
        })
    }

    /// The value of a key that is in force, where there is one, and where it comes from.
    ///
    /// # Errors
    /// The default cannot be written as TOML.
    pub(crate) fn value(&self, key: &Key) -> anyhow::Result<(Option<Value>, Origin)> {
        if let Some((value, origin)) = self.set.get(key.name) {
            return Ok((Some(value.clone()), origin.clone()));
        }
        let mut defaults = Config::default();
        defaults.data = defaults.data().ok(); // the one that the environment tells
        let defaults = Table::try_from(defaults)?;
        Ok((at(&defaults, key.name).cloned(), Origin::Default))
    }
}

impl ConfigFile {
    /// What the file and the environment say.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub(crate) fn config(&self) -> anyhow::Result<Config> {
        Ok(Settings::load(self, Flags::new())?.config)
    }

    /// The file that is named, else the usual one where it is there.
    fn path(&self) -> Option<PathBuf> {
        let named = self.config.clone();
        let named = named.filter(|path| !path.as_os_str().is_empty());
        let of_user = || usual_path().filter(|path| path.is_file());
        let of_machine = || Some(PathBuf::from(CONFIG_OF_MACHINE)).filter(|path| path.is_file());
        named.or_else(of_user).or_else(of_machine)
    }
}

fn usual_path() -> Option<PathBuf> {
    Some(home_folder("XDG_CONFIG_HOME", ".config")?.join(CONFIG_FILE))
}

/// A folder of the user's own: as the environment names it, else below the home of their account, also where the environment has none.
fn home_folder(name: &str, below_home: &str) -> Option<PathBuf> {
    let is_set = |path: &PathBuf| path.is_absolute();
    let named = env::var_os(name).map(PathBuf::from).filter(is_set);
    named.or_else(|| Some(env::home_dir().filter(is_set)?.join(below_home)))
}

/// Takes what a file says.
fn take_file(path: &Path, set: &mut BTreeMap<&'static str, (Value, Origin)>) -> anyhow::Result<()> {
    let reading = || format!("cannot use the configuration `{}`", path.display());
    let text = fs::read_to_string(path).with_context(reading)?;
    let lines = keys::lines(&text).with_context(reading)?;
    // The whole at once, so that a wrong value is told with its line.
    let told = |error| keys::told(&text, &error);
    let _: Config = toml::from_str(&text).map_err(told).with_context(reading)?;
    let table: Table = toml::from_str(&text).map_err(told).with_context(reading)?;
    for (key, line) in lines {
        if let Some(value) = at(&table, key) {
            let origin = Origin::File(path.to_owned(), line);
            set.insert(key, (value.clone(), origin));
        }
    }
    Ok(())
}

/// Takes what the environment says of a key; an empty variable says nothing.
fn take_env(key: &Key, set: &mut BTreeMap<&'static str, (Value, Origin)>) -> anyhow::Result<()> {
    let Some(name) = key.env() else {
        return Ok(());
    };
    let Some(text) = env::var_os(&name).filter(|text| !text.is_empty()) else {
        return Ok(());
    };
    let Some(text) = text.to_str() else {
        bail!("cannot use {name}: it is not UTF-8");
    };
    let using = || format!("cannot use {name} from the environment");
    let value = key.kind.read(text).with_context(using)?;
    let mut alone = Table::new();
    put(&mut alone, key.name, value.clone());
    // The variable says which key it is.
    let read: Result<Config, _> = alone.try_into();
    read.map_err(|error| anyhow!("{}: {}", using(), error.message()))?;
    set.insert(key.name, (value, Origin::Env(name)));
    Ok(())
}

/// Puts a value below a dotted name.
fn put(table: &mut Table, name: &str, value: Value) {
    match name.split_once('.') {
        None => {
            table.insert(name.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = table.entry(first).or_insert_with(|| Table::new().into());
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// The value below a dotted name.
fn at<'a>(table: &'a Table, name: &str) -> Option<&'a Value> {
    match name.split_once('.') {
        None => table.get(name),
        Some((first, rest)) => at(table.get(first)?.as_table()?, rest),
    }
}

/// An address to listen at.
///
/// # Errors
/// It is none.
pub(crate) fn listen_addr(text: &str) -> Result<SocketAddr, String> {
    let numbers = text.replacen("localhost:", "127.0.0.1:", 1);
    let addr = numbers.parse();
    addr.map_err(|_| "write an address in numbers and a port, as in 127.0.0.1:4141".to_owned())
}

/// An address that links can begin with.
///
/// # Errors
/// It is none.
pub(crate) fn base_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let host = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    match host {
        Some(host)
            if !host.is_empty()
                && !host.starts_with('/')
                && host.bytes().all(|byte| byte.is_ascii_graphic())
                && !host.contains(['?', '#', '"', '<', '>', '\\', ';']) =>
        {
            Ok(url.to_owned())
        }
        _ => Err("write an address that begins with https:// or http://".to_owned()),
    }
}

fn addr_of<'de, D: serde::Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(from)?;
    listen_addr(&text).map_err(serde::de::Error::custom)
}

fn base_url_of<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    let url = text.map(|text| base_url(&text).map_err(serde::de::Error::custom));
    url.transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_can_be_set_and_is_what_it_says() {
        for key in KEYS {
            let mut table = Table::new();
            put(&mut table, key.name, key.kind.sample(key.name));
            let config: Result<Config, _> = table.try_into();
            assert!(config.is_ok(), "{}: {config:?}", key.name);
        }
    }

    #[test]
    fn every_default_has_its_key() {
        fn walk(table: &Table, before: &str) {
            for (name, value) in table {
                let name = format!("{before}{name}");
                match value {
                    Value::Table(inner) => walk(inner, &format!("{name}.")),
                    _ => assert!(KEYS.iter().any(|key| key.name == name), "{name}"),
                }
            }
        }
        walk(&Table::try_from(Config::default()).unwrap(), "");
    }

    #[test]
    fn an_address_to_listen_at_is_the_same_wherever_it_is_said() {
        for text in ["localhost:4000", "127.0.0.1:4000"] {
            let config: Config = toml::from_str(&format!("addr = {text:?}")).unwrap();
            assert_eq!(config.addr, listen_addr("127.0.0.1:4000").unwrap());
        }
        let error = toml::from_str::<Config>("addr = \"here\"").unwrap_err();
        assert!(error.message().contains("as in 127.0.0.1:4141"), "{error}");
    }

    #[test]
    fn only_addresses_of_the_web_begin_links() {
        for (text, url) in [
            ("https://chats.example", "https://chats.example"),
            ("https://host.example/chats/", "https://host.example/chats"),
            ("http://127.0.0.1:4141", "http://127.0.0.1:4141"),
        ] {
            assert_eq!(base_url(text).as_deref(), Ok(url));
        }
        for text in [
            "",
            "chats.example",
            "https://",
            "https:///x",
            "https://a b",
            "https://a/?x",
            "https://a/;path=b",
            "ftp://a",
        ] {
            assert!(base_url(text).is_err(), "{text}");
        }
    }
}
