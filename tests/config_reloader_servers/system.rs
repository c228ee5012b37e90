//! What only root can do to a machine: full disks, rights that are missing, mounts of single files.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use test_kit::{ConfigMap, HookServer, Kubelet, PATIENCE, Sidecar, Start, TempDir, TinyDisk, eventually};

use crate::{BINARY, never, program, settings, wait_content, wait_failure, wait_reloads, watching};

/// The UID of our image, and of nobody here.
const NONROOT: [&str; 3] = ["--reuid=65532", "--regid=65532", "--clear-groups"];

/// What a change that fails is tried again after, so that no test waits for long.
const SOON: &str = "settle: 20ms\nretry: {first: 100ms, most: 200ms}\n";

fn start() -> Start {
    Sidecar::start(BINARY)
}

/// As somebody else, perhaps with rights of root's.
fn as_nonroot(start: Start, rights: &[&str]) -> Start {
    let setpriv = program("setpriv");
    start.under([&[setpriv.as_str()], &NONROOT[..], rights].concat())
}

fn permit(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Everything in a directory but these.
fn others(dir: &Path, known: &[&str]) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !known.contains(&name.as_str())).collect()
}

/// Writes until there is no room.
fn fill(disk: &TinyDisk) -> String {
    let filler = disk.join("filler").to_str().unwrap().to_owned();
    let error = fs::write(&filler, [b'x'; 128 * 1024]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
    filler
}

#[test]
fn a_full_disk_is_named_and_the_last_good_output_stays_until_there_is_room() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    let disk = TinyDisk::mount().expect("a small disk needs root");
    let (small, large) = ("small\n".repeat(1000), "large\n".repeat(5000));
    let (from, to) = (dir.put("app.conf", &small), disk.join("app.conf").to_str().unwrap().to_owned());
    let yaml = format!("{SOON}prepare:\n  - {{from: {from}, to: {to}}}\ntell:\n  - http: {}\n", hook.url("/"));
    let sidecar = watching(start().args(settings(&dir, &yaml)));
    wait_content(&to, &small);
    let filler = fill(&disk);
    fs::write(&from, &large).unwrap();
    let problem = wait_failure(&sidecar, "prepare", "No space left on device");
    assert!(problem.contains(&format!("{from} -> {to}: ")), "{problem}");
    // Each try leaves nothing behind.
    assert!(never(|| fs::read_to_string(&to).unwrap() != small || !hook.requests().is_empty()));
    assert!(eventually(PATIENCE, || others(&disk, &["app.conf", "filler"]).is_empty()), "{:?}", others(&disk, &[]));
    assert_eq!(sidecar.metric("config_reloader_pending"), Some(1.0));
    assert_eq!((sidecar.admin_get("/livez").0, sidecar.admin_get("/readyz").0), (200, 200));
    fs::remove_file(filler).unwrap();
    wait_content(&to, &large);
    hook.wait_requests(1);
    wait_reloads(&sidecar, 1);
    assert_eq!(sidecar.metric("config_reloader_pending"), Some(0.0));
}

#[test]
fn a_full_disk_under_the_state_file_is_said_and_the_app_told_all_the_same() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    let disk = TinyDisk::mount().expect("a small disk needs root");
    let (file, state) = (dir.put("app.conf", "1"), disk.join("state"));
    let yaml = format!("{SOON}watch: {file}\nstate_file: {}\ntell:\n  - http: {}\n", state.display(), hook.url("/"));
    let sidecar = watching(start().args(settings(&dir, &yaml)));
    assert!(eventually(PATIENCE, || state.exists()));
    let before = fs::read(&state).unwrap();
    let filler = fill(&disk);
    fs::write(&file, "2").unwrap();
    wait_reloads(&sidecar, 1);
    let line = sidecar.wait_log(|line| line.level() == "WARN" && line.message().contains("No space left on device"));
    assert!(line.message().contains(state.to_str().unwrap()), "{}", line.raw);
    assert_eq!(fs::read(&state).unwrap(), before, "the old one, whole");
    fs::remove_file(filler).unwrap();
    fs::write(&file, "3").unwrap();
    wait_reloads(&sidecar, 2);
    assert!(eventually(PATIENCE, || fs::read(&state).unwrap() != before));
    assert_eq!(hook.requests().len(), 2);
}

/// A process of this user's that a signal ends, and where its pid is.
fn app(dir: &TempDir, rights: &[&str]) -> (Sidecar, String) {
    let sleep = Sidecar::start(program("sleep")).own_admin().arg("600");
    let app = if rights.is_empty() { sleep } else { sleep.under([&[program("setpriv").as_str()], rights].concat()) };
    let app = app.spawn();
    let pidfile = dir.put("app.pid", app.pid().to_string());
    permit(&**dir, 0o755);
    // Until then it is not what it will be.
    let comm = format!("/proc/{}/comm", app.pid());
    assert!(eventually(PATIENCE, || fs::read_to_string(&comm).unwrap_or_default() == "sleep\n"));
    (app, pidfile)
}

#[test]
fn a_signal_that_is_not_permitted_names_both_uids_and_the_ways_out() {
    let dir = TempDir::new();
    let (app, pidfile) = app(&dir, &[]);
    let file = dir.put("app.conf", "1");
    let args = ["--watch", &file, "--signal", "HUP", "--pidfile", &pidfile];
    let sidecar = watching(as_nonroot(start(), &[]).args(args));
    fs::write(&file, "2").unwrap();
    let line = sidecar.wait_log(|line| line.message().starts_with("not told"));
    assert_eq!(line.level(), "ERROR");
    let of_app = format!("(pid {})", app.pid());
    for words in ["SIGHUP", "not permitted", "UID 0", "UID 65532", "runAsUser", "CAP_KILL", &of_app] {
        assert!(line.message().contains(words), "{words}: {}", line.raw);
    }
    assert!(app.is_running());
    let refused =
        format!("config_reloader_tell_attempts_total{{action=\"SIGHUP to pidfile {pidfile}\",result=\"permission\"}}");
    assert!(sidecar.metric(&refused).is_some_and(|count| count >= 1.0), "{}", sidecar.admin_get("/metrics").1);
}

#[test]
fn a_signal_goes_through_by_the_same_uid_or_by_cap_kill() {
    let kill = ["--inh-caps=+kill", "--ambient-caps=+kill"];
    for (theirs, rights) in [(&NONROOT[..], &[][..]), (&[], &kill)] {
        let dir = TempDir::new();
        let (app, pidfile) = app(&dir, theirs);
        let file = dir.put("app.conf", "1");
        let args = ["--watch", &file, "--signal", "HUP", "--pidfile", &pidfile];
        let sidecar = watching(as_nonroot(start(), rights).args(args));
        fs::write(&file, "2").unwrap();
        wait_reloads(&sidecar, 1);
        assert_eq!(app.wait_exit(), -1, "ended by SIGHUP");
    }
}

#[test]
fn an_unreadable_source_is_named_and_the_last_good_output_stays() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    permit(&*dir, 0o777);
    let (from, to) = (dir.put("app.conf", "good"), dir.join("out.conf").to_str().unwrap().to_owned());
    let yaml = format!("{SOON}prepare:\n  - {{from: {from}, to: {to}}}\ntell:\n  - http: {}\n", hook.url("/"));
    let sidecar = watching(as_nonroot(start(), &[]).args(settings(&dir, &yaml)));
    wait_content(&to, "good");
    let secret = dir.put("fresh", "secret");
    permit(&secret, 0o600);
    fs::rename(secret, &from).unwrap();
    let problem = wait_failure(&sidecar, "prepare", "Permission denied");
    assert!(problem.contains(&from), "{problem}");
    let line = sidecar.wait_log(|line| line.message().starts_with("cannot read") && line.message().contains(&from));
    assert_eq!(line.level(), "WARN");
    assert!(never(|| fs::read_to_string(&to).unwrap() != "good" || !hook.requests().is_empty()));
    permit(&from, 0o644);
    wait_content(&to, "secret");
    hook.wait_requests(1);
    wait_reloads(&sidecar, 1);
}

/// Runs a command after it has mounted `$1` on `$2`, and done what else is to be done, where nobody else sees it.
fn mounted(source: &str, on: &str, then: &str, start: Start) -> Start {
    let script = format!("mount --bind {source} {on} && {then} exec \"$0\" \"$@\"");
    start.under([program("unshare").as_str(), "--mount", "sh", "-c", &script])
}

#[test]
fn a_sub_path_mount_is_warned_about_since_it_never_changes() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    let mut volume = ConfigMap::new(dir.join("volume"), Kubelet::New);
    volume.update(&[("app.conf", "1")]);
    let file = dir.put("mounted/app.conf", "");
    let url = hook.url("/");
    let args = ["--watch", &file, "--watch", &volume.path("app.conf"), "--url", &url];
    let sidecar = watching(mounted(&volume.path("app.conf"), &file, "", start()).args(args));
    let line = sidecar.wait_message("this file can never change here");
    assert_eq!((line.level(), line.field("path")), ("WARN".into(), file.clone()));
    assert!(line.field("why").contains("is a Kubernetes subPath mount"), "{}", line.raw);
    assert!(line.field("why").contains("mount the whole volume as a directory instead"), "{}", line.raw);
    volume.update(&[("app.conf", "2")]);
    // The volume as a whole is another matter.
    hook.wait_requests(1);
    wait_reloads(&sidecar, 1);
    let theirs = |path: &str| fs::read_to_string(format!("/proc/{}/root{path}", sidecar.pid())).unwrap();
    assert_eq!((theirs(&file), theirs(&volume.path("app.conf"))), ("1".into(), "2".into()));
    let warned = sidecar.logs().iter().filter(|line| line.message() == "this file can never change here").count();
    assert_eq!(warned, 1, "{}", sidecar.stderr());
}

#[test]
fn a_mounted_file_that_was_replaced_at_its_source_is_warned_about() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    let (source, file) = (dir.put("source.conf", "1"), dir.put("mounted/app.conf", ""));
    let editor = format!("echo 2 > {source}.new && mv {source}.new {source} &&");
    let args = ["--watch", &file, "--url", &hook.url("/")];
    let sidecar = watching(mounted(&source, &file, &editor, start()).args(args));
    let line = sidecar.wait_message("this file can never change here");
    assert_eq!((line.level(), line.field("path")), ("WARN".into(), file.clone()));
    assert!(line.field("why").contains("mount its directory instead"), "{}", line.raw);
}

#[test]
fn a_mounted_directory_and_a_mounted_file_that_still_is_there_are_not_warned_about() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    let (source, file) = (dir.put("source.conf", "1"), dir.put("mounted/app.conf", ""));
    let mut volume = ConfigMap::new(dir.join("volume"), Kubelet::New);
    volume.update(&[("app.conf", "1")]);
    fs::create_dir(dir.join("etc")).unwrap();
    let (from, etc) = (dir.join("volume").display().to_string(), dir.join("etc").display().to_string());
    let more = format!("mount --bind {from} {etc} &&");
    let args = ["--watch", &file, "--watch", &etc, "--url", &hook.url("/")];
    let sidecar = watching(mounted(&source, &file, &more, start()).args(args));
    fs::write(&source, "in place").unwrap();
    wait_reloads(&sidecar, 1);
    volume.update(&[("app.conf", "2")]);
    wait_reloads(&sidecar, 2);
    assert!(!sidecar.stderr().contains("never change"), "{}", sidecar.stderr());
}
