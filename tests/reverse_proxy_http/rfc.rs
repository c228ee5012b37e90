//! What RFC 9110 and RFC 9112 demand of who stands between a client and a server: each row is one requirement, what is sent,
//! and what the other side must and must not see. Below them the requirements that a test of their own holds.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
};

use test_kit::PATIENCE;

use crate::{port, rfc_rules, with};

/// One requirement.
pub(crate) struct Rule {
    pub(crate) section: &'static str,
    pub(crate) must: &'static str,
    /// What the client says.
    pub(crate) ask: &'static str,
    /// What the app answers; nothing for a plain 200.
    pub(crate) reply: &'static str,
    /// What the app gets: `+` for what is there, `-` for what is not. Nothing at all: the app gets nothing.
    pub(crate) app: &'static [&'static str],
    /// The same for the client.
    pub(crate) client: &'static [&'static str],
}

/// An app that answers one thing, and remembers what it was told.
fn app(reply: &'static str) -> (u16, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, heard) = (listener.local_addr().unwrap().port(), Arc::<Mutex<String>>::default());
    let own = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (own, mut stream) = (Arc::clone(&own), BufReader::new(stream));
            std::thread::spawn(move || {
                while let Some(request) = request(&mut stream) {
                    let is_upgrade = request.contains("\r\nUpgrade:");
                    own.lock().unwrap().push_str(&request);
                    let reply = if reply.is_empty() { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" } else { reply };
                    if stream.get_mut().write_all(reply.as_bytes()).is_err() || !reply.contains("ength: ") || is_upgrade
                    {
                        return;
                    }
                }
            });
        }
    });
    (port, heard)
}

/// Head and body as they came.
fn request(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read_until(b'\n', &mut bytes).ok()? == 0 {
            return None;
        }
    }
    let head = String::from_utf8(bytes).ok()?;
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let mut body = vec![0; field("Content-Length:").and_then(|length| length.parse().ok()).unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    while field("Transfer-Encoding:").is_some() && !body.ends_with(b"\r\n\r\n") {
        stream.read_until(b'\n', &mut body).ok()?;
    }
    Some(head + &String::from_utf8(body).ok()?)
}

/// What is wrong, if anything is.
fn differences(who: &str, text: &str, wanted: &[&str]) -> Vec<String> {
    let found = |line: &&&str| match line.split_at(1) {
        ("+", text_wanted) => !text.contains(text_wanted),
        (_, unwanted) => text.to_ascii_lowercase().contains(&unwanted.to_ascii_lowercase()),
    };
    wanted.iter().filter(found).map(|line| format!("{who}: {line:?} of {text:?}")).collect()
}

fn check(rule: &Rule) -> Vec<String> {
    let (at, heard) = app(rule.reply);
    let proxy = with(&format!(
        "listeners:\n- {{listen: \"127.0.0.1:0\", egress: {{allow: [\"127.0.0.1:{at}\"]}}, via: proxy, routes: [{{to: \"127.0.0.1:{at}\"}}]}}\n"
    ));
    let mut client = TcpStream::connect(("127.0.0.1", port(&proxy))).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(rule.ask.replace("APP", &format!("127.0.0.1:{at}")).as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = client.read_to_end(&mut answer);
    let heard = heard.lock().unwrap().clone();
    let mut wrong = differences("client", &String::from_utf8_lossy(&answer), rule.client);
    match rule.app {
        [] if heard.is_empty() => {}
        [] => wrong.push(format!("the app was asked {heard:?}")),
        _ if heard.is_empty() => wrong.push("the app was not asked".into()),
        wanted => wrong.extend(differences("app", &heard, wanted)),
    }
    wrong
}

#[test]
fn what_the_standards_demand_of_an_intermediary_is_done() {
    let mut wrong = Vec::new();
    for rule in rfc_rules::RULES {
        wrong.extend(check(rule).into_iter().map(|problem| format!("{} {}: {problem}", rule.section, rule.must)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_tests_that_hold_the_other_demands_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (section, must, held_by) in rfc_rules::HELD {
        for place in held_by.split(", ") {
            let (file, name) = place.split_once("::").unwrap_or_else(|| panic!("{section}: {place}"));
            let text =
                fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{section} {must}: {file}: {error}"));
            assert!(text.contains(&format!("fn {name}(")), "{section} {must}: {place} is not there");
        }
    }
}
