//! Rules: what secrets of known issuers look like. Data, in `rules.toml` and in what people bring; compiled when it is needed first.

use std::{collections::HashSet, sync::OnceLock};

use regex_automata::{meta, util::syntax};
use regex_syntax::hir::{Class, Hir, HirKind};
use serde::Deserialize;

use crate::{RedactError, Sure, checksum::Checksum};

/// The rules that readalong has.
const BUILT_IN: &str = include_str!("../rules.toml");
/// What each built-in rule begins with.
const TABLE: &str = "\n[[rule]]\n";
/// Shorter keywords stand everywhere.
const KEYWORD_CHARS_MIN: usize = 3;
/// How far before a match its keyword may stand.
const KEYWORD_REACH: usize = 200;
/// The longest match of a pattern without a bound of its own.
const MATCH_BYTES_MAX: usize = 8 << 10;
/// Memory that a pattern's searches may take for speed, in bytes: there are hundreds, and texts are short.
const CACHE_BYTES: usize = 128 << 10;
/// The largest compiled pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 4 << 20;
/// Stands within examples so that they look like no secret to other programs that search this repository.
const BREAK: char = '¦';

/// What is told of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleInfo<'a> {
    /// Its name.
    pub id: &'a str,
    /// What it finds, for people.
    pub kind: &'a str,
    /// What kind of service that belongs to.
    pub group: &'a str,
    /// How sure a match is.
    pub sure: Sure,
}

/// One rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) group: String,
    pub(crate) sure: Sure,
    pub(crate) keywords: Vec<String>,
    pub(crate) examples: Vec<String>,
    pub(crate) counterexamples: Vec<String>,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) is_checksum_required: bool,
    pub(crate) entropy: Option<f64>,
    /// The value needs a name before it.
    pub(crate) has_context: bool,
    pattern: String,
    compiled: OnceLock<Compiled>,
}

/// A rule's pattern, ready to search with.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) regex: meta::Regex,
    /// The group that is the secret; 0 is the whole match.
    pub(crate) group: usize,
    /// The group of what stands between a name and its sign, of a rule with a context.
    pub(crate) gap: Option<usize>,
    /// The longest match, in bytes.
    pub(crate) reach: usize,
    /// How far before the keyword a match can begin.
    pub(crate) before: usize,
    /// Every match begins with a keyword.
    pub(crate) is_anchored: bool,
    /// A match may go over the end of a line.
    pub(crate) spans_lines: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<Source>,
}

/// A rule as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    id: String,
    kind: String,
    #[serde(default = "own")]
    group: String,
    #[serde(default = "likely")]
    sure: Sure,
    keywords: Vec<String>,
    pattern: String,
    context: Option<String>,
    entropy: Option<f64>,
    checksum: Option<String>,
    #[serde(default)]
    checksum_required: bool,
    #[serde(default, rename = "match")]
    examples: Vec<String>,
    #[serde(default, rename = "miss")]
    counterexamples: Vec<String>,
}

fn own() -> String {
    "own".to_owned()
}

fn likely() -> Sure {
    Sure::Likely
}

/// The built-in rules and those that people bring, in TOML of the same form.
pub(crate) fn read(own: Option<&str>) -> Result<Vec<Rule>, RedactError> {
    let mut rules = Vec::new();
    // One after the other: all of them at once would take many times their size in memory.
    for text in BUILT_IN.split(TABLE).skip(1) {
        rules.push(Rule::new(toml::from_str(text)?)?);
    }
    if let Some(own) = own {
        let file: File = toml::from_str(own)?;
        for source in file.rule {
            rules.push(Rule::new(source)?);
        }
    }
    let mut ids = HashSet::new();
    if let Some(double) = rules.iter().find(|rule| !ids.insert(rule.id.as_str())) {
        return Err(RedactError::Double {
            rule: double.id.clone(),
        });
    }
    Ok(rules)
}

impl Rule {
    fn new(source: Source) -> Result<Self, RedactError> {
        let is_usable = |keyword: &String| keyword.len() >= KEYWORD_CHARS_MIN && keyword.is_ascii();
        if source.keywords.is_empty() || !source.keywords.iter().all(is_usable) {
            return Err(RedactError::Keywords {
                rule: source.id,
                min: KEYWORD_CHARS_MIN,
            });
        }
        let checksum = match &source.checksum {
            Some(name) => Some(Checksum::parse(name).ok_or_else(|| RedactError::Checksum {
                rule: source.id.clone(),
                checksum: name.clone(),
            })?),
            None => None,
        };
        let pattern = match &source.context {
            Some(context) => in_context(context, &source.pattern),
            None => source.pattern,
        };
        let whole = |examples: Vec<String>| -> Vec<String> {
            examples
                .into_iter()
                .map(|example| example.replace(BREAK, ""))
                .collect()
        };
        Ok(Self {
            id: source.id,
            kind: source.kind,
            group: source.group,
            sure: source.sure,
            keywords: source
                .keywords
                .iter()
                .map(|keyword| keyword.to_ascii_lowercase())
                .collect(),
            examples: whole(source.examples),
            counterexamples: whole(source.counterexamples),
            checksum,
            is_checksum_required: source.checksum_required,
            entropy: source.entropy,
            has_context: source.context.is_some(),
            pattern,
            compiled: OnceLock::new(),
        })
    }

    pub(crate) fn info(&self) -> RuleInfo<'_> {
        RuleInfo {
            id: &self.id,
            kind: &self.kind,
            group: &self.group,
            sure: self.sure,
        }
    }

    /// Compiles the pattern, so that what is wrong with it is known.
    ///
    /// # Errors
    /// It is no regular expression of the syntax that is taken.
    pub(crate) fn check(&self) -> Result<(), RedactError> {
        let compiled = self.compile()?;
        let _ = self.compiled.set(compiled);
        Ok(())
    }

    /// The pattern; `None` where it is none, which [`Rule::check`] says in words.
    pub(crate) fn compiled(&self) -> Option<&Compiled> {
        if let Some(compiled) = self.compiled.get() {
            return Some(compiled);
        }
        let compiled = self.compile().ok()?;
        Some(self.compiled.get_or_init(|| compiled))
    }

    fn compile(&self) -> Result<Compiled, RedactError> {
        let wrong = |reason: String| RedactError::Pattern {
            rule: self.id.clone(),
            reason,
        };
        // Bytes instead of characters: secrets are ASCII, and classes stay small.
        let syntax = syntax::Config::new().unicode(false).utf8(false);
        let hir =
            syntax::parse_with(&self.pattern, &syntax).map_err(|error| wrong(error.to_string()))?;
        let reach = hir.properties().maximum_len().unwrap_or(MATCH_BYTES_MAX);
        let config = meta::Config::new()
            .utf8_empty(false)
            .hybrid_cache_capacity(CACHE_BYTES)
            // They take memory, and gain nothing on stretches so short.
            .dfa(false)
            .onepass(false)
            .nfa_size_limit(Some(PATTERN_BYTES_MAX));
        let regex = meta::Regex::builder()
            .configure(config)
            .build_from_hir(&hir)
            .map_err(|error| wrong(error.to_string()))?;
        let group = |name| {
            let groups = regex.group_info();
            groups.to_index(regex_automata::PatternID::ZERO, name)
        };
        let (group, gap) = (group("s").unwrap_or(0), group("gap"));
        let is_anchored = !self.has_context && self.begins_with_keyword(&hir);
        Ok(Compiled {
            regex,
            group,
            gap,
            reach: reach.min(4 * MATCH_BYTES_MAX),
            before: match (is_anchored, self.has_context) {
                (true, _) => 0,
                // The name stands first, and the keyword is a part of it.
                (_, true) => KEYWORD_REACH / 2,
                _ => reach.min(MATCH_BYTES_MAX),
            },
            is_anchored,
            spans_lines: spans_lines(&hir),
        })
    }

    /// True where every match begins with a keyword.
    fn begins_with_keyword(&self, hir: &Hir) -> bool {
        let prefixes = regex_syntax::hir::literal::Extractor::new().extract(hir);
        let Some(prefixes) = prefixes.literals() else {
            return false;
        };
        !prefixes.is_empty()
            && prefixes.iter().all(|prefix| {
                let prefix = prefix.as_bytes().to_ascii_lowercase();
                self.keywords
                    .iter()
                    .any(|keyword| prefix.starts_with(keyword.as_bytes()))
            })
    }
}

/// True where something in a pattern matches the end of a line.
fn spans_lines(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => literal.0.contains(&b'\n'),
        HirKind::Class(Class::Bytes(class)) => class
            .ranges()
            .iter()
            .any(|range| (range.start()..=range.end()).contains(&b'\n')),
        HirKind::Class(Class::Unicode(_)) => true,
        HirKind::Repetition(repetition) => spans_lines(&repetition.sub),
        HirKind::Capture(capture) => spans_lines(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(spans_lines),
    }
}

/// A pattern for a value that stands behind one of some names: `DD_API_KEY=…`, `"datadog": {"key": "…"}`, `--datadog-key …`.
fn in_context(names: &str, value: &str) -> String {
    let name = format!(r"(?i:(?:\b|_)(?:{names})(?P<gap>[0-9A-Z_ .\-]{{0,40}}?)");
    let sign = r#"["'`\])]{0,3}[ \t]{0,5}(?:=>|:=|={1,3}|:|,|\(|[ \t])[ \t]{0,5}["'`\[(]{0,3})"#;
    format!("{name}{sign}(?P<s>{value})")
}
