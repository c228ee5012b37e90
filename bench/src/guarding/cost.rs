//! Processor time of a request, what is added to its time, what the door weighs and when it opens.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    thread::sleep,
    time::Duration,
};

use serde_json::json;

use super::{Rig, door::Door, visitor};
use crate::{
    procfs,
    stats::{mib, millis, percentile},
    table::Table,
};

const BASIC: &str = "Basic YWxpY2U6c2VjcmV0IHdvcmQ=";
/// Enough to be measured by; each costs a signature to make.
const TOKENS: usize = 3_000;
const CONNECTIONS: usize = 200;
const STARTS: u16 = 11;

struct Case {
    name: &'static str,
    path: &'static str,
    shows: Shows,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shows {
    Nothing,
    Session,
    Token,
    NewTokens,
    Password,
}

const CASES: [Case; 7] = [
    Case { name: "/ping", path: "/ping", shows: Shows::Nothing },
    Case { name: "auth-only, nobody (401)", path: "/oauth2/auth", shows: Shows::Nothing },
    Case { name: "auth-only, session cookie", path: "/oauth2/auth", shows: Shows::Session },
    Case { name: "proxied GET, session cookie", path: "/", shows: Shows::Session },
    Case { name: "auth-only, RS256 token for the first time", path: "/oauth2/auth", shows: Shows::NewTokens },
    Case { name: "auth-only, RS256 token again", path: "/oauth2/auth", shows: Shows::Token },
    Case { name: "auth-only, password again (bcrypt, cost 10)", path: "/oauth2/auth", shows: Shows::Password },
];

fn started(rig: &Rig) -> Result<Vec<Door>, String> {
    let doors = rig.doors.iter().zip(19_700..).map(|(kind, port)| {
        let door = Door::start(rig, kind, port, &rig.provider.issuer())?;
        door.ok_or_else(|| format!("{}: it has ended instead of getting ready", kind.name))
    });
    doors.collect()
}

pub(super) fn requests(rig: &Rig) -> Result<(), String> {
    let doors = started(rig)?;
    let sessions: Vec<String> = doors.iter().map(|door| visitor::session(door.port)).collect::<Result<_, _>>()?;
    let head: Vec<&str> = ["CPU us per request"].into_iter().chain(doors.iter().map(|door| door.kind.name)).collect();
    let mut table = Table::new(&head);
    for case in &CASES {
        eprintln!("bench: {}", case.name);
        let mut cells = vec![case.name.to_owned()];
        let mut samples: Vec<Vec<f64>> = vec![Vec::new(); doors.len()];
        for round in 0..=rig.rounds {
            for (nth, door) in doors.iter().enumerate() {
                let script = script(rig, case.shows, &sessions[nth], round)?;
                let before = procfs::cpu_exact(door.pid());
                let url = format!("http://127.0.0.1:{}{}", door.port, case.path);
                let done = rig.load.wrk(&url, 16, 1, Some(&script))?;
                let used = procfs::cpu_exact(door.pid()).saturating_sub(before);
                let is_refused = case.shows == Shows::Nothing && case.path != "/ping";
                if done.failed > 0 && !is_refused {
                    eprintln!("bench: {}: {}: {} of {} failed", door.kind.name, case.name, done.failed, done.requests);
                }
                // The first round fills caches and pools.
                if round > 0 {
                    samples[nth].push(used.as_secs_f64() * 1e6 / done.requests.max(1) as f64);
                }
            }
        }
        cells.extend(samples.iter_mut().map(|samples| {
            samples.sort_by(f64::total_cmp);
            format!("{:.1}", samples[samples.len() / 2])
        }));
        table.row(cells);
    }
    table.print(&format!("16 connections; medians of {} windows of 1 s, by turns", rig.rounds));
    Ok(())
}

/// What wrk is to send.
fn script(rig: &Rig, shows: Shows, session: &str, round: usize) -> Result<PathBuf, String> {
    let token = |nth: usize| rig.provider.token(&json!({ "jti": format!("{round}-{nth}") }));
    let text = match shows {
        Shows::Nothing => "wrk.headers['Accept'] = 'application/json'\n".to_owned(),
        Shows::Session => format!("wrk.headers['Cookie'] = '{session}'\n"),
        Shows::Token => format!("wrk.headers['Authorization'] = 'Bearer {}'\n", token(0)),
        Shows::Password => format!("wrk.headers['Authorization'] = '{BASIC}'\n"),
        Shows::NewTokens => {
            // New ones for each round, and the same for all doors: to each of them they are new.
            let file = rig.scratch.path().join(format!("tokens-{round}"));
            if !file.exists() {
                let fresh: Vec<String> = (0..TOKENS).map(token).collect();
                fs::write(&file, fresh.join("\n")).map_err(|error| error.to_string())?;
            }
            format!(
                "local tokens, nth = {{}}, 0\nfor line in io.lines('{}') do tokens[#tokens + 1] = line end\n\
                 request = function()\n nth = nth + 1\n if nth > #tokens then wrk.thread:stop() nth = 1 end\n\
                 return wrk.format('GET', nil, {{['Authorization'] = 'Bearer ' .. tokens[nth]}})\nend\n",
                file.display()
            )
        }
    };
    let path = rig.scratch.path().join("load.lua");
    fs::write(&path, text).map_err(|error| error.to_string())?;
    Ok(path)
}

pub(super) fn latency(rig: &Rig) -> Result<(), String> {
    const RATE: u32 = 2000;
    let doors = started(rig)?;
    let mut table = Table::new(&["", "p50 us", "p99 us"]);
    let mut all = vec![("no door", rig.app, Vec::new())];
    for door in &doors {
        all.push((door.kind.name, door.port, vec![format!("cookie: {}", visitor::session(door.port)?)]));
    }
    for (name, port, headers) in all {
        eprintln!("bench: latency, {name}");
        let url = format!("http://127.0.0.1:{port}/");
        rig.load.paced_with(&url, RATE, 1, rig.scratch.path(), &headers)?;
        let took = rig.load.paced_with(&url, RATE, 8, rig.scratch.path(), &headers)?;
        let cell = |percent| percentile(&took, percent).map_or("-".into(), |took| took.as_micros().to_string());
        table.row(vec![name.into(), cell(50), cell(99)]);
    }
    table.print(&format!("Proxied with a session at {RATE} requests a second on 10 connections, 8 s"));
    Ok(())
}

pub(super) fn memory_and_start(rig: &Rig) -> Result<(), String> {
    let mut table =
        Table::new(&["", "idle RSS MiB", "RSS MiB with 200 connections", "ready ms p50", "ready ms, provider down"]);
    for kind in &rig.doors {
        eprintln!("bench: memory and start of {}", kind.name);
        let start = |port: u16, issuer: &str| Door::start(rig, kind, port, issuer);
        let issuer = rig.provider.issuer();
        let mut ready = Vec::new();
        let mut alone = Vec::new();
        for nth in 0..STARTS {
            ready.extend(start(19_720 + nth, &issuer)?.map(|door| door.ready_after));
            // Nobody listens there.
            alone.extend(start(19_740 + nth, "http://127.0.0.1:9")?.map(|door| door.ready_after));
        }
        let door = start(19_760, &issuer)?.ok_or("it has ended")?;
        sleep(Duration::from_secs(2));
        let idle = procfs::memory(door.pid());
        let session = visitor::session(door.port)?;
        let connections: Result<Vec<_>, _> = (0..CONNECTIONS).map(|_| used(door.port, &session)).collect();
        let connections = connections.map_err(|error| format!("{}: {error}", kind.name))?;
        let held = procfs::memory(door.pid());
        drop(connections);
        let cell =
            |times: &[Duration]| percentile(times, 50).map_or("it ends".into(), |time| format!("{:.1}", millis(time)));
        let cells = [format!("{:.1}", mib(idle.rss)), format!("{:.1}", mib(held.rss)), cell(&ready), cell(&alone)];
        table.row([kind.name.to_owned()].into_iter().chain(cells).collect());
    }
    table.print("What it weighs, and when it opens");
    Ok(())
}

/// A connection on which something was asked for, and that stays open.
fn used(port: u16, session: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET /10k HTTP/1.1\r\nHost: bench\r\nCookie: {session}\r\n\r\n")?;
    let mut block = [0; 4096];
    let mut left = 10 << 10;
    while left > 0 {
        match stream.read(&mut block)? {
            0 => return Err(std::io::Error::other("closed instead of answered")),
            count => left = usize::saturating_sub(left, count),
        }
    }
    Ok(stream)
}
