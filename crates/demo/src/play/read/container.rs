//! A container of a pod.

use common::config::Section;
use rustix::process::Signal;

use super::{Reading, flag, probe};
use crate::play::model::{Container, EnvFrom, EnvValue, Mount, StoredKind};

/// What concerns images that are pulled, terminals, and words of the status.
const ELSEWHERE: &[&str] =
    &["imagePullPolicy", "stdin", "stdinOnce", "terminationMessagePath", "terminationMessagePolicy", "tty"];

const MISSED: &[(&str, &str)] = &[
    ("resources", "limits are not enforced here"),
    ("resizePolicy", "limits are not enforced here"),
    ("restartPolicyRules", "a container is restarted alone, by restartPolicy"),
    ("volumeDevices", "block devices are not given to anybody here"),
];

pub fn container(section: &mut Section, reading: &mut Reading) -> Container {
    reading.skip(section, ELSEWHERE);
    reading.note(section, MISSED);
    let list = |section: &mut Section, key: &str| section.has(key).then(|| section.list(key));
    let is_sidecar = match section.parsed::<String>("restartPolicy").as_deref() {
        None => false,
        Some("Always") => true,
        Some(other) => {
            section.problem(format!("restartPolicy \"{other}\": expected Always, or nothing"));
            false
        }
    };
    let mut lifecycle = section.section("lifecycle").unwrap_or_else(Section::empty);
    let stop = lifecycle.parsed::<StopSignal>("stopSignal").map(|StopSignal(signal)| signal);
    let mut security = section.section("securityContext").unwrap_or_else(Section::empty);
    reading.skip(
        &mut security,
        &["allowPrivilegeEscalation", "capabilities", "runAsNonRoot", "seccompProfile", "privileged"],
    );
    reading.skip(&mut security, &["procMount", "seLinuxOptions", "appArmorProfile", "windowsOptions"]);
    Container {
        name: section.required("name").unwrap_or_default(),
        image: section.required("image").unwrap_or_default(),
        command: list(section, "command"),
        args: list(section, "args"),
        dir: section.parsed("workingDir"),
        env_from: section.sections("envFrom").iter_mut().filter_map(env_from).collect(),
        env: section.sections("env").iter_mut().filter_map(|one| env(one, reading)).collect(),
        mounts: section.sections("volumeMounts").iter_mut().filter_map(|one| mount(one, reading)).collect(),
        ports: section.sections("ports").iter_mut().filter_map(|one| port(one, reading)).collect(),
        startup: probe::probe(section, "startupProbe"),
        liveness: probe::probe(section, "livenessProbe"),
        readiness: probe::probe(section, "readinessProbe"),
        post_start: probe::hook(&mut lifecycle, "postStart"),
        pre_stop: probe::hook(&mut lifecycle, "preStop"),
        stop,
        is_sidecar,
        user: security.parsed("runAsUser"),
        group: security.parsed("runAsGroup"),
        read_only_root: flag(&mut security, "readOnlyRootFilesystem"),
    }
}

/// By its name, as Kubernetes writes it.
struct StopSignal(Signal);

impl std::str::FromStr for StopSignal {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(match text {
            "SIGHUP" => Signal::HUP,
            "SIGINT" => Signal::INT,
            "SIGKILL" => Signal::KILL,
            "SIGQUIT" => Signal::QUIT,
            "SIGTERM" => Signal::TERM,
            "SIGUSR1" => Signal::USR1,
            "SIGUSR2" => Signal::USR2,
            "SIGWINCH" => Signal::WINCH,
            _ => return Err("expected SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH or SIGKILL"),
        }))
    }
}

fn port(section: &mut Section, reading: &Reading) -> Option<(Option<String>, u16)> {
    reading.skip(section, &["protocol", "hostIP", "hostPort"]);
    let name = section.parsed("name");
    section.required("containerPort").map(|number| (name, number))
}

fn mount(section: &mut Section, reading: &mut Reading) -> Option<Mount> {
    reading.note(section, &[("subPathExpr", "not expanded"), ("mountPropagation", "nothing is mounted later")]);
    reading.skip(section, &["recursiveReadOnly"]);
    let (volume, path) = (section.required("name"), section.required::<String>("mountPath"));
    if path.as_ref().is_some_and(|path| !path.starts_with('/')) {
        section.problem("mountPath: expected an absolute path");
    }
    let sub_path = section.parsed("subPath");
    let read_only = flag(section, "readOnly");
    Some(Mount { volume: volume?, path: path?, sub_path, read_only })
}

fn env_from(section: &mut Section) -> Option<EnvFrom> {
    let prefix = section.parsed("prefix").unwrap_or_default();
    let (kind, mut source) = match (section.section("configMapRef"), section.section("secretRef")) {
        (Some(source), None) => (StoredKind::ConfigMap, source),
        (None, Some(source)) => (StoredKind::Secret, source),
        _ => {
            section.problem("expected one of configMapRef, secretRef");
            return None;
        }
    };
    let optional = flag(&mut source, "optional");
    Some(EnvFrom { kind, name: source.required("name")?, prefix, optional })
}

fn env(section: &mut Section, reading: &mut Reading) -> Option<(String, EnvValue)> {
    let name = section.required::<String>("name");
    let Some(mut from) = section.section("valueFrom") else {
        return Some((name?, EnvValue::Text(section.parsed("value").unwrap_or_default())));
    };
    reading.skip(section, &["value"]);
    let stored = [("configMapKeyRef", StoredKind::ConfigMap), ("secretKeyRef", StoredKind::Secret)];
    for (key, kind) in stored {
        if let Some(mut source) = from.section(key) {
            let optional = flag(&mut source, "optional");
            let (map, key) = (source.required("name"), source.required("key"));
            return Some((name?, EnvValue::Key { kind, name: map?, key: key?, optional }));
        }
    }
    if let Some(mut field) = from.section("fieldRef") {
        reading.skip(&mut field, &["apiVersion"]);
        return Some((name?, EnvValue::Field(field.required("fieldPath")?)));
    }
    from.problem("expected one of configMapKeyRef, secretKeyRef, fieldRef");
    reading.skip(&mut from, &["resourceFieldRef", "fileKeyRef"]);
    None
}
