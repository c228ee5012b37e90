//! Prepare and check: outputs that are complete, atomic, and good, or not there.

use std::{fs, os::unix::fs::PermissionsExt};

use test_kit::{ConfigMap, HookServer, Kubelet, TempDir};

use crate::{never, start, wait_content, wait_failure, wait_reloads, watching, watching_by};

fn names(dir: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_output_is_replaced_atomically() {
    let dir = TempDir::new();
    let mut volume = ConfigMap::new(dir.join("in"), Kubelet::New);
    let version = |n: usize| format!("{n:06}\n").repeat(20_000);
    volume.update(&[("a", &version(0))]);
    let to = dir.join("out/a");
    let prepare = format!("{}={}", volume.path("a"), to.display());
    let _sidecar = watching(&["--prepare", &prepare, "--settle", "5ms"]);
    for n in 1..=10 {
        volume.update(&[("a", &version(n))]);
        let wanted = version(n);
        let end = std::time::Instant::now() + test_kit::PATIENCE;
        loop {
            let found = fs::read_to_string(&to).expect("there at every moment");
            assert_eq!(found.len(), wanted.len(), "whole at every moment");
            assert!(found.lines().all(|line| line == &found[..6]), "torn");
            if found == wanted {
                break;
            }
            assert!(std::time::Instant::now() < end, "never came");
        }
    }
    assert_eq!(names(&dir.join("out")), [".a.last-good", "a"]);
}

#[test]
fn a_secret_stays_as_private_as_it_was() {
    let dir = TempDir::new();
    let from = dir.put("secret", "s3cret");
    fs::set_permissions(&from, fs::Permissions::from_mode(0o600)).unwrap();
    let to = dir.join("out/secret");
    let _sidecar = watching(&["--prepare", &format!("{from}={}", to.display())]);
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn substitutes_as_prometheus_config_reloader_does() {
    let dir = TempDir::new();
    let from = dir.put("in", "a=$(A_SET) e=[$(EMPTY)] d=$$(A_SET) b=${A_SET} p=$A_SET x=$(A-B) s=$( A_SET ) n=$()");
    let to = dir.join("out");
    let to = to.to_str().unwrap();
    let args = ["--prepare", &format!("{from}={to}"), "--as", "substitute", "--once"];
    let output = start(&args).env("A_SET", "va").env("EMPTY", "").run();
    assert_eq!(output.code, 0, "{output:?}");
    wait_content(to, "a=va e=[] d=$va b=${A_SET} p=$A_SET x=$(A-B) s=$( A_SET ) n=$()");
}

#[test]
fn an_undefined_variable_is_an_error_by_default() {
    for (how, text) in [("substitute", "x=$(NOBODY_SET_THIS)"), ("template", "x={{ env.NOBODY_SET_THIS }}")] {
        let dir = TempDir::new();
        let to = dir.put("out", "last good");
        let prepare = format!("{}={to}", dir.put("in", text));
        let sidecar = start(&["--prepare", &prepare, "--as", how]).spawn();
        wait_failure(&sidecar, "prepare", "NOBODY_SET_THIS");
        wait_content(&to, "last good");
    }
}

#[test]
fn templates_are_fed_from_the_environment_and_from_secrets() {
    let dir = TempDir::new();
    let mut secret = ConfigMap::new(dir.join("secret"), Kubelet::New);
    secret.update(&[("password", "one")]);
    let (from, to) = (dir.put("in", "{{ env.USER_NAME }}:{{ files.password }}"), dir.join("out"));
    let (to, password) = (to.to_str().unwrap(), secret.path("password"));
    let yaml = format!(
        "settle: 20ms\nprepare:\n  - from: {from}\n    to: {to}\n    as: template\n    files: {{password: {password}}}\n"
    );
    let file = dir.put("settings.yaml", yaml);
    let sidecar = start(&["--config", &file]).env("USER_NAME", "me").spawn();
    sidecar.wait_ready();
    wait_content(to, "me:one");
    secret.update(&[("password", "two")]);
    wait_content(to, "me:two");
    assert!(!sidecar.stderr().contains("two"), "a secret was logged");
}

#[test]
fn gunzips_and_says_what_is_broken() {
    let dir = TempDir::new();
    // `gzip` of "zipped", made with `printf zipped | gzip -n`.
    let good = [
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xab, 0xca, 0x2c, 0x28, 0x48, 0x4d, 1, 0, 0x22, 0xc9, 0xc8, 0xbc, 6, 0, 0,
        0,
    ];
    let from = dir.put("in.gz", &good[..12]);
    let to = dir.put("out", "last good");
    let sidecar = start(&["--prepare", &format!("{from}={to}"), "--gunzip"]).spawn();
    wait_failure(&sidecar, "prepare", "in.gz");
    wait_content(&to, "last good");
}

#[test]
fn a_directory_is_prepared_file_by_file() {
    let dir = TempDir::new();
    dir.put("in/a", "1");
    dir.put("in/sub/b", "2");
    let (from, to) = (dir.join("in"), dir.join("out"));
    let _sidecar = watching(&["--prepare", &format!("{}={}", from.display(), to.display())]);
    wait_content(to.join("a").to_str().unwrap(), "1");
    wait_content(to.join("sub/b").to_str().unwrap(), "2");
    dir.put("in/sub/b", "3");
    wait_content(to.join("sub/b").to_str().unwrap(), "3");
}

#[test]
fn a_failing_check_keeps_the_last_good_output_and_says_why() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    let (from, to) = (dir.put("in", "good"), dir.join("out"));
    let to = to.to_str().unwrap();
    let check = "sh -c 'grep -q good $0 || { echo no good in line one >&2; exit 3; }' {file}";
    let prepare = format!("{from}={to}");
    let sidecar = watching(&["--prepare", &prepare, "--check", check, "--url", &hook.url("/")]);
    wait_content(to, "good");
    fs::write(&from, "bad").unwrap();
    wait_failure(&sidecar, "check", "no good in line one");
    // What was checked lies elsewhere for now; the operator knows it by its place to be.
    wait_failure(&sidecar, "check", &format!(": {to}: sh: exit status: 3: "));
    assert_eq!(sidecar.metric("config_reloader_failures_total{stage=\"check\"}"), Some(1.0));
    assert!(never(|| !hook.requests().is_empty()));
    wait_content(to, "good");
    assert_eq!(sidecar.admin_get("/livez").0, 200);
    fs::write(&from, "good again").unwrap();
    wait_content(to, "good again");
    hook.wait_requests(1);
}

#[test]
fn an_http_check_can_say_no() {
    let dir = TempDir::new();
    let (check, hook) =
        (HookServer::answering([test_kit::Reply::Status(422, "bad config".into())]), HookServer::start());
    let file = dir.put("a", "1");
    let yaml = format!(
        "watch: {file}\ntell_on_start: always\nsettle: 20ms\nretry: {{first: 50ms}}\ncheck:\n  - http: {}\ntell:\n  - http: {}\n",
        check.url("/check"),
        hook.url("/")
    );
    let settings = dir.put("settings.yaml", yaml);
    let sidecar = start(&["--config", &settings]).spawn();
    wait_failure(&sidecar, "check", "422");
    assert!(hook.requests().is_empty());
    check.answer([test_kit::Reply::ok()]);
    hook.wait_requests(1);
}

#[test]
fn a_failed_verification_rolls_back_and_tells_again_once() {
    let dir = TempDir::new();
    let hook = HookServer::start();
    let (from, to) = (dir.put("in", "good"), dir.join("out"));
    let to = to.to_str().unwrap();
    let yaml = format!(
        "settle: 20ms\nprepare:\n  - {{from: {from}, to: {to}}}\ntell:\n  - http: {}\nverify:\n  - exec: grep -q good {to}\nverify_within: 300ms\n",
        hook.url("/")
    );
    let sidecar = watching_by(&dir, &yaml);
    fs::write(&from, "bad").unwrap();
    let line = sidecar.wait_log(|line| line.message().contains("went back to the last good files"));
    assert_eq!(line.level(), "ERROR");
    wait_content(to, "good");
    assert_eq!(hook.requests().len(), 2);
    assert!(never(|| hook.requests().len() > 2), "told once more only");
    assert_eq!(sidecar.metric("config_reloader_rollbacks_total"), Some(1.0));
    fs::write(&from, "good, second").unwrap();
    wait_reloads(&sidecar, 1);
    wait_content(to, "good, second");
}

#[test]
fn once_is_for_init_containers() {
    let dir = TempDir::new();
    let (from, to) = (dir.put("in", "x"), dir.join("out"));
    let output = start(&["--once", "--prepare", &format!("{from}={}", to.display())]).run();
    assert_eq!((output.code, fs::read_to_string(&to).unwrap().as_str()), (0, "x"), "{output:?}");
    let output = start(&["--once", "--prepare", &format!("{from}.missing={}", to.display())]).run();
    assert_eq!(output.code, 69, "{output:?}");
    assert!(output.stderr.contains("in.missing"), "{output:?}");
}
