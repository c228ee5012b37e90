//! The same bytes to every proxy. Each has an app of its own that writes down what it got; the table is printed, and
//! docs/reverse-proxy-http.md has it.

use std::{fmt::Write as _, io, sync::Arc, thread, time::Duration};

use test_kit::TempDir;

use crate::{
    app::App,
    caller::Caller,
    cases,
    frames::{Http2, Outcome},
    h2_cases, ours,
    peers::{self, Peer},
};

/// How long silence is no answer.
const QUIET: Duration = Duration::from_millis(400);

fn apps() -> Vec<App> {
    (0..4).map(|_| App::echo()).collect()
}

fn config(app: &App) -> String {
    format!("listeners: [{{listen: \"127.0.0.1:0\", routes: [{{to: \"{}\"}}]}}]\n", app.place())
}

/// What one proxy does with all cases.
fn column<T>(cases: &[T], port: u16, app: &App, ask: impl Fn(&T, u16) -> String) -> Vec<String> {
    let one = |case: &T| {
        app.forget();
        let mut said = ask(case, port);
        let (told, problems) = (app.told(), app.problems());
        if !told.is_empty() {
            let _ = write!(said, " ({})", told.join("; ").escape_debug());
        }
        if !problems.is_empty() {
            said.push_str(" **ambiguous**");
        }
        said
    };
    cases.iter().map(one).collect()
}

fn ask_http1(case: &cases::Case, port: u16) -> String {
    let mut caller = Caller::within(port, QUIET);
    caller.send(&case.bytes);
    let mut statuses = Vec::new();
    let end = loop {
        match caller.answer(case.bytes.starts_with(b"HEAD") && statuses.is_empty()) {
            Ok(answer) => statuses.push(answer.status.to_string()),
            Err(error) => break error.kind(),
        }
    };
    if statuses.is_empty() {
        let is_silent = matches!(end, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
        return if is_silent { "waits" } else { "closed" }.to_owned();
    }
    statuses.join(" ")
}

fn ask_http2(case: &h2_cases::Case, port: u16) -> String {
    let mut client = Http2::within(port, QUIET, &[]);
    match client.request(1, &case.fields, case.body).map_or(Outcome::Closed, |()| client.outcome(1)) {
        Outcome::Answer(status, _) => status.to_string(),
        Outcome::Reset(_) => "reset".to_owned(),
        Outcome::GoAway(_) => "goaway".to_owned(),
        Outcome::Closed => "closed".to_owned(),
        Outcome::Silence => "waits".to_owned(),
    }
}

fn table<T: Sync>(
    cases: &[T],
    name: impl Fn(&T) -> &'static str,
    proxies: &[(&str, u16, App)],
    ask: impl Fn(&T, u16) -> String + Sync,
) -> Vec<Vec<String>> {
    let columns: Vec<Vec<String>> = thread::scope(|scope| {
        let running: Vec<_> =
            proxies.iter().map(|(_, port, app)| scope.spawn(|| column(cases, *port, app, &ask))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let names: Vec<&str> = proxies.iter().map(|(name, ..)| *name).collect();
    println!("| | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()));
    for (at, case) in cases.iter().enumerate() {
        let cells: Vec<&str> = columns.iter().map(|column| &*column[at]).collect();
        println!("| {} | {} |", name(case), cells.join(" | "));
    }
    columns
}

fn proxies(http2: bool, check: impl Fn(&[(&str, u16, App)])) {
    let (dir, apps) = (Arc::new(TempDir::new()), apps());
    let own = ours(&dir, &config(&apps[0]));
    let peers: [Peer; 3] = [
        peers::nginx(&dir, apps[1].port, http2),
        peers::haproxy(&dir, apps[2].port, http2),
        peers::envoy(&dir, apps[3].port),
    ];
    let ports = [own.port_of("127.0.0.1:0"), peers[0].port, peers[1].port, peers[2].port];
    let names = ["ours", "NGINX", "HAProxy", "Envoy"];
    let all: Vec<_> = names.into_iter().zip(ports).zip(apps).map(|((name, port), app)| (name, port, app)).collect();
    check(&all);
}

#[test]
fn ours_is_never_ambiguous_in_http1() {
    proxies(false, |all| {
        let columns = table(&cases::all(), |case| case.name, all, ask_http1);
        assert!(columns[0].iter().all(|cell| !cell.contains("ambiguous") && cell != "waits"));
        // The app of the test does notice: somebody passes on what ours does not.
        assert!(columns[1..].iter().flatten().any(|cell| cell.contains("ambiguous")));
    });
}

#[test]
fn ours_is_never_ambiguous_in_http2() {
    proxies(true, |all| {
        let columns = table(&h2_cases::all(), |case| case.name, all, ask_http2);
        assert!(columns[0].iter().all(|cell| !cell.contains("ambiguous") && cell != "waits"));
    });
}
