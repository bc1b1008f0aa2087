//! Pages of a published site that belong to no bundle. Each stands alone in one file, style and script in it, allowed by their digests: they work at any
//! depth, on any host, and from `file://`.

use data_encoding::BASE64;
use minijinja::{Value, value::Serde};
use readalong_model::{Digest, Timestamp};

use crate::{
    RenderError, Renderer,
    context::{Site, SiteContext, SiteShare},
};

/// A page of a site.
#[derive(Clone, Copy, Debug)]
pub enum SitePage<'a> {
    /// At the link of a share: sends readers on.
    Head {
        /// Where to, relative to the page.
        href: &'a str,
        /// What the chat is called; `None` where nobody may know.
        title: Option<&'a str>,
    },
    /// At the link of a share that was taken back.
    Gone,
    /// Where nothing is. Readers of a version that is gone are sent to the share.
    Missing,
    /// A list of shares: address, title, time.
    Catalogue(&'a [(String, String, Timestamp)]),
}

impl Renderer {
    /// Renders a page of a site.
    ///
    /// # Errors
    /// A template is wrong.
    pub fn site_page(&self, page: &SitePage<'_>) -> Result<Vec<u8>, RenderError> {
        let page_script = match page {
            SitePage::Head { .. } => Some("site-head.js"),
            SitePage::Gone => None,
            SitePage::Missing => Some("site-missing.js"),
            SitePage::Catalogue(_) => Some("site-catalogue.js"),
        };
        let style = self
            .environment
            .get_template("site.css")?
            .source()
            .to_owned();
        let script = match page_script {
            Some(name) => self.environment.get_template(name)?.source().to_owned(),
            None => String::new(),
        };
        let csp = format!(
            "default-src 'none'; img-src data:; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
            source_of(&style),
            source_of(&script)
        );
        let context = SiteContext {
            site: site(page),
            style: Value::from_safe_string(style),
            script: Value::from_safe_string(script),
            csp: &csp,
            version: env!("CARGO_PKG_VERSION"),
        };
        let template = self.environment.get_template("site.html")?;
        Ok(template.render(Value::from(Serde(&context)))?.into_bytes())
    }
}

fn site<'a>(page: &SitePage<'a>) -> Site<'a> {
    let empty = Site {
        kind: "gone",
        title: "Not here",
        heading: "",
        text: "",
        href: None,
        words: "",
        shares: Vec::new(),
    };
    match *page {
        SitePage::Head { href, title } => Site {
            kind: "head",
            title: title.unwrap_or("A chat"),
            heading: title.unwrap_or("A chat"),
            href: Some(href),
            words: "Open the chat",
            ..empty
        },
        SitePage::Gone => Site {
            heading: "This chat was taken back",
            text: "Who shared it has removed it from here.",
            ..empty
        },
        SitePage::Missing => Site {
            kind: "missing",
            heading: "There is nothing here",
            text: "The link may be incomplete, or what it led to was taken back.",
            ..empty
        },
        SitePage::Catalogue(shares) => Site {
            kind: "catalogue",
            title: "Chats",
            heading: "Chats",
            text: if shares.is_empty() {
                "No chat is listed here."
            } else {
                ""
            },
            shares: shares
                .iter()
                .map(|(href, title, at)| SiteShare {
                    href,
                    title,
                    at: at.to_string(),
                })
                .collect(),
            ..empty
        },
    }
}

/// What a policy calls an inline style or script.
fn source_of(text: &str) -> String {
    format!(
        "'sha256-{}'",
        BASE64.encode(Digest::of(text.as_bytes()).as_bytes())
    )
}
