//! Going over a chat, a change set or a file, and putting marks in the place of what is found.

use std::{io, ops::Range, sync::Arc};

use readalong_model::{
    Artifact, Availability, ChangeSet, Chat, ChatHead, Digest, Message, MessageId, Part, RawJson,
};

use crate::{
    Files, Finding, Known, Personal, Place, RedactError, Report, RuleInfo, SecretId, Sure,
    assignment,
    fields::{self, Content},
    files, json,
    personal::Names,
    report::hint,
    scan::{Hit, Scanner, What},
};

/// JSON values longer than this are looked at without the name before them.
const NAMED_VALUE_BYTES_MAX: usize = 4 << 10;

/// What is taken out, besides what the built-in rules find.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Rules of one's own, in the TOML of `rules.toml`.
    pub rules: Option<String>,
    /// What may stay: kinds, rules, ids of secrets ([`SecretId`]), or `all`.
    pub kept: Vec<String>,
    /// Data about people.
    pub personal: Personal,
}

/// Takes secrets out of chats. Cheap to clone.
#[derive(Clone)]
pub struct Redactor {
    scanner: Arc<Scanner>,
    kept: Arc<Vec<String>>,
    personal: Personal,
}

/// What became of a message.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was found in it.
    pub report: Report,
    /// Its end is held back: it could be the beginning of a secret.
    pub is_held: bool,
    /// A secret was found that earlier messages may hold where nothing tells it.
    pub has_learned: bool,
}

/// Going over something: what is known, and what was found.
struct Round<'a> {
    redactor: &'a Redactor,
    known: &'a mut Known,
    names: Names,
    message: Option<MessageId>,
    /// Texts may go on behind their end.
    is_open: bool,
    outcome: Outcome,
}

impl Redactor {
    /// A redactor with the built-in rules and what is added to them.
    ///
    /// # Errors
    /// A rule of one's own cannot be used; the text says which and why.
    pub fn new(options: Options) -> Result<Self, RedactError> {
        let scanner = Scanner::new(options.rules.as_deref())?;
        let redactor = Self {
            scanner: Arc::new(scanner),
            kept: Arc::new(options.kept),
            personal: options.personal,
        };
        redactor.check_own()?;
        Ok(redactor)
    }

    /// The same redactor, which leaves in what is named besides what it leaves in already.
    #[must_use]
    pub fn keeping(&self, kept: &[String]) -> Self {
        let mut all = (*self.kept).clone();
        all.extend(kept.iter().cloned());
        Self {
            kept: Arc::new(all),
            ..self.clone()
        }
    }

    /// What is looked for by rules.
    pub fn rules(&self) -> impl Iterator<Item = RuleInfo<'_>> {
        self.scanner.rules.iter().map(|rule| rule.info())
    }

    /// True where a mark in a secret's place can name this kind.
    pub fn is_kind(&self, kind: &str) -> bool {
        self.scanner.kinds().any(|known| known == kind)
    }

    /// Takes everything out of a chat and its artifacts; the same secret is taken out everywhere.
    ///
    /// # Errors
    /// An artifact cannot be read or written; then the chat is half done and is not to be used.
    pub fn chat(&self, chat: &mut Chat, files: &mut dyn Files) -> io::Result<Report> {
        let mut known = Known::default();
        let mut round = self.round(&mut known);
        round.whole(chat, files)?;
        // What was learned late may stand earlier.
        if !round.known.is_empty() {
            round.whole_known(chat, files)?;
        }
        Ok(round.outcome.report)
    }

    /// Takes everything out of changes of a chat of which `known` is known.
    pub fn changes(&self, changes: &mut ChangeSet, known: &mut Known) -> Outcome {
        let mut round = self.round(known);
        if let Some(head) = &mut changes.head {
            round.head(head);
        }
        for (_, thread) in &mut changes.threads {
            fields::of_thread(thread, &mut |part, field, content| {
                round.field(part, field, content);
            });
        }
        for (_, artifact) in &mut changes.artifacts {
            round.artifact_words(artifact);
        }
        for (_, message) in &mut changes.messages {
            round.message(message);
        }
        round.outcome
    }

    /// Takes everything out of one message. With `is_open` its text may go on, and an end that could be the beginning of a secret is held back.
    pub fn message(&self, message: &mut Message, known: &mut Known, is_open: bool) -> Outcome {
        let mut round = self.round(known);
        round.is_open = is_open;
        round.message(message);
        round.outcome
    }

    /// Takes everything out of a text that belongs to the chat as a whole; `field` says which.
    pub fn text(&self, text: &mut String, field: &'static str, known: &mut Known) -> Report {
        let mut round = self.round(known);
        round.field(None, field, Content::Text(text));
        round.outcome.report
    }

    /// A file without its secrets; `None` where it holds none or is no text. The report names the file.
    pub fn file(&self, name: &str, bytes: &[u8], known: &mut Known) -> Option<(Vec<u8>, Report)> {
        let mut round = self.round(known);
        let new = round.file(name, bytes)?;
        Some((new, round.outcome.report))
    }

    fn round<'a>(&'a self, known: &'a mut Known) -> Round<'a> {
        Round {
            redactor: self,
            known,
            names: Names::default(),
            message: None,
            is_open: false,
            outcome: Outcome::default(),
        }
    }

    /// True where the owner said of something that it may stay.
    fn is_kept(&self, what: What, id: &SecretId) -> bool {
        self.kept.iter().any(|kept| {
            kept == "all"
                || kept == id.as_str()
                || kept == self.scanner.id(what)
                || kept.eq_ignore_ascii_case(self.scanner.kind(what))
        })
    }

    /// Holds the rules that people brought against their own examples.
    fn check_own(&self) -> Result<(), RedactError> {
        for rule in self.scanner.rules.iter().filter(|rule| rule.group == "own") {
            self.check_rule(&rule.id)?;
        }
        Ok(())
    }

    /// Holds a rule against its own examples.
    pub(crate) fn check_rule(&self, id: &str) -> Result<(), RedactError> {
        let Some(place) = self.scanner.rules.iter().position(|rule| rule.id == id) else {
            return Ok(());
        };
        let rule = &self.scanner.rules[place];
        rule.check()?;
        let wrong = |what, example: &String| RedactError::Example {
            rule: rule.id.clone(),
            what,
            example: example.clone(),
        };
        for example in &rule.examples {
            if !self.scanner.finds_by(place as u16, example) {
                return Err(wrong("does not find", example));
            }
        }
        for example in &rule.counterexamples {
            if self.scanner.finds_by(place as u16, example) {
                return Err(wrong("finds", example));
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor")
            .field("rules", &self.scanner.rules.len())
            .field("kept", &self.kept)
            .field("personal", &self.personal)
            .finish()
    }
}

impl Round<'_> {
    fn whole(&mut self, chat: &mut Chat, files: &mut dyn Files) -> io::Result<()> {
        self.chat_words(chat);
        for message in &mut chat.messages {
            self.message(message);
        }
        for artifact in &mut chat.artifacts {
            self.artifact_words(artifact);
            self.artifact_bytes(artifact, files)?;
        }
        Ok(())
    }

    fn chat_words(&mut self, chat: &mut Chat) {
        self.field(None, "title", Content::Text(&mut chat.title));
        fields::of_origin(&mut chat.origin, &mut |part, field, content| {
            self.field(part, field, content);
        });
        for thread in &mut chat.threads {
            fields::of_thread(thread, &mut |part, field, content| {
                self.field(part, field, content);
            });
        }
    }

    /// Goes over a chat once more for what is known of it by now.
    fn whole_known(&mut self, chat: &mut Chat, files: &mut dyn Files) -> io::Result<()> {
        self.chat_known(chat);
        for message in &mut chat.messages {
            self.message_known(message);
        }
        for artifact in &mut chat.artifacts {
            let mut words = |_: Option<usize>, field, content: Content<'_>| {
                self.field_known(None, field, content);
            };
            fields::of_artifact(artifact, &mut words);
            self.artifact_bytes(artifact, files)?;
        }
        Ok(())
    }

    fn chat_known(&mut self, chat: &mut Chat) {
        self.field_known(None, "title", Content::Text(&mut chat.title));
        for thread in &mut chat.threads {
            fields::of_thread(thread, &mut |part, field, content| {
                self.field_known(part, field, content);
            });
        }
    }

    fn head(&mut self, head: &mut ChatHead) {
        fields::of_head(head, &mut |part, field, content| {
            self.field(part, field, content);
        });
    }

    fn artifact_words(&mut self, artifact: &mut Artifact) {
        fields::of_artifact(artifact, &mut |part, field, content| {
            self.field(part, field, content);
        });
    }

    fn artifact_bytes(&mut self, artifact: &mut Artifact, files: &mut dyn Files) -> io::Result<()> {
        let Some((digest, _)) = artifact.bytes() else {
            return Ok(());
        };
        let Some(bytes) = files.read(digest)? else {
            return Ok(());
        };
        if let Some(new) = self.file(&artifact.name, &bytes) {
            let digest = files.keep(&new)?;
            set_bytes(artifact, digest, new.len() as u64);
        }
        Ok(())
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
        let before = self.outcome.report.findings.len();
        let new = files::rewrite(bytes, |text| {
            let mut text = text.to_owned();
            self.text(None, "file", &mut text).then_some(text)
        });
        for found in &mut self.outcome.report.findings[before..] {
            found.place.field = format!("file {name}");
        }
        new
    }

    fn message(&mut self, message: &mut Message) {
        self.message = Some(message.id.clone());
        let learned = std::mem::take(&mut self.outcome.has_learned);
        self.split_texts(&mut message.parts);
        fields::of_message(message, &mut |part, field, content| {
            self.field(part, field, content);
        });
        // What its end tells may stand in its beginning.
        if self.outcome.has_learned {
            self.message_known(message);
        }
        self.outcome.has_learned |= learned;
        self.message = None;
    }

    fn message_known(&mut self, message: &mut Message) {
        self.message = Some(message.id.clone());
        fields::of_message(message, &mut |part, field, content| {
            self.field_known(part, field, content);
        });
        self.message = None;
    }

    /// Takes out what begins in one text part of a message and ends in another.
    fn split_texts(&mut self, parts: &mut [Part]) {
        let is_text = |part: &Part| matches!(part, Part::Text { .. });
        let mut place = 0;
        for run in parts.chunk_by_mut(|a, b| is_text(a) && is_text(b)) {
            let first = place;
            place += run.len();
            if run.len() < 2 {
                continue;
            }
            let mut texts: Vec<&mut String> = run
                .iter_mut()
                .filter_map(|part| match part {
                    Part::Text { markdown } => Some(markdown),
                    _ => None,
                })
                .collect();
            self.split(first, &mut texts);
        }
    }

    fn split(&mut self, first: usize, texts: &mut [&mut String]) {
        let whole: String = texts.iter().map(|text| text.as_str()).collect();
        let mut starts = Vec::with_capacity(texts.len());
        let mut at = 0;
        for text in texts.iter() {
            starts.push(at);
            at += text.len();
        }
        let of = |at: usize| starts.partition_point(|start| *start <= at) - 1;
        // From the end, so that places before stay what they are.
        for hit in self.redactor.scanner.find(&whole).into_iter().rev() {
            let (from, to) = (of(hit.range.start), of(hit.range.end - 1));
            if from == to || self.is_left(Some(first + from), "text", &whole, &hit) {
                continue;
            }
            let mark = self.mark(hit.what);
            texts[to].replace_range(..hit.range.end - starts[to], "");
            texts[from + 1..to].iter_mut().for_each(|text| text.clear());
            texts[from].replace_range(hit.range.start - starts[from].., &mark);
        }
    }

    fn field(&mut self, part: Option<usize>, field: &'static str, content: Content<'_>) {
        match content {
            Content::Text(text) => {
                self.text(part, field, text);
            }
            Content::Json(raw) => self.json(part, field, raw),
        }
    }

    fn field_known(&mut self, part: Option<usize>, field: &'static str, content: Content<'_>) {
        match content {
            Content::Text(text) => {
                let hits = self.known_in(text);
                self.replace(part, field, text, hits);
            }
            Content::Json(raw) => {
                let new = json::rewrite(raw.get(), |_, value| {
                    let mut text = value.to_owned();
                    let hits = self.known_in(&text);
                    self.replace(part, field, &mut text, hits).then_some(text)
                });
                set_json(raw, new);
            }
        }
    }

    fn known_in(&mut self, text: &str) -> Vec<Found> {
        let known = self.known.find(text);
        known
            .into_iter()
            .map(|(range, what, sure)| {
                Found::Secret(Hit {
                    range,
                    what,
                    sure,
                    said: Vec::new(),
                })
            })
            .collect()
    }

    /// Takes everything out of a text; true where that changed it.
    fn text(&mut self, part: Option<usize>, field: &'static str, text: &mut String) -> bool {
        let hits = self.found_in(text);
        let is_changed = self.replace(part, field, text, hits);
        if self.is_open
            && let Some((range, what)) = self.redactor.scanner.open_end(text)
        {
            let mark = self.mark(what);
            text.replace_range(range, &mark);
            self.outcome.is_held = true;
            return true;
        }
        is_changed
    }

    fn found_in(&mut self, text: &str) -> Vec<Found> {
        let hits = self.redactor.scanner.find(text);
        let mut found: Vec<Found> = hits.into_iter().map(Found::Secret).collect();
        found.extend(self.known_in(text));
        let personal = self.redactor.personal.find(text, &mut self.names);
        found.extend(personal.into_iter().map(|trace| Found::Trace {
            range: trace.range,
            kind: trace.kind,
            instead: trace.instead,
        }));
        found
    }

    fn json(&mut self, part: Option<usize>, field: &'static str, raw: &mut RawJson) {
        let new = json::rewrite(raw.get(), |name, value| {
            let mut text = value.to_owned();
            self.member(part, field, name, &mut text).then_some(text)
        });
        set_json(raw, new);
    }

    /// Takes everything out of the value of a member; true where that changed it.
    fn member(
        &mut self,
        part: Option<usize>,
        field: &'static str,
        name: &str,
        value: &mut String,
    ) -> bool {
        let is_named = !name.is_empty()
            && value.len() <= NAMED_VALUE_BYTES_MAX
            && self.redactor.scanner.is_telling(name);
        if !is_named {
            return self.text(part, field, value);
        }
        if let Some((kind, sure)) = assignment::named(name, value) {
            let hit = Hit {
                range: 0..value.len(),
                what: What::Assigned(kind),
                sure,
                said: Vec::new(),
            };
            return self.replace(part, field, value, vec![Found::Secret(hit)]);
        }
        // Rules that need a name before the value.
        let before = format!("{name}: ");
        let hits = self.found_in(&format!("{before}{value}"));
        let hits = hits
            .into_iter()
            .filter_map(|found| found.moved(before.len()))
            .collect();
        self.replace(part, field, value, hits)
    }

    /// Puts marks in the place of what was found; true where anything was.
    fn replace(
        &mut self,
        part: Option<usize>,
        field: &'static str,
        text: &mut String,
        mut found: Vec<Found>,
    ) -> bool {
        if found.is_empty() {
            return false;
        }
        found.sort_by_key(|found| (found.range().start, std::cmp::Reverse(found.range().end)));
        let mut new = String::with_capacity(text.len());
        let mut at = 0;
        for found in found {
            let range = found.range();
            // What overlaps what is gone already goes as far as it reaches.
            if range.end <= at {
                continue;
            }
            let instead = match &found {
                Found::Secret(hit) => {
                    if self.is_left(part, field, text, hit) {
                        continue;
                    }
                    self.mark(hit.what)
                }
                Found::Trace { kind, instead, .. } => {
                    self.report(part, field, kind, &text[range.clone()]);
                    instead.map_or_else(|| format!("[redacted: {kind}]"), str::to_owned)
                }
            };
            if range.start >= at {
                new.push_str(&text[at..range.start]);
                new.push_str(&instead);
            }
            at = range.end;
        }
        if at == 0 {
            return false;
        }
        new.push_str(&text[at..]);
        *text = new;
        true
    }

    /// Reports a secret; true where it stays because its owner said so.
    fn is_left(&mut self, part: Option<usize>, field: &'static str, text: &str, hit: &Hit) -> bool {
        let redactor = self.redactor;
        let here = &text[hit.range.clone()];
        let secret = hit.said.first().map_or(here, |said| said);
        let id = SecretId::of(secret);
        let kept = redactor.is_kept(hit.what, &id);
        let finding = Finding {
            kind: redactor.scanner.kind(hit.what).to_owned(),
            rule: redactor.scanner.id(hit.what).to_owned(),
            sure: hit.sure,
            place: self.place(part, field),
            hint: hint(secret),
            id,
            kept,
        };
        self.outcome.report.findings.push(finding);
        if !kept {
            let said = hit.said.iter().map(|said| &**said);
            for secret in said.chain([here]) {
                self.outcome.has_learned |= self.known.learn(secret, hit.what, hit.sure);
            }
        }
        kept
    }

    fn report(&mut self, part: Option<usize>, field: &'static str, kind: &str, text: &str) {
        let finding = Finding {
            kind: kind.to_owned(),
            rule: format!("personal-{}", kind.replace(' ', "-").to_lowercase()),
            sure: Sure::Likely,
            place: self.place(part, field),
            hint: hint(text),
            id: SecretId::of(text),
            kept: false,
        };
        self.outcome.report.findings.push(finding);
    }

    fn place(&self, part: Option<usize>, field: &str) -> Place {
        Place {
            message: self.message.clone(),
            part,
            field: field.to_owned(),
        }
    }

    fn mark(&self, what: What) -> String {
        format!("[redacted: {}]", self.redactor.scanner.kind(what))
    }
}

/// Something that is to go.
enum Found {
    Secret(Hit),
    Trace {
        range: Range<usize>,
        kind: &'static str,
        instead: Option<&'static str>,
    },
}

impl Found {
    fn range(&self) -> Range<usize> {
        match self {
            Self::Secret(hit) => hit.range.clone(),
            Self::Trace { range, .. } => range.clone(),
        }
    }

    /// The same without what stands before the text; `None` where it begins there.
    fn moved(mut self, back: usize) -> Option<Self> {
        let range = match &mut self {
            Self::Secret(hit) => &mut hit.range,
            Self::Trace { range, .. } => range,
        };
        let start = range.start.checked_sub(back)?;
        *range = start..range.end - back;
        Some(self)
    }
}

/// Says that an artifact has other bytes.
pub(crate) fn set_bytes(artifact: &mut Artifact, digest: Digest, bytes: u64) {
    if let Availability::Present { sha256, size_bytes }
    | Availability::TextOnly { sha256, size_bytes } = &mut artifact.content
    {
        (*sha256, *size_bytes) = (digest, bytes);
    }
}

fn set_json(raw: &mut RawJson, new: Option<String>) {
    if let Some(new) = new
        && let Ok(new) = RawJson::new(new)
    {
        *raw = new;
    }
}

#[cfg(test)]
mod tests;
