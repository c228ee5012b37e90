//! Pages for people: small, without scripts, readable on a phone, in light and in dark.

use http_proxy::Answer;
use http1::ResponseHead;

use crate::config::Pages;

const STYLE: &str = "\
:root{color-scheme:light dark}*{box-sizing:border-box}\
body{margin:0;min-height:100vh;display:grid;place-items:center;font:16px/1.5 system-ui,sans-serif;\
background:light-dark(#f4f5f7,#15171a);color:light-dark(#1b1f24,#e6e8eb)}\
main{width:min(24rem,100vw - 2rem);padding:2rem;border-radius:.75rem;text-align:center;\
background:light-dark(#fff,#1f2226);border:1px solid light-dark(#d8dce1,#33383e)}\
h1{font-size:1.25rem;margin:0 0 1rem}p{margin:.75rem 0;overflow-wrap:anywhere}\
a.go{display:block;margin:.75rem 0;padding:.7rem 1rem;border-radius:.5rem;text-decoration:none;font-weight:600;\
background:#1f5fbf;color:#fff}a.go:focus-visible{outline:3px solid light-dark(#1b1f24,#fff)}\
a.plain{background:none;color:inherit;border:1px solid light-dark(#8a9099,#7b828b)}\
footer{margin-top:1.5rem;font-size:.85rem;opacity:.8}";

/// One way to sign in.
pub struct Choice {
    pub title: String,
    pub href: String,
    pub is_plain: bool,
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

pub fn sign_in(pages: &Pages, status: u16, choices: &[Choice]) -> Answer {
    let mut body = String::new();
    if let Some(banner) = &pages.banner {
        body.push_str(&format!("<p>{}</p>", escaped(banner)));
    }
    for choice in choices {
        let class = if choice.is_plain { "go plain" } else { "go" };
        let (href, title) = (escaped(&choice.href), escaped(&choice.title));
        body.push_str(&format!("<a class=\"{class}\" href=\"{href}\">Sign in with {title}</a>"));
    }
    page(pages, status, "Sign in", &body)
}

/// `detail` is for whoever may know.
pub fn trouble(pages: &Pages, status: u16, title: &str, text: &str, detail: Option<&str>, again: &str) -> Answer {
    let mut body = format!("<p>{}</p>", escaped(text));
    if let Some(detail) = detail.filter(|_| pages.debug) {
        body.push_str(&format!("<p><code>{}</code></p>", escaped(detail)));
    }
    body.push_str(&format!("<a class=\"go\" href=\"{}\">Sign in</a>", escaped(again)));
    page(pages, status, title, &body)
}

fn page(pages: &Pages, status: u16, title: &str, body: &str) -> Answer {
    let footer = pages.footer.as_ref().map(|text| format!("<footer>{}</footer>", escaped(text))).unwrap_or_default();
    let title = escaped(title);
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1>{body}{footer}</main></body></html>\n"
    );
    let mut answer = Answer { head: ResponseHead::new(status), body: html.into_bytes().into() };
    let headers = &mut answer.head.headers;
    headers.append("Content-Type", "text/html; charset=utf-8");
    headers.append("Content-Security-Policy", policy());
    headers.append("X-Frame-Options", "DENY");
    headers.append("X-Content-Type-Options", "nosniff");
    headers.append("Referrer-Policy", "no-referrer");
    private(&mut answer);
    answer
}

/// Nothing but this one style: no script, no frame, no form, nothing from elsewhere.
fn policy() -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let sum = BASE64_STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{sum}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
}

/// No cache keeps what is for one person.
pub fn private(answer: &mut Answer) {
    answer.head.headers.set("Cache-Control", "no-store");
}

pub fn redirect(to: &str) -> Answer {
    let mut answer = Answer::text(302, "");
    answer.head.headers.set("Location", to);
    private(&mut answer);
    answer
}

pub fn json(status: u16, value: &serde_json::Value) -> Answer {
    let mut answer = Answer { head: ResponseHead::new(status), body: format!("{value}\n").into_bytes().into() };
    answer.head.headers.append("Content-Type", "application/json");
    private(&mut answer);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_small_and_hold_nothing_that_runs() {
        let pages =
            Pages { banner: Some("<script>alert(1)</script>".into()), footer: Some("f".into()), ..Pages::default() };
        let choice = Choice { title: "\"><img src=x>".into(), href: "/a?b=\"&c='".into(), is_plain: false };
        let answer = sign_in(&pages, 403, &[choice]);
        let html = std::str::from_utf8(&answer.body).unwrap();
        assert!(
            html.len() < 10_000 && !html.contains("<script") && !html.contains("<img") && !html.contains("\"&c"),
            "{html}"
        );
        assert!(answer.head.headers.get_str("content-security-policy").unwrap().starts_with("default-src 'none'"));
    }
}
