//! inject: what it adds to manifests, and that it changes nothing else in them.

use std::{
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

const APP: &str = "\
# The shop.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
spec:
  template:
    metadata:
      annotations:
        pillion.dev/inject: log-shipper, reverse-proxy   # who rides along
    spec:
      containers:
      - name: app
        image: 'shop:1'
        env: [{name: LOG_DIR, value: /var/log/app}]
      # It cleans up.
      - name: helper
        image: helper:2
      volumes:
      - name: files
        secret: {secretName: files, defaultMode: 0644}
";

fn run(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_inject"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // It may have ended already: --policies reads nothing.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

#[track_caller]
fn injected(args: &[&str], input: &str) -> String {
    let output = run(args, input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[track_caller]
fn refused(args: &[&str], input: &str, expected: &str) {
    let output = run(args, input);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains(expected), "{said}");
    assert!(output.stdout.is_empty(), "half a file is worse than none");
}

/// The lines of `part`, in their order, are all in `whole`.
#[track_caller]
fn contains_in_order(whole: &str, part: &str) {
    let mut lines = whole.lines();
    for line in part.lines() {
        assert!(lines.any(|found| found == line), "{line:?} is not where it was in:\n{whole}");
    }
}

/// The names of `initContainers`, or whatever list of named things begins with that key.
fn names_below<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let mut lines = text.lines().skip_while(|line| line.trim() != format!("{key}:"));
    let indent = |line: &str| line.len() - line.trim_start().len();
    let key_indent = lines.next().map(indent).expect("the key is there");
    let inside = lines.take_while(|line| indent(line) > key_indent || line.trim_start().starts_with(['-', '#']));
    let dashes: Vec<_> = inside.collect();
    let first = dashes.first().map(|line| indent(line)).unwrap_or_default();
    dashes.iter().filter(|line| indent(line) == first).filter_map(|line| line.trim().strip_prefix("- name: ")).collect()
}

#[test]
fn what_was_written_stays_to_the_byte() {
    contains_in_order(&injected(&[], APP), APP);
}

#[test]
fn a_pod_gets_what_its_annotation_names_in_the_order_of_starting() {
    let text = injected(&[], APP);
    assert_eq!(names_below(&text, "initContainers"), ["log-shipper", "reverse-proxy"]);
    let volumes = ["log-shipper-config", "log-shipper-logs", "log-shipper-positions", "reverse-proxy-config", "files"];
    assert_eq!(names_below(&text, "volumes"), volumes);
    assert_eq!(text.matches("restartPolicy: Always").count(), 2);
    assert_eq!(
        text.matches("- {name: log-shipper-logs, mountPath: /var/log/app}").count(),
        2,
        "both write their logs there"
    );
}

#[test]
fn a_second_time_changes_nothing() {
    let once = injected(&[], APP);
    assert_eq!(injected(&[], &once), once);
}

#[test]
fn without_annotations_nothing_is_added() {
    let plain = APP.replace("pillion.dev/inject", "example.com/inject");
    assert_eq!(injected(&[], &plain), plain);
    assert!(injected(&["--sidecars=metrics-adapter"], &plain).contains("pillion/metrics-adapter:"));
}

#[test]
fn a_volume_that_is_mounted_there_already_is_shared() {
    let own = APP
        .replace("        env:", "        volumeMounts: [{name: shared-logs, mountPath: /var/log/app/}]\n        env:");
    let text = injected(&[], &own);
    assert!(text.contains("- {name: shared-logs, mountPath: /var/log/app, readOnly: true}"), "{text}");
    assert!(!text.contains("log-shipper-logs"), "{text}");
}

#[test]
fn annotations_say_where_and_what() {
    let own = APP.replace(
        "      annotations:\n",
        "      annotations:\n        pillion.dev/log-dir: /logs\n        pillion.dev/log-shipper-config: mine\n        \
         pillion.dev/reverse-proxy-image: registry.example/proxy@sha256:0123\n",
    );
    let text = injected(&["--tag=9.9.9", "--prefix=example.com/sidecars"], &own);
    assert!(text.contains("image: example.com/sidecars/log-shipper:9.9.9"), "{text}");
    assert!(text.contains("image: registry.example/proxy@sha256:0123"), "{text}");
    assert!(text.contains("configMap: {name: mine}"), "{text}");
    assert_eq!(text.matches("{name: log-shipper-logs, mountPath: /logs}").count(), 2, "{text}");
    assert!(text.contains("{name: log-shipper-logs, mountPath: /var/log/app, readOnly: true}"), "{text}");
}

#[test]
fn older_clusters_get_ordinary_containers() {
    let text = injected(&["--kubernetes=1.28"], APP);
    assert!(!text.contains("initContainers"), "{text}");
    assert!(!text.contains("restartPolicy: Always"), "{text}");
    assert_eq!(names_below(&text, "containers"), ["log-shipper", "reverse-proxy", "app", "helper"]);
}

#[test]
fn a_job_of_an_older_cluster_needs_an_end() {
    let job = APP.replace("kind: Deployment", "kind: Job").replace("apps/v1", "batch/v1");
    refused(&["--plain"], &job, "reverse-proxy would keep the job from ending");
    let job = job.replace(", reverse-proxy", "");
    assert!(injected(&[], &job).contains("initContainers"), "native sidecars end with their pod");
    refused(&["--plain"], &job, "pillion.dev/exit-when");
    let ends = job.replace("annotations:\n", "annotations:\n        pillion.dev/exit-when: /var/log/app/done\n");
    assert!(injected(&["--plain"], &ends).contains("args: [\"--exit-when=/var/log/app/done\", --config="));
}

#[test]
fn every_kind_that_has_pods_is_known() {
    let pod = "spec: {containers: [{name: app, image: shop}]}";
    let template = format!("spec: {{template: {{{pod}}}}}");
    let cron = format!("spec: {{jobTemplate: {{{template}}}}}");
    for (kind, spec) in [
        ("Pod", pod),
        ("Deployment", &template),
        ("StatefulSet", &template),
        ("DaemonSet", &template),
        ("ReplicaSet", &template),
        ("Job", &template),
        ("CronJob", &cron),
    ] {
        let text = format!("kind: {kind}\nmetadata: {{name: shop}}\n{spec}");
        let out = injected(&["--sidecars=metrics-adapter"], &text);
        assert!(out.contains("\"name\":\"metrics-adapter\""), "{kind}: {out}");
    }
    let list = format!("kind: List\nitems:\n- kind: Pod\n  {pod}\n- kind: Pod\n  {pod}\n- kind: Service\n");
    let out = injected(&["--sidecars=metrics-adapter"], &list);
    assert_eq!(out.matches("\"image\":\"pillion/metrics-adapter:").count(), 2, "{out}");
}

#[test]
fn json_stays_json() {
    let json = r#"{"kind": "Pod", "metadata": {"name": "shop"}, "spec": {"containers": [{"name": "app", "image": "shop"}], "volumes": []}}"#;
    let out = injected(&["--sidecars=log-shipper"], json);
    let value: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(value["spec"]["initContainers"][0]["name"], "log-shipper");
    assert_eq!(value["spec"]["initContainers"][0]["startupProbe"]["httpGet"]["port"], 2020);
    assert_eq!(value["spec"]["containers"][0]["volumeMounts"][0]["mountPath"], "/var/log/app");
    assert_eq!(value["spec"]["volumes"].as_array().map(Vec::len), Some(3));
}

#[test]
fn unusual_spellings_are_added_to_as_well() {
    for (what, from, to) in [
        (
            "a list with nothing in it",
            "      - name: files\n        secret: {secretName: files, defaultMode: 0644}\n",
            "",
        ),
        ("a dash in a line of its own", "      - name: app\n", "      -\n        name: app\n"),
        ("a comment after the dash", "      - name: app\n", "      - # the app\n        name: app\n"),
        ("an anchor", "      - name: helper\n", "      - &helper\n        name: helper\n"),
        ("letters beyond ASCII before it", "# The shop.", "# Der Laden – größer."),
        ("Windows' line ends", "\n", "\r\n"),
        (
            "the image first",
            "      - name: app\n        image: 'shop:1'\n",
            "      - image: 'shop:1'\n        name: app\n",
        ),
        ("tabs nowhere, blank lines everywhere", "\n", "\n\n"),
    ] {
        assert!(APP.contains(from), "{what}");
        let text = APP.replace(from, to);
        let out = injected(&[], &text);
        let lines: Vec<_> = text.lines().filter(|line| line.trim() != "volumes:").collect();
        contains_in_order(&out, &lines.join("\n"));
        assert_eq!(injected(&[], &out), out, "{what}: a second time");
    }
}

#[test]
fn what_cannot_be_added_to_is_refused_and_not_spoilt() {
    let alias = "kind: Pod\nmetadata: {name: a}\nx: &v [{name: w, emptyDir: {}}]\nspec:\n  volumes: *v\n  containers: [{name: app, image: b}]\n";
    refused(&["--sidecars=log-shipper"], alias, "volumes: expected a list that items can be added to");
    refused(&[], "kind: [Pod", "-:");
}

#[test]
fn mistakes_are_told_with_their_lines_all_at_once() {
    let wrong = APP
        .replace("log-shipper, reverse-proxy", "log-shiper")
        .replace("      annotations:\n", "      annotations:\n        pillion.dev/log-dirs: /logs\n");
    refused(&[], &wrong, "-:10: annotation pillion.dev/log-dirs: expected one of");
    refused(&[], &wrong, "-:11: pillion.dev/inject: `log-shiper`: expected one of config-reloader");
    assert_eq!(run(&["--kubernetes=new"], APP).status.code(), Some(64));
}

#[test]
fn config_maps_come_along_when_asked_for() {
    let two = format!("{APP}---\n{}", APP.replace("name: shop", "name: other"));
    let out = injected(&["--with-config"], &two);
    assert_eq!(out.matches("kind: ConfigMap").count(), 2, "one for each sidecar, not for each pod: {out}");
    assert!(out.contains("  reverse-proxy.yaml: |\n    #"), "{out}");
    let named = APP.replace("annotations:\n", "annotations:\n        pillion.dev/log-shipper-config: mine\n");
    assert_eq!(injected(&["--with-config"], &named).matches("kind: ConfigMap").count(), 1);
}

#[test]
fn the_admission_policies_are_what_would_be_written_now() {
    let path: &Path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../manifests/inject/policies.yaml").as_ref();
    let there = values::read_text(path, 1 << 20).unwrap_or_default();
    let now = injected(&["--policies"], "");
    assert!(there == now, "manifests/inject/policies.yaml: expected what `cargo run -p inject -- --policies` prints");
}
