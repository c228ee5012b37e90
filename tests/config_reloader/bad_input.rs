//! Bad input: a clear message, bounded memory, and the last good config stays in place.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::Command,
    time::{Duration, Instant},
};

use test_kit::{HookServer, PATIENCE, Reply, Sidecar, TempDir, eventually};

use crate::{hooked, never, start, wait_content, wait_failure, wait_reloads, watching, watching_by};

/// The most memory it ever had, in KiB.
fn most_memory(sidecar: &Sidecar) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", sidecar.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn an_unreadable_file_is_named() {
    let dir = TempDir::new();
    let file = dir.put("secret", "x");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(&*dir, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = start(&["--watch", &file, "--url", "http://127.0.0.1:9/"]);
    if fs::read(&file).is_ok() {
        // Root reads everything; somebody else does not.
        command = command.under(["setpriv", "--reuid=65532", "--regid=65532", "--clear-groups"]);
    }
    let sidecar = command.spawn();
    let line = sidecar.wait_log(|line| line.message().contains(&file));
    assert!(line.message().contains("ermission denied"), "{}", line.raw);
}

#[test]
fn a_binary_file_is_only_bytes() {
    let dir = TempDir::new();
    let (from, to) = (dir.put("in", [0, 159, 255, 10, 0]), dir.join("out"));
    let _sidecar = watching(&["--prepare", &format!("{from}={}", to.display())]);
    assert_eq!(fs::read(&to).unwrap(), [0, 159, 255, 10, 0]);
}

#[test]
fn a_binary_template_is_refused() {
    let dir = TempDir::new();
    let to = dir.put("out", "last good");
    let prepare = format!("{}={to}", dir.put("in", [0, 159, 255]));
    let sidecar = start(&["--prepare", &prepare, "--as", "template"]).spawn();
    wait_failure(&sidecar, "prepare", "UTF-8");
    wait_content(&to, "last good");
}

#[test]
fn a_one_gigabyte_file_is_hashed_in_little_memory() {
    let dir = TempDir::new();
    let file = dir.put("huge", "");
    fs::File::options().write(true).open(&file).unwrap().set_len(1 << 30).unwrap();
    let hook = HookServer::start();
    let sidecar = watching(&["--watch", &file, "--url", &hook.url("/")]);
    assert!(most_memory(&sidecar) < 48 * 1024, "{} KiB", most_memory(&sidecar));
}

#[test]
fn a_file_too_large_to_be_changed_says_so() {
    let dir = TempDir::new();
    let (from, to) = (dir.put("huge", ""), dir.put("out", "last good"));
    fs::File::options().write(true).open(&from).unwrap().set_len(1 << 30).unwrap();
    let sidecar = start(&["--prepare", &format!("{from}={to}"), "--as", "template"]).spawn();
    // Scanning comes first; 1 GB takes a while here.
    wait_failure(&sidecar, "prepare", "larger than");
    assert!(most_memory(&sidecar) < 200 * 1024, "{} KiB", most_memory(&sidecar));
    wait_content(&to, "last good");
}

#[test]
fn a_directory_that_vanishes_and_returns_is_survived() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    dir.put("conf/a", "1");
    let conf = dir.join("conf");
    let sidecar = watching(&["--watch", conf.to_str().unwrap(), "--url", &hook.url("/")]);
    fs::remove_dir_all(&conf).unwrap();
    hook.wait_requests(1);
    dir.put("conf/a", "2");
    wait_reloads(&sidecar, 2);
    dir.put("conf/a", "3");
    wait_reloads(&sidecar, 3);
}

#[test]
fn a_template_that_loops_or_does_not_parse_is_refused() {
    for (text, words) in [
        ("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", ""),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", ""),
        ("one\n{% if %}\n", "2"),
        ("{{ 'x' * 100000000000 }}", ""),
    ] {
        let dir = TempDir::new();
        let to = dir.put("out", "last good");
        let prepare = format!("{}={to}", dir.put("in", text));
        let sidecar = start(&["--prepare", &prepare, "--as", "template"]).spawn();
        wait_failure(&sidecar, "prepare", words);
        wait_content(&to, "last good");
        assert!(most_memory(&sidecar) < 256 * 1024, "{text}: {} KiB", most_memory(&sidecar));
    }
}

#[test]
fn a_webhook_that_answers_ten_gigabytes_is_cut_off() {
    let dir = TempDir::new();
    let (hook, sidecar, file) = hooked(&dir, &[]);
    hook.answer([Reply::Endless]);
    fs::write(&file, "2").unwrap();
    hook.wait_requests(1);
    // 200 is 200; what comes after is nobody's business, and must not be swallowed.
    sidecar.wait_log(|line| line.message() == "reloaded" || line.message().starts_with("not told"));
    assert!(most_memory(&sidecar) < 48 * 1024, "{} KiB", most_memory(&sidecar));
}

#[test]
fn a_webhook_that_redirects_is_said_and_not_followed() {
    let dir = TempDir::new();
    let elsewhere = HookServer::start();
    let (hook, sidecar, file) = hooked(&dir, &[]);
    hook.answer([Reply::Redirect(elsewhere.url("/trap"))]);
    fs::write(&file, "2").unwrap();
    let line = sidecar.wait_log(|line| line.message().starts_with("not told"));
    assert!(line.message().contains("302"), "{}", line.raw);
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn a_webhook_that_hangs_is_given_up_and_tried_again() {
    let dir = TempDir::new();
    let hook = HookServer::answering([Reply::Hang, Reply::ok()]);
    let other = HookServer::start();
    let file = dir.put("a", "1");
    let yaml = format!(
        "watch: {file}\nsettle: 20ms\nretry: {{first: 50ms}}\ntell:\n  - http: {{url: '{}', timeout: 500ms}}\n  - http: {}\n",
        hook.url("/"),
        other.url("/")
    );
    let sidecar = watching_by(&dir, &yaml);
    fs::write(&file, "2").unwrap();
    other.wait_requests(1);
    sidecar.wait_log(|line| line.message().contains("500ms"));
    hook.wait_requests(2);
    wait_reloads(&sidecar, 1);
}

#[test]
fn a_webhook_that_talks_garbage_is_a_failure() {
    let dir = TempDir::new();
    let (hook, sidecar, file) = hooked(&dir, &[]);
    hook.answer([Reply::Garbage, Reply::ok()]);
    fs::write(&file, "2").unwrap();
    sidecar.wait_log(|line| line.message().starts_with("not told"));
    wait_reloads(&sidecar, 1);
}

#[test]
fn probes_answer_while_20000_files_are_scanned() {
    let dir = TempDir::new();
    for directory in 0..20 {
        for file in 0..1000 {
            dir.put(&format!("many/{directory}/{file}"), format!("{directory} {file}"));
        }
    }
    let hook = HookServer::start();
    let many = dir.join("many");
    let sidecar = start(&["--watch", many.to_str().unwrap(), "--recursive", "--url", &hook.url("/")]).spawn();
    let admin = sidecar.admin();
    let mut took = Vec::new();
    let scanned = eventually(PATIENCE, || {
        let begun = Instant::now();
        assert_eq!(test_kit::http::get(admin, "/livez").unwrap().status, 200);
        took.push(begun.elapsed());
        sidecar.logs().iter().any(|line| line.message().starts_with("watching"))
    });
    assert!(scanned, "{}", sidecar.stderr());
    took.sort();
    // One in ten may be the busy machine's fault.
    let nine_tenths = took[took.len() * 9 / 10];
    assert!(nine_tenths < Duration::from_millis(100), "{took:?}");
    dir.put("many/7/77", "changed");
    hook.wait_requests(1);
    wait_reloads(&sidecar, 1);
    let used = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", sidecar.pid())).unwrap();
        let fields: Vec<u64> =
            stat.rsplit_once(") ").unwrap().1.split(' ').skip(11).take(2).map(|n| n.parse().unwrap()).collect();
        fields[0] + fields[1]
    };
    let before = used();
    assert!(never(|| used() > before + 20), "CPU is burnt while nothing happens");
}

#[test]
fn a_fifo_or_a_device_does_not_block_it() {
    let dir = TempDir::new();
    let made = Command::new("mkfifo").arg(dir.join("fifo")).status().unwrap();
    assert!(made.success());
    let (hook, file) = (HookServer::start(), dir.put("a", "1"));
    let _sidecar = watching(&["--watch", dir.to_str().unwrap(), "--url", &hook.url("/")]);
    fs::write(&file, "2").unwrap();
    hook.wait_requests(1);
}
