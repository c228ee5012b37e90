//! The `spec` of a pod.

use std::time::Duration;

use common::config::Section;

use super::{Reading, container, flag, objects::Meta, seconds, volume};
use crate::play::model::{Pod, Restart};

/// What a pod has when it says nothing.
const GRACE: Duration = Duration::from_secs(30);

/// What concerns where a pod runs, on a machine that is the only one.
const PLACEMENT: &[&str] = &[
    "affinity",
    "automountServiceAccountToken",
    "enableServiceLinks",
    "hostUsers",
    "imagePullSecrets",
    "nodeName",
    "nodeSelector",
    "os",
    "overhead",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "readinessGates",
    "runtimeClassName",
    "schedulerName",
    "serviceAccount",
    "setHostnameAsFQDN",
    "subdomain",
    "tolerations",
    "topologySpreadConstraints",
];

const MISSED: &[(&str, &str)] = &[
    ("dnsConfig", "names are found in /etc/hosts here"),
    ("dnsPolicy", "names are found in /etc/hosts here"),
    ("ephemeralContainers", "not started"),
    ("hostIPC", "every pod has its own"),
    ("hostNetwork", "every pod has its own network here"),
    ("hostPID", "a pod sees its own processes at most"),
    ("hostname", "a pod is called by its own name"),
    ("resources", "limits are not enforced here"),
];

pub fn pod(spec: &mut Section, meta: Meta, reading: &mut Reading) -> Pod {
    reading.skip(spec, PLACEMENT);
    reading.note(spec, MISSED);
    let restart = match spec.parsed::<String>("restartPolicy").as_deref() {
        None | Some("Always") => Restart::Always,
        Some("OnFailure") => Restart::OnFailure,
        Some("Never") => Restart::Never,
        Some(other) => {
            spec.problem(format!("restartPolicy \"{other}\": expected Always, OnFailure or Never"));
            Restart::Always
        }
    };
    let (mut user, mut group, mut fs_group) = (None, None, None);
    if let Some(mut security) = spec.section("securityContext") {
        (user, group, fs_group) =
            (security.parsed("runAsUser"), security.parsed("runAsGroup"), security.parsed("fsGroup"));
        reading.skip(&mut security, &["runAsNonRoot", "seccompProfile", "fsGroupChangePolicy", "seLinuxOptions"]);
        reading.skip(
            &mut security,
            &["supplementalGroups", "supplementalGroupsPolicy", "appArmorProfile", "windowsOptions"],
        );
        // Every port is open to everybody here, which is what most people set it for.
        reading.skip(&mut security, &["sysctls"]);
    }
    let aliases = spec.sections("hostAliases").into_iter().filter_map(|mut alias| {
        let names = alias.list("hostnames");
        alias.required::<String>("ip").map(|ip| (ip, names))
    });
    let host_aliases = aliases.collect();
    let init = spec.sections("initContainers").iter_mut().map(|one| container::container(one, reading)).collect();
    let containers: Vec<_> =
        spec.sections("containers").iter_mut().map(|one| container::container(one, reading)).collect();
    if containers.is_empty() {
        spec.problem("containers: required");
    }
    let mut pod = Pod {
        name: meta.name,
        namespace: meta.namespace,
        labels: meta.labels,
        annotations: meta.annotations,
        init,
        containers,
        volumes: volume::volumes(spec, reading),
        restart,
        grace: seconds(spec, "terminationGracePeriodSeconds").unwrap_or(GRACE),
        deadline: seconds(spec, "activeDeadlineSeconds"),
        share_processes: flag(spec, "shareProcessNamespace"),
        fs_group,
        host_aliases,
        service_account: spec.parsed("serviceAccountName").unwrap_or_else(|| "default".into()),
    };
    for container in pod.init.iter_mut().chain(&mut pod.containers) {
        container.user = container.user.or(user);
        container.group = container.group.or(group);
    }
    pod
}
