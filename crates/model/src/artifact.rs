//! Files that belong to a chat, uploaded or produced.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// The place of an artifact in its chat's list of artifacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ArtifactId(pub u32);

/// A file that belongs to a chat. Its bytes are kept elsewhere under their digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Artifact {
    /// File name as the chat calls it: foreign text, never a path to open.
    pub name: String,
    /// Media type, such as `image/png`; found from the bytes where they are there.
    pub media_type: String,
    /// How the file came to be in the chat.
    pub role: ArtifactRole,
    /// Whether the bytes are there.
    pub content: Availability,
    /// Width and height in pixels, of images whose bytes tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<(u32, u32)>,
}

/// How an artifact came to be in the chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactRole {
    /// Given by the human.
    Uploaded,
    /// Made by the assistant.
    Produced,
    /// Part of what a tool answered.
    ToolOutput,
}

/// Whether the bytes of an artifact are there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// The file, whole.
    Present {
        /// Digest of the bytes.
        sha256: Digest,
        /// Number of bytes.
        size_bytes: u64,
    },
    /// Only text that was extracted from the file.
    TextOnly {
        /// Digest of the text.
        sha256: Digest,
        /// Bytes of the text.
        size_bytes: u64,
    },
    /// The transcript names the file and does not hold it.
    Missing,
    /// The file lies on another host; it is never fetched.
    External {
        /// Where it lies.
        url: String,
    },
}

impl Artifact {
    /// Digest and size of the bytes that are there.
    pub fn bytes(&self) -> Option<(Digest, u64)> {
        match self.content {
            Availability::Present { sha256, size_bytes }
            | Availability::TextOnly { sha256, size_bytes } => Some((sha256, size_bytes)),
            Availability::Missing | Availability::External { .. } => None,
        }
    }

    /// What stays of the artifact when the message that it was in is erased: its place in the list, and nothing that it was.
    pub fn emptied(&self) -> Self {
        Self {
            name: String::new(),
            media_type: "application/octet-stream".to_owned(),
            role: self.role,
            content: Availability::Missing,
            dimensions: None,
        }
    }

    /// The file's name in a bundle, relative to its root; `None` where no bytes are there.
    ///
    /// Content that a browser would run (HTML, SVG, XML, scripts) gets an inert name, so that no static host serves it as active.
    pub fn path(&self) -> Option<String> {
        let (sha256, _) = self.bytes()?;
        let extension = match self.content {
            Availability::TextOnly { .. } => "txt".to_owned(),
            _ => self.inert_extension(),
        };
        Some(format!("files/{sha256}.{extension}"))
    }

    /// True for content that a browser could run in the page's origin.
    pub fn is_active(&self) -> bool {
        let essence = self
            .media_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let by_type = ["html", "xml", "svg", "script", "wasm", "x-shockwave-flash"]
            .iter()
            .any(|word| essence.contains(word));
        let name = self.name.to_ascii_lowercase();
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        by_type || ACTIVE_EXTENSIONS.contains(&extension)
    }

    fn inert_extension(&self) -> String {
        let extension = self
            .name
            .rsplit_once('.')
            .map(|(_, extension)| extension.to_ascii_lowercase())
            .filter(|extension| {
                (1..=8).contains(&extension.len())
                    && extension.bytes().all(|b| b.is_ascii_alphanumeric())
            })
            .unwrap_or_else(|| "bin".to_owned());
        if self.is_active() {
            format!("{extension}.txt")
        } else {
            extension
        }
    }
}

/// File name endings that some host or browser treats as something to run or to render as a document.
const ACTIVE_EXTENSIONS: [&str; 22] = [
    "htm", "html", "shtml", "xhtml", "xht", "mht", "mhtml", "svg", "svgz", "xml", "xsl", "xslt",
    "js", "mjs", "cjs", "css", "wasm", "swf", "rdf", "atom", "rss", "php",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str, media_type: &str) -> String {
        Artifact {
            name: name.into(),
            media_type: media_type.into(),
            role: ArtifactRole::Uploaded,
            content: Availability::Present {
                sha256: Digest::of(b""),
                size_bytes: 0,
            },
            dimensions: None,
        }
        .path()
        .unwrap()
    }

    #[test]
    fn active_content_gets_an_inert_name() {
        for (name, media_type, ending) in [
            ("photo.PNG", "image/png", ".png"),
            ("page.html", "text/html", ".html.txt"),
            ("logo.svg", "image/svg+xml", ".svg.txt"),
            ("a.png", "text/html", ".png.txt"),
            ("run.mjs", "text/plain", ".mjs.txt"),
            ("no ending", "application/pdf", ".bin"),
            ("x.\u{202e}gpj", "application/octet-stream", ".bin"),
            ("../../x.tar.gz", "application/gzip", ".gz"),
        ] {
            let path = path(name, media_type);
            assert!(path.ends_with(ending), "{name}: {path}");
            assert!(path.starts_with("files/e3b0c44298fc"), "{path}");
        }
    }
}
