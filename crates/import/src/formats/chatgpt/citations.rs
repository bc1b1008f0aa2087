//! Citation marks in texts: replaced by links or taken away, and the sources they stand for.
//!
//! Newer marks are `U+E200 cite U+E202 turn0search1 U+E201` and are told by `content_references`; older ones are `【7†source】` and are told
//! by their place (`citations`) or number (`_cite_metadata`).

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet, hash_map::Entry},
};

use readalong_model::Part;

use super::wire::{Metadata, Reference, Site};

const MARK_START: char = '\u{e200}';
const MARK_END: char = '\u{e201}';
const MARK_SEPARATOR: char = '\u{e202}';
/// Characters that only the product's own pages know how to show.
const PRIVATE: std::ops::RangeInclusive<char> = '\u{e200}'..='\u{e2ff}';
/// The longest mark; a start without an end within this is no mark.
const MARK_BYTES_MAX: usize = 4 << 10;
const OLD_MARK_BYTES_MAX: usize = 200;
/// Bytes of links in the place of marks whose link stands in the message already, in a whole message: hundreds of links. A mark is of six
/// bytes, and what it stands for as long as its author likes.
const REPEATED_BYTES_MAX: usize = 64 << 10;

/// Takes away all marks and private characters.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    Marks::default().replace(text)
}

/// What the marks of one message stand for.
#[derive(Default)]
pub(super) struct Marks<'m> {
    /// Mark to reference; where a mark occurs several times all mean the same.
    references: HashMap<&'m str, &'m Reference<'m>>,
    /// Place in characters to page.
    by_place: HashMap<usize, &'m Site<'m>>,
    /// Number to page.
    by_number: &'m [Site<'m>],
    repeated: Repeated,
}

/// What was put in the place of marks more than once.
#[derive(Default)]
struct Repeated {
    /// What stands in the message already, by the address of what it was made of.
    known: RefCell<HashMap<usize, String>>,
    bytes: Cell<usize>,
    left_out: Cell<bool>,
}

impl Repeated {
    /// The text that is made of something, once; empty where it was repeated too often.
    fn text<T>(&self, of: &T, make: impl FnOnce(&T) -> String) -> String {
        match self.known.borrow_mut().entry(std::ptr::from_ref(of).addr()) {
            Entry::Vacant(entry) => entry.insert(make(of)).clone(),
            Entry::Occupied(entry) => {
                let bytes = self.bytes.get().saturating_add(entry.get().len());
                if bytes > REPEATED_BYTES_MAX {
                    self.left_out.set(true);
                    return String::new();
                }
                self.bytes.set(bytes);
                entry.get().clone()
            }
        }
    }
}

impl<'m> Marks<'m> {
    pub(super) fn of(metadata: &'m Metadata<'m>) -> Self {
        let marked = |reference: &'m Reference<'m>| {
            Some((reference.matched_text.as_deref()?.trim(), reference))
        };
        let placed = metadata.citations.iter().filter_map(|citation| {
            Some((
                citation.start_ix?.max(0.0) as usize,
                citation.metadata.as_ref()?,
            ))
        });
        Self {
            references: metadata
                .content_references
                .iter()
                .filter_map(marked)
                .collect(),
            by_place: placed.collect(),
            by_number: metadata
                .cite_metadata
                .as_ref()
                .map(|list| list.metadata_list.as_slice())
                .unwrap_or_default(),
            repeated: Repeated::default(),
        }
    }

    /// True where marks were left out because what they stand for was repeated too often.
    pub(super) fn left_out(&self) -> bool {
        self.repeated.left_out.get()
    }

    /// The text with links for its marks.
    pub(super) fn replace<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if !text.contains(|c| PRIVATE.contains(&c) || c == '【') {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut place = 0;
        while let Some(c) = rest.chars().next() {
            let mark = match c {
                MARK_START => new_mark(rest),
                '【' => old_mark(rest)
                    .filter(|(_, number)| number.is_some())
                    .map(|(mark, _)| mark),
                _ => None,
            };
            let taken = match mark {
                Some(mark) => {
                    let replacement = self.replacement(mark, place);
                    match replacement.is_empty() {
                        true => close_gap(&mut out, rest.get(mark.len()..).unwrap_or_default()),
                        false => {
                            let joined = replacement.starts_with('(')
                                && out.ends_with(|last: char| last.is_alphanumeric());
                            out.push_str(if joined { " " } else { "" });
                            out.push_str(&replacement);
                        }
                    }
                    mark
                }
                None => {
                    if !PRIVATE.contains(&c) {
                        out.push(c);
                    }
                    rest.get(..c.len_utf8()).unwrap_or(rest)
                }
            };
            place += taken.chars().count();
            rest = rest.get(taken.len()..).unwrap_or_default();
        }
        Cow::Owned(out)
    }

    fn replacement(&self, mark: &str, place: usize) -> String {
        let page = || match old_mark(mark)?.1 {
            Some(number) => self
                .by_place
                .get(&place)
                .copied()
                .or_else(|| self.by_number.get(number)),
            None => None,
        };
        match self.references.get(mark) {
            Some(reference) => self.repeated.text(*reference, |reference| {
                link_of(reference).unwrap_or_default()
            }),
            None => match page().or_else(|| self.by_place.get(&place).copied()) {
                Some(page) => self.repeated.text(page, |page| {
                    link(page.title.as_deref(), page.url.as_deref())
                        .map(|link| format!("({link})"))
                        .unwrap_or_default()
                }),
                None => label_in(mark).unwrap_or_default(),
            },
        }
    }
}

/// The mark at the start of a text, with its end.
fn new_mark(text: &str) -> Option<&str> {
    let mark = text.get(..find_within(text, MARK_END, MARK_BYTES_MAX)? + MARK_END.len_utf8())?;
    let inner = mark.strip_prefix(MARK_START)?;
    (!inner.contains(MARK_START)).then_some(mark)
}

/// Where a character stands within the first bytes of a text.
fn find_within(text: &str, c: char, bytes_max: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    memchr::memmem::find(
        bytes.get(..bytes_max).unwrap_or(bytes),
        c.encode_utf8(&mut [0; 4]).as_bytes(),
    )
}

/// An older mark at the start of a text, and its number: `【7†source】` or `【2:7†file.pdf】`.
fn old_mark(text: &str) -> Option<(&str, Option<usize>)> {
    let inner = text.strip_prefix('【')?;
    let end = find_within(inner, '】', OLD_MARK_BYTES_MAX)?;
    let (number, _) = inner.get(..end)?.split_once('†')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !number.split(':').all(digits) {
        return None;
    }
    let mark = text.get(..'【'.len_utf8() + end + '】'.len_utf8())?;
    Some((mark, Some(number.parse().unwrap_or(usize::MAX))))
}

/// What a mark without a reference says itself: the name of a thing, the words of a link.
fn label_in(mark: &str) -> Option<String> {
    let mut words = mark
        .trim_matches([MARK_START, MARK_END])
        .split(MARK_SEPARATOR);
    match words.next()? {
        "entity" => serde_json::from_str::<Vec<String>>(words.next()?)
            .ok()?
            .into_iter()
            .nth(1),
        "url" => words.next().map(|label| clean(label).into_owned()),
        _ => None,
    }
}

/// What stands in the place of a mark.
fn link_of(reference: &Reference<'_>) -> Option<String> {
    let alt = reference
        .alt
        .as_deref()
        .filter(|alt| !alt.contains(|c| PRIVATE.contains(&c)));
    if let Some(alt) = alt.filter(|alt| !alt.trim().is_empty()) {
        return Some(alt.to_owned());
    }
    let items = reference
        .items
        .iter()
        .filter_map(|item| link(item.title.as_deref(), item.url.as_deref()));
    let own = link(
        reference.title.as_deref().or(reference.name.as_deref()),
        reference.url.as_deref(),
    );
    let links: Vec<String> = own.into_iter().chain(items).collect();
    if links.is_empty() {
        return reference
            .matched_text
            .as_deref()
            .and_then(|mark| label_in(mark.trim()));
    }
    Some(format!("({})", links.join(", ")))
}

fn link(title: Option<&str>, url: Option<&str>) -> Option<String> {
    let url = url.filter(|url| is_web(url))?;
    let title = title
        .filter(|title| !title.trim().is_empty())
        .unwrap_or(url);
    let mut out = String::from("[");
    for c in clean(title).chars() {
        match c {
            '[' | ']' | '\\' | '<' | '`' | '*' | '_' => out.extend(['\\', c]),
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out.push_str("](");
    for c in url.chars() {
        match c {
            '(' => out.push_str("%28"),
            ')' => out.push_str("%29"),
            '<' => out.push_str("%3C"),
            '>' => out.push_str("%3E"),
            c if c.is_whitespace() => out.push_str("%20"),
            c => out.push(c),
        }
    }
    out.push(')');
    Some(out)
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// Where a mark goes, the blank before it goes too, unless words follow.
fn close_gap(out: &mut String, rest: &str) {
    if out.ends_with(' ')
        && rest
            .chars()
            .next()
            .is_none_or(|next| next.is_whitespace() || next.is_ascii_punctuation())
    {
        out.pop();
    }
}

/// The sources of a message, each once.
pub(super) fn sources(metadata: &Metadata<'_>) -> Vec<Part> {
    let mut seen = HashSet::new();
    let mut parts = Vec::new();
    let mut add = |title: Option<&str>, url: Option<&str>, excerpt: Option<&str>| {
        let url = url.filter(|url| is_web(url));
        let title = title.filter(|title| !title.trim().is_empty()).or(url);
        let Some(title) = title.map(clean) else {
            return;
        };
        if seen.insert(url.unwrap_or(&title).to_owned()) {
            let excerpt = excerpt
                .filter(|excerpt| !excerpt.trim().is_empty())
                .map(|excerpt| clean(excerpt).into_owned());
            parts.push(Part::Source {
                title: title.into_owned(),
                url: url.map(str::to_owned),
                excerpt,
            });
        }
    };
    for reference in &metadata.content_references {
        let is_page = reference.url.as_deref().is_some_and(is_web);
        if is_page || (reference.name.is_some() && reference.snippet.is_some()) {
            add(
                reference.title.as_deref().or(reference.name.as_deref()),
                reference.url.as_deref(),
                reference.snippet.as_deref(),
            );
        }
        let items = reference.items.iter().filter(|item| item.url.is_some());
        for item in items {
            add(
                item.title.as_deref(),
                item.url.as_deref(),
                item.snippet.as_deref(),
            );
            item.supporting_websites.iter().for_each(|site| {
                add(
                    site.title.as_deref(),
                    site.url.as_deref(),
                    site.snippet.as_deref(),
                )
            });
        }
        reference.sources.iter().for_each(|site| {
            add(
                site.title.as_deref(),
                site.url.as_deref(),
                site.snippet.as_deref(),
            )
        });
    }
    let cited = metadata
        .citations
        .iter()
        .filter_map(|citation| citation.metadata.as_ref());
    let listed = metadata
        .cite_metadata
        .iter()
        .flat_map(|list| &list.metadata_list);
    for site in cited.chain(listed) {
        add(
            site.title.as_deref(),
            site.url.as_deref(),
            site.text.as_deref().or(site.snippet.as_deref()),
        );
    }
    parts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn replaced(text: &str, metadata: &str) -> String {
        let metadata: Metadata<'_> = serde_json::from_str(metadata).unwrap();
        Marks::of(&metadata).replace(text).into_owned()
    }

    #[test]
    fn marks_do_not_repeat_what_they_stand_for_without_end() {
        let mark = "\u{e200}cite\u{e202}a\u{e201}";
        let alt = "A".repeat(10_000);
        let metadata =
            json!({"content_references": [{"matched_text": mark, "alt": alt}]}).to_string();
        let metadata: Metadata<'_> = serde_json::from_str(&metadata).unwrap();
        let marks = Marks::of(&metadata);
        assert_eq!(marks.replace(mark), alt);
        assert!(!marks.left_out());
        // The texts of a message have one bound together.
        let text = format!("{mark} ").repeat(100);
        let replaced: usize = (0..3).map(|_| marks.replace(&text).len()).sum();
        assert!(replaced <= REPEATED_BYTES_MAX + 300, "{replaced}");
        assert!(marks.left_out());
    }

    #[test]
    fn marks_become_links_or_go() {
        let page = r#"{"content_references":[{"matched_text":"\ue200cite\ue202turn0search0\ue201","alt":null,
            "items":[{"title":"A [b]","url":"https://example.com/a(1)"}]}]}"#;
        let old = r#"{"citations":[{"start_ix":4,"metadata":{"title":"Kite","url":"https://example.com/k"}}],
            "_cite_metadata":{"metadata_list":[{"title":"Zero","url":"https://example.com/0"}]}}"#;
        for (text, metadata, expected) in [
            (
                "So \u{e200}cite\u{e202}turn0search0\u{e201}.",
                page,
                "So ([A \\[b\\]](https://example.com/a%281%29)).",
            ),
            ("So \u{e200}cite\u{e202}turn9\u{e201}.", page, "So."),
            ("\u{e203}kept\u{e204} all\u{e206}", "{}", "kept all"),
            (
                "\u{e200}entity\u{e202}[\"company\",\"Kite & Co\",\"x\"]\u{e201} flies",
                "{}",
                "Kite & Co flies",
            ),
            ("open \u{e200}cite", "{}", "open cite"),
            (
                "äöü 【7†source】 and 【0†x】",
                old,
                "äöü ([Kite](https://example.com/k)) and ([Zero](https://example.com/0))",
            ),
            ("gone 【12†source】.", "{}", "gone."),
            (
                "【重要】 stays, 【x†y】 too",
                "{}",
                "【重要】 stays, 【x†y】 too",
            ),
        ] {
            assert_eq!(replaced(text, metadata), expected, "{text}");
        }
    }
}
