//! What is refused, in nginx's words.

use super::*;

fn problems(text: &str) -> Vec<String> {
    from_text("t", text).err().unwrap_or_default()
}

#[test]
fn what_is_not_supported_is_refused_by_name_and_place_all_at_once() {
    let found = problems(
        "server {\n listen 80;\n fooo 1;\n location / {\n  root /var/www;\n }\n location /x {\n  proxy_pass x;\n }\n}\n",
    );
    assert_eq!(
        found,
        [
            "[emerg] unknown directive \"fooo\" in t:3",
            "[emerg] the directive \"root\" is not supported here: static files are not served in t:5",
            "[emerg] location \"/\" has neither proxy_pass nor return: static files are not served here in t:4",
            "[emerg] invalid URL prefix in t:8",
        ]
    );
}
