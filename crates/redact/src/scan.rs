//! Finding secrets in one text: what stands there, and what stands there once it is decoded.

use std::{
    cell::OnceCell,
    ops::Range,
    sync::{Mutex, PoisonError},
};

use regex_automata::{Anchored, Input, meta};

use crate::{
    RedactError, Sure, assignment, encoded,
    keywords::Keywords,
    pem, placeholder,
    rules::{self, Compiled, Rule},
    url,
    view::{View, is_token},
};

/// Base64 within base64 that is looked into.
const DEPTH_MAX: usize = 2;
/// A line that is shorter was not broken for want of room.
const WRAPPED_LINE_MIN: usize = 60;
/// Fewer characters are no rest of a secret of which a line is a whole one already.
const WRAPPED_REST_MIN: usize = 16;
/// Where a keyword stands more often than once in so many bytes, the text is searched in one go.
const DENSE_BYTES: usize = 64;

/// Patterns whose searches are remembered; a few dozen are needed again and again.
const CACHES_MAX: usize = 32;

/// Everything that is looked for.
pub(crate) struct Scanner {
    pub(crate) rules: Vec<Rule>,
    pub(crate) keywords: Keywords<Target>,
    caches: Caches,
}

/// What patterns remember of their searches, of those that were searched for last: all together they would take many times what the patterns do.
#[derive(Default)]
struct Caches(Mutex<Vec<(u16, meta::Cache)>>);

impl Caches {
    /// Takes the one of a rule.
    fn take(&self, place: u16, regex: &meta::Regex) -> meta::Cache {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().rposition(|(of, _)| *of == place);
        let known = known.map(|at| kept.remove(at).1);
        drop(kept);
        known.unwrap_or_else(|| regex.create_cache())
    }

    /// Gives it back; the one that nobody needed for longest goes.
    fn give(&self, place: u16, cache: meta::Cache) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = (kept.len() == CACHES_MAX).then(|| kept.remove(0));
        kept.push((place, cache));
        drop(kept);
        drop(oldest);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Rule(u16),
    Name,
    Url,
    Pem,
}

/// A secret in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) range: Range<usize>,
    pub(crate) what: What,
    pub(crate) sure: Sure,
    /// What it says, where that is not what stands there: it is encoded, or broken over lines, or several were found in one place. The first one names it.
    pub(crate) said: Vec<Box<str>>,
}

/// What found a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// A rule, by its place.
    Rule(u16),
    /// A private key of many lines.
    Pem,
    /// A URL's password.
    Url,
    /// A value of a name.
    Assigned(assignment::Kind),
    /// The owner, who named it.
    Told,
}

impl Hit {
    /// True where a secret that was found within a line shows that one which goes over lines is none: another begins in it, or it is whole as it is.
    fn ends_before(&self, over_lines: &Self, text: &str) -> bool {
        let (this, over) = (&self.range, &over_lines.range);
        if this.start >= over.end || over.start >= this.end {
            return false;
        }
        if over.start < this.start {
            return true;
        }
        if over.end <= this.end {
            return false;
        }
        // What goes on stands alone on its line, or is as long as what was broken for want of room.
        let next = text.as_bytes().get(over.end);
        let is_alone = next.is_none_or(|byte| b"\n\r\"'`,;)}]\\".contains(byte));
        let line = text[..this.end]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        let rest = text[this.end..over.end]
            .bytes()
            .filter(|byte| is_token(*byte));
        let is_full = this.end - line >= WRAPPED_LINE_MIN && rest.count() >= WRAPPED_REST_MIN;
        !is_alone && !is_full
    }

    /// Remembers what it says in a text that is not the one that it will have a place in.
    fn say(&mut self, text: &str) {
        if self.said.is_empty() {
            self.said.push(text[self.range.clone()].into());
        }
    }
}

/// A keyword that was found, or a stretch of text around several.
struct Window {
    rule: u16,
    keyword: usize,
}

impl Scanner {
    pub(crate) fn new(own: Option<&str>) -> Result<Self, RedactError> {
        let rules = rules::read(own)?;
        let of_rules = rules.iter().enumerate().flat_map(|(place, rule)| {
            let target = Target::Rule(place as u16);
            rule.keywords
                .iter()
                .map(move |keyword| (&**keyword, target))
        });
        let of_names = assignment::KEYWORDS.map(|name| (name, Target::Name));
        let others = [(url::KEYWORD, Target::Url), (pem::KEYWORD, Target::Pem)];
        let keywords = Keywords::new(of_rules.chain(of_names).chain(others))?;
        Ok(Self {
            rules,
            keywords,
            caches: Caches::default(),
        })
    }

    /// All secrets of a text, in order, none within another.
    pub(crate) fn find(&self, text: &str) -> Vec<Hit> {
        self.find_at_depth(text, 0)
    }

    fn find_at_depth(&self, text: &str, depth: usize) -> Vec<Hit> {
        let mut hits = Vec::new();
        self.look(text, depth, &mut hits);
        let plain = View::plain(text);
        if let Some(view) = &plain {
            self.look_through(view, depth, &mut hits);
        }
        let unwrapped = View::unwrapped(plain.as_ref().map_or(text, |view| &view.text));
        if let Some(view) = unwrapped {
            let mut found = Vec::new();
            self.look(&view.text, depth, &mut found);
            let in_lines = hits.len();
            for mut hit in found {
                hit.say(&view.text);
                hit.range = view.source(hit.range);
                if let Some(plain) = &plain {
                    hit.range = plain.source(hit.range);
                }
                if !hits[..in_lines]
                    .iter()
                    .any(|other| other.ends_before(&hit, text))
                {
                    hits.push(hit);
                }
            }
        }
        merged(text, hits)
    }

    fn look_through(&self, view: &View, depth: usize, hits: &mut Vec<Hit>) {
        let mut found = Vec::new();
        self.look(&view.text, depth, &mut found);
        for mut hit in found {
            hit.say(&view.text);
            hit.range = view.source(hit.range);
            hits.push(hit);
        }
    }

    /// What stands in a text as it is, and in its base64.
    fn look(&self, text: &str, depth: usize, hits: &mut Vec<Hit>) {
        self.pass(text, hits);
        if depth < DEPTH_MAX {
            encoded::each_text(text, |range, decoded| {
                let inner = self.find_at_depth(decoded, depth + 1);
                // The surest of what it says names the whole of it.
                if let Some(mut best) = inner.into_iter().max_by_key(|hit| hit.sure) {
                    best.say(decoded);
                    hits.push(Hit { range, ..best });
                }
            });
        }
    }

    fn pass(&self, text: &str, hits: &mut Vec<Hit>) {
        let mut windows: Vec<Window> = Vec::new();
        let mut named_until = 0;
        self.keywords.each(text, |keyword, targets| {
            // A name without a value is most often a word of a sentence.
            let has_value = OnceCell::new();
            let has_value =
                || *has_value.get_or_init(|| has_value_near(text.as_bytes(), keyword.end));
            for target in targets {
                let hit = match target {
                    Target::Rule(rule) => {
                        if !self.rule(*rule).has_context || has_value() {
                            windows.push(Window {
                                rule: *rule,
                                keyword: keyword.start,
                            });
                        }
                        None
                    }
                    // Several keywords may stand in one name.
                    Target::Name if keyword.start < named_until => None,
                    Target::Name => {
                        let (end, value) = assignment::at(text, keyword.clone());
                        named_until = end;
                        value.map(|(range, kind, sure)| (range, What::Assigned(kind), sure))
                    }
                    Target::Url => url::at(text, keyword.clone())
                        .filter(|range| !placeholder::is_placeholder(&text[range.clone()]))
                        .map(|range| (range, What::Url, Sure::Likely)),
                    Target::Pem => pem::at(text, keyword.clone())
                        .map(|range| (range, What::Pem, Sure::Certain)),
                };
                hits.extend(hit.map(|(range, what, sure)| Hit {
                    range,
                    what,
                    sure,
                    said: Vec::new(),
                }));
            }
        });
        windows.sort_unstable_by_key(|window| (window.rule, window.keyword));
        for of_rule in windows.chunk_by(|a, b| a.rule == b.rule) {
            self.search(text, of_rule, hits);
        }
    }

    /// Searches around the keywords of one rule.
    fn search(&self, text: &str, windows: &[Window], hits: &mut Vec<Hit>) {
        let place = windows[0].rule;
        let rule = &self.rules[usize::from(place)];
        self.with_pattern(place, |compiled, cache| {
            let mut matches = Matches {
                text,
                rule,
                place,
                compiled,
                cache,
                done: 0,
                hits,
            };
            let is_dense = windows.len() > 16 + text.len() / DENSE_BYTES;
            if compiled.is_anchored && !is_dense {
                for window in windows {
                    matches.anchored(window.keyword);
                }
                return;
            }
            // Stretches that overlap are one.
            let mut stretch: Option<Range<usize>> = None;
            for window in windows {
                let at = window.keyword;
                let mut start = at.saturating_sub(compiled.before);
                let mut end = text.len().min(at + KEYWORD_AFTER + compiled.reach);
                if !compiled.spans_lines {
                    // The keyword stands on the line of the match, or on the one before.
                    let bytes = text.as_bytes();
                    start +=
                        memchr::memrchr(b'\n', &bytes[start..at]).map_or(0, |newline| newline + 1);
                    let lines = if rule.has_context { 1 } else { 2 };
                    let newline = memchr::memchr_iter(b'\n', &bytes[at..end]).nth(lines - 1);
                    end = newline.map_or(end, |newline| at + newline);
                }
                match &mut stretch {
                    Some(open) if start <= open.end => open.end = open.end.max(end),
                    _ => {
                        if let Some(done) = stretch.replace(start..end) {
                            matches.within(done);
                        }
                    }
                }
            }
            if let Some(last) = stretch {
                matches.within(last);
            }
        });
    }

    /// True where a name holds a word that something is looked for by.
    pub(crate) fn is_telling(&self, name: &str) -> bool {
        let mut is_telling = false;
        self.keywords.each(name, |_, _| is_telling = true);
        is_telling
    }

    /// True where a rule finds a secret in a text, whatever others do.
    pub(crate) fn finds_by(&self, place: u16, text: &str) -> bool {
        let mut hits = Vec::new();
        self.pass(text, &mut hits);
        hits.iter().any(|hit| hit.what == What::Rule(place))
    }

    /// Searches for a rule's pattern; `None` where it has none.
    pub(crate) fn with_pattern<T>(
        &self,
        place: u16,
        search: impl FnOnce(&Compiled, &mut meta::Cache) -> T,
    ) -> Option<T> {
        let compiled = self.rule(place).compiled()?;
        let mut cache = self.caches.take(place, &compiled.regex);
        let found = search(compiled, &mut cache);
        self.caches.give(place, cache);
        Some(found)
    }

    /// The rule of that place.
    pub(crate) fn rule(&self, place: u16) -> &Rule {
        &self.rules[usize::from(place)]
    }

    /// The kind of a secret, for people.
    pub(crate) fn kind(&self, what: What) -> &str {
        match what {
            What::Rule(place) => &self.rule(place).kind,
            What::Pem => "private key",
            What::Url => "password in a URL",
            What::Assigned(kind) => kind.words(),
            What::Told => "removed by the owner",
        }
    }

    /// All kinds of secrets.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &str> {
        let rules = (0..self.rules.len()).filter_map(|place| u16::try_from(place).ok());
        let assigned = assignment::Kind::ALL.into_iter().map(What::Assigned);
        let others = [What::Pem, What::Url, What::Told].into_iter();
        let all = rules.map(What::Rule).chain(others).chain(assigned);
        all.map(|what| self.kind(what))
    }

    /// The name of what found a secret.
    pub(crate) fn id(&self, what: What) -> &str {
        match what {
            What::Rule(place) => &self.rule(place).id,
            What::Pem => "private-key-pem",
            What::Url => "url-password",
            What::Assigned(kind) => kind.id(),
            What::Told => "owner",
        }
    }
}

/// A match may begin so far behind its keyword.
const KEYWORD_AFTER: usize = 200;

/// Matches of one rule in one text.
struct Matches<'a> {
    text: &'a str,
    rule: &'a Rule,
    place: u16,
    compiled: &'a Compiled,
    cache: &'a mut meta::Cache,
    /// Everything before was looked at.
    done: usize,
    hits: &'a mut Vec<Hit>,
}

impl Matches<'_> {
    /// A match that begins at a place.
    fn anchored(&mut self, at: usize) {
        let end = self.text.len().min(at + self.compiled.reach);
        let input = Input::new(self.text).span(at..end).anchored(Anchored::Yes);
        self.first(input);
    }

    /// All matches of a stretch.
    fn within(&mut self, stretch: Range<usize>) {
        let mut from = stretch.start.max(self.done);
        while from < stretch.end {
            let input = Input::new(self.text).span(from..stretch.end);
            match self.first(input) {
                Some(end) => from = end.max(from + 1),
                None => return,
            }
        }
    }

    /// Takes the first match, and tells where it ends.
    fn first(&mut self, input: Input<'_>) -> Option<usize> {
        // Nearly always there is nothing, and that is cheaper to find out.
        let regex = &self.compiled.regex;
        regex.search_half_with(self.cache, &input)?;
        let mut captures = regex.create_captures();
        regex.search_captures_with(self.cache, &input, &mut captures);
        let whole = captures.get_match()?.range();
        self.done = self.done.max(whole.end);
        let gap = self.compiled.gap.and_then(|gap| captures.get_group(gap));
        if gap.is_some_and(|gap| names_other(&self.text[gap.range()])) {
            return Some(whole.end);
        }
        // A pattern of several shapes may name the secret in one of them only.
        let named = captures.get_group(self.compiled.group);
        let secret = named.map_or(whole.clone(), |named| named.range());
        let secret = to_chars(self.text, secret);
        if let Some(sure) = how_sure(self.rule, &self.text[secret.clone()]) {
            self.hits.push(Hit {
                range: secret,
                what: What::Rule(self.place),
                sure,
                said: Vec::new(),
            });
        }
        // What was no secret may hide the beginning of one: `sk-xxxx` before a real key.
        Some(whole.end)
    }
}

/// True where something that could be a key stands on the same line, as far behind a name as a rule allows.
fn has_value_near(bytes: &[u8], at: usize) -> bool {
    let (mut run, mut has_digit) = (0, false);
    for byte in bytes[at..].iter().take(NAMED_WITHIN) {
        if !is_token(*byte) && !byte.is_ascii_punctuation() {
            if *byte == b'\n' {
                return false;
            }
            (run, has_digit) = (0, false);
            continue;
        }
        run += 1;
        has_digit |= byte.is_ascii_digit();
        if run >= VALUE_LETTERS_MIN || (run >= VALUE_CHARS_MIN && has_digit) {
            return true;
        }
    }
    false
}

/// How far behind a keyword the first characters of a named value stand: the rest of the name, a gap, a sign, and some of the value.
const NAMED_WITHIN: usize = 160;
/// Characters of a value with a digit, and without one, that make it worth a look.
const VALUE_CHARS_MIN: usize = 10;
const VALUE_LETTERS_MIN: usize = 20;

/// True where what stands between a service's name and a value says that the value is no secret: `heroku_app_id`, `vault token sha256`.
fn names_other(gap: &str) -> bool {
    const OTHERS: [&str; 15] = [
        "id",
        "ids",
        "sha",
        "sha1",
        "sha256",
        "hash",
        "fingerprint",
        "digest",
        "checksum",
        "created",
        "file",
        "path",
        "url",
        "uri",
        "commit",
    ];
    gap.split(|char: char| !char.is_ascii_alphanumeric())
        .any(|word| OTHERS.contains(&word.to_ascii_lowercase().as_str()))
}

/// How sure it is that what a rule matched is a secret; `None` for what is none.
fn how_sure(rule: &Rule, secret: &str) -> Option<Sure> {
    if secret.is_empty() || placeholder::is_placeholder(secret) {
        return None;
    }
    if rule
        .entropy
        .is_some_and(|least| placeholder::entropy(secret) < least)
    {
        return None;
    }
    match rule.checksum.map(|checksum| checksum.holds(secret)) {
        Some(true) => Some(Sure::Certain),
        Some(false) if rule.is_checksum_required => None,
        Some(false) => Some(Sure::Likely.min(rule.sure)),
        None => Some(rule.sure),
    }
}

/// A range of bytes widened to whole characters.
fn to_chars(text: &str, range: Range<usize>) -> Range<usize> {
    let (mut start, mut end) = (range.start, range.end);
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    while !text.is_char_boundary(end) {
        end += 1;
    }
    start..end
}

/// Hits in order, those that overlap made one that is named by the one that knows best.
fn merged(text: &str, mut hits: Vec<Hit>) -> Vec<Hit> {
    if hits.len() < 2 && hits.iter().all(|hit| hit.range.start < hit.range.end) {
        return hits;
    }
    hits.retain(|hit| hit.range.start < hit.range.end && hit.range.end <= text.len());
    hits.sort_by_key(|hit| (hit.range.start, std::cmp::Reverse(hit.range.end)));
    let mut merged: Vec<Hit> = Vec::with_capacity(hits.len());
    for hit in hits {
        match merged.last_mut() {
            Some(last) if hit.range.start < last.range.end => {
                let is_better =
                    (hit.what < last.what && hit.sure >= last.sure) || hit.sure > last.sure;
                let mut hit = hit;
                hit.say(text);
                last.say(text);
                if is_better {
                    (last.what, last.sure) = (hit.what, hit.sure);
                    std::mem::swap(&mut last.said, &mut hit.said);
                }
                last.said.append(&mut hit.said);
                last.range.end = last.range.end.max(hit.range.end);
            }
            _ => merged.push(hit),
        }
    }
    merged
}
