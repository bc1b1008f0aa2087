//! A theme's templates as a minijinja environment, with the few functions that they may call.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, Value};
use readalong_model::Digest;
use readalong_themes::{DESK, Theme};

use crate::{RenderError, desk, html};

/// Instructions that one template of a theme from outside may run: a loop without end stops here.
const FUEL: u64 = 50_000_000;

/// A theme's static file: its name in a bundle and its bytes.
pub(crate) struct Asset {
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
}

/// The static files of a theme, styles and scripts told apart, in the order in which pages name them.
#[derive(Default)]
pub(crate) struct Assets {
    /// What a bundle holds.
    pub(crate) all: Vec<Asset>,
    /// What only live pages load.
    pub(crate) live: Vec<Asset>,
    /// What only the desk's pages load, beside the theme's styles.
    pub(crate) desk: Vec<Asset>,
    pub(crate) styles: Vec<String>,
    pub(crate) scripts: Vec<String>,
    /// Scripts that pages load when somebody looks for something.
    pub(crate) find_scripts: Vec<String>,
    /// Scripts of live pages: those of all pages first.
    pub(crate) live_scripts: Vec<String>,
    /// Styles of the desk: those of the theme first.
    pub(crate) desk_styles: Vec<String>,
    pub(crate) desk_scripts: Vec<String>,
}

/// Styles and scripts that must come in this order; others follow by name.
const STYLES_FIRST: [&str; 3] = ["variables.css", "base.css", "chat.css"];
const SCRIPTS_FIRST: [&str; 1] = ["viewer.js"];
const DESK_FIRST: [&str; 3] = ["desk.css", "desk.js", "dialog.js"];
/// How names of scripts begin that only live pages load.
const LIVE_SCRIPTS: &str = "live";
/// How names of scripts begin that pages load when somebody looks for something.
const FIND_SCRIPTS: &str = "find";

impl Asset {
    /// A file under the name of its content.
    fn new(name: &str, bytes: Vec<u8>) -> Self {
        let extension = name.rsplit_once('.').map_or("bin", |(_, end)| end);
        let path = format!("assets/{}.{extension}", Digest::of(&bytes));
        Self { path, bytes }
    }
}

/// Names in the order in which pages load their files.
fn in_order(names: BTreeSet<String>, first: &[&str]) -> Vec<String> {
    let rank = |name: &str| first.iter().position(|other| *other == name);
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort_by_key(|name| (rank(name).unwrap_or(first.len()), name.clone()));
    names
}

impl Assets {
    pub(crate) fn of(theme: &Theme) -> Result<Self, RenderError> {
        let mut assets = Self::default();
        let first = [STYLES_FIRST.as_slice(), &SCRIPTS_FIRST].concat();
        for name in in_order(theme.names("static")?, &first) {
            let bytes = theme.read(&format!("static/{name}"))?;
            let asset = Asset::new(&name, bytes.unwrap_or_default().into_owned());
            let is_script = name.ends_with(".js");
            let is_live = is_script && name.starts_with(LIVE_SCRIPTS);
            let named = match is_live {
                true => Some(&mut assets.live_scripts),
                false if is_script && name.starts_with(FIND_SCRIPTS) => {
                    Some(&mut assets.find_scripts)
                }
                false if is_script => Some(&mut assets.scripts),
                false => name.ends_with(".css").then_some(&mut assets.styles),
            };
            if let Some(named) = named {
                named.push(asset.path.clone());
            }
            match is_live {
                true => assets.live.push(asset),
                false => assets.all.push(asset),
            }
        }
        let scripts = assets.scripts.iter().cloned();
        assets.live_scripts = scripts.chain(assets.live_scripts).collect();
        assets.add_desk();
        Ok(assets)
    }

    fn add_desk(&mut self) {
        let folder = format!("{DESK}/static");
        self.desk_styles.clone_from(&self.styles);
        for name in in_order(readalong_themes::builtin_names_below(&folder), &DESK_FIRST) {
            let bytes = readalong_themes::builtin_file(&format!("{folder}/{name}"));
            let asset = Asset::new(&name, bytes.unwrap_or_default().into_owned());
            match name.ends_with(".js") {
                true => self.desk_scripts.push(asset.path.clone()),
                false => self.desk_styles.push(asset.path.clone()),
            }
            self.desk.push(asset);
        }
    }

    /// All files, those that bundles do not hold last.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Asset> {
        self.all.iter().chain(&self.live).chain(&self.desk)
    }
}

/// Makes the environment that renders a theme's templates.
pub(crate) fn environment(theme: &Theme) -> Result<Environment<'static>, RenderError> {
    let mut environment = Environment::new();
    let source = theme.clone();
    environment.set_loader(move |name| load(&source, name));
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_formatter(write_value);
    if !theme.is_builtin() {
        environment.set_fuel(Some(FUEL));
    }
    let icons = Arc::new(icons(theme)?);
    environment.add_function("icon", move |name: &str| {
        let unknown = || {
            Error::new(
                ErrorKind::InvalidOperation,
                format!("the theme has no icon `{name}`"),
            )
        };
        icons.get(name).cloned().ok_or_else(unknown)
    });
    environment.add_function("time", time);
    desk::add_texts(&mut environment);
    Ok(environment)
}

/// Writes a value into a page: text by the rules of [`html`], what is HTML already as it is.
fn write_value(
    out: &mut minijinja::Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), Error> {
    match value.as_str().filter(|_| !value.is_safe()) {
        Some(text) => {
            let mut escaped = String::with_capacity(text.len());
            html::escape_attribute(&mut escaped, text);
            Ok(out.write_str(&escaped)?)
        }
        None => minijinja::escape_formatter(out, state, value),
    }
}

/// A template by its name in the theme, or by `<built-in theme>/<name>` to reach what a theme replaced.
fn load(theme: &Theme, name: &str) -> Result<Option<String>, Error> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let own = theme.read(&format!("templates/{name}"));
    let own = own.map_err(|error| {
        Error::new(ErrorKind::TemplateNotFound, error.to_string()).with_source(error)
    })?;
    if let Some(bytes) = own {
        return Ok(Some(text(&bytes)));
    }
    let replaced = name.split_once('/').and_then(|(theme, name)| {
        readalong_themes::builtin_file(&format!("{theme}/templates/{name}"))
    });
    Ok(replaced.map(|bytes| text(&bytes)))
}

/// The theme's icons, and those that only the desk has.
fn icons(theme: &Theme) -> Result<HashMap<String, Value>, RenderError> {
    let mut icons = HashMap::new();
    let mut add = |file: &str, bytes: &[u8]| {
        if let Some(name) = file.strip_suffix(".svg") {
            let svg = String::from_utf8_lossy(bytes).trim().to_owned();
            icons.insert(name.to_owned(), Value::from_safe_string(svg));
        }
    };
    let folder = format!("{DESK}/icons");
    for file in readalong_themes::builtin_names_below(&folder) {
        let bytes = readalong_themes::builtin_file(&format!("{folder}/{file}"));
        add(&file, &bytes.unwrap_or_default());
    }
    for file in theme.names("icons")? {
        add(
            &file,
            &theme.read(&format!("icons/{file}"))?.unwrap_or_default(),
        );
    }
    Ok(icons)
}

/// `<time>` for an RFC 3339 time in UTC; the page's script shows it in the reader's zone. Styles: `clock` (usual), `date`, `full`.
fn time(at: &str, style: Option<&str>) -> Result<Value, Error> {
    let style = style.unwrap_or("clock");
    let (Some(date), Some(clock), Some(exact)) = (at.get(..10), at.get(11..16), at.get(11..19))
    else {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "time() wants a time as the context gives it",
        ));
    };
    let shown = match style {
        "clock" => clock.to_owned(),
        "date" => readable_date(date),
        "full" => format!("{}, {clock} UTC", readable_date(date)),
        other => {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                format!("time() knows no style `{other}`"),
            ));
        }
    };
    let mut out = String::from("<time datetime=\"");
    html::escape_attribute(&mut out, at);
    out.push_str("\" title=\"");
    html::escape_attribute(&mut out, &format!("{date} {exact} UTC"));
    out.push_str("\" data-style=\"");
    out.push_str(style);
    out.push_str("\">");
    html::escape_text(&mut out, &shown);
    out.push_str("</time>");
    Ok(Value::from_safe_string(out))
}

/// `2026-11-20` as `20 Nov 2026`.
fn readable_date(date: &str) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut pieces = date.split('-');
    let (year, month, day) = (pieces.next(), pieces.next(), pieces.next());
    let month = month
        .and_then(|month| month.parse::<usize>().ok())
        .and_then(|month| MONTHS.get(month.wrapping_sub(1)));
    match (year, month, day) {
        (Some(year), Some(month), Some(day)) => {
            format!("{} {month} {year}", day.trim_start_matches('0'))
        }
        _ => date.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of scripts that a page loads as it is opened, live or not, and a page of the desk.
    const PAGE_BYTES_MAX: usize = 10 << 10;
    const LIVE_PAGE_BYTES_MAX: usize = 18 << 10;
    const DESK_BYTES_MAX: usize = 30 << 10;

    #[test]
    fn scripts_stay_small() {
        let theme = Theme::load(readalong_themes::DEFAULT).unwrap();
        let assets = Assets::of(&theme).unwrap();
        for (page, scripts, bytes_max) in [
            ("a page", &assets.scripts, PAGE_BYTES_MAX),
            ("a live page", &assets.live_scripts, LIVE_PAGE_BYTES_MAX),
            ("the desk", &assets.desk_scripts, DESK_BYTES_MAX),
        ] {
            let loaded = assets.iter().filter(|asset| scripts.contains(&asset.path));
            let bytes: usize = loaded.map(|asset| asset.bytes.len()).sum();
            assert!(bytes <= bytes_max, "{page} loads {bytes} bytes of script");
        }
        assert!(!assets.find_scripts.is_empty());
    }
}
