//! Links in the terminal: the address, and a QR code for the phone beside it.

use std::io::{self, IsTerminal};

use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};
use readalong_model::ShareId;

use crate::output;

/// Prints a link, with a QR code below it where people are looking.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn print(url: &str) -> anyhow::Result<()> {
    output::print_line(url)?;
    if io::stdout().is_terminal()
        && let Some(picture) = qr(url)
    {
        picture.lines().for_each(output::note);
    }
    Ok(())
}

/// A QR code of half blocks, dark on light, with the margin that readers need.
fn qr(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    // Terminals are mostly dark: light modules are drawn, so that the code is not inverted there.
    let picture = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Dark)
        .light_color(Dense1x2::Light)
        .build();
    Some(picture)
}

/// The share id in what a person gave: the id itself, or a link that holds it.
pub(crate) fn share_id(text: &str) -> Option<ShareId> {
    let text = text.trim();
    let path = text.split(['?', '#']).next().unwrap_or(text);
    path.split('/').find_map(|piece| piece.parse().ok())
}

/// The key that a link carries, wherever in its fragment: who copies it from the address bar has a message or a page beside it.
pub(crate) fn key(link: &str) -> Option<&str> {
    let (_, fragment) = link.trim().split_once('#')?;
    fragment
        .split('&')
        .find_map(|piece| piece.strip_prefix("k="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_links() {
        let id = "0123456789abcdef0123456789abcdef";
        for text in [
            id,
            &format!("http://127.0.0.1:4141/s/{id}"),
            &format!("https://x.example/chats/s/{id}/7.html#m0123"),
        ] {
            assert_eq!(
                share_id(text).as_ref().map(ShareId::as_str),
                Some(id),
                "{text}"
            );
        }
        assert_eq!(share_id("My chat"), None);
    }

    #[test]
    fn keys_are_found_in_links_however_they_were_copied() {
        let link = "https://x.example/s/0123456789abcdef0123456789abcdef/";
        for fragment in [
            "k=AB-_",
            "m0123&k=AB-_",
            "m0123&p=2.html&k=AB-_",
            "k=AB-_&p=2",
        ] {
            assert_eq!(
                key(&format!(" {link}#{fragment}\n")),
                Some("AB-_"),
                "{fragment}"
            );
        }
        for text in [link, "x?k=AB", "x#mk=AB", ""] {
            assert_eq!(key(text), None, "{text}");
        }
    }

    #[test]
    fn a_code_holds_a_link() {
        let picture = qr("http://127.0.0.1:4141/s/0123456789abcdef0123456789abcdef/").unwrap();
        assert!(picture.lines().count() > 15, "{picture}");
    }
}
