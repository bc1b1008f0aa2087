//! Differences as HTML: two texts compared, or a unified diff that somebody else made.
//!
//! The output is the text of a unified diff (real `+` and `-` at the line starts, so that copies and screen readers
//! have them) with spans around runs of equal kind. All bounds are sizes, never times: the same input gives the same
//! bytes on any machine.

use std::collections::HashMap;

use similar::{Algorithm, DiffOp, capture_diff_slices, group_diff_ops};

use crate::html::escape_code;

/// Lines of both texts together up to which they are compared; beyond, all is removed and all is added.
const MAX_LINES: usize = 20_000;

/// Bytes of both texts together up to which they are compared.
const MAX_BYTES: usize = 2_000_000;

/// Equal lines shown around a change.
const CONTEXT_LINES: usize = 3;

/// Words and separators of one side of a change up to which changed words are looked for.
const MAX_TOKENS: usize = 400;

/// Changes of one diff in which changed words are looked for.
const MAX_EMPHASISED: usize = 1_000;

/// Share of the longer side, in percent, that must be equal for emphasis to help rather than confuse.
const MIN_EQUAL_PERCENT: usize = 40;

/// A diff ready for a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DiffHtml {
    /// `<pre class="diff">` with the whole diff.
    pub(crate) html: String,
    /// Lines added.
    pub(crate) added: usize,
    /// Lines removed.
    pub(crate) removed: usize,
}

/// Compares two texts.
pub(crate) fn diff_texts(old: &str, new: &str) -> DiffHtml {
    // Line ends are shown only when the two texts differ in them.
    let same_ends =
        old.is_empty() || new.is_empty() || old.contains("\r\n") == new.contains("\r\n");
    let old_lines = split_lines(old, same_ends);
    let new_lines = split_lines(new, same_ends);
    let mut writer = DiffWriter::new();
    let small =
        old_lines.len() + new_lines.len() <= MAX_LINES && old.len() + new.len() <= MAX_BYTES;
    let ops = if small {
        capture_diff_slices(Algorithm::Myers, &old_lines, &new_lines)
    } else {
        vec![DiffOp::Replace {
            old_index: 0,
            old_len: old_lines.len(),
            new_index: 0,
            new_len: new_lines.len(),
        }]
    };
    let mut emphasised = 0;
    for group in group_diff_ops(ops, CONTEXT_LINES) {
        if group.iter().all(|op| matches!(op, DiffOp::Equal { .. })) {
            continue;
        }
        writer.line(Kind::Hunk, "", &hunk_header(&group));
        for op in &group {
            write_op(&mut writer, op, &old_lines, &new_lines, &mut emphasised);
        }
    }
    let open_end = |text: &str| !text.is_empty() && !text.ends_with('\n');
    if !old.is_empty() && !new.is_empty() && open_end(old) != open_end(new) {
        let which = if open_end(old) { "old" } else { "new" };
        writer.line(
            Kind::Meta,
            "\\ ",
            &format!("No newline at end of {which} file"),
        );
    }
    writer.finish()
}

/// Renders text that is a unified diff already, with or without file headers and hunk headers.
pub(crate) fn diff_unified(patch: &str) -> DiffHtml {
    let mut writer = DiffWriter::new();
    let mut left = HunkLines::default();
    let mut lines = split_lines(patch, true).into_iter().peekable();
    let mut after_old_name = false;
    while let Some(line) = lines.next() {
        let is_old_name =
            line.starts_with("--- ") && lines.peek().is_some_and(|next| next.starts_with("+++ "));
        let is_name = !left.inside() && (is_old_name || after_old_name && line.starts_with("+++ "));
        after_old_name = is_name && is_old_name;
        let kind = if is_name {
            Kind::Meta
        } else {
            match line.as_bytes().first() {
                Some(b'+') => Kind::Added,
                Some(b'-') => Kind::Removed,
                Some(b'@') if line.starts_with("@@") => Kind::Hunk,
                Some(b' ') | None => Kind::Context,
                Some(b'\\') => Kind::Meta,
                // Headers of git and of patch formats; anything else unknown is shown like context.
                _ if ["diff ", "index ", "*** "]
                    .iter()
                    .any(|start| line.starts_with(start)) =>
                {
                    Kind::Meta
                }
                _ => Kind::Context,
            }
        };
        if kind == Kind::Hunk {
            left = HunkLines::read(line);
        } else {
            left.count(kind);
        }
        writer.line(kind, "", line);
    }
    writer.finish()
}

/// Lines that a hunk header has promised and that have not come yet.
#[derive(Default)]
struct HunkLines {
    old: usize,
    new: usize,
}

impl HunkLines {
    /// Reads `@@ -1,3 +1,4 @@`; a number that is not there is one, as in every diff.
    fn read(header: &str) -> HunkLines {
        let count = |sign: char| {
            header
                .split_whitespace()
                .skip(1)
                .take(2)
                .find_map(|range| range.strip_prefix(sign))
                .map_or(0, |range| {
                    range
                        .split_once(',')
                        .map_or(1, |(_, count)| count.parse().unwrap_or(0))
                })
        };
        HunkLines {
            old: count('-'),
            new: count('+'),
        }
    }

    fn inside(&self) -> bool {
        self.old > 0 || self.new > 0
    }

    fn count(&mut self, kind: Kind) {
        if matches!(kind, Kind::Removed | Kind::Context) {
            self.old = self.old.saturating_sub(1);
        }
        if matches!(kind, Kind::Added | Kind::Context) {
            self.new = self.new.saturating_sub(1);
        }
    }
}

/// What a line of a diff is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Context,
    Added,
    Removed,
    Hunk,
    Meta,
}

/// Writes lines; neighbours of one kind share a span.
struct DiffWriter {
    diff: DiffHtml,
    open: Kind,
}

impl DiffWriter {
    fn new() -> DiffWriter {
        DiffWriter {
            diff: DiffHtml {
                html: String::from("<pre class=\"diff\" tabindex=\"0\">"),
                ..DiffHtml::default()
            },
            open: Kind::Context,
        }
    }

    fn line(&mut self, kind: Kind, sign: &str, text: &str) {
        self.start_line(kind, sign);
        escape_code(&mut self.diff.html, text);
        self.diff.html.push('\n');
    }

    /// Writes a line of which some pieces are emphasised.
    fn pieces(&mut self, kind: Kind, sign: &str, pieces: &[(bool, &str)]) {
        self.start_line(kind, sign);
        for (changed, text) in pieces {
            if *changed {
                self.diff.html.push_str("<b>");
            }
            escape_code(&mut self.diff.html, text);
            if *changed {
                self.diff.html.push_str("</b>");
            }
        }
        self.diff.html.push('\n');
    }

    fn start_line(&mut self, kind: Kind, sign: &str) {
        match kind {
            Kind::Added => self.diff.added += 1,
            Kind::Removed => self.diff.removed += 1,
            _ => {}
        }
        if kind != self.open {
            self.close();
            match kind {
                Kind::Context => {}
                Kind::Added => self.diff.html.push_str("<span class=\"d-add\">"),
                Kind::Removed => self.diff.html.push_str("<span class=\"d-del\">"),
                Kind::Hunk => self.diff.html.push_str("<span class=\"d-hunk\">"),
                Kind::Meta => self.diff.html.push_str("<span class=\"d-meta\">"),
            }
            self.open = kind;
        }
        self.diff.html.push_str(sign);
    }

    fn close(&mut self) {
        if self.open != Kind::Context {
            self.diff.html.push_str("</span>");
            self.open = Kind::Context;
        }
    }

    fn finish(mut self) -> DiffHtml {
        self.close();
        self.diff.html.push_str("</pre>");
        self.diff
    }
}

/// Splits into lines without their ends; a last line without an end counts.
fn split_lines(text: &str, drop_carriage_return: bool) -> Vec<&str> {
    let text = text
        .strip_suffix('\n')
        .map_or_else(|| if text.is_empty() { None } else { Some(text) }, Some);
    let Some(text) = text else {
        return Vec::new();
    };
    text.split('\n')
        .map(|line| match line.strip_suffix('\r') {
            Some(line) if drop_carriage_return => line,
            _ => line,
        })
        .collect()
}

fn hunk_header(group: &[DiffOp]) -> String {
    let (Some(first), Some(last)) = (group.first(), group.last()) else {
        return String::new();
    };
    let range = |start: usize, end: usize| {
        let length = end - start;
        // An empty range names the line before it, any other the first line of it.
        let line = if length == 0 { start } else { start + 1 };
        if length == 1 {
            format!("{line}")
        } else {
            format!("{line},{length}")
        }
    };
    format!(
        "@@ -{} +{} @@",
        range(first.old_range().start, last.old_range().end),
        range(first.new_range().start, last.new_range().end)
    )
}

fn write_op(
    writer: &mut DiffWriter,
    op: &DiffOp,
    old: &[&str],
    new: &[&str],
    emphasised: &mut usize,
) {
    let old = &old[op.old_range()];
    let new = &new[op.new_range()];
    match op {
        DiffOp::Equal { .. } => {
            for line in old {
                writer.line(Kind::Context, " ", line);
            }
        }
        DiffOp::Replace { .. } if *emphasised < MAX_EMPHASISED && write_words(writer, old, new) => {
            *emphasised += 1
        }
        _ => {
            for line in old {
                writer.line(Kind::Removed, "-", line);
            }
            for line in new {
                writer.line(Kind::Added, "+", line);
            }
        }
    }
}

/// Writes a change with its changed words emphasised; does nothing and says so when that would not help.
fn write_words(writer: &mut DiffWriter, old: &[&str], new: &[&str]) -> bool {
    let (Some(old_tokens), Some(new_tokens)) = (tokens(old), tokens(new)) else {
        return false;
    };
    // Comparing costs most where there is little in common, and then there is nothing to emphasise.
    if !may_have_in_common(&old_tokens, &new_tokens) {
        return false;
    }
    let ops = capture_diff_slices(Algorithm::Myers, &old_tokens, &new_tokens);
    let visible =
        |tokens: &[&str]| -> usize { tokens.iter().map(|token| token.trim().len()).sum() };
    let equal: usize = ops
        .iter()
        .filter(|op| matches!(op, DiffOp::Equal { .. }))
        .map(|op| visible(&old_tokens[op.old_range()]))
        .sum();
    let longer = visible(&old_tokens).max(visible(&new_tokens));
    if equal * 100 < longer * MIN_EQUAL_PERCENT {
        return false;
    }
    let mut old_pieces = Vec::new();
    let mut new_pieces = Vec::new();
    for op in &ops {
        let changed = !matches!(op, DiffOp::Equal { .. });
        old_pieces.extend(
            old_tokens[op.old_range()]
                .iter()
                .map(|token| (changed, *token)),
        );
        new_pieces.extend(
            new_tokens[op.new_range()]
                .iter()
                .map(|token| (changed, *token)),
        );
    }
    write_pieces(writer, Kind::Removed, "-", old, &old_pieces);
    write_pieces(writer, Kind::Added, "+", new, &new_pieces);
    true
}

/// True where enough words occur on both sides, wherever they stand.
fn may_have_in_common(old: &[&str], new: &[&str]) -> bool {
    let visible =
        |tokens: &[&str]| -> usize { tokens.iter().map(|token| token.trim().len()).sum() };
    let mut counts: HashMap<&str, usize> = HashMap::new();
    old.iter()
        .for_each(|token| *counts.entry(token).or_default() += 1);
    let common = new.iter().filter(|token| match counts.get_mut(**token) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    });
    let common: usize = common.map(|token| token.trim().len()).sum();
    common * 100 >= visible(old).max(visible(new)) * MIN_EQUAL_PERCENT
}

/// Cuts lines into words, runs of blanks and single other characters; a line end is a token of its own.
fn tokens<'t>(lines: &[&'t str]) -> Option<Vec<&'t str>> {
    let mut tokens = Vec::new();
    for line in lines {
        let mut rest = *line;
        while let Some(first) = rest.chars().next() {
            let same = |c: char| {
                if first.is_whitespace() {
                    c.is_whitespace()
                } else {
                    is_word(first) && is_word(c)
                }
            };
            let length = rest
                .find(|c| !same(c))
                .unwrap_or(rest.len())
                .max(first.len_utf8());
            let (token, after) = rest.split_at(length);
            tokens.push(token);
            rest = after;
        }
        tokens.push("\n");
        if tokens.len() > MAX_TOKENS {
            return None;
        }
    }
    Some(tokens)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Writes tokens line by line, neighbours of equal kind joined, also across a blank between two changed words.
fn write_pieces(
    writer: &mut DiffWriter,
    kind: Kind,
    sign: &str,
    lines: &[&str],
    pieces: &[(bool, &str)],
) {
    let mut at = 0;
    for line in lines {
        let mut joined: Vec<(bool, &str)> = Vec::new();
        let mut offset = 0;
        while let Some((changed, token)) = pieces.get(at).filter(|(_, token)| *token != "\n") {
            let end = offset + token.len();
            let bridges = !changed
                && token.trim().is_empty()
                && joined.last().is_some_and(|(changed, _)| *changed)
                && pieces
                    .get(at + 1)
                    .is_some_and(|(changed, next)| *changed && *next != "\n");
            let changed = *changed || bridges;
            match joined.last_mut() {
                Some((last, text)) if *last == changed => *text = &line[offset - text.len()..end],
                _ => joined.push((changed, &line[offset..end])),
            }
            offset = end;
            at += 1;
        }
        // The line end itself.
        at += 1;
        writer.pieces(kind, sign, &joined);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Returns the diff without the elements around it.
    fn body(diff: &DiffHtml) -> &str {
        diff.html
            .strip_prefix("<pre class=\"diff\" tabindex=\"0\">")
            .and_then(|html| html.strip_suffix("</pre>"))
            .unwrap()
    }

    fn text_of(html: &str) -> String {
        let mut text = String::new();
        let mut rest = html;
        while let Some((before, after)) = rest.split_once('<') {
            text.push_str(before);
            rest = after.split_once('>').unwrap().1;
        }
        text.push_str(rest);
        text.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&")
    }

    #[test]
    fn changes_are_marked() {
        for (old, new, expected, added, removed) in [
            ("", "", "", 0, 0),
            ("same", "same", "", 0, 0),
            (
                "",
                "a\nb\n",
                "<span class=\"d-hunk\">@@ -0,0 +1,2 @@\n</span><span class=\"d-add\">+a\n+b\n</span>",
                2,
                0,
            ),
            (
                "a\n",
                "",
                "<span class=\"d-hunk\">@@ -1 +0,0 @@\n</span><span class=\"d-del\">-a\n</span>",
                0,
                1,
            ),
            (
                "let a = 1;",
                "let a = 2;",
                "<span class=\"d-hunk\">@@ -1 +1 @@\n</span><span class=\"d-del\">-let a = <b>1</b>;\n</span>\
                 <span class=\"d-add\">+let a = <b>2</b>;\n</span>",
                1,
                1,
            ),
            (
                "a\n",
                "a",
                "<span class=\"d-meta\">\\ No newline at end of new file\n</span>",
                0,
                0,
            ),
            (
                "1\r\n2\r\n",
                "1\r\n3\r\n",
                "<span class=\"d-hunk\">@@ -1,2 +1,2 @@\n</span> 1\n<span class=\"d-del\">-2\n</span>\
                 <span class=\"d-add\">+3\n</span>",
                1,
                1,
            ),
            (
                "x\r\n",
                "x\n",
                "<span class=\"d-hunk\">@@ -1 +1 @@\n</span><span class=\"d-del\">-x<b>\u{240d}</b>\n</span>\
                 <span class=\"d-add\">+x\n</span>",
                1,
                1,
            ),
        ] {
            let diff = diff_texts(old, new);
            assert_eq!(body(&diff), expected, "{old:?} {new:?}");
            assert_eq!((diff.added, diff.removed), (added, removed));
        }
    }

    #[test]
    fn only_context_is_shown() {
        let old: Vec<String> = (1..=100).map(|n| n.to_string()).collect();
        let mut new = old.clone();
        new[9] = "ten".into();
        new[89] = "ninety".into();
        let diff = diff_texts(&old.join("\n"), &new.join("\n"));
        let text = text_of(body(&diff));
        assert!(text.starts_with(
            "@@ -7,7 +7,7 @@\n 7\n 8\n 9\n-10\n+ten\n 11\n 12\n 13\n@@ -87,7 +87,7 @@\n"
        ));
        assert_eq!((diff.added, diff.removed), (2, 2));
    }

    #[test]
    fn words_are_emphasised_across_lines() {
        let diff = diff_texts(
            "fn a(x: u32) {\n    call(x)\n}",
            "fn a(count: u64) {\n    call(count)\n}",
        );
        let html = body(&diff);
        assert!(
            html.contains("-fn a(<b>x</b>: <b>u32</b>) {\n-    call(<b>x</b>)\n"),
            "{html}"
        );
        assert!(
            html.contains("+fn a(<b>count</b>: <b>u64</b>) {\n+    call(<b>count</b>)\n"),
            "{html}"
        );
        assert!(!diff_texts("alpha beta", "gamma delta").html.contains("<b>"));
    }

    #[test]
    fn given_diffs_keep_their_text() {
        let patch = "diff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@ fn x()\n a\n--- old\n+++ new\n b\n\\ No newline at end of file\n";
        let diff = diff_unified(patch);
        assert_eq!(text_of(body(&diff)), patch);
        assert_eq!((diff.added, diff.removed), (1, 1));
        for (patch, expected) in [
            (
                "+a\n-b\n c",
                "<span class=\"d-add\">+a\n</span><span class=\"d-del\">-b\n</span> c\n",
            ),
            (
                "--- a\n+++ b\n-x",
                "<span class=\"d-meta\">--- a\n+++ b\n</span><span class=\"d-del\">-x\n</span>",
            ),
            ("--- only", "<span class=\"d-del\">--- only\n</span>"),
            (
                "*** Update File: x\n@@\n-<b>",
                "<span class=\"d-meta\">*** Update File: x\n</span><span class=\"d-hunk\">@@\n</span>\
                 <span class=\"d-del\">-&lt;b&gt;\n</span>",
            ),
            ("", ""),
        ] {
            assert_eq!(body(&diff_unified(patch)), expected, "{patch:?}");
        }
    }

    #[test]
    fn hostile_lines_are_text() {
        let diff = diff_texts("<script>a</script>", "<script>b</script>\u{202e}");
        assert!(!diff.html.contains("<script"));
        assert!(diff.html.contains("hidden-char"));
        assert!(
            !diff_unified("+</pre><script>\x1b[31m")
                .html
                .contains("<script")
        );
    }

    #[test]
    fn big_inputs_stay_bounded() {
        let old: String = (0..9_000).map(|n| format!("old {n}\n")).collect();
        let new: String = (0..9_000)
            .map(|n| format!("new {}\n", n * 7919 % 9_000))
            .collect();
        let diff = diff_texts(&old, &new);
        assert_eq!((diff.added, diff.removed), (9_000, 9_000));
        let shuffled: String = (0..9_000)
            .map(|n| format!("old {}\n", n * 7919 % 9_000))
            .collect();
        let diff = diff_texts(&old, &shuffled);
        assert_eq!(diff.added, diff.removed);
        let long = "x\n".repeat(30_000);
        let diff = diff_texts(&long, &format!("{long}y\n"));
        assert_eq!((diff.added, diff.removed), (30_001, 30_000));
        let line = "a b ".repeat(200_000);
        assert!(diff_texts(&line, &format!("{line}c")).html.len() < 2_000_000);
        let pairs: String = (0..5_000)
            .map(|n| format!("same {n}\nword {n} here\n"))
            .collect();
        diff_texts(&pairs, &pairs.replace("here", "there"));
    }
}
