//! What a live book is asked and answers: the chat that it reads, names of pages, operations for viewers.

use std::ops::Range;

use readalong_model::{
    Artifact, ChatHead, Digest, Message, Seq, ShareCard, SnapshotOptions, Thread,
};
use serde::{Deserialize, Serialize};

/// Where a live book finds its chat: whole, as the owner has it now, with edits in place, hidden messages marked as such and erased ones
/// emptied. The book takes from it only what viewers may see.
///
/// It may be ahead of the events that the book was told of, never behind.
pub trait Library: Sync {
    /// What is said of the chat as a whole, with the owner's title.
    fn head(&self) -> ChatHead;
    /// The message at a place, and the number of its last change.
    fn message(&self, place: u32) -> Option<(Seq, Message)>;
    /// All messages of a range of places, in order.
    fn for_each(&self, places: Range<u32>, see: &mut dyn FnMut(u32, Seq, Message));
    /// All threads.
    fn threads(&self) -> Vec<Thread>;
    /// All artifacts.
    fn artifacts(&self) -> Vec<Artifact>;
    /// The bytes of an artifact.
    fn blob(&self, digest: Digest) -> Option<Vec<u8>>;
}

/// What a live book has to know of its share.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveShare {
    /// What the header says.
    pub card: ShareCard,
    /// What of the chat is to be seen; `title` is the share's name. A range of messages is not possible.
    pub options: SnapshotOptions,
}

/// What a live page says of the moment at which it is made.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The epoch of the log.
    pub epoch: &'a str,
    /// How many have the share open; 0 where that is not to be told.
    pub viewers: usize,
    /// Where viewers sign in and come back.
    pub signin: &'a str,
}

/// What is to be done on an open page. Written as JSON it is an operation of the live protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// An item is new, or is to be shown anew.
    Put {
        /// Its key.
        item: String,
        /// The key of the item before it; `None` for the chat's first.
        after: Option<String>,
        /// File name of the page that it is on.
        page: String,
        /// The item, with its day's line.
        html: String,
        /// True for an item that readers have not seen in any form.
        new: bool,
    },
    /// An item is gone.
    Remove {
        /// Its key.
        item: String,
    },
    /// What the header says is new.
    Header {
        /// The header.
        html: String,
        /// The chat's title.
        title: String,
    },
    /// Nothing more will come.
    End {
        /// Why: `frozen`.
        reason: String,
        /// What stands at the chat's end now.
        html: String,
    },
    /// Something that readers had was taken out or changed, not only added to: whoever keeps what was told before lets go of it.
    TakenBack {},
    /// The pages were bound anew.
    Reload {},
}

/// A file of a live share that a [`LiveBook`](crate::LiveBook) makes. Numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Page {
    /// The newest messages: the page at the share's address itself.
    Newest,
    /// A page of messages: `index.html`, `2.html`.
    Messages(usize),
    /// A page of contents: `contents.html`, `contents-2.html`.
    Contents(usize),
    /// The same for scripts: `data/contents-1.js`.
    ContentsData(usize),
    /// What find sees of a page of messages: `data/search-index.js`, `data/search-2.js`.
    Search(usize),
    /// The items of a page of messages as operations, for whoever catches up page by page: `data/items-index.js`, `data/items-2.js`.
    Items(usize),
    /// What scripts know of the chat: `data/chat.js`.
    Facts,
    /// Which page has which message: `data/anchors.js`.
    Anchors,
}

impl Page {
    /// The page of a name relative to the share's address; `None` for a name that a live book does not make.
    pub fn parse(name: &str) -> Option<Self> {
        // One form for each number: `02.html` is no page.
        let number = |digits: &str, from: usize| -> Option<usize> {
            let number: usize = digits.parse().ok()?;
            (number >= from && number.to_string() == digits).then_some(number)
        };
        let messages = |name: &str| match name {
            "index" => Some(1),
            digits => number(digits, 2),
        };
        match name {
            "" => return Some(Self::Newest),
            "contents.html" => return Some(Self::Contents(1)),
            "data/chat.js" => return Some(Self::Facts),
            "data/anchors.js" => return Some(Self::Anchors),
            _ => {}
        }
        if let Some(data) = name.strip_prefix("data/") {
            let data = data.strip_suffix(".js")?;
            let contents = data.strip_prefix("contents-");
            let contents = contents.map(|digits| number(digits, 1).map(Self::ContentsData));
            let search = || messages(data.strip_prefix("search-")?).map(Self::Search);
            let items = || messages(data.strip_prefix("items-")?).map(Self::Items);
            return contents.unwrap_or_else(|| search().or_else(items));
        }
        let page = name.strip_suffix(".html")?;
        match page.strip_prefix("contents-") {
            Some(digits) => number(digits, 2).map(Self::Contents),
            None => messages(page).map(Self::Messages),
        }
    }

    /// What the file is.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Newest | Self::Messages(_) | Self::Contents(_) => "text/html; charset=utf-8",
            Self::ContentsData(_)
            | Self::Search(_)
            | Self::Items(_)
            | Self::Facts
            | Self::Anchors => "text/javascript; charset=utf-8",
        }
    }

    /// True for pages that connect and change while they are open: those with [`CSP_LIVE`](crate::CSP_LIVE).
    pub fn is_live(self) -> bool {
        matches!(self, Self::Newest | Self::Messages(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_pages_have_one_form() {
        for (name, page) in [
            ("", Some(Page::Newest)),
            ("index.html", Some(Page::Messages(1))),
            ("2.html", Some(Page::Messages(2))),
            ("contents.html", Some(Page::Contents(1))),
            ("contents-2.html", Some(Page::Contents(2))),
            ("data/contents-1.js", Some(Page::ContentsData(1))),
            ("data/search-index.js", Some(Page::Search(1))),
            ("data/search-12.js", Some(Page::Search(12))),
            ("data/items-index.js", Some(Page::Items(1))),
            ("data/items-2.js", Some(Page::Items(2))),
            ("data/items-1.js", None),
            ("data/chat.js", Some(Page::Facts)),
            ("data/anchors.js", Some(Page::Anchors)),
            ("1.html", None),
            ("02.html", None),
            ("+2.html", None),
            ("contents-1.html", None),
            ("data/contents-0.js", None),
            ("data/search-1.js", None),
            ("data/search-branch-0123456789ab.js", None),
            ("branch-0123456789ab.html", None),
            ("chat.json", None),
            ("99999999999999999999999.html", None),
        ] {
            assert_eq!(Page::parse(name), page, "{name}");
        }
    }

    #[test]
    fn operations_are_written_as_the_protocol_says() {
        let put = Op::Put {
            item: "m0-0".to_owned(),
            after: None,
            page: "7.html".to_owned(),
            html: "<article>".to_owned(),
            new: true,
        };
        for (op, json) in [
            (
                put,
                r#"{"put":{"item":"m0-0","after":null,"page":"7.html","html":"<article>","new":true}}"#,
            ),
            (
                Op::Remove {
                    item: "m0-0".to_owned(),
                },
                r#"{"remove":{"item":"m0-0"}}"#,
            ),
            (Op::TakenBack {}, r#"{"taken_back":{}}"#),
            (Op::Reload {}, r#"{"reload":{}}"#),
        ] {
            assert_eq!(serde_json::to_string(&op).unwrap(), json);
        }
    }
}
