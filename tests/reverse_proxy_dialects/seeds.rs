//! The users' own ConfigMaps, word for word at their paths and ports, in a pod made of namespaces.

use std::process::Command;

use crate::BINARY;

/// Runs a script where / has their files, and ports are free. In it `$0` is the binary.
fn in_a_pod(script: &str, files: &[(&str, &str)]) -> String {
    let dir = test_kit::TempDir::new();
    let mut prepare = String::from(
        "set -e\nip link set lo up\nmount -t tmpfs none /etc/nginx 2>/dev/null || mount -t tmpfs none /mnt\n",
    );
    for name in ["envoy", "nginx"] {
        std::os::unix::fs::symlink(BINARY, dir.join(name)).unwrap();
    }
    for (index, (path, text)) in files.iter().enumerate() {
        let from = dir.put(&format!("file-{index}"), text);
        prepare.push_str(&format!("mkdir -p \"$(dirname {path})\"\ncp {from} {path}\n"));
    }
    let script = format!("{prepare}export PATH={}:$PATH SIDECAR_DRAIN_DELAY=0s\n{script}", dir.display());
    // A root of its own for /etc, so that nothing outside is touched.
    let overlay = "mkdir -p /tmp/.up && mount -t tmpfs none /tmp/.up && mkdir /tmp/.up/u /tmp/.up/w && \
                   mount -t overlay overlay -o lowerdir=/etc,upperdir=/tmp/.up/u,workdir=/tmp/.up/w /etc && exec sh -c \"$1\" \"$0\"";
    let mut command = Command::new("unshare");
    command.args([
        "--user",
        "--map-root-user",
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "sh",
        "-c",
        overlay,
        BINARY,
    ]);
    let output = command.arg(&script).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// The app of the pods: says who it is, and on /health that it is well.
const APP: &str = "listeners: [{listen: '127.0.0.1:8080', routes: [
  {path: /health, respond: {status: 200, body: well}},
  {respond: {status: 200, body: 'Hello from main application container, ${authority} ${header:x-real-ip}'}}]}]\n";

const START: &str = "$0 --admin-addr off --probe-addr off --config /etc/app.yaml 2>/dev/null & \
    $0 wait tcp://127.0.0.1:8080 2>/dev/null\n";

#[test]
fn the_nginx_sidecar_works_unchanged() {
    let conf = "server {\nlisten 80;\nlocation / {\nproxy_pass http://localhost:8080;\n}\n}";
    let script = format!(
        "{START}nginx -g 'daemon off;' 2>/tmp/.up/log & \n$0 wait tcp://127.0.0.1:80 2>/dev/null
$0 get http://127.0.0.1:80/\necho\n$0 netstat -tulnp | grep -c '0.0.0.0:80 .*LISTEN'\nnginx -t 2>&1"
    );
    let said = in_a_pod(&script, &[("/etc/nginx/conf.d/default.conf", conf), ("/etc/app.yaml", APP)]);
    assert!(said.contains("Hello from main application container, localhost:8080"), "{said}");
    assert!(said.contains("\n1\n"), "{said}");
    assert!(said.contains("nginx: configuration file /etc/nginx/nginx.conf test is successful"), "{said}");
}

#[test]
fn the_ambassador_works_unchanged() {
    let conf = "server {
    listen 80;

    # Add authentication
    auth_basic \"Restricted\";
    auth_basic_user_file /etc/nginx/.htpasswd;

    # Proxy to main app
    location / {
        proxy_pass http://localhost:8080;
        proxy_set_header Host $host;
        proxy_set_header X-Real-IP $remote_addr;
    }

    # Health check bypasses auth
    location /health {
        auth_basic off;
        proxy_pass http://localhost:8080/health;
    }
}
";
    let script = format!(
        "{START}nginx -g 'daemon off;' 2>/tmp/.up/log & \n$0 wait tcp://127.0.0.1:80 2>/dev/null
$0 get http://127.0.0.1/health\necho\n$0 get http://127.0.0.1/ 2>&1 || true
printf 'u:{{SHA}}PDUC6jG3V40qqE4XqHRFLkyoMVM=\\n' > /etc/nginx/.htpasswd\nnginx -s reload\n
for i in 1 2 3 4 5 6 7 8 9 10; do $0 get http://127.0.0.1/ -H 'Authorization: Basic dTpzZWNyZXQgd29yZA==' 2>/dev/null && break; $0 get http://127.0.0.1:9/ --timeout 200ms 2>/dev/null || true; done
$0 get http://127.0.0.1/ 2>&1 || true\ncat /tmp/.up/log"
    );
    let said = in_a_pod(&script, &[("/etc/nginx/conf.d/default.conf", conf), ("/etc/app.yaml", APP)]);
    assert!(said.starts_with("well\n"), "{said}");
    assert!(said.contains("answered 403"), "without .htpasswd nobody comes in: {said}");
    assert!(said.contains("/etc/nginx/.htpasswd: no such file or directory"), "and the log says why: {said}");
    assert!(said.contains("Hello from main application container, 127.0.0.1 127.0.0.1"), "{said}");
    assert!(said.contains("answered 401"), "{said}");
}

#[test]
fn the_envoy_sidecar_works_unchanged() {
    let conf = r#"static_resources:
  listeners:
    - name: listener_0
      address:
        socket_address:
          address: 0.0.0.0
          port_value: 80
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: ingress_http
                route_config:
                  name: local_route
                  virtual_hosts:
                    - name: local_service
                      domains: ["*"]
                      routes:
                        - match:
                            prefix: "/"
                          route:
                            cluster: local_app
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
    - name: local_app
      type: STATIC
      lb_policy: ROUND_ROBIN
      load_assignment:
        cluster_name: local_app
        endpoints:
          - lb_endpoints:
              - endpoint:
                  address:
                    socket_address:
                      address: 127.0.0.1
                      port_value: 8080
admin:
  address:
    socket_address:
      address: 0.0.0.0
      port_value: 9901
"#;
    let script = format!(
        "{START}envoy -c /etc/envoy/envoy.yaml 2>/tmp/.up/log & \n$0 wait http://127.0.0.1:9901/ready 2>/dev/null
$0 get http://127.0.0.1:80/\necho\n$0 get http://127.0.0.1:9901/clusters"
    );
    let said = in_a_pod(&script, &[("/etc/envoy/envoy.yaml", conf), ("/etc/app.yaml", APP)]);
    assert!(said.contains("Hello from main application container, 127.0.0.1"), "{said}");
    assert!(said.contains("local_app::127.0.0.1:8080::health_flags::healthy"), "{said}");
}

/// The ConfigMap of a manifest, as the pod gets it.
fn config_map(manifest: &str) -> String {
    let lines = manifest.lines().skip_while(|line| *line != "  envoy.yaml: |").skip(1);
    lines.map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect()
}

#[test]
fn the_egress_proxy_works_with_its_config_map() {
    let conf = config_map(include_str!("../../manifests/seeds/004-pattern-2-egress.yaml"));
    let authority = test_kit::Authority::new("the world's CA");
    let pair = authority.server(&["api.example.com"]);
    let world = "listeners: [{listen: '127.0.0.1:443', tls: {cert_file: /etc/world.crt, key_file: /etc/world.key},
        routes: [{respond: {status: 200, body: 'from the world, ${target}'}}]}]\n";
    let script = "$0 --admin-addr off --probe-addr off --config /etc/world.yaml 2>/dev/null & $0 wait tcp://127.0.0.1:443 2>/dev/null
envoy -c /etc/envoy/envoy.yaml 2>/tmp/.up/log & \n$0 wait tcp://127.0.0.1:3128 2>/dev/null
export HTTP_PROXY=http://localhost:3128 http_proxy=http://localhost:3128 https_proxy=http://localhost:3128 no_proxy=
ask() { curl -s --max-time 20 -w ' %{http_code} %{http_connect}\n' \"$@\" || true; }
ask http://api.example.com/plain
ask https://api.example.com/tunnel --cacert /etc/ssl/certs/ca-certificates.crt
ask http://stranger.example.com/
ask https://stranger.example.com/
ask https://api.example.com:8443/
ask http://169.254.169.254/latest/meta-data/
ask http://api.example.com:22/";
    let said = in_a_pod(
        script,
        &[
            ("/etc/envoy/envoy.yaml", &conf),
            ("/etc/hosts", "127.0.0.1 localhost api.example.com\n"),
            ("/etc/nsswitch.conf", "hosts: files\n"),
            ("/etc/world.yaml", world),
            ("/etc/world.crt", &pair.certificate),
            ("/etc/world.key", &pair.key),
            ("/etc/ssl/certs/ca-certificates.crt", &authority.pem()),
        ],
    );
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..2], ["from the world, /plain 200 000", "from the world, /tunnel 200 200"], "{said}");
    let refused: Vec<&str> = lines[2..].iter().copied().filter(|line| line.contains("403")).collect();
    assert_eq!(refused.len(), 5, "{said}");
}
