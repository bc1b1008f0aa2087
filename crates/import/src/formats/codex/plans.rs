//! Blocks in the model's texts that the program takes out of them: plans, which it shows apart, and citations of its memory, which only it reads.
//!
//! Source: openai/codex codex-rs, `strip_proposed_plan_blocks` and `strip_citations`. A tag stands at the beginning of a line.

const PLAN: &str = "proposed_plan";
const CITATION: &str = "oai-mem-citation";

/// The pieces of a text, and whether each is a plan. Citations are left out, as is what is blank.
pub(super) fn cut(text: &str) -> Vec<(bool, &str)> {
    let mut pieces = Vec::new();
    let mut rest = text;
    loop {
        let plan = block(rest, PLAN);
        let citation = block(rest, CITATION);
        let plan_is_next = match (&plan, &citation) {
            (Some(plan), Some(citation)) => plan.before.len() < citation.before.len(),
            (plan, _) => plan.is_some(),
        };
        let Some(next) = (if plan_is_next { plan } else { citation }) else {
            break;
        };
        pieces.push((false, next.before));
        if plan_is_next {
            pieces.push((true, next.inner.trim()));
        }
        rest = next.after.trim_start_matches('\n');
    }
    pieces.push((false, rest));
    pieces.retain(|(_, text)| !text.trim().is_empty());
    pieces
}

/// A block in a text.
struct Block<'t> {
    before: &'t str,
    inner: &'t str,
    after: &'t str,
}

/// The first block of that tag.
fn block<'t>(text: &'t str, tag: &str) -> Option<Block<'t>> {
    let open = format!("<{tag}>");
    let begins = |at: &usize| *at == 0 || text[..*at].ends_with('\n');
    let at = text.match_indices(&open).map(|(at, _)| at).find(begins)?;
    let (before, rest) = text.split_at(at);
    let (inner, after) = rest.get(open.len()..)?.split_once(&format!("</{tag}>"))?;
    Some(Block {
        before,
        inner,
        after,
    })
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
