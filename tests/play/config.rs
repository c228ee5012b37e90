//! What containers are given: variables, ConfigMaps, Secrets, volumes; and the files of a manifest that are wrong.

use crate::kit::{Play, refused};

const CONFIG: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {level: debug, "app.conf": "one\n"}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
data: {token: c2VzYW1l}
stringData: {plain: "text"}
---
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: shop, labels: {app: web}, annotations: {note: "read me"}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 2
  containers:
    - name: app
      image: busybox
      command: [sh, -c, "env | sort; ARGS; sleep 1000"]
      envFrom:
        - {configMapRef: {name: settings}, prefix: CFG_}
        - {secretRef: {name: not-there, optional: true}}
      env:
        - {name: TOKEN, valueFrom: {secretKeyRef: {name: keys, key: token}}}
        - {name: LEVEL, valueFrom: {configMapKeyRef: {name: settings, key: level}}}
        - {name: GONE, valueFrom: {configMapKeyRef: {name: settings, key: none, optional: true}}}
        - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: IN, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
        - {name: APP, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}
        - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
        - {name: URL, value: "http://$(IP)/$(APP)?$$(APP)=$(UNKNOWN)"}
      volumeMounts:
        - {name: config, mountPath: /etc/app}
        - {name: config, mountPath: /etc/one.conf, subPath: app.conf}
        - {name: keys, mountPath: /etc/keys, readOnly: true}
        - {name: about, mountPath: /etc/about}
        - {name: shared, mountPath: /data, readOnly: true}
  volumes:
    - {name: config, configMap: {name: settings}}
    - {name: keys, secret: {secretName: keys, defaultMode: 0400, items: [{key: token, path: deep/token}]}}
    - {name: about, downwardAPI: {items: [{path: note, fieldRef: {fieldPath: "metadata.annotations['note']"}}]}}
    - {name: shared, emptyDir: {}}
"#;

#[test]
fn variables_and_volumes_are_what_a_kubelet_makes_them() {
    let play = Play::text(&CONFIG.replace("ARGS", "echo \\\"args $(LEVEL)\\\""), &[]);
    let said = play.wait_log("p", "app", "args debug\n");
    for line in [
        "CFG_level=debug",
        "TOKEN=sesame",
        "LEVEL=debug",
        "POD=p",
        "IN=shop",
        "APP=web",
        "IP=10.88.0.2",
        "URL=http://10.88.0.2/web?$(APP)=$(UNKNOWN)",
        "HOSTNAME=p",
    ] {
        assert!(said.lines().any(|known| known == line), "expected {line} in\n{said}");
    }
    assert!(!said.contains("GONE="), "{said}");
    let cat = |path: &str| play.exec("p", "app", &["cat", path]).1;
    assert_eq!(cat("/etc/app/app.conf"), "one\n");
    assert_eq!(cat("/etc/keys/deep/token"), "sesame");
    assert_eq!(cat("/etc/about/note"), "read me");
    assert_eq!(play.exec("p", "app", &["stat", "-Lc", "%a", "/etc/keys/deep/token"]).1, "400\n");
    let (good, said) = play.exec("p", "app", &["touch", "/data/x"]);
    assert!(!good && said.contains("Read-only file system"), "{said}");
    assert_eq!(play.exec("p", "app", &["hostname"]).1, "p\n");
}

#[test]
fn a_config_map_that_changes_is_swapped_and_a_file_mounted_alone_stays() {
    let play = Play::text(&CONFIG.replace("ARGS", ":"), &[]);
    play.wait("p: 1/1 Running");
    let link = || play.exec("p", "app", &["readlink", "/etc/app/..data"]).1;
    let before = link();
    std::fs::write(&play.file, CONFIG.replace("ARGS", ":").replace("\"one\\n\"", "\"two\\n\"")).unwrap();
    play.wait("p: volume config has the new content");
    assert_ne!(link(), before);
    assert_eq!(play.exec("p", "app", &["cat", "/etc/app/app.conf"]).1, "two\n");
    assert_eq!(play.exec("p", "app", &["cat", "/etc/one.conf"]).1, "one\n");
    std::fs::write(&play.file, "apiVersion: v1\nkind: ConfigMap\nmetadata: {nam: x}\n").unwrap();
    play.wait("metadata.nam: unknown key, did you mean name?");
    assert_eq!(play.exec("p", "app", &["cat", "/etc/app/app.conf"]).1, "two\n");
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let said = refused(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n    - name: a\n      image: busybox\n      \
         envFrom: [{configMapRef: {name: none}}]\n      volumeMounts: [{name: v, mountPath: /v}]\n    - name: a\n      \
         image: busybox\n  volumes: [{name: w, secret: {secretName: gone}}]\n",
    );
    for problem in [
        "p: container a: mounts v, which is not a volume of the pod",
        "p: container a: ConfigMap none is in none of the files",
        "p: a: expected a name of its own, another container has it",
        "p: volume w: Secret gone is in none of the files",
    ] {
        assert!(said.contains(problem), "expected {problem} in\n{said}");
    }
    let pod = |image: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{name: a, image: {image}}}]}}\n"
        )
    };
    let said = refused(&pod("example.com/team/billing:1"));
    assert!(said.contains("name what does: --image 'example.com/team/billing:1=COMMAND'"), "{said}");
    let said = refused("apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: s}\nspec: {replicas: 2}\n");
    assert!(said.contains("pod.yaml:1: the file: apps/v1, StatefulSet: play knows v1 Pod, "), "{said}");
    let said = refused(&pod("envoyproxy/envoy:v1.28.0"));
    assert!(said.contains("pillion/reverse-proxy takes its place"), "{said}");
}
