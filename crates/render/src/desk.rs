//! Pages of the desk: a layout with navigation around what a template of `themes/desk` makes of its content, and the texts of all of them.

use std::{collections::BTreeMap, sync::Arc};

use minijinja::{Environment, Error, ErrorKind, Value, value::Kwargs, value::Serde};
use serde::Serialize;

use crate::{RenderError, Renderer, page::CSP_DESK};

/// How names of texts begin that scripts get.
const SCRIPT_TEXTS: [&str; 2] = ["script.", "problem."];

/// A page that the navigation leads to.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DeskEntry {
    /// Names it: its text is `nav.<name>`.
    pub name: &'static str,
    /// Its path below the root.
    pub path: &'static str,
}

/// What is around a page of the desk.
#[derive(Clone, Copy, Debug)]
pub struct DeskPage<'a> {
    /// The template of its content, below `themes/desk/templates`, without `.html`.
    pub template: &'a str,
    /// The entry of the navigation that it belongs to.
    pub here: &'a str,
    /// Where the navigation leads.
    pub nav: &'a [DeskEntry],
    /// Who is signed in.
    pub user: &'a str,
    /// Whether they can sign out here.
    pub signs_out: bool,
    /// Where the server's own paths begin, with a slash at its end.
    pub root: &'a str,
}

#[derive(Serialize)]
struct Context<'a, T> {
    desk: Around<'a>,
    content: &'a T,
}

#[derive(Serialize)]
struct Around<'a> {
    here: &'a str,
    nav: &'a [DeskEntry],
    user: &'a str,
    signs_out: bool,
    root: &'a str,
    styles: Vec<String>,
    scripts: Vec<String>,
    csp: &'static str,
}

impl Renderer {
    /// Renders a page of the desk; its template gets `content` under that name.
    ///
    /// # Errors
    /// The template is wrong, or does not fit the content.
    pub fn desk_page<T: Serialize>(
        &self,
        page: &DeskPage<'_>,
        content: &T,
    ) -> Result<Vec<u8>, RenderError> {
        let below = |paths: &[String]| -> Vec<String> {
            let paths = paths.iter();
            paths.map(|path| format!("{}{path}", page.root)).collect()
        };
        let context = Context {
            desk: Around {
                here: page.here,
                nav: page.nav,
                user: page.user,
                signs_out: page.signs_out,
                root: page.root,
                styles: below(&self.assets.desk_styles),
                scripts: below(&self.assets.desk_scripts),
                csp: CSP_DESK,
            },
            content,
        };
        let name = format!("{}/{}.html", readalong_themes::DESK, page.template);
        let template = self.environment.get_template(&name)?;
        Ok(template.render(Value::from(Serde(&context)))?.into_bytes())
    }
}

/// Gives templates `t(name, n=3, …)`, a text filled in, and `script_texts()`, those of scripts as JSON.
pub(crate) fn add_texts(environment: &mut Environment<'_>) {
    let texts = Arc::new(readalong_themes::desk_texts());
    let of_scripts: BTreeMap<&String, &String> = texts
        .iter()
        .filter(|(name, _)| SCRIPT_TEXTS.iter().any(|start| name.starts_with(start)))
        .collect();
    let of_scripts = serde_json::to_string(&of_scripts).unwrap_or_default();
    // It stands in a script element, which only `</` ends.
    let of_scripts = Value::from_safe_string(of_scripts.replace('<', "\\u003c"));
    environment.add_function("script_texts", move || of_scripts.clone());
    environment.add_function("t", move |name: &str, values: Kwargs| {
        filled(&texts, name, &values)
    });
}

/// A text with its values; one with a number has two forms.
fn filled(texts: &BTreeMap<String, String>, name: &str, values: &Kwargs) -> Result<String, Error> {
    let form = match values.get::<Option<i64>>("n") {
        Ok(Some(1)) => "one",
        _ => "other",
    };
    let text = texts
        .get(name)
        .or_else(|| texts.get(&format!("{name}.{form}")));
    let Some(text) = text else {
        let problem = format!("the desk has no text `{name}`");
        return Err(Error::new(ErrorKind::InvalidOperation, problem));
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, (value, after))) = rest
        .split_once('{')
        .and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    {
        out.push_str(before);
        out.push_str(&values.get::<Value>(value)?.to_string());
        rest = after;
    }
    out.push_str(rest);
    values.assert_all_used()?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(template: &str) -> Result<String, Error> {
        let mut environment = Environment::new();
        add_texts(&mut environment);
        environment.render_str(template, ())
    }

    #[test]
    fn texts_are_filled_in_and_know_one_from_many() {
        assert_eq!(says("{{ t('chats.messages', n=1) }}").unwrap(), "1 message");
        assert_eq!(
            says("{{ t('chats.messages', n=0) }}").unwrap(),
            "0 messages"
        );
        let hostile = says("{{ t('layout.account', name='<b>{n}') }}").unwrap();
        assert_eq!(
            hostile, "Account of <b>{n}",
            "a value is not filled in again"
        );
    }

    #[test]
    fn a_text_that_is_not_there_is_an_error() {
        for wrong in [
            "t('no.such')",
            "t('layout.account')",
            "t('nav.chats', n=1, x=2)",
        ] {
            says(&format!("{{{{ {wrong} }}}}")).unwrap_err();
        }
    }

    #[test]
    fn texts_of_scripts_cannot_end_their_element() {
        let texts = says("{{ script_texts() }}").unwrap();
        assert!(texts.contains("\"problem.offline\"") && !texts.contains('<'));
        assert!(!texts.contains("\"nav.chats\""));
    }
}
