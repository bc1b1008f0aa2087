//! Reads lines of code with the syntaxes of syntect and says where scopes begin and end.
//!
//! syntect has such a parser, and this one follows its rules step by step (a test compares the two). But two rules that
//! hand an empty match to each other keep that one busy for ever: `x /* y */` in JavaScript is enough (syntect#460,
//! fixed by syntect#706, in no release yet). Here every position of a line has a bounded number of steps, so that a
//! chat cannot stop a server. When a release has the fix and a bound of its own, this file can go.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::mem;
use std::rc::Rc;

use serde::Deserialize;
use serde_json::json;
use syntect::parsing::syntax_definition::{
    Context, ContextId, ContextReference, MatchOperation, MatchPattern, context_iter,
};
use syntect::parsing::{ParseState, Regex, Region, ScopeStackOp, SyntaxReference, SyntaxSet};

/// Steps that may be taken without going on in the line; syntaxes of real languages need a few dozen, for the contexts
/// that one character closes.
const MAX_STEPS_AT_ONE_PLACE: usize = 150;

/// Contexts that rules may nest by pushing, as in syntect.
const MAX_PUSHED: usize = 100;

/// Contexts that may be open in all; only rules that loop get there.
const MAX_LEVELS: usize = 300;

/// A change of the open scopes and where in the line it happens.
pub(super) type Change = (usize, ScopeStackOp);

/// Where a parser is in the contexts of a syntax, between lines.
pub(super) struct LineParser<'s> {
    syntaxes: &'s SyntaxSet,
    levels: Vec<Level<'s>>,
    /// Heights of the stack where an overlay pushed something: overlays below do not reach above it.
    overlay_floors: Vec<usize>,
    is_first_line: bool,
    /// Rules of the contexts met so far, with everything they include.
    rules: HashMap<*const Context, Rc<[&'s MatchPattern]>, BuildHasherDefault<PointerHasher>>,
    prototypes: HashMap<ContextId, Option<&'s Context>>,
    /// Next match of each rule in the current line.
    found: HashMap<*const MatchPattern, Option<Rc<Region>>, BuildHasherDefault<PointerHasher>>,
    /// Where the last search matched; most searches match nothing, and this saves them an allocation.
    region: Region,
}

/// A context whose rules hold at some place, and the captures for them.
struct Candidate<'s> {
    context: &'s Context,
    captures: Option<Rc<Captures>>,
    is_overlay: bool,
}

/// One open context.
struct Level<'s> {
    context: &'s Context,
    /// Overlays ("with_prototype"): rules that hold here and in all contexts above.
    overlays: Vec<&'s Context>,
    captures: Option<Rc<Captures>>,
}

/// What the rule that opened a context matched, for rules that must find the same again (the end of a heredoc).
struct Captures {
    region: Rc<Region>,
    line: String,
    /// Rules with the captures put in; making them anew for every search is what costs most here.
    compiled: RefCell<Vec<(*const MatchPattern, Rc<Regex>)>>,
}

/// The rule that matches first.
struct Match<'s> {
    rule: &'s MatchPattern,
    region: Rc<Region>,
    start: usize,
    end: usize,
    from_overlay: bool,
    /// It would only undo the push before it, at the same place.
    would_loop: bool,
}

/// Where a line stands.
struct Cursor<'l> {
    line: &'l str,
    at: usize,
    /// Place and height of the last push that consumed nothing.
    empty_push: (usize, usize),
    steps_here: usize,
}

impl Cursor<'_> {
    /// Goes on by one character; false at the end of the line.
    fn skip(&mut self) -> bool {
        self.steps_here = 0;
        let mut chars = self.line[self.at..].chars();
        match (chars.next(), chars.next()) {
            (Some(skipped), Some(_)) => {
                self.at += skipped.len_utf8();
                true
            }
            _ => false,
        }
    }
}

impl<'s> LineParser<'s> {
    /// Starts a text in a syntax of the set.
    pub(super) fn new(syntaxes: &'s SyntaxSet, syntax: &SyntaxReference) -> Option<LineParser<'s>> {
        Some(LineParser {
            syntaxes,
            levels: vec![Level {
                context: start_context(syntaxes, syntax)?,
                overlays: Vec::new(),
                captures: None,
            }],
            overlay_floors: Vec::new(),
            is_first_line: true,
            rules: HashMap::default(),
            prototypes: HashMap::new(),
            found: HashMap::default(),
            region: Region::new(),
        })
    }

    /// Starts again, as if nothing had been read.
    pub(super) fn restart(&mut self) {
        self.levels.truncate(1);
        self.overlay_floors.clear();
        self.is_first_line = true;
    }

    /// Reads one line with its end and adds the changes of scopes in it; nothing when the syntax got lost.
    pub(super) fn read_line(&mut self, line: &str, changes: &mut Vec<Change>) -> Option<()> {
        let level = self.levels.last()?;
        if mem::take(&mut self.is_first_line)
            && let Some(scope) = level.context.meta_content_scope.first()
        {
            changes.push((0, ScopeStackOp::Push(*scope)));
        }
        self.found.clear();
        let mut cursor = Cursor {
            line,
            at: 0,
            empty_push: (0, 0),
            steps_here: 0,
        };
        while self.step(&mut cursor, changes)? {}
        Some(())
    }

    /// Applies the next rule; false when the line has no more.
    fn step(&mut self, cursor: &mut Cursor<'_>, changes: &mut Vec<Change>) -> Option<bool> {
        let forbid_pop = cursor.empty_push == (cursor.at, self.levels.len());
        while self
            .overlay_floors
            .last()
            .is_some_and(|floor| *floor >= self.levels.len())
        {
            self.overlay_floors.pop();
        }
        let Some(best) = self.best_match(cursor, forbid_pop)? else {
            return Some(false);
        };
        cursor.steps_here += 1;
        if best.would_loop || cursor.steps_here > MAX_STEPS_AT_ONE_PLACE {
            return Some(cursor.skip());
        }
        if best.end > cursor.at {
            cursor.steps_here = 0;
        } else if matches!(best.rule.operation, MatchOperation::Push(_)) {
            cursor.empty_push = (best.end, self.levels.len() + 1);
        }
        cursor.at = best.end;
        if best.from_overlay {
            self.overlay_floors.push(self.levels.len());
        }
        self.apply(cursor.line, &best, changes)?;
        (self.levels.len() <= MAX_LEVELS).then_some(true)
    }

    /// Returns the contexts whose rules hold now: overlays from below, the prototype of the syntax, the context itself.
    fn candidates(&mut self) -> Option<Vec<Candidate<'s>>> {
        let floor = self.overlay_floors.last().copied().unwrap_or(0);
        let mut candidates = Vec::with_capacity(4);
        for level in self.levels.get(floor..).unwrap_or_default() {
            candidates.extend(level.overlays.iter().map(|overlay| Candidate {
                context: overlay,
                captures: level.captures.clone(),
                is_overlay: true,
            }));
        }
        let level = self.levels.last()?;
        let (context, captures) = (level.context, level.captures.clone());
        if let Some(prototype) = context.prototype.and_then(|id| self.prototype(id)) {
            candidates.push(Candidate {
                context: prototype,
                captures: None,
                is_overlay: false,
            });
        }
        candidates.push(Candidate {
            context,
            captures,
            is_overlay: false,
        });
        Some(candidates)
    }

    /// Returns the rule that matches first: earliest in the line, then overlays, then in the order of the syntax.
    fn best_match(&mut self, cursor: &Cursor<'_>, forbid_pop: bool) -> Option<Option<Match<'s>>> {
        let mut best: Option<Match<'s>> = None;
        for candidate in self.candidates()? {
            let rules = self.rules_of(candidate.context);
            for rule in rules.iter() {
                let Some(region) = self.search(cursor, rule, candidate.captures.as_deref()) else {
                    continue;
                };
                let (start, end) = region.pos(0)?;
                let better = best.as_ref().is_none_or(|best| {
                    start < best.start || start == best.start && best.would_loop
                });
                if !better {
                    continue;
                }
                let is_push = matches!(rule.operation, MatchOperation::Push(_));
                if is_push && self.levels.len() >= MAX_PUSHED {
                    return Some(None);
                }
                let would_loop =
                    forbid_pop && end <= cursor.at && matches!(rule.operation, MatchOperation::Pop);
                best = Some(Match {
                    rule,
                    region,
                    start,
                    end,
                    from_overlay: candidate.is_overlay,
                    would_loop,
                });
                if start == cursor.at && !would_loop {
                    return Some(best);
                }
            }
        }
        Some(best)
    }

    /// Returns where a rule matches next.
    fn search(
        &mut self,
        cursor: &Cursor<'_>,
        rule: &'s MatchPattern,
        captures: Option<&Captures>,
    ) -> Option<Rc<Region>> {
        let key: *const MatchPattern = rule;
        match self.found.get(&key) {
            Some(Some(region)) if region.pos(0)?.0 >= cursor.at => return Some(Rc::clone(region)),
            Some(None) => return None,
            _ => {}
        }
        let own = captures
            .filter(|_| rule.has_captures)
            .map(|captures| captures.regex(rule));
        let regex = own.as_deref().unwrap_or_else(|| rule.regex());
        let can_keep = own.is_none();
        let line = cursor.line;
        if !regex.search(line, cursor.at, line.len(), Some(&mut self.region)) {
            if can_keep {
                self.found.insert(key, None);
            }
            return None;
        }
        let (start, end) = self.region.pos(0)?;
        let does_something = match rule.operation {
            MatchOperation::None => start != end,
            MatchOperation::Push(_) => self.levels.len() < MAX_PUSHED,
            _ => true,
        };
        if !does_something {
            return None;
        }
        let region = Rc::new(self.region.clone());
        if can_keep {
            self.found.insert(key, Some(Rc::clone(&region)));
        }
        Some(region)
    }

    /// Writes the changes that a rule makes and takes its contexts.
    fn apply(&mut self, line: &str, found: &Match<'s>, changes: &mut Vec<Change>) -> Option<()> {
        let rule = found.rule;
        let current = self.levels.last()?.context;
        self.enter(found.start, current, &rule.operation, changes)?;
        for scope in &rule.scope {
            changes.push((found.start, ScopeStackOp::Push(*scope)));
        }
        push_captures(rule, &found.region, changes);
        if !rule.scope.is_empty() {
            changes.push((found.end, ScopeStackOp::Pop(rule.scope.len())));
        }
        self.leave(found.end, current, &rule.operation, changes)?;
        self.move_levels(line, found)
    }

    /// Writes the changes in front of the matched text: it already belongs to the contexts that it opens.
    fn enter(
        &self,
        at: usize,
        current: &Context,
        operation: &MatchOperation,
        changes: &mut Vec<Change>,
    ) -> Option<()> {
        let (references, is_set) = match operation {
            MatchOperation::None => return Some(()),
            MatchOperation::Pop => {
                pop_scopes(at, current.meta_content_scope.len(), changes);
                return Some(());
            }
            MatchOperation::Push(references) => (references, false),
            MatchOperation::Set(references) => (references, true),
        };
        if is_set && current.clear_scopes.is_some() {
            changes.push((at, ScopeStackOp::Restore));
        }
        for reference in references {
            let context = reference.resolve(self.syntaxes).ok()?;
            if let (false, Some(amount)) = (is_set, context.clear_scopes) {
                changes.push((at, ScopeStackOp::Clear(amount)));
            }
            for scope in &context.meta_scope {
                changes.push((at, ScopeStackOp::Push(*scope)));
            }
        }
        Some(())
    }

    /// Writes the changes behind the matched text.
    fn leave(
        &self,
        at: usize,
        current: &Context,
        operation: &MatchOperation,
        changes: &mut Vec<Change>,
    ) -> Option<()> {
        let (references, is_set) = match operation {
            MatchOperation::None => return Some(()),
            MatchOperation::Pop => {
                pop_scopes(at, current.meta_scope.len(), changes);
                if current.clear_scopes.is_some() {
                    changes.push((at, ScopeStackOp::Restore));
                }
                return Some(());
            }
            MatchOperation::Push(references) => (references, false),
            MatchOperation::Set(references) => (references, true),
        };
        let contexts: Vec<&Context> = references
            .iter()
            .map(|reference| reference.resolve(self.syntaxes).ok())
            .collect::<Option<_>>()?;
        let own = current.meta_scope.len() + current.meta_content_scope.len();
        let again = is_set && own > 0
            || contexts.iter().any(|context| {
                !context.meta_content_scope.is_empty() || is_set && context.clear_scopes.is_some()
            });
        if !again {
            return Some(());
        }
        // The scopes of the contexts come again in their right order, now with those of their content.
        let pushed: usize = contexts
            .iter()
            .map(|context| context.meta_scope.len())
            .sum();
        pop_scopes(at, pushed + if is_set { own } else { 0 }, changes);
        for context in contexts {
            if let (true, Some(amount)) = (is_set, context.clear_scopes) {
                changes.push((at, ScopeStackOp::Clear(amount)));
            }
            for scope in context.meta_scope.iter().chain(&context.meta_content_scope) {
                changes.push((at, ScopeStackOp::Push(*scope)));
            }
        }
        Some(())
    }

    /// Opens and closes contexts as a rule says.
    fn move_levels(&mut self, line: &str, found: &Match<'s>) -> Option<()> {
        let (references, mut overlays) = match &found.rule.operation {
            MatchOperation::None => return Some(()),
            MatchOperation::Pop => {
                self.levels.pop();
                return (!self.levels.is_empty()).then_some(());
            }
            MatchOperation::Push(references) => (references, Vec::new()),
            // Overlays stay until the level on which they were laid is closed.
            MatchOperation::Set(references) => (references, self.levels.pop()?.overlays),
        };
        for (index, reference) in references.iter().enumerate() {
            let mut overlays = mem::take(&mut overlays);
            if index + 1 == references.len()
                && let Some(overlay) = &found.rule.with_prototype
            {
                overlays.push(overlay.resolve(self.syntaxes).ok()?);
            }
            let context = reference.resolve(self.syntaxes).ok()?;
            let refers_back =
                context.uses_backrefs || overlays.iter().any(|overlay| overlay.uses_backrefs);
            self.levels.push(Level {
                context,
                overlays,
                captures: refers_back.then(|| {
                    Rc::new(Captures {
                        region: Rc::clone(&found.region),
                        line: line.to_string(),
                        compiled: RefCell::default(),
                    })
                }),
            });
        }
        Some(())
    }

    fn rules_of(&mut self, context: &'s Context) -> Rc<[&'s MatchPattern]> {
        let syntaxes = self.syntaxes;
        let rules = self.rules.entry(context).or_insert_with(|| {
            context_iter(syntaxes, context)
                .filter_map(|(context, index)| context.match_at(index).ok())
                .collect()
        });
        Rc::clone(rules)
    }

    /// Returns the rules that a syntax adds to most of its contexts.
    fn prototype(&mut self, id: ContextId) -> Option<&'s Context> {
        let syntaxes = self.syntaxes;
        *self
            .prototypes
            .entry(id)
            .or_insert_with(|| context_by_id(syntaxes, serde_json::to_value(id).ok()?))
    }
}

impl Captures {
    fn regex(&self, rule: &MatchPattern) -> Rc<Regex> {
        let key: *const MatchPattern = rule;
        let mut compiled = self.compiled.borrow_mut();
        if let Some((_, regex)) = compiled.iter().find(|(known, _)| *known == key) {
            return Rc::clone(regex);
        }
        let regex = Rc::new(rule.regex_with_refs(&self.region, &self.line));
        compiled.push((key, Rc::clone(&regex)));
        regex
    }
}

fn pop_scopes(at: usize, count: usize, changes: &mut Vec<Change>) {
    if count > 0 {
        changes.push((at, ScopeStackOp::Pop(count)));
    }
}

/// Writes the scopes of the groups of a match, outer groups around inner ones.
fn push_captures(rule: &MatchPattern, region: &Region, changes: &mut Vec<Change>) {
    let Some(groups) = &rule.captures else {
        return;
    };
    let mut sorted: Vec<((usize, i64), ScopeStackOp)> = Vec::new();
    for (group, scopes) in groups {
        let Some((start, end)) = region.pos(*group).filter(|(start, end)| start < end) else {
            continue;
        };
        let length = i64::try_from(end - start).unwrap_or(i64::MAX);
        for scope in scopes {
            sorted.push(((start, -length), ScopeStackOp::Push(*scope)));
        }
        sorted.push(((end, i64::MIN), ScopeStackOp::Pop(scopes.len())));
    }
    sorted.sort_by_key(|(place, _)| *place);
    changes.extend(sorted.into_iter().map(|((at, _), change)| (at, change)));
}

/// Returns the context in which a syntax begins.
///
/// syntect keeps it to itself, but shows its number to debuggers and reads numbers from serialised references. A test
/// holds both, for every syntax.
fn start_context<'s>(syntaxes: &'s SyntaxSet, syntax: &SyntaxReference) -> Option<&'s Context> {
    let shown = format!("{:?}", ParseState::new(syntax));
    let number = |name: &str| -> Option<usize> {
        let digits = shown.split_once(name)?.1.trim_start_matches([':', ' ']);
        digits
            .split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    };
    let id = json!({ "syntax_index": number("syntax_index")?, "context_index": number("context_index")? });
    context_by_id(syntaxes, id)
}

fn context_by_id(syntaxes: &SyntaxSet, id: serde_json::Value) -> Option<&Context> {
    let reference = ContextReference::deserialize(json!({ "Direct": id })).ok()?;
    reference.resolve(syntaxes).ok()
}

/// Hashes addresses of rules: they differ enough as they are.
#[derive(Default)]
struct PointerHasher(u64);

impl Hasher for PointerHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (address as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(20);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_syntax_has_its_start() {
        let syntaxes = two_face::syntax::extra_newlines();
        for syntax in syntaxes.syntaxes() {
            assert!(
                LineParser::new(&syntaxes, syntax).is_some(),
                "{}",
                syntax.name
            );
        }
    }

    #[test]
    fn changes_are_those_of_syntect() {
        let syntaxes = two_face::syntax::extra_newlines();
        for (language, code) in [
            (
                "rs",
                "fn main() {\n    let a = r#\"x\"#; // note\n    println!(\"{a:?} {}\", 1u8);\n}\n",
            ),
            (
                "py",
                "def f(a: int = 1) -> str:\n    \"\"\"Doc.\"\"\"\n    return f'{a!r} {a:>4}' % {'b': [1, 2]}\n",
            ),
            (
                "sh",
                "cat <<EOF | grep -v \"$x\"\na $(date) b\nEOF\nif [ -f a ]; then echo ${a%%b}; fi\n",
            ),
            (
                "html",
                "<p class=\"a\">b</p><script>var a = 1;\n</script><style>p { color: red }</style>\n",
            ),
            (
                "md",
                "# Head\n\n```js\nlet a = [1];\n```\n\n* *a* `b` [c](d)\n",
            ),
            ("rb", "a = <<~X\n  text #{b}\nX\nputs :a, %w[b c]\n"),
            (
                "php",
                "<?php function f($a) { return \"$a {$a[0]}\"; } ?>\n<b>c</b>\n",
            ),
            (
                "c",
                "#define A(x) \\\n  ((x) + 1)\nstruct a { int b : 3; };\n",
            ),
            ("yaml", "a: &b\n  - !!str c\n  - |\n    text\n  - {d: e}\n"),
            ("tex", "\\begin{a}\n$x^2$ % note\n\\end{a}\n"),
        ] {
            let syntax = syntaxes.find_syntax_by_token(language).unwrap();
            let mut theirs = ParseState::new(syntax);
            let mut ours = LineParser::new(&syntaxes, syntax).unwrap();
            for line in code.split_inclusive('\n') {
                let mut changes = Vec::new();
                ours.read_line(line, &mut changes).unwrap();
                assert_eq!(
                    changes,
                    theirs.parse_line(line, &syntaxes).unwrap(),
                    "{language}: {line}"
                );
            }
        }
    }

    #[test]
    fn rules_that_loop_come_to_an_end() {
        let syntaxes = two_face::syntax::extra_newlines();
        for (language, line) in [
            ("js", "x /* y */\n"),
            ("js", "a = 1 /* b\n"),
            ("html", "<script>x /* y */\n"),
            (
                "scala",
                "[a](b)type@/*a.bpublic}}||##a(|a->b* where_:</a>\n",
            ),
        ] {
            let syntax = syntaxes.find_syntax_by_token(language).unwrap();
            let mut parser = LineParser::new(&syntaxes, syntax).unwrap();
            for _ in 0..3 {
                parser.read_line(line, &mut Vec::new());
            }
        }
    }
}
