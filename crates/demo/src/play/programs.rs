//! Images that people know, and the programs of this machine that do the same.

use std::path::PathBuf;

use rustix::process::Signal;

use super::{
    image::{Image, on_this_machine},
    inside::{Bind, Who},
};

/// The app of the guides: ours, which answers on 8080, logs to LOG_DIR and speaks statsd.
const APPS: [&str; 3] = ["myapp", "legacy-app", "app"];
const APP: &str = "/usr/local/bin/app";

/// As the image of nginx has it, but that its workers are root too: there may be one user only.
const NGINX: &str = "worker_processes auto;
error_log /var/log/nginx/error.log notice;
pid /run/nginx.pid;
user root;

events {
    worker_connections 1024;
}

http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /var/log/nginx/access.log combined;
    sendfile on;
    keepalive_timeout 65;
    client_body_temp_path /tmp/nginx-client;
    proxy_temp_path /tmp/nginx-proxy;
    fastcgi_temp_path /tmp/nginx-fastcgi;
    uwsgi_temp_path /tmp/nginx-uwsgi;
    scgi_temp_path /tmp/nginx-scgi;
    include /etc/nginx/conf.d/*.conf;
}
";
const NGINX_SITE: &str = "server {
    listen 80;
    server_name localhost;
    location / {
        root /usr/share/nginx/html;
        index index.html index.htm;
    }
}
";
const NGINX_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Welcome to nginx!</title></head><body><h1>Welcome to nginx!</h1></body></html>\n";

/// None for images that nobody told us about.
pub fn known(name: &str) -> Option<Result<Image, String>> {
    Some(match name {
        // The image of it names the subcommand among the arguments.
        "demo" => app().map(|image| Image { entry: vec![APP.into()], args: vec!["app".into()], ..image }),
        _ if APPS.contains(&name) => app(),
        "busybox" => busybox(),
        "alpine" | "debian" | "ubuntu" => program("sh", &[]),
        "bash" => program("bash", &[]),
        "curl" => program("curl", &[]),
        "nginx" => nginx(),
        "nginx-unprivileged" => nginx()
            .map(|image| Image { who: Who { user: 101, group: 101, ..Who::default() }, ..image }.with_port_8080()),
        "python" => program("python3", &[]),
        "node" => program("node", &[]),
        "redis" | "valkey" => program("redis-server", &[]).map(|image| Image { dir: "/data".into(), ..image }),
        "haproxy" => program("haproxy", &["-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"])
            .map(|image| Image { stop: Signal::USR1, ..image }),
        "prometheus" => {
            let args = ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"];
            program("prometheus", &args).map(|image| Image { dir: "/prometheus".into(), ..image })
        }
        _ => return None,
    })
}

/// Where a program of this machine is.
fn find(program: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let mut dirs = std::env::split_paths(&path).chain(more);
    dirs.find_map(|dir| Some(dir.join(program)).filter(|path| path.is_file()))
        .ok_or_else(|| format!("{program} is not installed on this machine"))
}

fn program(name: &str, args: &[&str]) -> Result<Image, String> {
    let path = find(name)?;
    let mut image = on_this_machine(vec![path.display().to_string()], &path.display().to_string());
    image.args = args.iter().map(|&arg| arg.to_owned()).collect();
    Ok(image)
}

fn app() -> Result<Image, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut image = on_this_machine(vec![APP.into(), "app".into()], "the app of the demo");
    image.env_of_mounts.push(("LOG_DIR".into(), "/var/log/app".into()));
    image.binds.push(Bind { from: this, to: APP.into(), read_only: true });
    Ok(image)
}

/// Its own tools before those of the machine, where there is a busybox.
fn busybox() -> Result<Image, String> {
    let mut image = program("sh", &[])?;
    if let Ok(path) = find("busybox") {
        let listed = std::process::Command::new(&path).arg("--list").output().map_err(|error| error.to_string())?;
        let target = path.display().to_string();
        let names = String::from_utf8_lossy(&listed.stdout).into_owned();
        image.links = names.lines().map(|name| (format!("/opt/busybox/{name}"), target.clone())).collect();
        image.env[0].1 = format!("/opt/busybox:{}", image.env[0].1);
        image.is = target;
    }
    Ok(image)
}

impl Image {
    /// The one that runs as nobody in particular.
    fn with_port_8080(mut self) -> Self {
        for (_, text) in &mut self.files {
            *text = text
                .replace("listen 80;", "listen 8080;")
                .replace("/run/nginx.pid", "/tmp/nginx.pid")
                .replace("user root;\n", "");
        }
        self
    }
}

fn nginx() -> Result<Image, String> {
    let mut image = program("nginx", &["-g", "daemon off;"])?;
    image.stop = Signal::QUIT;
    image.not_root = Some(101);
    image.files = vec![
        ("/etc/nginx/nginx.conf".into(), NGINX.into()),
        ("/etc/nginx/conf.d/default.conf".into(), NGINX_SITE.into()),
        ("/usr/share/nginx/html/index.html".into(), NGINX_PAGE.into()),
    ];
    image.links = vec![
        ("/var/log/nginx/access.log".into(), "/dev/stdout".into()),
        ("/var/log/nginx/error.log".into(), "/dev/stderr".into()),
    ];
    Ok(image)
}
