//! nginx, told by SIGHUP.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, path::Path};

use test_kit::{ConfigMap, Kubelet, Sidecar, TempDir, free_port};

use crate::{
    BINARY, lines_with, never, page, pod::Pod, program, recipe, said, settings, wait_content, wait_failure, wait_lines,
    wait_page, wait_reloads, watching,
};

/// The tutorial that this family of sidecars began with: its ConfigMap, and what `kubectl edit` makes of the text.
const TUTORIAL: &str = "server {\nlisten 80;\nlocation / {\nreturn 200 'Configuration Reload Demo';\n}\n}\n";
const BEFORE: &str = "Configuration Reload Demo";
const AFTER: &str = "Updated Configuration Loaded";

/// The tutorial's server on a port of the test's own.
fn tutorial(port: u16) -> String {
    TUTORIAL.replace("listen 80", &format!("listen 127.0.0.1:{port}"))
}

fn answers(port: u16, status: u16, text: &str) -> String {
    tutorial(port).replace("200", &status.to_string()).replace(BEFORE, text)
}

/// A main file around this part of `http`. It writes nowhere but into the directory.
pub(crate) fn main_file(dir: &Path, http: &str) -> String {
    let dir = dir.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = temporary.iter().map(|of| format!("{of}_temp_path {dir}/{of};\n")).collect();
    format!(
        "user root;\ndaemon off;\npid {dir}/nginx.pid;\nerror_log stderr notice;\nevents {{}}\n\
         http {{\naccess_log off;\n{temporary}{http}\n}}\n"
    )
}

/// nginx as its image runs it: a main file that includes `conf.d`.
pub(crate) fn with_conf_d(pod: &Pod, dir: &TempDir, conf_d: &Path) -> Sidecar {
    let main = main_file(dir, &format!("include {}/*.conf;", conf_d.display()));
    start(pod, &dir.put("nginx.conf", main))
}

pub(crate) fn start(pod: &Pod, main: &str) -> Sidecar {
    pod.start(&program("nginx")).args(["-c", main]).spawn()
}

/// What nginx says each time it is told.
pub(crate) const TOLD: &str = "(SIGHUP) received";

/// A whole config, prepared from a ConfigMap and checked by nginx before it is put in place.
struct Checked {
    volume: ConfigMap,
    to: String,
    port: u16,
    nginx: Sidecar,
    sidecar: Sidecar,
    _pod: Pod,
    dir: TempDir,
}

impl Checked {
    /// Serves [`BEFORE`]. The sidecar is there first, as a native one is.
    #[track_caller]
    fn start(verify: &str) -> Self {
        let (dir, port) = (TempDir::new(), free_port());
        let mut volume = ConfigMap::new(dir.join("volume"), Kubelet::New);
        volume.update(&[("nginx.conf", &main_file(&dir, &tutorial(port)))]);
        let (from, to) = (volume.path("nginx.conf"), dir.join("etc/nginx.conf").to_str().unwrap().to_owned());
        let yaml = format!(
            "prepare:\n  - {{from: {from}, to: {to}}}\ncheck:\n  - exec: {} -t -c {{file}}\n\
             tell:\n  - signal: {{name: HUP, process: nginx}}\n{}",
            program("nginx"),
            verify.replace("PORT", &port.to_string())
        );
        let pod = Pod::new();
        let sidecar = watching(pod.config_reloader().args(settings(&dir, &yaml)));
        let nginx = start(&pod, &to);
        wait_page(port, BEFORE);
        Self { volume, to, port, nginx, sidecar, _pod: pod, dir }
    }

    fn update(&mut self, http: &str) {
        self.volume.update(&[("nginx.conf", &main_file(&self.dir, http))]);
    }

    /// The last good file is back, nginx serves by it, and was told so once more and never again.
    #[track_caller]
    fn went_back(&mut self, good: &str) {
        let line = self.sidecar.wait_message("went back to the last good files and told the app again");
        assert_eq!((line.level().as_str(), line.field("files").as_str()), ("ERROR", "1"), "{}", line.raw);
        assert_eq!(fs::read_to_string(&self.to).unwrap(), main_file(&self.dir, good));
        wait_page(self.port, BEFORE);
        wait_lines(&self.nginx, TOLD, 2);
        let again = || lines_with(&self.nginx, TOLD) > 2 || said(&self.sidecar, "told") > 2;
        assert!(never(again), "{}", self.nginx.stderr());
        assert_eq!(page(self.port), (200, BEFORE.into()));
        assert_eq!(self.sidecar.metric("config_reloader_rollbacks_total"), Some(1.0));
        assert_eq!(self.sidecar.metric("config_reloader_pending"), Some(1.0));
        self.update(&answers(self.port, 200, AFTER));
        wait_page(self.port, AFTER);
        wait_reloads(&self.sidecar, 1);
        assert_eq!(self.sidecar.metric("config_reloader_pending"), Some(0.0));
    }
}

#[test]
fn the_tutorials_config_map_update_is_served_after_a_signal() {
    let (dir, port) = (TempDir::new(), free_port());
    let mut volume = ConfigMap::new(dir.join("conf.d"), Kubelet::New);
    volume.update(&[("default.conf", &tutorial(port))]);
    let pod = Pod::new();
    let nginx = with_conf_d(&pod, &dir, &dir.join("conf.d"));
    wait_page(port, BEFORE);
    let conf_d = dir.join("conf.d");
    let args = ["--watch", conf_d.to_str().unwrap(), "--signal", "HUP", "--process", "nginx"];
    let sidecar = watching(pod.config_reloader().args(args));
    assert_eq!(page(port), (200, BEFORE.into()));
    volume.update(&[("default.conf", &answers(port, 200, AFTER))]);
    wait_page(port, AFTER);
    wait_reloads(&sidecar, 1);
    wait_lines(&nginx, TOLD, 1);
    assert_eq!(said(&sidecar, "told"), 1, "{}", sidecar.stderr());
    // The tutorial's own loop would sleep now.
    for round in 2..=4 {
        let text = format!("round {round}");
        volume.update(&[("default.conf", &answers(port, 200, &text))]);
        wait_page(port, &text);
    }
}

#[test]
fn the_tutorials_inotifyd_line_is_served_by_the_dialect() {
    let (dir, port) = (TempDir::new(), free_port());
    let mut volume = ConfigMap::new(dir.join("conf.d"), Kubelet::New);
    volume.update(&[("default.conf", &tutorial(port))]);
    let pod = Pod::new();
    let nginx = with_conf_d(&pod, &dir, &dir.join("conf.d"));
    wait_page(port, BEFORE);
    let main = dir.join("nginx.conf");
    let reload = dir.put("reload", format!("#!/bin/sh\n{} -c {} -s reload\n", program("nginx"), main.display()));
    fs::set_permissions(&reload, fs::Permissions::from_mode(0o755)).unwrap();
    let conf_d = dir.join("conf.d");
    let line = ["--dialect=inotifyd", &reload, conf_d.to_str().unwrap()];
    let sidecar = pod.start(BINARY).env("SIDECAR_ADMIN_ADDR", "127.0.0.1:0").args(line).spawn();
    sidecar.wait_log(|line| line.message().starts_with("watching"));
    volume.update(&[("default.conf", &answers(port, 200, AFTER))]);
    wait_page(port, AFTER);
    assert!(lines_with(&nginx, TOLD) >= 1, "{}", nginx.stderr());
}

#[test]
fn the_recipe_copies_signals_and_sees_new_workers() {
    let (dir, port) = (TempDir::new(), free_port());
    let (source, conf_d) = (dir.join("source"), dir.join("conf.d"));
    let places = [("/etc/nginx-source", source.to_str().unwrap()), ("/etc/nginx/conf.d", conf_d.to_str().unwrap())];
    let yaml = recipe("nginx-sighup", "config-reloader.yaml", &places);
    let site = recipe("nginx-sighup", "default.conf", &[("listen 8080", &format!("listen 127.0.0.1:{port}"))]);
    let mut volume = ConfigMap::new(&source, Kubelet::New);
    volume.update(&[("default.conf", &site)]);
    let pod = Pod::new();
    let sidecar = watching(pod.config_reloader().args(settings(&dir, &yaml)));
    let nginx = with_conf_d(&pod, &dir, &conf_d);
    wait_page(port, BEFORE);
    volume.update(&[("default.conf", &site.replace(BEFORE, AFTER))]);
    wait_reloads(&sidecar, 1);
    // Not "sooner or later": by then no worker of before is left to answer.
    assert_eq!(page(port), (200, AFTER.into()));
    // The recipe has no check: nginx itself refuses this.
    volume.update(&[("default.conf", &site.replace("return", "retrun"))]);
    wait_failure(&sidecar, "verify", "workers of nginx are still the old ones: it did not take the new config");
    sidecar.wait_message("went back to the last good files and told the app again");
    wait_content(conf_d.join("default.conf").to_str().unwrap(), &site.replace(BEFORE, AFTER));
    wait_lines(&nginx, "unknown directive \"retrun\"", 1);
    assert_eq!(page(port), (200, AFTER.into()));
}

#[test]
fn a_config_that_nginx_refuses_is_not_put_in_place_and_nginxs_words_are_logged() {
    let mut checked = Checked::start("");
    let port = checked.port;
    let good = fs::read_to_string(&checked.to).unwrap();
    checked.update(&tutorial(port).replace("return", "retrun"));
    let problem = wait_failure(&checked.sidecar, "check", "unknown directive \"retrun\"");
    assert!(problem.contains(&format!("{}: ", checked.to)), "{problem}");
    let told = || lines_with(&checked.nginx, TOLD) > 0 || said(&checked.sidecar, "told") > 0;
    assert!(never(told), "{}", checked.nginx.stderr());
    assert_eq!(fs::read_to_string(&checked.to).unwrap(), good);
    assert_eq!(page(port), (200, BEFORE.into()));
    assert_eq!(checked.sidecar.metric("config_reloader_pending"), Some(1.0));
    assert!(
        checked.sidecar.metric("config_reloader_failures_total{stage=\"check\"}").is_some_and(|count| count >= 1.0)
    );
    checked.update(&answers(port, 200, AFTER));
    wait_page(port, AFTER);
    wait_reloads(&checked.sidecar, 1);
    wait_lines(&checked.nginx, TOLD, 1);
    assert_eq!(checked.sidecar.metric("config_reloader_pending"), Some(0.0));
}

#[test]
fn a_config_that_passes_the_check_and_answers_500_is_rolled_back() {
    let verify = "verify:\n  - new_workers: {process: nginx}\n  - http: {url: 'http://127.0.0.1:PORT/', method: GET, expect: 200}\nverify_within: 5s\n";
    let mut checked = Checked::start(verify);
    let port = checked.port;
    checked.update(&answers(port, 500, "Broken"));
    let problem = wait_failure(&checked.sidecar, "verify", "answered 500");
    assert!(problem.contains(&format!("GET http://127.0.0.1:{port}/")) && problem.contains("Broken"), "{problem}");
    checked.went_back(&tutorial(port));
}

#[test]
fn a_config_that_passes_the_check_and_cannot_be_bound_is_rolled_back() {
    let mut checked = Checked::start("verify:\n  - new_workers: {process: nginx}\nverify_within: 5s\n");
    let port = checked.port;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    // `nginx -t` does not mind that somebody else has the port.
    let both = tutorial(port) + &tutorial(taken.local_addr().unwrap().port());
    checked.update(&both);
    wait_failure(&checked.sidecar, "verify", "workers of nginx are still the old ones: it did not take the new config");
    checked.went_back(&tutorial(port));
    assert!(checked.nginx.stderr().contains("Address already in use"), "{}", checked.nginx.stderr());
}
