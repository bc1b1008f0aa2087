//! Blocks in the model's texts that the program takes out of them: plans, which it shows apart, and citations of its memory, which only it reads.
//!
//! Source: openai/codex codex-rs, `strip_proposed_plan_blocks` and `strip_citations`. A tag stands at the beginning of a line. Fenced code that shows
//! such a tag stays whole.

const PLAN: &str = "proposed_plan";
const CITATION: &str = "oai-mem-citation";

/// The pieces of a text, and whether each is a plan. Citations are left out, as is what is blank.
pub(super) fn cut(text: &str) -> Vec<(bool, &str)> {
    let mut pieces = Vec::new();
    // A tag that nothing ends is text, and so are those like it that follow.
    let mut tags = vec![PLAN, CITATION];
    let (mut from, mut at) = (0, 0);
    let (mut fence, mut fences_read) = (None, 0);
    while let Some(found) = text[at..].find('<') {
        let start = at + found;
        at = start + 1;
        let is_at_line = start == from || text[..start].ends_with('\n');
        let is_here = |tag: &&str| {
            let rest = text[at..].strip_prefix(*tag);
            rest.is_some_and(|rest| rest.starts_with('>'))
        };
        let Some(&tag) = tags.iter().find(|tag| is_at_line && is_here(tag)) else {
            continue;
        };
        fence = text[fences_read..start].lines().fold(fence, fence_after);
        fences_read = start;
        if fence.is_some() {
            continue;
        }
        let inner = &text[at + tag.len() + 1..];
        let Some((inner, after)) = inner.split_once(&format!("</{tag}>")) else {
            tags.retain(|other| *other != tag);
            continue;
        };
        pieces.push((false, &text[from..start]));
        if tag == PLAN {
            pieces.push((true, inner.trim()));
        }
        from = text.len() - after.trim_start_matches('\n').len();
        at = from;
        fences_read = from;
    }
    pieces.push((false, &text[from..]));
    pieces.retain(|(_, text)| !text.trim().is_empty());
    pieces
}

/// The marks that the fenced code behind a line began with, where it is in such; `open` are those before the line.
fn fence_after<'t>(open: Option<&'t str>, line: &'t str) -> Option<&'t str> {
    let line = line.trim();
    let length = |mark| line.len() - line.trim_start_matches(mark).len();
    let (marks, rest) = line.split_at(length('`').max(length('~')));
    match open {
        Some(open) if rest.is_empty() && marks.starts_with(open) => None,
        None if marks.len() >= 3 && !(marks.starts_with('`') && rest.contains('`')) => Some(marks),
        _ => open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_cut_out_where_they_begin_a_line() {
        for (text, expected) in [
            (" as it is\n", vec![(false, " as it is\n")]),
            (
                "Intro\n<proposed_plan>\n# Plan\n</proposed_plan>\nOutro",
                vec![(false, "Intro\n"), (true, "# Plan"), (false, "Outro")],
            ),
            (
                "<proposed_plan>\n# Plan\n</proposed_plan>",
                vec![(true, "# Plan")],
            ),
            (
                "It says.\n<oai-mem-citation>\nM:1\n</oai-mem-citation>",
                vec![(false, "It says.\n")],
            ),
            (
                "a `<proposed_plan>` has `</proposed_plan>`",
                vec![(false, "a `<proposed_plan>` has `</proposed_plan>`")],
            ),
            (
                "````\n```\n<proposed_plan>\na\n</proposed_plan>\n````\n<proposed_plan>\nb\n</proposed_plan>\n~~~ xml\n<proposed_plan>\nc\n</proposed_plan>\n~~~\n",
                vec![
                    (
                        false,
                        "````\n```\n<proposed_plan>\na\n</proposed_plan>\n````\n",
                    ),
                    (true, "b"),
                    (
                        false,
                        "~~~ xml\n<proposed_plan>\nc\n</proposed_plan>\n~~~\n",
                    ),
                ],
            ),
            (
                "```a```\n<proposed_plan>\nb\n</proposed_plan>",
                vec![(false, "```a```\n"), (true, "b")],
            ),
            (
                "<proposed_plan> open",
                vec![(false, "<proposed_plan> open")],
            ),
        ] {
            assert_eq!(cut(text), expected, "{text}");
        }
    }
}
