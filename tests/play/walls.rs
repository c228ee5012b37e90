//! What separates pods and containers, and what leads through.

use rustix::process::{Pid, Signal, test_kill_process};
use test_kit::eventually;

use crate::kit::{PATIENCE, Play};

const SHARED: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  shareProcessNamespace: SHARE
  terminationGracePeriodSeconds: 2
  containers:
    - {name: app, image: busybox, command: [sh, -c, "trap 'echo told' HUP; echo up; while :; do sleep 0.1; done"]}
    - {name: other, image: busybox, command: [sleep, "1000"]}
"#;

#[test]
fn processes_are_shared_where_the_manifest_says_so() {
    let play = Play::text(&SHARED.replace("SHARE", "true"), &[]);
    play.wait("p: 2/2 Running");
    play.wait_log("p", "app", "up");
    let tell = "for p in /proc/[0-9]*; do grep -q 'echo tol[d]' $p/cmdline && kill -HUP ${p#/proc/}; done; true";
    let (good, said) = play.exec("p", "other", &["sh", "-c", tell]);
    assert!(good, "{said}");
    play.wait_log("p", "app", "told");
}

#[test]
fn processes_of_other_containers_are_not_there_otherwise() {
    let play = Play::text(&SHARED.replace("SHARE", "false"), &[]);
    play.wait("p: 2/2 Running");
    let (_, said) = play.exec("p", "other", &["sh", "-c", "cat /proc/[0-9]*/cmdline"]);
    assert!(said.contains("sleep\u{0}1000") && !said.contains("trap"), "{said}");
}

#[cfg(feature = "real-servers")]
const TWO: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
        - name: web
          image: busybox
          command: [sh, -c, "mkdir /www; hostname > /www/index.html; exec httpd -f -p 80 -h /www"]
          ports: [{name: http, containerPort: 80}]
          readinessProbe: {httpGet: {port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: default}
spec: {selector: {app: web}, ports: [{port: 8000, targetPort: http}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 2
  containers: [{name: client, image: busybox, command: [sleep, "1000"]}]
"#;

#[cfg(feature = "real-servers")]
#[test]
fn replicas_have_a_network_each_and_a_service_finds_them() {
    let mut play = Play::text(TWO, &["--forward", "web/0:80"]);
    play.wait("web-1: 1/1 Running");
    play.wait("web-2: 1/1 Running");
    play.wait("client: 1/1 Running");
    let ask = |host: &str| play.exec("client", "client", &["wget", "-qO-", &format!("http://{host}:8000/")]).1;
    let names = ["shop", "shop.default", "shop.default.svc", "shop.default.svc.cluster.local"];
    let mut answers = std::collections::BTreeSet::new();
    let all = test_kit::eventually(PATIENCE, || {
        answers.extend(names.map(ask));
        answers.len() >= 2
    });
    assert!(all && answers.iter().eq(["web-1\n", "web-2\n"]), "{answers:?}\n{}", play.events());
    let (good, _) = play.exec("client", "client", &["wget", "-qO-", "http://127.0.0.1:80/"]);
    assert!(!good, "the client has a network of its own");
    let addr = play.forwarded(80);
    assert!(test_kit::http::get(addr, "/").unwrap().body.starts_with("web-"));
    assert_eq!(play.stop(), 0);
}

#[test]
fn a_container_is_who_the_manifest_says() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  restartPolicy: Never\n  securityContext: {runAsUser: 1234, fsGroup: 99}\n  \
               containers:\n    - name: app\n      image: busybox\n      securityContext: {runAsGroup: 1235, readOnlyRootFilesystem: true}\n      \
               command: [sh, -c, \"id -u > /dev/stdout; id -g; touch /v/x && stat -c %u /v/x; touch /tmp/x || echo read-only\"]\n      \
               volumeMounts: [{name: v, mountPath: /v}]\n  volumes: [{name: v, emptyDir: {}}]\n";
    let mut play = Play::text(pod, &[]);
    assert_eq!(play.ended(), 0, "{}", play.log("p", "app"));
    let said = play.log("p", "app");
    let lines: Vec<_> = said.lines().filter(|line| !line.contains("touch")).collect();
    assert_eq!(lines, ["1234", "1235", "1234", "read-only"], "{said}");
}

#[test]
fn nothing_is_left_behind_when_it_is_killed() {
    let play = Play::text(&SHARED.replace("SHARE", "false"), &[]);
    play.wait("p: 2/2 Running");
    let pid_of = |name: &str| {
        let path = play.dir.join(format!("p/pods/p/containers/{name}/enter.json"));
        let text = std::fs::read_to_string(path).unwrap();
        let after = text.split("\"pid\":").nth(1).unwrap();
        after.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    let pids: [i32; 2] = [pid_of("app"), pid_of("other")];
    play.signal(Signal::KILL);
    let gone = |pid: i32| test_kill_process(Pid::from_raw(pid).unwrap()).is_err();
    assert!(eventually(PATIENCE, || pids.iter().all(|pid| gone(*pid))), "{pids:?}");
}
