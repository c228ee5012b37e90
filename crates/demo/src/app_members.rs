//! The page for members. The app checks no password: it believes the proxy before it, and names whom that names.

use bytes::Bytes;
use hyper::{Request, StatusCode};

use crate::http::{self, Answer};

pub const PATH: &str = "/members";
/// What the proxy says of somebody. It takes these headers away from everybody else.
const USER: &str = "x-forwarded-user";
const EMAIL: &str = "x-forwarded-email";
const GROUPS: &str = "x-forwarded-groups";

const STYLE: &str = "color-scheme:light dark;font:18px/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;\
                     padding:0 1.5rem;overflow-wrap:anywhere";

pub fn answer(request: &Request<Bytes>, greeting: &str) -> Answer {
    let said =
        |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(escaped).unwrap_or_default();
    let (user, email, groups) = (said(USER), said(EMAIL), said(GROUPS));
    if user.is_empty() {
        return http::text(StatusCode::FORBIDDEN, "for members; nobody has told this app who you are");
    }
    let greeting = escaped(greeting);
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>Members</title></head><body style=\"{STYLE}\">\
         <h1>{greeting}, {user}</h1><p>The app was told that you are <b>{email}</b>, of <b>{groups}</b>. It has \
         asked for no password and knows no key.</p><p><a href=\"/oauth2/sign_out?rd={PATH}\">Sign out</a></p>\
         </body></html>\n"
    );
    http::answer(StatusCode::OK, "text/html; charset=utf-8", page)
}

/// As text within HTML, and within its attributes.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_nobody_names_is_no_member() {
        let ask = |user: &str| Request::builder().header(USER, user).body(Bytes::new()).expect("a request");
        assert_eq!(answer(&ask("alice"), "Hello").status(), StatusCode::OK);
        assert_eq!(answer(&ask(""), "Hello").status(), StatusCode::FORBIDDEN);
        assert_eq!(answer(&Request::default(), "Hello").status(), StatusCode::FORBIDDEN);
    }

    #[test]
    fn a_name_is_no_markup() {
        assert_eq!(escaped("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }
}
