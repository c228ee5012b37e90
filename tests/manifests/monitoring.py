"""Checks manifests/*/monitoring, alert rules, dashboards and PodMonitors, and the overlays of docs/operate.md. Called by check.sh.

Rules are checked and tried by promtool. Every query, of alerts and of dashboards, may ask only for what the binary of that
sidecar really exposes: each is started, given something to do, and asked.
"""

import contextlib
import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import yaml

ROOT = pathlib.Path.cwd()
BINARIES = pathlib.Path(sys.argv[1]).resolve()
KUSTOMIZE = pathlib.Path(sys.argv[2]).resolve()
PATIENCE = 30
# Exposed by others: kube-state-metrics, as its documentation lists them.
OTHERS = {
    f"kube_pod_{kind}_{what}"
    for kind in ("container", "init_container")
    for what in ("status_restarts_total", "status_last_terminated_reason", "resource_limits")
}
WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}
LISTS = r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"

problems = []
done = 0


def ok(what):
    global done
    done += 1
    print(f"ok    {what}")


def problem(what, words=""):
    problems.append(what)
    print(f"FAIL  {what}\n{words}".rstrip())


def run(what, command, cwd=None):
    result = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    if result.returncode:
        problem(f"{what}: exit {result.returncode}", result.stdout)
    else:
        ok(what)


def names_in(query):
    """The metrics that a query asks for: words that are no label, function, keyword or duration."""
    query = re.sub(r'"(\\.|[^"\\])*"', "", query)
    query = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", query)
    query = re.sub(LISTS, " ", query)
    words = re.findall(r"(?<![\w.$])([a-zA-Z_:][\w:]*)(\s*\()?", query)
    return {word for word, call in words if not call and word.lower() not in WORDS | {"by", "on"}}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def get(url, headers=None):
    """The body, whatever the status is; nothing where nobody answers."""
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError:
        return ""


class App(http.server.BaseHTTPRequestHandler):
    """The app, and whoever is sent something: answers with the status that is the path."""

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        status = re.search(r"\d+", self.path)
        self.send_response(int(status[0]) if status else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def app():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), App)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


def config_reloader(directory, app):
    watched = directory / "watched"
    watched.write_text("1")
    changes = iter(range(10_000))
    config = {"watch": [str(watched)], "settle": "10ms", "tell": [{"http": f"http://{app}/200"}]}
    return config, lambda: watched.write_text(f"{next(changes)}")


def log_shipper(directory, app):
    log = directory / "app.log"
    log.write_text("a line\n")
    outputs = [{"name": "refuses", "http": {"url": f"http://{app}/400"}}, {"name": "away", "http": {"url": "http://127.0.0.1:1/"}},
               {"name": "takes", "http": {"url": f"http://{app}/200"}}]
    config = {"state_file": str(directory / "positions"), "inputs": [{"paths": [str(log)]}], "outputs": outputs}

    def act():
        with log.open("a") as file:
            file.write("another line\n")

    return config, act


def metrics_adapter(directory, app):
    port = free_port()
    config = {"listen": [f"udp://127.0.0.1:{port}"], "relay": ["127.0.0.1:1"]}

    def act():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"hits:1|c\nno line\nhits:1|g\nqueue:1|g|#a\ntime:1|ms", ("127.0.0.1", port))

    return config, act


def reverse_proxy(directory, app):
    port = free_port()
    config = {"listeners": [{"listen": f"127.0.0.1:{port}", "routes": [{"prefix": "/dead", "to": "127.0.0.1:1"}, {"to": app}]}]}
    return config, lambda: [get(f"http://127.0.0.1:{port}{path}") for path in ("/200", "/500", "/dead")]


def auth_proxy(directory, app):
    port = free_port()
    secret, users = directory / "secret", directory / "users"
    secret.write_text("0123456789abcdef0123456789abcdef")
    users.write_text("ada:$2a$04$RJVpoZ/HTdQ5f2Mte/wNNeplN8Ym6ekoxuztBlCIDJTbyMp9iIj/i\n")
    config = {
        "listen": f"127.0.0.1:{port}",
        "cookie": {"secret_files": [str(secret)], "insecure": True},
        "providers": [{"issuer": f"http://{app}", "client_id": "app", "client_secret_file": str(secret)}],
        "allow": {"domains": ["*"]},
        "passwords": {"file": str(users)},
        "upstreams": [{"path": "/", "to": f"http://{app}"}],
    }

    def act():
        get(f"http://127.0.0.1:{port}/", {"Authorization": "Basic YWRhOnNlY3JldA=="})
        get(f"http://127.0.0.1:{port}/", {"Authorization": "Basic YWRhOndyb25n"})
        get(f"http://127.0.0.1:{port}/oauth2/callback?code=x&state=y")

    return config, act


SCENES = {
    "auth-proxy": auth_proxy,
    "config-reloader": config_reloader,
    "log-shipper": log_shipper,
    "metrics-adapter": metrics_adapter,
    "reverse-proxy": reverse_proxy,
}


def exposed(name, wanted):
    """What the binary exposes while it has something to do, once all that is wanted is there or the patience is over."""
    with tempfile.TemporaryDirectory() as scratch, app() as address:
        scratch = pathlib.Path(scratch)
        config, act = SCENES[name](scratch, address)
        file = scratch / f"{name}.yaml"
        file.write_text(yaml.safe_dump(config))
        admin = free_port()
        with (scratch / "log").open("w") as log:
            command = [BINARIES / name, f"--config={file}", f"--admin-addr=127.0.0.1:{admin}"]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, env={"PATH": os.environ["PATH"]})
        names, end = set(), time.monotonic() + PATIENCE
        try:
            while not wanted <= names and time.monotonic() < end and process.poll() is None:
                act()
                time.sleep(0.1)
                names |= set(re.findall(r"^([a-zA-Z_:][\w:]*)", get(f"http://127.0.0.1:{admin}/metrics"), re.M))
        finally:
            process.terminate()
            process.wait(timeout=40)
        return names, (scratch / "log").read_text()[-3000:]


def check_names(name, queries):
    wanted = set().union(*(names_in(query) for query in queries)) - OTHERS
    foreign = {word for word in wanted if not word.startswith((name.replace("-", "_") + "_", "process_"))}
    if foreign:
        return problem(f"{name}: asks for what is not its own: {sorted(foreign)}")
    names, log = exposed(name, wanted)
    missing = sorted(wanted - names)
    what = f"{name}: {len(queries)} queries ask for {len(wanted)} metrics, and the binary exposes them"
    return problem(f"{name}: no such metric: {missing}", log) if missing else ok(what)


def check_alerts(name, folder):
    run(f"{name}: promtool check rules", ["promtool", "check", "rules", "alerts.yaml"], folder)
    run(f"{name}: promtool test rules", ["promtool", "test", "rules", "alerts.test.yaml"], folder)
    rules = [rule for group in yaml.safe_load((folder / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]
    cases = [case for test in yaml.safe_load((folder / "alerts.test.yaml").read_text())["tests"] for case in test["alert_rule_test"]]
    for what, wanted in (("fire", True), ("be silent", False)):
        seen = {case["alertname"] for case in cases if bool(case["exp_alerts"]) == wanted}
        never = sorted({rule["alert"] for rule in rules} - seen)
        (problem if never else ok)(f"{name}: every alert is seen to {what} {never or ''}".rstrip())
    return rules


def check_dashboard(path):
    """Its queries, as Prometheus is asked: variables of Grafana are filled in."""
    board = json.loads(path.read_text())
    where = path.relative_to(ROOT)
    panels = board["panels"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    ids = [panel["id"] for panel in panels]
    if len(set(places)) < len(panels) or len(set(ids)) < len(panels) or not all(panel["title"] for panel in panels):
        problem(f"{where}: panels need a title, an id and a place of their own")
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    filled = [query.replace("$__rate_interval", "5m").replace("$namespace", ".*").replace("$pod", ".*") for query in queries]
    rules = {"groups": [{"name": "g", "rules": [{"record": f"r:{nth}", "expr": query} for nth, query in enumerate(filled)]}]}
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(yaml.safe_dump(rules))
        file.flush()
        run(f"{where}: {len(queries)} queries, promtool check rules", ["promtool", "check", "rules", file.name])
    variables = [one["query"]["query"] for one in board["templating"]["list"] if one["type"] == "query"]
    return queries + [re.sub(r"label_values\((.*), \w+\)", r"\1", query) for query in variables]


def check_podmonitor(path):
    """It has to find the pod that the sidecar's own manifest makes, and a port that it has."""
    monitor = yaml.safe_load(path.read_text())
    where = path.relative_to(ROOT)
    documents = [one for one in yaml.safe_load_all((path.parent.parent / "native.yaml").read_text()) if one]
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    for document in documents:
        found = document["metadata"] if document["kind"] == "Pod" else (document.get("spec") or {}).get("template", {}).get("metadata", {})
        spec = document["spec"] if document["kind"] == "Pod" else (document.get("spec") or {}).get("template", {}).get("spec")
        if spec and wanted <= found.get("labels", {}).items():
            ports = {port["name"]: port["containerPort"] for one in [*spec.get("initContainers", []), *spec["containers"]] for port in one.get("ports", [])}
            port = ports.get(monitor["spec"]["podMetricsEndpoints"][0]["port"])
            annotations = found.get("annotations", {})
            same = annotations.get("prometheus.io/scrape") == "true" and annotations.get("prometheus.io/port") == str(port)
            return ok(f"{where}: finds the pod of native.yaml, and the port that its annotations name") if same else problem(f"{where}: {port} and {annotations}")
    return problem(f"{where}: selects no pod of native.yaml")


APP_WITH_SERVICE = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 5
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: app, image: "ghcr.io/example/app:1.2.0"}]}
"""


def check_overlays():
    """What docs/operate.md says about digests and canaries, built by kustomize."""
    page = (ROOT / "docs/operate.md").read_text()
    made = {}
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        shutil.copytree(ROOT / "manifests", scratch / "pillion/manifests")
        for name, text in re.findall(r"^```yaml\n# (\w+)/kustomization.yaml\n(.*?)^```", page, re.M | re.S):
            (scratch / name).mkdir()
            (scratch / name / "kustomization.yaml").write_text(text)
            (scratch / name / "app.yaml").write_text(APP_WITH_SERVICE)
            built = subprocess.run([KUSTOMIZE, "build", scratch / name], capture_output=True, text=True)
            if built.returncode:
                return problem(f"docs/operate.md: {name}", built.stderr)
            made[name] = next(one for one in yaml.safe_load_all(built.stdout) if one["kind"] == "Deployment")
    base, canary = made["base"], made["canary"]
    image = lambda one: one["spec"]["template"]["spec"]["initContainers"][0]["image"]
    selects = lambda one: one["spec"]["selector"]["matchLabels"]
    are = (image(base).startswith("pillion/log-shipper@sha256:aaa"), image(canary).startswith("pillion/log-shipper@sha256:bbb"),
           canary["metadata"]["name"] == "shop-canary", canary["spec"]["replicas"] == 1, base["spec"]["replicas"] == 5,
           selects(base) == {"app": "shop", "track": "stable"}, selects(canary) == {"app": "shop", "track": "canary"})
    (ok if all(are) else problem)(f"docs/operate.md: pinned by digest, and a canary beside it {'' if all(are) else are}".rstrip())


def check_the_checks():
    """A check that cannot fail is none."""
    query = 'sum by (pod) (rate(a_total{b="c_total"}[5m])) / on (d) group_left (e) f > 0.9 and histogram_quantile(0.5, g_bucket) or h offset 5m'
    found = names_in(query)
    (ok if found == {"a_total", "f", "g_bucket", "h"} else problem)(f"names in a query are found: {sorted(found)}")


def main():
    check_the_checks()
    check_overlays()
    if not shutil.which("promtool"):
        problem("promtool is not there: .ci/install-servers installs it")
    for name in sorted(SCENES):
        folder = ROOT / "manifests" / name / "monitoring"
        rules = check_alerts(name, folder)
        queries = [rule["expr"] for rule in rules] + check_dashboard(folder / "dashboard.json")
        check_names(name, queries)
        check_podmonitor(folder / "podmonitor.yaml")
    print(f"\n{done} passed, {len(problems)} failed")
    for what in problems:
        print(f"  FAIL  {what}")
    sys.exit(1 if problems else 0)


main()
