//! Restarts, and the probes that cause them.

use crate::kit::{PATIENCE, Play};

#[test]
fn restarts_wait_longer_each_time() {
    let pod = r#"
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  restartPolicy: OnFailure
  containers:
    - name: app
      image: busybox
      command: [sh, -c, "echo x >> /kept/runs; test $(wc -l < /kept/runs) -ge 4"]
      volumeMounts: [{name: kept, mountPath: /kept}]
  volumes: [{name: kept, emptyDir: {}}]
"#;
    let mut play = Play::text(pod, &["--back-off", "200ms"]);
    assert_eq!(play.ended(), 0, "the fourth run is good");
    play.happened_in_order(&[
        "p/app: Error: it failed (exit 1)",
        "p/app: Started",
        "BackOff: waits 0.2 s",
        "CrashLoopBackOff",
        "p/app: Started",
        "BackOff: waits 0.4 s",
        "p/app: Started",
        "p/app: Completed (exit 0)",
        "0/1 Completed, 3 restarts",
    ]);
}

#[test]
fn never_is_never() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  restartPolicy: Never\n  containers:\n    \
               - {name: app, image: busybox, command: [sh, -c, \"exit 5\"]}\n";
    let mut play = Play::text(pod, &[]);
    assert_eq!(play.ended(), 1);
    assert_eq!(play.events().matches("p/app: Started").count(), 1);
}

#[cfg(feature = "real-servers")]
#[test]
fn probes_ask_and_what_does_not_answer_is_restarted() {
    let pod = r#"
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 2
  containers:
    - name: web
      image: busybox
      command: [sh, -c, "mkdir -p /www; echo well > /www/health; exec httpd -f -p 8080 -h /www"]
      ports: [{name: http, containerPort: 8080}]
      startupProbe: {tcpSocket: {port: 8080}, periodSeconds: 1, failureThreshold: 30}
      readinessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 1, failureThreshold: 1}
      livenessProbe: {exec: {command: [test, "!", -e, /tmp/sick]}, periodSeconds: 1, failureThreshold: 2}
"#;
    let play = Play::text(pod, &["--forward", "0:8080"]);
    play.wait("p: 1/1 Running");
    let addr = play.forwarded(8080);
    assert_eq!(test_kit::http::get(addr, "/health").unwrap().body, "well\n");
    assert!(play.exec("p", "web", &["rm", "/www/health"]).0);
    play.wait("Unhealthy: readiness probe failed: answered 404");
    play.wait("p: 0/1 Running, 0 restarts");
    assert!(play.exec("p", "web", &["touch", "/tmp/sick"]).0);
    play.wait("p/web: Killing: liveness probe failed");
    play.wait("p: 1/1 Running, 1 restarts");
    // A new container has a new file system.
    assert!(!play.exec("p", "web", &["test", "-e", "/tmp/sick"]).0);
}

#[test]
fn a_probe_comes_to_the_address_of_the_pod() {
    let pod = r#"
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 2
  containers:
    - name: web
      image: myapp:v1
      env: [{name: BIND, value: 127.0.0.1}]
      startupProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1, failureThreshold: 2}
"#;
    let play = Play::text(pod, &["--forward", "0:8080"]);
    // `kubectl port-forward` reaches it, the kubelet does not.
    play.wait("Unhealthy: startup probe failed: 10.88.0.2:8080: Connection refused");
    let addr = play.forwarded(8080);
    let reached =
        test_kit::eventually(PATIENCE, || test_kit::http::get(addr, "/").is_ok_and(|answer| answer.status == 200));
    assert!(reached, "{}", play.events());
}
