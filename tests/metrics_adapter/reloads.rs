//! Rules that change while lines come in.

use rustix::process::Signal;
use test_kit::{Sidecar, TempDir, eventually};

use crate::{PATIENCE, adapter, send, wait_metric};

const OLD: &str = "mappings:\n- match: app.*\n  name: old\n  labels: {who: $1}\n";
const NEW: &str = "mappings:\n- match: app.*\n  name: new\n  labels: {who: $1}\n";
const BAD: &str = "mappings:\n- match: app.*\n  name: new\n  label: {who: $1}\n";

fn mapped(dir: &TempDir) -> Sidecar {
    let mapping = dir.put("mapping.yaml", OLD);
    let sidecar = adapter().args(["--listen", "udp://127.0.0.1:0", "--mapping", &mapping]).spawn();
    sidecar.wait_ready();
    send(&sidecar, &["app.me:1|c"]);
    wait_metric(&sidecar, r#"old{who="me"}"#, 1.0);
    sidecar
}

fn goes_by_new(sidecar: &Sidecar) {
    assert!(eventually(PATIENCE, || {
        send(sidecar, &["app.me:1|c"]);
        sidecar.metric(r#"new{who="me"}"#).is_some()
    }));
    // What was counted by the old rules stays.
    assert!(sidecar.metric(r#"old{who="me"}"#) >= Some(1.0));
}

#[test]
fn a_changed_mapping_is_read_at_once() {
    let dir = TempDir::new();
    let sidecar = mapped(&dir);
    dir.put("mapping.yaml", NEW);
    goes_by_new(&sidecar);
}

#[test]
fn sighup_and_post_read_the_mapping_again() {
    for way in ["SIGHUP", "POST"] {
        let dir = TempDir::new();
        let sidecar = mapped(&dir);
        dir.put("mapping.yaml", NEW);
        match way {
            "SIGHUP" => sidecar.signal(Signal::HUP),
            _ => assert_eq!(sidecar.admin_post("/-/reload").0, 200),
        }
        goes_by_new(&sidecar);
    }
}

#[test]
fn a_bad_mapping_changes_nothing_and_says_where_it_is_wrong() {
    let dir = TempDir::new();
    let sidecar = mapped(&dir);
    let file = dir.put("mapping.yaml", BAD);
    let line = sidecar.wait_log(|line| line.message().contains("not reloaded"));
    assert!(line.message().contains(&format!("{file}:4: ")), "{}", line.message());
    send(&sidecar, &["app.me:1|c"]);
    wait_metric(&sidecar, r#"old{who="me"}"#, 2.0);
    assert_eq!(sidecar.metric("metrics_adapter_config_last_reload_successful"), Some(0.0));
}

#[test]
fn the_peers_reload_answers_400_to_a_bad_mapping() {
    let dir = TempDir::new();
    let mapping = dir.put("mapping.yaml", OLD);
    let start = |lifecycle: &str| {
        let sidecar = adapter()
            .argv0("statsd_exporter")
            .own_admin()
            .args(["--web.listen-address=127.0.0.1:0", "--statsd.listen-udp=127.0.0.1:0", "--statsd.listen-tcp="])
            .args([&format!("--statsd.mapping-config={mapping}"), lifecycle])
            .spawn();
        sidecar.wait_message("ready");
        sidecar
    };
    let sidecar = start("--web.enable-lifecycle");
    assert_eq!(sidecar.admin_post("/-/reload").0, 200);
    wait_metric(&sidecar, r#"statsd_exporter_config_reloads_total{outcome="success"}"#, 1.0);
    dir.put("mapping.yaml", BAD);
    let (status, body) = sidecar.admin_post("/-/reload");
    assert_eq!(status, 400);
    assert!(body.contains(":4: "), "{body}");
    send(&sidecar, &["app.me:1|c"]);
    wait_metric(&sidecar, r#"old{who="me"}"#, 1.0);
    assert!(sidecar.metric(r#"statsd_exporter_config_reloads_total{outcome="failure"}"#) >= Some(1.0));
    assert_eq!(sidecar.admin_post("/-/quit").0, 200);
    assert_eq!(sidecar.wait_exit(), 0);
    dir.put("mapping.yaml", OLD);
    let sidecar = start("--no-web.enable-lifecycle");
    assert_eq!((sidecar.admin_post("/-/reload").0, sidecar.admin_post("/-/quit").0), (403, 403));
}
