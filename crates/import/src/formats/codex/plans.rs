//! Blocks in the model's texts that the program takes out of them: plans, which it shows apart, and citations of its memory, which only it reads.
//!
//! Source: openai/codex codex-rs, `strip_proposed_plan_blocks` and `strip_citations`. A tag stands at the beginning of a line.

const PLAN: &str = "proposed_plan";
const CITATION: &str = "oai-mem-citation";

/// The pieces of a text, and whether each is a plan. Citations are left out, as is what is blank.
pub(super) fn cut(text: &str) -> Vec<(bool, &str)> {
    let mut pieces = Vec::new();
    // A tag that nothing ends is text, and so are those like it that follow.
    let mut tags = vec![PLAN, CITATION];
    let (mut from, mut at) = (0, 0);
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
    }
    pieces.push((false, &text[from..]));
    pieces.retain(|(_, text)| !text.trim().is_empty());
    pieces
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
                "<proposed_plan> open",
                vec![(false, "<proposed_plan> open")],
            ),
        ] {
            assert_eq!(cut(text), expected, "{text}");
        }
    }
}
