//! Promises about the admin listener: who may do what, who can get in whose way, and what it costs to be there.

use std::{
    io::Write,
    net::{IpAddr, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::Subject;
use crate::{PATIENCE, Sidecar, best_of_3, eventually, http, other_address};

const CHANGING: [&str; 3] = ["/-/reload", "/-/log-level?level=debug", "/quitquitquit"];

pub fn state_changes_are_refused_from_other_addresses(subject: Subject) {
    let sidecar = subject.case().with(&["--admin-addr", ":0", "--allow-quit"]).own_admin().spawn();
    sidecar.wait_ready();
    let loopback = sidecar.admin();
    let refused = |addr: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]| {
        let answer = http::request(addr, method, path, headers, "").unwrap();
        assert_eq!(answer.status, 403, "{method} {path} {headers:?} through {addr}: {}", answer.body);
    };
    for path in CHANGING {
        // A page in a browser on this machine also calls from loopback.
        refused(loopback, "POST", path, &[("Origin", "http://example.com")]);
        refused(loopback, "POST", path, &[("Origin", "null")]);
        assert_eq!(http::get(loopback, path).unwrap().status, 405, "GET {path}");
    }
    // A machine without any other address has nobody else who could call.
    let elsewhere: Option<IpAddr> = other_address();
    let elsewhere = elsewhere.map(|ip| SocketAddr::new(ip, loopback.port()));
    if let Some(addr) = elsewhere {
        for path in CHANGING {
            refused(addr, "POST", path, &[]);
            refused(addr, "PUT", path, &[("X-Forwarded-For", "127.0.0.1")]);
        }
        for path in ["/livez", "/readyz", "/metrics"] {
            assert_eq!(http::get(addr, path).unwrap().status, 200, "the kubelet asks from elsewhere: {path}");
        }
    }
    assert!(sidecar.is_running());
    let ipv6 = SocketAddr::new("::1".parse().unwrap(), loopback.port());
    for addr in [loopback, ipv6].into_iter().filter(|addr| TcpStream::connect(addr).is_ok()) {
        assert_eq!(http::post(addr, "/-/reload", "").unwrap().status, 200);
        assert_eq!(http::post(addr, "/-/log-level?level=info", "").unwrap().status, 200);
        assert_eq!(http::post(addr, "/-/log-level?level=loud", "").unwrap().status, 400);
    }
    assert_eq!(sidecar.admin_post("/quitquitquit").0, 200);
    assert_eq!(sidecar.wait_exit(), 0);
}

pub fn slow_and_malformed_admin_clients_cannot_exhaust_it(subject: Subject) {
    let sidecar = subject.case().ready(&[]);
    let addr = sidecar.admin();
    let (files, memory) = (sidecar.metric("process_open_fds").unwrap(), sidecar.anon_kib());

    let begun: [&[u8]; 4] =
        [b"", b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"GET", b"POST /-/reload HTTP/1.1\r\n"];
    let open = |begun: &&[u8]| {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.write_all(begun).unwrap();
        stream
    };
    let slow: Vec<TcpStream> = begun.iter().cycle().take(200).map(open).collect();
    for path in ["/livez", "/readyz", "/metrics"] {
        answers_within_100_ms(&sidecar, path);
    }
    assert!(sidecar.metric("process_open_fds").unwrap() < files + 80.0, "it keeps every connection");

    let long = [b"GET /livez HTTP/1.1\r\nX-Long: ", &vec![b'x'; 256 * 1024][..], b"\r\n\r\n"].concat();
    let many = format!("GET /livez HTTP/1.1\r\n{}\r\n", "X-Many: x\r\n".repeat(20_000)).into_bytes();
    let garbage: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not http\r\n\r\n";
    let smuggled = b"POST /livez HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    for (what, bytes) in [("long", &long[..]), ("many", &many), ("garbage", garbage), ("smuggled", smuggled)] {
        // Closed in the middle is as good an answer as a status.
        let answer = http::raw(addr, bytes).unwrap_or_default();
        let text = String::from_utf8_lossy(&answer);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{what}: {text}");
        answers_within_100_ms(&sidecar, "/livez");
    }
    // A body that never ends: answered, and cut off.
    let mut endless = TcpStream::connect(addr).unwrap();
    endless.write_all(b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n").unwrap();
    endless.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let cut_off = eventually(PATIENCE, || endless.write_all(&[b'x'; 64 * 1024]).is_err());
    assert!(cut_off, "it reads for ever");
    answers_within_100_ms(&sidecar, "/livez");

    drop(slow);
    let forgotten = eventually(PATIENCE, || sidecar.metric("process_open_fds").unwrap() <= files + 1.0);
    assert!(forgotten, "file descriptors are lost");
    let more = sidecar.anon_kib().saturating_sub(memory);
    assert!(more < 4096, "{more} KiB more than before");
}

/// The quickest of three, because the machine that tests may be busy with other things.
#[track_caller]
pub fn answers_within_100_ms(sidecar: &Sidecar, path: &str) {
    let took = best_of_3(|| assert_eq!(sidecar.admin_get(path).0, 200, "{path}"));
    assert!(took < Duration::from_millis(100), "{path} took {took:?}");
}

pub fn metrics_have_build_info_process_and_reload(subject: Subject) {
    let sidecar = subject.case().ready(&[]);
    let (status, text) = sidecar.admin_get("/metrics");
    assert_eq!(status, 200);
    let prefix = subject.prefix();
    let version = subject.case().bare().arg("--version").run().stdout;
    let version = version.trim_end().rsplit(' ').next().unwrap().to_owned();
    assert_eq!(sidecar.metric(&format!("{prefix}_build_info{{version=\"{version}\"}}")), Some(1.0));
    assert_eq!(sidecar.metric(&format!("{prefix}_config_last_reload_successful")), Some(1.0));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    for time in [format!("{prefix}_config_last_reload_success_timestamp_seconds"), "process_start_time_seconds".into()]
    {
        let age = now - sidecar.metric(&time).unwrap();
        assert!((-5.0..300.0).contains(&age), "{time} is {age} s ago");
    }
    let process = |name: &str| sidecar.metric(&format!("process_{name}")).unwrap();
    assert!(process("cpu_seconds_total") < 60.0);
    assert!(process("resident_memory_bytes") > 500_000.0);
    assert!(process("virtual_memory_bytes") > process("resident_memory_bytes"));
    assert!(process("open_fds") > 2.0 && process("open_fds") < process("max_fds"));
    assert_eq!(process("threads"), sidecar.threads() as f64);
    assert!(text.contains("# TYPE process_cpu_seconds_total counter"));

    // What promtool would say: help and type for each, and base units.
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    for (name, kind) in names {
        assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        assert!(!["_ms", "_millis", "_kib", "_mb"].iter().any(|unit| name.ends_with(unit)), "{name}");
    }
    let head = http::request(sidecar.admin(), "HEAD", "/metrics", &[], "").unwrap();
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(head.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
}

/// An idle sidecar costs nothing: no timer, no polling, no thread more than one that waits.
pub fn idle_has_no_wakeups_and_at_most_two_threads(subject: Subject) {
    let sidecar = subject.case().ready(&[]);
    // The first seconds are still busy with going to rest. And a sidecar that watches files is woken by other tests, who
    // are busy in a directory above ours: their end must be waited for.
    let end = Instant::now() + 4 * PATIENCE;
    let mut seen = Vec::new();
    while seen.last() != Some(&0) {
        assert!(Instant::now() < end, "it woke up in each 3 s: {seen:?} times");
        let before = sidecar.sleeps();
        thread::sleep(Duration::from_secs(3));
        seen.push(sidecar.sleeps().abs_diff(before));
    }
    assert!(sidecar.threads() <= 2, "{} threads", sidecar.threads());
}
