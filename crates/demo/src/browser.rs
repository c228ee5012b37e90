//! A person with a browser, as much of it as signing in takes: it keeps cookies and goes where it is sent.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use hyper::{Method, header};

use crate::{
    app_members,
    http::{self, Reply},
};

/// At one address: nobody else gets the cookies.
#[derive(Clone)]
pub struct Browser {
    home: SocketAddr,
    cookies: BTreeMap<String, String>,
}

/// How a login went.
pub struct Login {
    /// Where the provider sent the browser back to.
    pub callback: String,
    /// What was there at the end.
    pub page: Reply,
    pub took: Duration,
}

impl Browser {
    pub fn new(home: SocketAddr) -> Self {
        Self { home, cookies: BTreeMap::new() }
    }

    pub async fn get(&mut self, path: &str) -> Result<Reply, String> {
        self.ask(path, "text/html").await
    }

    /// As a program asks, which has no use for a page.
    pub async fn get_json(&mut self, path: &str) -> Result<Reply, String> {
        self.ask(path, "application/json").await
    }

    async fn ask(&mut self, path: &str, accept: &str) -> Result<Reply, String> {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = vec![(header::ACCEPT, accept)];
        if !cookies.is_empty() {
            headers.push((header::COOKIE, &cookies));
        }
        let reply = http::send(self.home, Method::GET, path, &headers, "").await?;
        self.keep(&reply);
        Ok(reply)
    }

    fn keep(&mut self, reply: &Reply) {
        let lines = reply.headers.get_all(header::SET_COOKIE).iter().filter_map(|line| line.to_str().ok());
        for line in lines {
            let Some((name, value)) = line.split(';').next().and_then(|pair| pair.split_once('=')) else { continue };
            match line.contains("Max-Age=0") {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
    }

    /// From the closed door to the provider, where this person presses the button, and back.
    pub async fn sign_in(&mut self, user: &str) -> Result<Login, String> {
        let begun = Instant::now();
        let door = self.get(app_members::PATH).await?;
        let start = link(&door.body, "/oauth2/start").ok_or_else(|| is_no("a page to sign in at", &door))?;
        let there = self.get(&start).await?;
        let (provider, asked) = place(there.header(header::LOCATION)).ok_or_else(|| is_no("a way there", &there))?;
        let page = http::send(provider, Method::GET, &asked, &[], "").await?;
        if !page.body.contains(&format!("value=\"{user}\"")) {
            return Err(is_no("a page of the provider with this person", &page));
        }
        let form = [(header::CONTENT_TYPE, "application/x-www-form-urlencoded")];
        let back = http::send(provider, Method::POST, &asked, &form, &format!("user={user}")).await?;
        let (home, callback) = place(back.header(header::LOCATION)).ok_or_else(|| is_no("a way back", &back))?;
        if home != self.home {
            return Err(format!("the provider sends people to {home}"));
        }
        let mut page = self.get(&callback).await?;
        if page.status == 302 {
            let target = page.header(header::LOCATION).to_owned();
            page = self.get(&target).await?;
        }
        Ok(Login { callback, page, took: begun.elapsed() })
    }

    pub async fn sign_out(&mut self) -> Result<(), String> {
        let reply = self.get("/oauth2/sign_out?rd=/members").await?;
        if reply.status == 302 { Ok(()) } else { Err(is_no("the way out", &reply)) }
    }
}

fn is_no(what: &str, reply: &Reply) -> String {
    format!("expected {what}, not {}: {}", reply.status, reply.body.chars().take(200).collect::<String>())
}

/// The first link on the page that begins so.
fn link(page: &str, beginning: &str) -> Option<String> {
    let links = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    links.map(|link| link.replace("&amp;", "&")).find(|link| link.starts_with(beginning))
}

/// Of `http://127.0.0.1:4180/x?y`, who that is and what to ask there.
fn place(url: &str) -> Option<(SocketAddr, String)> {
    let (addr, path) = url.strip_prefix("http://")?.split_once('/')?;
    Some((addr.parse().ok()?, format!("/{path}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_places_are_read() {
        let page = "<a href=\"/x\">x</a><a class=\"go\" href=\"/oauth2/start?rd=/a&amp;b=1\">in</a>";
        assert_eq!(link(page, "/oauth2/start").as_deref(), Some("/oauth2/start?rd=/a&b=1"));
        assert_eq!(link(page, "/y"), None);
        assert_eq!(place("http://127.0.0.1:80/a?b"), Some((([127, 0, 0, 1], 80).into(), "/a?b".into())));
        assert_eq!(place(""), None);
    }
}
