//! Percentiles, medians, and the table that is printed.

/// The value below which `share` of all values lie, from 0 to 1; not a number where there are none.
pub(crate) fn percentile(values: &mut [u32], share: f64) -> f64 {
    values.sort_unstable();
    let last = values.len().saturating_sub(1);
    let at = (last as f64 * share).round() as usize;
    values.get(at).map_or(f64::NAN, |value| f64::from(*value))
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What the project promises itself of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Promise {
    /// Nothing: the row is there to understand the others.
    Nothing,
    /// Ours is at most that.
    AtMost(f64),
    /// Ours is at least that.
    AtLeast(f64),
    /// Ours is at most so many times the limit.
    TimesLimit(f64),
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) limit: Option<f64>,
    pub(crate) ours: Option<f64>,
    pub(crate) promise: Promise,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, unit: &'static str) -> Self {
        Self {
            what: what.into(),
            unit,
            limit: None,
            ours: None,
            promise: Promise::Nothing,
        }
    }

    pub(crate) fn limit(mut self, limit: f64) -> Self {
        self.limit = Some(limit);
        self
    }

    pub(crate) fn ours(mut self, ours: f64) -> Self {
        self.ours = Some(ours);
        self
    }

    pub(crate) fn promise(mut self, promise: Promise) -> Self {
        self.promise = promise;
        self
    }

    /// Beside a limit of next to nothing a ratio says nothing.
    fn ratio(&self) -> Option<f64> {
        Some(self.ours? / self.limit?).filter(|ratio| *ratio < 100.0)
    }

    fn promised(&self) -> String {
        let unit = self.unit;
        match self.promise {
            Promise::Nothing => String::new(),
            Promise::AtMost(most) => format!("at most {most} {unit}"),
            Promise::AtLeast(least) => format!("at least {least} {unit}"),
            Promise::TimesLimit(times) => format!("at most {times} × limit"),
        }
    }

    /// What cannot be told is not kept.
    fn verdict(&self) -> &'static str {
        let is_kept = match self.promise {
            Promise::Nothing => return "",
            Promise::AtMost(most) => self.ours.is_some_and(|ours| ours <= most),
            Promise::AtLeast(least) => self.ours.is_some_and(|ours| ours >= least),
            Promise::TimesLimit(times) => self.ratio().is_some_and(|ratio| ratio <= times),
        };
        if is_kept { "kept" } else { "MISSED" }
    }

    /// The line for people who watch the run.
    pub(crate) fn print(&self) {
        let cell = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), figure);
        println!(
            "  {:<58} limit {:>9}  ours {:>9} {:<8} {:>7}  {} {}",
            self.what,
            cell(self.limit),
            cell(self.ours),
            self.unit,
            self.ratio()
                .map_or_else(String::new, |ratio| format!("× {ratio:.2}")),
            self.promised(),
            self.verdict()
        );
    }
}

/// Prints all rows as a Markdown table.
pub(crate) fn print_table(rows: &[Row]) {
    println!("\n| what | limit | ours | ratio | promised | |\n|---|---:|---:|---:|---|---|");
    for row in rows {
        let cell = |value: Option<f64>| {
            value.map_or_else(String::new, |value| {
                format!("{} {}", figure(value), row.unit)
            })
        };
        println!(
            "| {} | {} | {} | {} | {} | {} |",
            row.what,
            cell(row.limit),
            cell(row.ours),
            row.ratio()
                .map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            row.promised(),
            row.verdict()
        );
    }
}

/// Three digits that matter.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
