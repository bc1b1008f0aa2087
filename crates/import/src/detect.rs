//! Which format a transcript is of, by what its first records say, never by its name.

use crate::{
    formats::{Evidence, FORMATS, Format, Layout},
    head::{Framing, Head},
};

/// Which format a transcript is of, and why.
pub struct Detection {
    /// The format.
    pub format: &'static Format,
    /// Why, for people: `57 of 64 records look like it`.
    pub reason: String,
    /// How chats lie in the file.
    pub layout: Layout,
}

impl Detection {
    /// The format that most of the records speak for.
    pub(crate) fn of(head: &Head) -> Option<Self> {
        let mut best: Option<(&'static Format, Evidence)> = None;
        for format in FORMATS {
            let Some(evidence) = (format.detect)(head).filter(|evidence| evidence.matched > 0)
            else {
                continue;
            };
            let better =
                |other: &Evidence| evidence.matched * other.of > other.matched * evidence.of;
            if best.as_ref().is_none_or(|(_, other)| better(other)) {
                best = Some((format, evidence));
            }
        }
        let (format, evidence) = best?;
        Some(Self {
            format,
            reason: evidence.reason(head.framing),
            layout: evidence.layout,
        })
    }

    /// A format that the user named. Its own idea of the layout counts where it has one.
    pub(crate) fn forced(format: &'static Format, head: &Head) -> Self {
        let layout = (format.detect)(head).map_or(Layout::OneChat, |evidence| evidence.layout);
        Self {
            format,
            reason: "asked for with --format".to_owned(),
            layout,
        }
    }
}

impl Evidence {
    fn reason(self, framing: Framing) -> String {
        let unit = match framing {
            Framing::Lines => "lines",
            Framing::Array => "array elements",
            Framing::Values => "values",
        };
        format!(
            "{} of the first {} {unit} have its marks",
            self.matched, self.of
        )
    }
}
