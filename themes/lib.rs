//! The built-in themes and how a theme's files are looked up.
//!
//! A theme is a folder: `theme.toml`, `templates/`, `static/`, `icons/`. A file that it lacks comes from the theme that it extends.
//! Built-in themes are folders beside this file and need no line of code; only their scripts are made small as the program is built. The folder `desk` is no theme: it holds the pages of whoever owns chats, which
//! take colours and type from the theme in force.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// The theme that all others rest on.
pub const DEFAULT: &str = "default";
/// The folder of the desk's pages.
pub const DESK: &str = "desk";
/// Themes that may extend each other in a row; more is taken for a circle.
const LAYERS_MAX: usize = 8;
/// The largest file of a theme.
const FILE_BYTES_MAX: u64 = 16 << 20;

#[derive(rust_embed::RustEmbed)]
#[folder = "."]
#[include = "*/theme.toml"]
#[include = "*/templates/*"]
#[include = "*/static/*"]
#[include = "*/icons/*"]
#[include = "*/texts.toml"]
#[exclude = "*/static/*.js"]
struct Builtin;

/// Scripts as `build.rs` made them small.
#[derive(rust_embed::RustEmbed)]
#[folder = "$OUT_DIR/scripts"]
struct Scripts;

/// What can be wrong with a theme.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ThemeError {
    /// There is no such theme.
    #[error("there is no theme `{name}`: it is neither a folder with a `theme.toml` nor one of the built-in themes ({})", builtin_names().join(", "))]
    NoSuchTheme {
        /// What was asked for.
        name: String,
    },
    /// The theme's description cannot be read.
    #[error("`{file}` is no theme description")]
    BadDescription {
        /// Its file.
        file: String,
        /// Why.
        source: toml::de::Error,
    },
    /// The theme asks for a later readalong.
    #[error("theme `{name}` needs readalong {min_version} or later")]
    TooNew {
        /// The theme.
        name: String,
        /// What it asks for.
        min_version: String,
    },
    /// Themes extend each other in a circle.
    #[error("theme `{name}` extends itself, by way of others")]
    Circle {
        /// The theme.
        name: String,
    },
    /// A file of the theme cannot be read or written.
    #[error("file `{path}` of a theme")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// `theme.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Name of the theme.
    pub name: String,
    /// One sentence on it.
    #[serde(default)]
    pub description: String,
    /// The theme that gives what this one lacks; [`DEFAULT`] where nothing is said.
    #[serde(default)]
    pub extends: Option<String>,
    /// The oldest readalong that renders it.
    #[serde(default)]
    pub min_version: Option<String>,
}

/// A theme with all that it rests on.
#[derive(Clone, Debug)]
pub struct Theme {
    layers: Vec<Layer>,
    /// What the theme says of itself.
    pub description: Description,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Layer {
    Folder(PathBuf),
    Builtin(String),
}

impl Theme {
    /// Finds a theme by the path of its folder or by the name of a built-in one.
    ///
    /// # Errors
    /// There is none, or its description is wrong.
    pub fn load(name: &str) -> Result<Self, ThemeError> {
        let mut layers = Vec::new();
        let mut first = None;
        let mut next = Some(Layer::find(name)?);
        while let Some(layer) = next {
            if layers.contains(&layer) || layers.len() == LAYERS_MAX {
                let name = name.to_owned();
                return Err(ThemeError::Circle { name });
            }
            let description = layer.description()?;
            next = layer.parent(description.extends.as_deref())?;
            layers.push(layer);
            first.get_or_insert(description);
        }
        let description = first.ok_or_else(|| ThemeError::NoSuchTheme {
            name: name.to_owned(),
        })?;
        Ok(Self {
            layers,
            description,
        })
    }

    /// A file of the theme, from the first layer that has it: `templates/page.html`, `static/base.css`.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn read(&self, path: &str) -> Result<Option<Cow<'static, [u8]>>, ThemeError> {
        for layer in &self.layers {
            if let Some(bytes) = layer.read(path)? {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// Names of the files in one of the theme's folders (`static`, `templates`), those of all layers together, sorted.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn names(&self, folder: &str) -> Result<BTreeSet<String>, ThemeError> {
        let mut names = BTreeSet::new();
        for layer in &self.layers {
            layer.names(folder, &mut names)?;
        }
        Ok(names)
    }

    /// True where only built-in files are used.
    pub fn is_builtin(&self) -> bool {
        self.layers
            .iter()
            .all(|layer| matches!(layer, Layer::Builtin(_)))
    }
}

/// Names of the built-in themes.
pub fn builtin_names() -> Vec<String> {
    Builtin::iter()
        .filter_map(|path| path.strip_suffix("/theme.toml").map(str::to_owned))
        .collect()
}

/// Names of the built-in files below a folder, by `theme/folder`, sorted.
pub fn builtin_names_below(folder: &str) -> BTreeSet<String> {
    let prefix = format!("{folder}/");
    let own = |path: Cow<'static, str>| path.strip_prefix(&prefix).map(str::to_owned);
    Builtin::iter()
        .chain(Scripts::iter())
        .filter_map(own)
        .collect()
}

/// The desk's texts by their names: `[chats] empty` is `chats.empty`.
pub fn desk_texts() -> BTreeMap<String, String> {
    let bytes = builtin_file(&format!("{DESK}/texts.toml")).unwrap_or_default();
    let table: toml::Table =
        toml::from_str(&String::from_utf8_lossy(&bytes)).expect("a test reads the desk's texts");
    let mut texts = BTreeMap::new();
    let mut open = vec![(String::new(), table)];
    while let Some((prefix, table)) = open.pop() {
        for (name, value) in table {
            match value {
                toml::Value::Table(table) => open.push((format!("{prefix}{name}."), table)),
                toml::Value::String(text) => drop(texts.insert(format!("{prefix}{name}"), text)),
                other => panic!("a test reads the desk's texts, and `{other}` is none"),
            }
        }
    }
    texts
}

/// A file of a built-in theme, by `theme/path`.
pub fn builtin_file(path: &str) -> Option<Cow<'static, [u8]>> {
    let file = Builtin::get(path).or_else(|| Scripts::get(path));
    file.map(|file| file.data)
}

/// Writes a new theme into `folder`, which must not exist: a description and a copy of the colours, ready to be changed.
///
/// # Errors
/// The folder exists or cannot be written.
pub fn init(folder: &Path) -> Result<Vec<PathBuf>, ThemeError> {
    let name = folder.file_name().map_or_else(
        || "theme".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    let failed = |path: &Path, source| ThemeError::Io {
        path: path.to_owned(),
        source,
    };
    fs::create_dir(folder).map_err(|error| failed(folder, error))?;
    let mut written = Vec::new();
    let mut write = |path: &str, bytes: &[u8]| {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder).to_owned();
        fs::create_dir_all(&parent)
            .and_then(|()| fs::write(&path, bytes))
            .map_err(|error| failed(&path, error))?;
        written.push(path);
        Ok(())
    };
    let mut description = toml::Table::new();
    for (key, value) in [
        ("name", name.as_str()),
        ("description", "What it is for, in one sentence."),
        ("extends", DEFAULT),
        ("min_version", VERSION),
    ] {
        description.insert(key.to_owned(), toml::Value::String(value.to_owned()));
    }
    write("theme.toml", description.to_string().as_bytes())?;
    if let Some(colours) = builtin_file("default/static/variables.css") {
        write("static/variables.css", &colours)?;
    }
    Ok(written)
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Layer {
    /// A built-in theme by its name, any other by the path of its folder.
    fn find(name: &str) -> Result<Self, ThemeError> {
        let folder = Path::new(name);
        if builtin_file(&format!("{name}/theme.toml")).is_some() {
            Ok(Self::Builtin(name.to_owned()))
        } else if folder.join("theme.toml").is_file() {
            Ok(Self::Folder(folder.to_owned()))
        } else {
            Err(ThemeError::NoSuchTheme {
                name: name.to_owned(),
            })
        }
    }

    /// The theme that this one extends: a built-in one, or a folder named from this one's; nothing for the default.
    fn parent(&self, extends: Option<&str>) -> Result<Option<Self>, ThemeError> {
        let extends = extends.unwrap_or(DEFAULT);
        match self {
            Self::Builtin(name) if name == DEFAULT => Ok(None),
            Self::Folder(folder) if folder.join(extends).join("theme.toml").is_file() => {
                Ok(Some(Self::Folder(folder.join(extends))))
            }
            _ if builtin_file(&format!("{extends}/theme.toml")).is_some() => {
                Ok(Some(Self::Builtin(extends.to_owned())))
            }
            _ => Err(ThemeError::NoSuchTheme {
                name: extends.to_owned(),
            }),
        }
    }

    fn description(&self) -> Result<Description, ThemeError> {
        let file = match self {
            Self::Folder(folder) => folder.join("theme.toml").display().to_string(),
            Self::Builtin(name) => format!("{name}/theme.toml"),
        };
        let bytes = self.read("theme.toml")?.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let description: Description =
            toml::from_str(&text).map_err(|source| ThemeError::BadDescription { file, source })?;
        match &description.min_version {
            Some(min_version) if parse_version(min_version) > parse_version(VERSION) => {
                Err(ThemeError::TooNew {
                    name: description.name.clone(),
                    min_version: min_version.clone(),
                })
            }
            _ => Ok(description),
        }
    }

    fn read(&self, path: &str) -> Result<Option<Cow<'static, [u8]>>, ThemeError> {
        let folder = match self {
            Self::Builtin(name) => return Ok(builtin_file(&format!("{name}/{path}"))),
            Self::Folder(folder) => folder,
        };
        let path = folder.join(path);
        let failed = |source| ThemeError::Io {
            path: path.clone(),
            source,
        };
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
            Ok(meta) if meta.len() > FILE_BYTES_MAX => {
                Err(failed(io::ErrorKind::FileTooLarge.into()))
            }
            Ok(_) => fs::read(&path)
                .map(|bytes| Some(bytes.into()))
                .map_err(failed),
        }
    }

    fn names(&self, folder: &str, names: &mut BTreeSet<String>) -> Result<(), ThemeError> {
        match self {
            Self::Builtin(name) => names.extend(builtin_names_below(&format!("{name}/{folder}"))),
            Self::Folder(root) => {
                let path = root.join(folder);
                let failed = |source| ThemeError::Io {
                    path: path.clone(),
                    source,
                };
                let entries = match fs::read_dir(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                    entries => entries.map_err(failed)?,
                };
                for entry in entries {
                    let entry = entry.map_err(failed)?;
                    if entry.file_type().map_err(failed)?.is_file() {
                        names.insert(entry.file_name().to_string_lossy().into_owned());
                    }
                }
            }
        }
        Ok(())
    }
}

/// `1.2.3` as numbers; what is no number counts as 0.
fn parse_version(text: &str) -> [u64; 3] {
    let mut numbers = text.split('.').map(|piece| piece.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_theme_of_one_file_takes_the_rest_from_the_default() {
        let folder = std::env::temp_dir().join(format!("readalong-theme-{}", std::process::id()));
        let written = init(&folder).unwrap();
        assert_eq!(written.len(), 2);
        fs::write(folder.join("static/variables.css"), ":root{}").unwrap();
        let theme = Theme::load(folder.to_str().unwrap()).unwrap();
        assert_eq!(
            theme
                .read("static/variables.css")
                .unwrap()
                .unwrap()
                .as_ref(),
            b":root{}"
        );
        assert!(theme.read("templates/page.html").unwrap().is_some());
        assert!(!theme.is_builtin());
        assert!(matches!(init(&folder), Err(ThemeError::Io { .. })));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_desk_has_its_texts_in_one_place() {
        let texts = desk_texts();
        assert_eq!(texts["language"], "en");
        assert_eq!(texts["nav.chats"], "Chats");
        assert!(texts.values().all(|text| !text.trim().is_empty()));
        let is_there =
            |name: &str| texts.contains_key(name) || texts.contains_key(&format!("{name}.other"));
        let names = builtin_names_below("desk/static");
        for name in names.iter().filter(|name| name.ends_with(".js")) {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("desk/static");
            let script = fs::read_to_string(source.join(name)).unwrap();
            let quoted = script.split('"').filter(|text| {
                ["script.", "problem."]
                    .iter()
                    .any(|start| text.starts_with(start))
            });
            let missing: Vec<&str> = quoted.filter(|text| !is_there(text)).collect();
            assert!(missing.is_empty(), "{name} says {missing:?}");
        }
    }

    #[test]
    fn wrong_themes_are_named() {
        assert!(
            Theme::load("nowhere")
                .unwrap_err()
                .to_string()
                .contains("default")
        );
        assert!(parse_version("0.10.0") > parse_version("0.9.9"));
        assert_eq!(builtin_names(), ["default"]);
    }
}
