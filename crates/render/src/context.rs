//! What templates get: every variable that a theme may use. `docs/themes.md` lists them, and a test holds the two together.

use minijinja::Value;
use serde::Serialize;

/// A page of messages, and the page of contents.
#[derive(Serialize)]
pub(crate) struct PageContext<'a> {
    pub(crate) page: Page<'a>,
    pub(crate) chat: &'a ChatHead,
    pub(crate) share: Option<&'a Share>,
    pub(crate) left_out: &'a LeftOut,
    pub(crate) prompts: &'a [PromptLink],
    /// The page's items, rendered.
    pub(crate) messages: Value,
    /// What stands at the chat's end.
    pub(crate) end: Option<End>,
    /// All artifacts, on the last page of contents.
    pub(crate) files: &'a [File],
    /// What a page that changes while it is open says of itself.
    pub(crate) live: Option<&'a Live>,
    pub(crate) styles: &'a [String],
    pub(crate) scripts: &'a [String],
    pub(crate) find_scripts: &'a [String],
    pub(crate) csp: &'static str,
    pub(crate) version: &'static str,
}

#[derive(Serialize)]
pub(crate) struct Live {
    pub(crate) epoch: String,
    pub(crate) seq: u64,
    /// File names of the pages whose items it shows.
    pub(crate) pages: String,
    /// Where viewers sign in and come back to the page.
    pub(crate) signin: String,
    /// How many have the share open.
    pub(crate) viewers: usize,
    /// Time of the last message.
    pub(crate) at: Option<String>,
}

/// A page of the server's own: an error, a sign-in.
#[derive(Serialize)]
pub(crate) struct NoticeContext<'a> {
    pub(crate) page: NoticeHead<'a>,
    pub(crate) chat: NoticeChat<'a>,
    /// What it says.
    pub(crate) notice: Notice<'a>,
    pub(crate) styles: &'a [String],
    pub(crate) scripts: &'a [String],
    pub(crate) csp: &'static str,
    pub(crate) version: &'static str,
}

/// A page of a published site that belongs to no bundle.
#[derive(Serialize)]
pub(crate) struct SiteContext<'a> {
    pub(crate) site: Site<'a>,
    /// The style sheet, in the page.
    pub(crate) style: minijinja::Value,
    /// The script, in the page; may be empty.
    pub(crate) script: minijinja::Value,
    pub(crate) csp: &'a str,
    pub(crate) version: &'static str,
}

/// What it says.
#[derive(Serialize)]
pub(crate) struct Site<'a> {
    /// `head`, `gone`, `missing` or `catalogue`.
    pub(crate) kind: &'static str,
    pub(crate) title: &'a str,
    pub(crate) heading: &'a str,
    pub(crate) text: &'a str,
    /// Where to go on.
    pub(crate) href: Option<&'a str>,
    pub(crate) words: &'a str,
    pub(crate) shares: Vec<SiteShare<'a>>,
}

/// A share in the list.
#[derive(Serialize)]
pub(crate) struct SiteShare<'a> {
    pub(crate) href: &'a str,
    pub(crate) title: &'a str,
    pub(crate) at: String,
}

/// What `head.html` wants of a page.
#[derive(Serialize)]
pub(crate) struct NoticeHead<'a> {
    pub(crate) label: &'a str,
}

/// What `head.html` wants of a chat.
#[derive(Serialize)]
pub(crate) struct NoticeChat<'a> {
    pub(crate) title: &'a str,
}

#[derive(Serialize)]
pub(crate) struct Notice<'a> {
    pub(crate) heading: &'a str,
    pub(crate) text: &'a str,
    /// Where to go on.
    pub(crate) link: Option<NoticeLink<'a>>,
    /// A form to sign in with.
    pub(crate) form: Option<SigninForm<'a>>,
}

#[derive(Serialize)]
pub(crate) struct NoticeLink<'a> {
    pub(crate) href: &'a str,
    pub(crate) words: &'a str,
}

#[derive(Serialize)]
pub(crate) struct SigninForm<'a> {
    pub(crate) next: &'a str,
    pub(crate) user: &'a str,
    pub(crate) provider: Option<NoticeLink<'a>>,
    pub(crate) error: Option<&'a str>,
}

#[derive(Serialize)]
pub(crate) struct Page<'a> {
    /// `main`, `branch`, `thread` or `contents`.
    pub(crate) kind: &'static str,
    pub(crate) href: &'a str,
    /// What the window's title says before the chat's: `Page 2`.
    pub(crate) label: &'a str,
    /// Title of a thread.
    pub(crate) title: Option<&'a str>,
    pub(crate) previous: Option<&'a str>,
    pub(crate) next: Option<&'a str>,
    /// From a branch or thread back to where it hangs.
    pub(crate) back: Option<&'a str>,
    /// Number of the page's first prompt.
    pub(crate) first_prompt: usize,
    /// Marks of secrets that were taken out, on this page and those before it.
    pub(crate) redacted: usize,
}

#[derive(PartialEq, Serialize)]
pub(crate) struct ChatHead {
    pub(crate) title: String,
    pub(crate) app: Option<String>,
    pub(crate) created_at: Option<String>,
    /// `frozen` or `live`.
    pub(crate) updates: &'static str,
    /// `public` or `private`.
    pub(crate) visibility: &'static str,
}

#[derive(PartialEq, Serialize)]
pub(crate) struct Share {
    pub(crate) by: String,
    pub(crate) at: String,
}

#[derive(PartialEq, Serialize)]
pub(crate) struct LeftOut {
    pub(crate) artifacts: bool,
    /// What else was left out, in words; empty where nothing was.
    pub(crate) words: String,
}

#[derive(Clone, Serialize)]
pub(crate) struct PromptLink {
    pub(crate) page: String,
    pub(crate) anchor: String,
    pub(crate) text: String,
    pub(crate) at: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct End {
    pub(crate) empty: bool,
    pub(crate) damaged_records: u64,
    pub(crate) as_of: Option<String>,
}

/// One item of a page.
#[derive(Serialize)]
pub(crate) struct MessageContext<'a> {
    /// `prompt`, `answer`, `activity` or `notice`.
    pub(crate) kind: &'static str,
    /// `user`, `assistant`, `system` or `tool`.
    pub(crate) role: &'static str,
    /// `complete`, `partial`, `aborted` or `error`.
    pub(crate) status: &'static str,
    /// The item's name within its chat, which it keeps.
    pub(crate) key: &'a str,
    pub(crate) anchor: Option<&'a str>,
    /// Number of a prompt, 0 for any other item.
    pub(crate) number: usize,
    /// The first words of a prompt.
    pub(crate) heading: Option<&'a str>,
    pub(crate) at: Option<String>,
    pub(crate) day: Option<String>,
    pub(crate) author: Option<&'a str>,
    pub(crate) parts: Vec<PartContext>,
    /// All versions of the message, where there are several.
    pub(crate) alternatives: Vec<Version>,
}

#[derive(Serialize)]
pub(crate) struct Version {
    pub(crate) number: usize,
    /// `None` for the one that is being read.
    pub(crate) href: Option<String>,
}

/// A part of an item: `parts/<kind>.html` shows it as `part`.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum PartContext {
    Text {
        html: Value,
    },
    Activity {
        summary: String,
        failed: bool,
        duration: Option<String>,
        entries: Vec<Entry>,
    },
    Output {
        is_error: bool,
        first: Value,
        rest: Option<Value>,
        more: String,
    },
    Image(Image),
    Files {
        files: Vec<File>,
    },
    Sources {
        sources: Vec<Source>,
    },
    Notice {
        notice: &'static str,
        icon: &'static str,
        title: String,
        html: Option<Value>,
    },
}

#[derive(Serialize)]
pub(crate) struct Image {
    /// Where the picture is; `None` where it cannot be shown.
    pub(crate) src: Option<String>,
    /// Its file, where that is not `src`.
    pub(crate) href: Option<String>,
    pub(crate) alt: String,
    pub(crate) caption: Option<String>,
    pub(crate) width: Option<u32>,
    pub(crate) height: Option<u32>,
    /// Why it cannot be shown.
    pub(crate) absent: Option<&'static str>,
    /// The other host that it lies on.
    pub(crate) host: Option<String>,
}

#[derive(Clone, Serialize)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) href: Option<String>,
    /// Type and size, or why it is not there.
    pub(crate) facts: String,
}

#[derive(Serialize)]
pub(crate) struct Source {
    pub(crate) title: String,
    pub(crate) url: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) excerpt: Option<String>,
}

/// One line of an activity: `parts/<kind>.html` shows it as `entry`.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Entry {
    Call(Box<Call>),
    Reasoning {
        anchor: Option<String>,
        html: Option<Value>,
        duration: Option<String>,
    },
    Quiet {
        anchor: Option<String>,
        part: &'static str,
        title: String,
        html: Value,
    },
    Result {
        anchor: Option<String>,
        result: Vec<PartContext>,
    },
    Thread {
        anchor: Option<String>,
        thread: ThreadContext,
    },
}

#[derive(Serialize)]
pub(crate) struct Call {
    pub(crate) anchor: Option<String>,
    pub(crate) verb: String,
    pub(crate) object: Option<String>,
    /// The object unshortened, where it was shortened.
    pub(crate) object_full: Option<String>,
    pub(crate) added: usize,
    pub(crate) removed: usize,
    /// Size of the result: `120 lines`.
    pub(crate) size: Option<String>,
    /// `done`, `failed`, `denied` or `no_result`.
    pub(crate) state: &'static str,
    pub(crate) input: Option<Value>,
    pub(crate) result: Vec<PartContext>,
    pub(crate) threads: Vec<ThreadContext>,
}

#[derive(Serialize)]
pub(crate) struct ThreadContext {
    pub(crate) summary: String,
    /// Its own page, where it is too long to stand here.
    pub(crate) href: Option<String>,
    pub(crate) messages: Option<Value>,
}
