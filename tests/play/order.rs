//! The order in which containers start and end, and how much time each has.

use crate::kit::Play;

/// Says what it is told, and ends a moment later.
const OBEYS: &str = "trap 'echo asked; sleep 0.3; exit 7' TERM; echo up; while :; do sleep 0.1; done";

#[test]
fn each_waits_for_what_gates_it() {
    let pod = r#"
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 5
  initContainers:
    - name: s1
      image: busybox
      restartPolicy: Always
      command: [sh, -c, "sleep 1; touch /tmp/listens; sleep 1000"]
      startupProbe: {exec: {command: [test, -e, /tmp/listens]}, periodSeconds: 1}
    - {name: i1, image: busybox, command: [sh, -c, "echo prepared"]}
    - {name: s2, image: busybox, restartPolicy: Always, command: [sleep, "1000"]}
  containers:
    - name: first
      image: busybox
      command: [sleep, "1000"]
      lifecycle: {postStart: {exec: {command: [sh, -c, "sleep 1; touch /tmp/hooked"]}}}
    - {name: second, image: busybox, command: [sleep, "1000"]}
"#;
    let play = Play::text(pod, &[]);
    play.wait("p: 4/4 Running, 0 restarts");
    play.happened_in_order(&[
        "p/s1: Started",
        "p/s1: startup probe passed",
        "p/i1: Started",
        "p/i1: Completed (exit 0)",
        "p/s2: Started",
        "p/first: Started",
        "p/first: postStart done",
        "p/second: Started",
    ]);
    let waited = play.at("p/i1: Started") - play.at("p/s1: Started");
    assert!(waited >= 0.9, "s1 listens after a second, and i1 started after {waited} s");
    assert!(play.exec("p", "first", &["test", "-e", "/tmp/hooked"]).0);
}

#[test]
fn apps_end_first_and_sidecars_in_reverse() {
    let pod = format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: p}}
spec:
  terminationGracePeriodSeconds: 20
  initContainers:
    - {{name: s1, image: busybox, restartPolicy: Always, command: [sh, -c, "{OBEYS}"]}}
    - {{name: s2, image: busybox, restartPolicy: Always, command: [sh, -c, "{OBEYS}"]}}
  containers:
    - name: app
      image: busybox
      command: [sh, -c, "trap 'sleep 1; exit 0' TERM; echo up; while :; do sleep 0.1; done"]
"#
    );
    let mut play = Play::text(&pod, &[]);
    play.wait("p: 3/3 Running");
    play.wait_log("p", "app", "up");
    play.wait_log("p", "s1", "up");
    play.wait_log("p", "s2", "up");
    assert_eq!(play.stop(), 0);
    play.happened_in_order(&[
        "p/app: Killing: SIGTERM, 20.0 s to end",
        "p/app: Completed (exit 0)",
        "p/s2: Killing: SIGTERM",
        "p/s2: Error: it failed (exit 7)",
        "p/s1: Killing: SIGTERM",
        "p/s1: Error: it failed (exit 7)",
        "p: 0/3 Completed",
    ]);
    assert_eq!(play.log("p", "s1"), "up\nasked\n");
}

#[test]
fn whoever_ignores_sigterm_leaves_the_sidecars_two_seconds_together() {
    let pod = format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: p}}
spec:
  terminationGracePeriodSeconds: 3
  initContainers:
    - {{name: s1, image: busybox, restartPolicy: Always, command: [sh, -c, "{OBEYS}"]}}
    - {{name: slow, image: busybox, restartPolicy: Always, command: [sh, -c, "trap 'sleep 60' TERM; echo up; while :; do sleep 0.1; done"]}}
  containers:
    - {{name: app, image: busybox, command: [sh, -c, "trap '' TERM; echo up; while :; do sleep 0.1; done"]}}
"#
    );
    let mut play = Play::text(&pod, &[]);
    for name in ["s1", "slow", "app"] {
        play.wait_log("p", name, "up");
    }
    play.stop();
    for name in ["s1", "slow"] {
        let asked = play.at(&format!("p/{name}: Killing: SIGTERM, 2.0 s to end"));
        let after = asked - play.at("p/app: Killing: SIGTERM, 3.0 s to end");
        assert!((2.9..4.5).contains(&after), "{name}: asked {after} s after the app, with 3 s of grace");
    }
    play.wait("p/app: Error: SIGKILL (exit 137)");
    play.wait("p/slow: Killing: SIGKILL, its time is over");
    assert!(play.events().contains("p/s1: Error: it failed (exit 7)"), "two seconds were enough for it");
}

#[test]
fn pre_stop_of_everybody_runs_at_once_and_takes_from_the_grace_period() {
    let pod = format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: p}}
spec:
  terminationGracePeriodSeconds: 12
  initContainers:
    - name: s1
      image: busybox
      restartPolicy: Always
      command: [sh, -c, "{OBEYS}"]
      lifecycle: {{preStop: {{exec: {{command: [sh, -c, "echo hook > /proc/1/fd/1"]}}}}}}
  containers:
    - name: app
      image: busybox
      command: [sh, -c, "trap 'sleep 1; exit 0' TERM; echo up; while :; do sleep 0.1; done"]
      lifecycle: {{preStop: {{sleep: {{seconds: 2}}}}}}
"#
    );
    let mut play = Play::text(&pod, &[]);
    play.wait("p: 2/2 Running");
    play.wait_log("p", "app", "up");
    play.wait_log("p", "s1", "up");
    play.stop();
    play.happened_in_order(&[
        "p/s1: preStop done",
        "p/app: preStop done",
        "p/app: Killing: SIGTERM",
        "p/s1: Killing: SIGTERM",
    ]);
    assert_eq!(play.log("p", "s1"), "up\nhook\nasked\n");
    let left = |name: &str| -> f64 {
        let events = play.events();
        let after = events.split(&format!("p/{name}: Killing: SIGTERM, ")).nth(1).unwrap();
        after.split_whitespace().next().unwrap().parse().unwrap()
    };
    assert!((8.0..=10.0).contains(&left("app")), "{} s for the app, of 12 less 2", left("app"));
    assert!((5.0..=9.1).contains(&left("s1")), "{} s for the sidecar, of 12 less 2 less 1", left("s1"));
}

#[test]
fn a_job_is_complete_whatever_its_native_sidecar_does() {
    let job = r#"
apiVersion: batch/v1
kind: Job
metadata: {name: j}
spec:
  template:
    spec:
      restartPolicy: Never
      initContainers:
        - {name: bad-goodbye, image: busybox, restartPolicy: Always, command: [sh, -c, "trap 'exit 9' TERM; while :; do sleep 0.1; done"]}
        - {name: crashes, image: busybox, restartPolicy: Always, command: [sh, -c, "sleep 0.2; exit 3"]}
      containers:
        - {name: app, image: busybox, command: [sh, -c, "sleep 2; echo done"]}
"#;
    let mut play = Play::text(job, &["--back-off", "300ms"]);
    assert_eq!(play.ended(), 0);
    play.happened_in_order(&[
        "j-1/crashes: Error: it failed (exit 3)",
        "j-1/crashes: Started",
        "j-1/app: Completed (exit 0)",
        "j-1/bad-goodbye: Error: it failed (exit 9)",
        "j: Complete",
    ]);
}

#[test]
fn a_job_fails_with_its_plain_sidecar_and_tries_again() {
    let job = r#"
apiVersion: batch/v1
kind: Job
metadata: {name: j}
spec:
  backoffLimit: 1
  template:
    spec:
      restartPolicy: Never
      containers:
        - {name: app, image: busybox, command: ["true"]}
        - {name: plain, image: busybox, command: [sh, -c, "exit 3"]}
"#;
    let mut play = Play::text(job, &["--back-off", "100ms"]);
    assert_eq!(play.ended(), 1);
    play.happened_in_order(&["j-1: 0/2 Error", "j-2/plain: Error: it failed (exit 3)", "j: Failed"]);
}

#[test]
fn a_container_may_have_a_signal_of_its_own() {
    let pod = r#"
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers:
    - name: app
      image: busybox
      command: [sh, -c, "trap 'exit 0' USR1; echo up; while :; do sleep 0.1; done"]
      lifecycle: {stopSignal: SIGUSR1}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: n}
anything: {goes: here}
"#;
    let mut play = Play::text(pod, &[]);
    play.wait_log("p", "app", "up");
    assert_eq!(play.stop(), 0);
    play.happened_in_order(&[
        "note: kind NetworkPolicy: is for a cluster, left out here",
        "p/app: Killing: SIGUSR1, 30.0 s to end",
        "p/app: Completed (exit 0)",
    ]);
}
