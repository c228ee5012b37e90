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
form{margin:1rem 0;text-align:left}label{display:block;margin:.75rem 0;font-size:.9rem}\
input{display:block;width:100%;margin-top:.25rem;padding:.6rem;font:inherit;border-radius:.5rem;\
border:1px solid light-dark(#8a9099,#7b828b);background:light-dark(#fff,#15171a);color:inherit}\
button{display:block;width:100%;margin:.75rem 0;padding:.7rem 1rem;border:0;border-radius:.5rem;font:inherit;\
font-weight:600;background:#1f5fbf;color:#fff;cursor:pointer}\
button:focus-visible,input:focus-visible{outline:3px solid light-dark(#1b1f24,#fff)}\
img{max-width:12rem;max-height:6rem}p.wrong{color:light-dark(#a3122b,#ff9aa8);font-weight:600}\
footer{margin-top:1.5rem;font-size:.85rem;opacity:.8}";

/// One way to sign in.
pub struct Choice {
    pub title: String,
    pub href: String,
}

/// For a user name and a password.
pub struct Form {
    pub action: String,
    /// Where it leads.
    pub target: String,
    /// What only we know, and the browser.
    pub token: String,
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

pub fn sign_in(
    pages: &Pages,
    prefix: &str,
    status: u16,
    problem: Option<&str>,
    choices: &[Choice],
    form: Option<&Form>,
) -> Answer {
    let mut body = String::new();
    let mut say = |before: &str, text: Option<&str>| {
        if let Some(text) = text {
            body.push_str(&format!("{before}{}</p>", escaped(text)));
        }
    };
    say("<p>", pages.banner.as_deref());
    say("<p>", pages.text.as_deref());
    say("<p class=\"wrong\" role=\"alert\">", problem);
    if let Some(form) = form {
        let (action, target, token) = (escaped(&form.action), escaped(&form.target), escaped(&form.token));
        body.push_str(&format!(
            "<form method=\"post\" action=\"{action}\"><input type=\"hidden\" name=\"rd\" value=\"{target}\">\
             <input type=\"hidden\" name=\"csrf\" value=\"{token}\">\
             <label>User name<input name=\"username\" autocomplete=\"username\" autocapitalize=\"none\" required></label>\
             <label>Password<input name=\"password\" type=\"password\" autocomplete=\"current-password\" required></label>\
             <button>Sign in</button></form>"
        ));
    }
    for choice in choices {
        let (href, title) = (escaped(&choice.href), escaped(&choice.title));
        body.push_str(&format!("<a class=\"go\" href=\"{href}\">Sign in with {title}</a>"));
    }
    let title = pages.name.as_ref().map_or_else(|| "Sign in".into(), |name| format!("Sign in to {name}"));
    let logo = pages.logo.is_some().then(|| format!("{prefix}/logo"));
    page(pages, status, &title, logo.as_deref(), &body, form.map(|form| &*form.target))
}

/// `detail` is for whoever may know.
pub fn trouble(pages: &Pages, status: u16, title: &str, text: &str, detail: Option<&str>, again: &str) -> Answer {
    let mut body = format!("<p>{}</p>", escaped(text));
    if let Some(detail) = detail.filter(|_| pages.debug) {
        body.push_str(&format!("<p><code>{}</code></p>", escaped(detail)));
    }
    body.push_str(&format!("<a class=\"go\" href=\"{}\">Sign in</a>", escaped(again)));
    page(pages, status, title, None, &body, None)
}

pub fn message(pages: &Pages, status: u16, title: &str, text: &str, next: &str, label: &str) -> Answer {
    let (text, next, label) = (escaped(text), escaped(next), escaped(label));
    let body = format!("<p>{text}</p><a class=\"go\" href=\"{next}\">{label}</a>");
    page(pages, status, title, None, &body, None)
}

/// `posts_to`: where a form on it leads in the end.
fn page(pages: &Pages, status: u16, title: &str, logo: Option<&str>, body: &str, posts_to: Option<&str>) -> Answer {
    let footer = pages.footer.as_ref().map(|text| format!("<footer>{}</footer>", escaped(text))).unwrap_or_default();
    let title = escaped(title);
    let picture = logo.map(|address| format!("<img src=\"{}\" alt=\"\">", escaped(address))).unwrap_or_default();
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><main>{picture}<h1>{title}</h1>{body}{footer}</main></body></html>\n"
    );
    let mut answer = Answer { head: ResponseHead::new(status), body: html.into_bytes().into() };
    let headers = &mut answer.head.headers;
    headers.append("Content-Type", "text/html; charset=utf-8");
    headers.append("Content-Security-Policy", policy(logo.is_some(), posts_to));
    headers.append("X-Frame-Options", "DENY");
    headers.append("X-Content-Type-Options", "nosniff");
    // Not to others; to us, a browser that posts a form says where it has it from.
    headers.append("Referrer-Policy", "same-origin");
    private(&mut answer);
    answer
}

/// Nothing but this one style: no script, no frame, nothing from elsewhere.
fn policy(has_logo: bool, posts_to: Option<&str>) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let sum = BASE64_STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes()));
    let picture = if has_logo { "img-src 'self'; " } else { "" };
    // Browsers hold the redirect after a form to this as well.
    let posts_to = posts_to.map_or_else(
        || "'none'".into(),
        |target| {
            let elsewhere = url::Url::parse(target).map(|url| url.origin().ascii_serialization());
            elsewhere.map_or_else(|_| "'self'".into(), |origin| format!("'self' {origin}"))
        },
    );
    format!(
        "default-src 'none'; style-src 'sha256-{sum}'; {picture}base-uri 'none'; form-action {posts_to}; \
         frame-ancestors 'none'"
    )
}

/// Opened by itself, a picture may be a document with scripts: not this one.
pub fn logo(pages: &Pages) -> Answer {
    let Some(logo) = &pages.logo else { return Answer::text(404, "not found\n") };
    let mut answer = Answer { head: ResponseHead::new(200), body: logo.bytes.to_vec().into() };
    let headers = &mut answer.head.headers;
    headers.append("Content-Type", logo.kind);
    headers.append("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox");
    headers.append("X-Content-Type-Options", "nosniff");
    headers.append("Cache-Control", "max-age=3600");
    answer
}

/// No cache keeps what is for one person.
pub fn private(answer: &mut Answer) {
    answer.head.headers.set("Cache-Control", "no-store");
}

pub fn redirect(to: &str) -> Answer {
    sent_to(302, to)
}

/// After a form: the next request is no post.
pub fn see(to: &str) -> Answer {
    sent_to(303, to)
}

fn sent_to(status: u16, to: &str) -> Answer {
    let mut answer = Answer::text(status, "");
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
        let evil = || Some("<script>alert(1)</script>".to_owned());
        let pages = Pages { banner: evil(), footer: evil(), text: evil(), name: evil(), ..Pages::default() };
        let choice = Choice { title: "\"><img src=x>".into(), href: "/a?b=\"&c='".into() };
        let form = Form { action: "/x".into(), target: "/\"><script>".into(), token: "t".into() };
        let answer = sign_in(&pages, "/oauth2", 403, Some("<b>"), &[choice], Some(&form));
        let html = std::str::from_utf8(&answer.body).unwrap();
        for part in ["<script", "<img", "\"&c", "<b>"] {
            assert!(!html.contains(part), "{part}: {html}");
        }
        assert!(html.len() < 10_000, "{}", html.len());
        let policy = answer.head.headers.get_str("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && policy.contains("form-action 'self';"), "{policy}");
    }

    #[test]
    fn a_form_may_lead_to_where_the_login_ends_and_nowhere_else() {
        assert!(policy(false, Some("https://app.example/x?y")).contains("form-action 'self' https://app.example;"));
        assert!(policy(false, Some("/x")).contains("form-action 'self';"));
        assert!(policy(true, None).contains("img-src 'self'; base-uri 'none'; form-action 'none';"));
    }
}
