//! Notice: content decides, whatever way it changed.

use std::{fs, os::unix::fs::symlink};

use test_kit::{ConfigMap, HookServer, Kubelet, PATIENCE, TempDir, eventually};

use crate::{hooked, never, pause, start, wait_reloads, watching};

#[test]
fn notices_twenty_config_map_swaps_in_a_row() {
    for kubelet in [Kubelet::Old, Kubelet::New] {
        let (dir, hook) = (TempDir::new(), HookServer::start());
        let mut volume = ConfigMap::new(dir.join("volume"), kubelet);
        volume.update(&[("app.conf", "0")]);
        let sidecar = watching(&["--watch", &volume.path("app.conf"), "--url", &hook.url("/"), "--settle", "10ms"]);
        for version in 1..=20 {
            volume.update(&[("app.conf", &version.to_string())]);
            assert_eq!(hook.wait_requests(version).len(), version, "{kubelet:?}");
            wait_reloads(&sidecar, version);
        }
    }
}

#[test]
fn a_new_key_is_complete_when_the_app_is_told() {
    for kubelet in [Kubelet::Old, Kubelet::New] {
        let dir = TempDir::new();
        let mut volume = ConfigMap::new(dir.join("volume"), kubelet);
        volume.update(&[("a", "1")]);
        let (from, to) = (dir.join("volume"), dir.join("seen"));
        let copy = format!("sh -c 'cat {}/b > {}'", from.display(), to.display());
        let sidecar = watching(&["--watch", from.to_str().unwrap(), "--exec", &copy]);
        volume.update(&[("a", "1"), ("b", "new")]);
        wait_reloads(&sidecar, 1);
        assert_eq!(fs::read_to_string(&to).unwrap(), "new", "{kubelet:?}");
        assert!(!sidecar.stderr().contains("not told"), "{}", sidecar.stderr());
    }
}

#[test]
fn notices_in_place_writes_renames_and_recreation() {
    let dir = TempDir::new();
    let (hook, _sidecar, file) = hooked(&dir, &[]);
    fs::write(&file, "in place").unwrap();
    hook.wait_requests(1);
    for round in 2..5 {
        fs::rename(dir.put("other", format!("renamed {round}")), &file).unwrap();
        hook.wait_requests(round);
    }
    fs::remove_file(&file).unwrap();
    hook.wait_requests(5);
    fs::write(&file, "recreated").unwrap();
    assert_eq!(hook.wait_requests(6).len(), 6);
}

#[test]
fn notices_a_path_that_appears_later() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    let file = dir.join("not/yet/there.conf");
    let _sidecar = watching(&["--watch", file.to_str().unwrap(), "--url", &hook.url("/")]);
    pause();
    fs::create_dir(dir.join("not")).unwrap();
    pause();
    fs::create_dir(dir.join("not/yet")).unwrap();
    fs::write(&file, "here").unwrap();
    hook.wait_requests(1);
}

#[test]
fn notices_links_moved_at_any_level() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    dir.put("blue/conf/app", "blue");
    dir.put("green/conf/app", "green");
    dir.put("elsewhere/app", "elsewhere");
    let (link, inner) = (dir.join("current"), dir.join("green/conf"));
    symlink("blue", &link).unwrap();
    let _sidecar = watching(&["--watch", link.join("conf/app").to_str().unwrap(), "--url", &hook.url("/")]);
    symlink("green", dir.join("tmp")).unwrap();
    fs::rename(dir.join("tmp"), &link).unwrap();
    hook.wait_requests(1);
    fs::remove_dir_all(&inner).unwrap();
    symlink("../elsewhere", &inner).unwrap();
    // The moment in between, without the file, may be told as well.
    hook.wait_requests(2);
}

#[test]
fn watches_directories_recursively_and_globs() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    dir.put("tree/a/b/deep.conf", "1");
    dir.put("flat/one.conf", "1");
    let (tree, glob) = (dir.join("tree"), dir.join("flat/*.conf"));
    let (tree, glob) = (tree.to_str().unwrap(), glob.to_str().unwrap());
    let _sidecar = watching(&["--watch", tree, "--watch", glob, "--recursive", "--url", &hook.url("/")]);
    dir.put("tree/a/b/deep.conf", "2");
    hook.wait_requests(1);
    dir.put("tree/new/x", "1");
    hook.wait_requests(2);
    dir.put("flat/two.conf", "1");
    hook.wait_requests(3);
    dir.put("flat/two.txt", "1");
    assert!(never(|| hook.requests().len() > 3));
}

#[test]
fn equal_bytes_tell_nobody() {
    let (dir, hook) = (TempDir::new(), HookServer::start());
    let mut volume = ConfigMap::new(dir.join("volume"), Kubelet::New);
    volume.update(&[("app.conf", "same")]);
    let plain = dir.put("plain", "same");
    let volume_dir = dir.join("volume");
    let _sidecar = watching(&["--watch", volume_dir.to_str().unwrap(), "--watch", &plain, "--url", &hook.url("/")]);
    volume.update(&[("app.conf", "same")]);
    fs::write(&plain, "same").unwrap();
    fs::rename(dir.put("other", "same"), &plain).unwrap();
    assert!(never(|| !hook.requests().is_empty()), "{:?}", hook.requests());
    fs::write(&plain, "different").unwrap();
    assert_eq!(hook.wait_requests(1).len(), 1);
}

#[test]
fn a_burst_is_one_reload() {
    let dir = TempDir::new();
    let (hook, sidecar, file) = hooked(&dir, &["--settle", "500ms"]);
    for version in 0..200 {
        fs::write(&file, format!("burst {version}")).unwrap();
    }
    wait_reloads(&sidecar, 1);
    assert!(never(|| hook.requests().len() > 1), "{} requests", hook.requests().len());
}

#[test]
fn notices_changes_made_while_it_was_down() {
    let dir = TempDir::new();
    let state = dir.join("state");
    let state = ["--state-file", state.to_str().unwrap()];
    let (hook, sidecar, file) = hooked(&dir, &state);
    assert!(hook.requests().is_empty());
    sidecar.signal(test_kit::Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
    fs::write(&file, "while down").unwrap();
    let url = hook.url("/reload");
    let args = [&["--watch", &file, "--url", &url], &state[..]].concat();
    let sidecar = watching(&args);
    hook.wait_requests(1);
    wait_reloads(&sidecar, 1);
    sidecar.signal(test_kit::Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
    let _again = watching(&args);
    assert!(never(|| hook.requests().len() > 1), "nothing changed, nobody is to be told");
}

#[test]
fn a_spoiled_state_file_is_said_and_survived() {
    let dir = TempDir::new();
    let state = dir.put("state", [0xff; 5000]);
    let (hook, sidecar, file) = hooked(&dir, &["--state-file", &state]);
    sidecar.wait_log(|line| line.level() == "WARN" && line.message().contains(&state));
    fs::write(&file, "2").unwrap();
    hook.wait_requests(1);
    assert!(eventually(PATIENCE, || fs::read_to_string(&state).is_ok_and(|text| text.starts_with("told "))));
}

#[test]
fn polls_on_request() {
    let dir = TempDir::new();
    let (hook, sidecar, file) = hooked(&dir, &["--poll", "50ms"]);
    sidecar.wait_message("watching by polling");
    for version in 1..4 {
        fs::write(&file, format!("polled {version}")).unwrap();
        hook.wait_requests(version);
    }
    assert_eq!(sidecar.metric("config_reloader_polling"), Some(1.0));
}

#[test]
fn tells_at_the_start_only_as_asked() {
    for (when, expected) in [("always", 1), ("never", 0), ("changed", 0)] {
        let dir = TempDir::new();
        let (hook, _sidecar, _) = hooked(&dir, &["--tell-on-start", when]);
        assert!(eventually(PATIENCE, || hook.requests().len() >= expected), "{when}");
        assert!(never(|| hook.requests().len() > expected), "{when}");
    }
}

#[test]
fn without_anything_to_watch_it_says_what_is_missing() {
    let output = start(&[]).run();
    assert_eq!(output.code, 64, "{output:?}");
    assert!(output.stderr.contains("--watch"), "{}", output.stderr);
}
