//! Secrets out of a chat before anybody else sees it, with a report of what was found.
//!
//! A [`Redactor`] goes over every text of a chat, of a change set or of a file, and puts a mark that names the kind (`[redacted: GitHub token]`) in the place of each
//! secret. Rules are data (`rules.toml`); what data cannot say (names with values, encodings, keys of many lines) is code beside it. Pure: no I/O, no clock,
//! no randomness. All searching takes time linear in the text, whatever the text is.

mod assignment;
mod checksum;
mod encoded;
mod error;
mod fields;
mod files;
mod hold;
mod json;
mod keywords;
mod known;
mod pem;
mod personal;
mod placeholder;
mod redactor;
mod report;
mod rules;
mod scan;
mod url;
mod view;

pub use error::RedactError;
pub use files::Files;
pub use known::Known;
pub use personal::Personal;
pub use redactor::{Options, Outcome, Redactor};
pub use report::{Finding, Place, Report, SecretId, Sure};
pub use rules::RuleInfo;
