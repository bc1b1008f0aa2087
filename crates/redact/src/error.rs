//! What can be wrong with rules that people bring.

/// Rules or an allow-list cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedactError {
    /// The text is not the TOML that rules are written in.
    #[error("the rules cannot be read: {0}")]
    Rules(#[from] toml::de::Error),
    /// A rule's pattern is no regular expression, or one that is too large.
    #[error("the pattern of rule `{rule}` cannot be used: {reason}")]
    Pattern {
        /// Which rule.
        rule: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A rule names no keyword, or one that is too short to look for.
    #[error(
        "rule `{rule}` needs keywords of at least {min} characters, plain ASCII: they are what is looked for first"
    )]
    Keywords {
        /// Which rule.
        rule: String,
        /// The least length.
        min: usize,
    },
    /// Two rules have the same id.
    #[error("there are two rules `{rule}`")]
    Double {
        /// Which id.
        rule: String,
    },
    /// An example does not do what it stands for.
    #[error("rule `{rule}` {what} its example `{example}`")]
    Example {
        /// Which rule.
        rule: String,
        /// What it does.
        what: &'static str,
        /// With which text.
        example: String,
    },
    /// A rule names a check that is not there.
    #[error("rule `{rule}` names the checksum `{checksum}`, which is not known")]
    Checksum {
        /// Which rule.
        rule: String,
        /// The name.
        checksum: String,
    },
}
