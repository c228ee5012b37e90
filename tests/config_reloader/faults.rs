//! Faults: killed at any moment, without inotify, without rights.

use std::{fs, thread, time::Duration};

use test_kit::{ConfigMap, HookServer, Kubelet, PATIENCE, TempDir, eventually};

use crate::{start, wait_content, wait_reloads};

#[test]
fn kill_minus_9_at_any_moment_then_restart_converges() {
    let dir = TempDir::new();
    let mut volume = ConfigMap::new(dir.join("in"), Kubelet::New);
    let version = |n: u32| format!("{n:06}\n").repeat(5_000);
    volume.update(&[("a", &version(0))]);
    let (to, state, seen) = (dir.join("out/a"), dir.join("state"), dir.join("seen"));
    let prepare = format!("{}={}", volume.path("a"), to.display());
    let tell = format!("sh -c 'head -1 {} > {}'", to.display(), seen.display());
    let args = ["--prepare", &prepare, "--state-file", state.to_str().unwrap(), "--exec", &tell, "--settle", "1ms"];
    let whole = || {
        let found = fs::read_to_string(&to).unwrap();
        assert!(found.len() == version(0).len() && found.lines().all(|line| line == &found[..6]), "torn");
    };
    let mut sidecar = start(&args).spawn();
    sidecar.wait_ready();
    let mut random = 12_345_u64;
    for n in 1..=30 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        volume.update(&[("a", &version(n))]);
        thread::sleep(Duration::from_micros((random >> 33) % 60_000));
        sidecar.kill9();
        sidecar.wait_exit();
        whole();
        sidecar = start(&args).spawn();
    }
    wait_content(to.to_str().unwrap(), &version(30));
    wait_content(seen.to_str().unwrap(), "000030\n");
    whole();
    assert!(eventually(PATIENCE, || {
        let left = fs::read_dir(dir.join("out")).unwrap().flatten();
        left.filter(|entry| entry.file_name().to_string_lossy().contains("staged")).count() == 0
    }));
}

#[test]
fn falls_back_to_polling_when_inotify_is_exhausted() {
    let dir = TempDir::new();
    let (hook, file) = (HookServer::start(), dir.put("a", "1"));
    // `/proc/sys/user` is the namespace's own. `/proc/sys/fs/inotify` is the whole machine's, also from in here: never that.
    let script = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$0\" \"$@\"";
    let before = fs::read_to_string("/proc/sys/fs/inotify/max_user_instances").unwrap();
    let sidecar = start(&["--watch", &file, "--url", &hook.url("/"), "--settle", "20ms", "--poll", "auto"])
        .under(["unshare", "-Urm", "sh", "-c", script])
        .spawn();
    let line = sidecar.wait_message("watching by polling");
    let after = fs::read_to_string("/proc/sys/fs/inotify/max_user_instances").unwrap();
    assert_eq!(before, after, "the machine's own limit must not be touched");
    assert_eq!(line.level(), "WARN");
    assert!(line.field("why").contains("inotify"), "{}", line.raw);
    for version in 1..=3 {
        fs::write(&file, format!("version {version}")).unwrap();
        hook.wait_requests(version);
        wait_reloads(&sidecar, version);
    }
    let said = sidecar.logs().iter().filter(|line| line.message() == "watching by polling").count();
    assert_eq!(said, 1, "said once");
}
