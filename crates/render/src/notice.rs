//! Small pages of a server in the look of a theme: what cannot be shown and why, and the sign-in form. They need no script.

use minijinja::{Value, value::Serde};

use crate::{
    RenderError, Renderer,
    context::{Notice, NoticeChat, NoticeContext, NoticeHead, NoticeLink, SigninForm},
    page::{CSP, CSP_SIGNIN},
};

/// A page that says one thing.
#[derive(Clone, Copy, Debug)]
pub struct NoticePage<'a> {
    /// What the window is called.
    pub title: &'a str,
    /// What the page says first.
    pub heading: &'a str,
    /// What it says then, plain text; may be empty.
    pub text: &'a str,
    /// Where to go on: address and words.
    pub link: Option<(&'a str, &'a str)>,
    /// What stands before `assets/` as seen from the page: `../`, `/`, or nothing.
    pub root: &'a str,
}

/// A page to sign in on.
#[derive(Clone, Copy, Debug)]
pub struct SigninPage<'a> {
    /// What it says before the form, plain text; may be empty.
    pub text: &'a str,
    /// Where to go after that, as the form sends it back in `next`.
    pub next: &'a str,
    /// Where else one can sign in: address and name.
    pub provider: Option<(&'a str, &'a str)>,
    /// The name that was given before.
    pub user: &'a str,
    /// Why that did not do.
    pub error: Option<&'a str>,
    /// What stands before `assets/` as seen from the page.
    pub root: &'a str,
}

impl Renderer {
    /// Renders a page that says one thing.
    ///
    /// # Errors
    /// A template is wrong.
    pub fn notice_page(&self, page: &NoticePage<'_>) -> Result<Vec<u8>, RenderError> {
        let notice = Notice {
            heading: page.heading,
            text: page.text,
            link: page.link.map(|(href, words)| NoticeLink { href, words }),
            form: None,
        };
        self.small_page(("notice.html", CSP), page.title, page.root, notice)
    }

    /// Renders the sign-in page. Its form has the fields `name`, `password` and `next`.
    ///
    /// # Errors
    /// A template is wrong.
    pub fn signin_page(&self, page: &SigninPage<'_>) -> Result<Vec<u8>, RenderError> {
        let notice = Notice {
            heading: "Sign in",
            text: page.text,
            link: None,
            form: Some(SigninForm {
                next: page.next,
                user: page.user,
                provider: page
                    .provider
                    .map(|(href, words)| NoticeLink { href, words }),
                error: page.error,
            }),
        };
        self.small_page(("signin.html", CSP_SIGNIN), "Sign in", page.root, notice)
    }

    fn small_page(
        &self,
        (template, csp): (&str, &'static str),
        title: &str,
        root: &str,
        notice: Notice<'_>,
    ) -> Result<Vec<u8>, RenderError> {
        let styles: Vec<String> = self
            .assets
            .styles
            .iter()
            .map(|path| format!("{root}{path}"))
            .collect();
        let context = NoticeContext {
            page: NoticeHead { label: "" },
            chat: NoticeChat { title },
            notice,
            styles: &styles,
            scripts: &[],
            csp,
            version: env!("CARGO_PKG_VERSION"),
        };
        let template = self.environment.get_template(template)?;
        Ok(template.render(Value::from(Serde(&context)))?.into_bytes())
    }
}
