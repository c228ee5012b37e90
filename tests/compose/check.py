"""Brings each compose demo up, looks at what it does, and takes it down. Called by check.sh."""

import base64
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path.cwd()
WORK = pathlib.Path(sys.argv[1])
PATIENCE = 60
problems = []


def ok(what):
    print(f"ok    {what}", flush=True)


def problem(what):
    problems.append(what)
    print(f"FAIL  {what}", flush=True)


def expect(what, good, found=""):
    ok(what) if good else problem(f"{what}: found {found!r}")


def get(url, user=None):
    """Status and body; 0 if nobody answers."""
    request = urllib.request.Request(url)
    if user:
        request.add_header("Authorization", "Basic " + base64.b64encode(user.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode().strip()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode().strip()
    except OSError:
        return 0, ""


def until(what, see, within=PATIENCE):
    """Waits until `see()` is true; the last thing it returned is in the report."""
    deadline = time.monotonic() + within
    seen = see()
    while not seen and time.monotonic() < deadline:
        time.sleep(0.2)
        seen = see()
    expect(what, seen, seen)
    return seen


class Demo:
    """A copy of a folder of manifests, so that its files can be edited."""

    def __init__(self, name):
        self.name = name
        self.folder = WORK / name
        shutil.copytree(ROOT / "manifests" / name, self.folder)

    def compose(self, *words):
        command = ["docker-compose", "--project-name", f"pillion-{self.name}", "--file", self.folder / "compose.yaml", *words]
        return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300)

    def __enter__(self):
        up = self.compose("up", "--detach")
        expect(f"{self.name}: up", up.returncode == 0, up.stderr[-2000:])
        return self

    def __exit__(self, *_):
        if problems:
            print(self.compose("logs", "--no-color").stdout[-6000:])
        down = self.compose("down", "--volumes", "--timeout", "10")
        expect(f"{self.name}: down", down.returncode == 0, down.stderr[-2000:])

    def containers(self):
        """By service: what the engine knows."""
        ids = self.compose("ps", "--quiet").stdout.split()
        found = json.loads(subprocess.run(["docker", "inspect", *ids], capture_output=True, text=True).stdout or "[]")
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in found}

    def logs(self, service):
        return self.compose("logs", "--no-color", "--no-log-prefix", service).stdout

    def order(self, event, *services):
        times = {service: one["State"][event] for service, one in self.containers().items()}
        found = sorted(services, key=lambda service: times[service])
        expect(f"{self.name}: {event} in the order {', '.join(services)}", found == list(services), found)

    def stop(self):
        """The shell of the small demos does not listen to SIGTERM: that app is killed. metrics-adapter waits for a last scrape."""
        patience = {"family": 20, "metrics-adapter": 30}.get(self.name, 12)
        self.compose("stop", "--timeout", str(patience))
        codes = {service: one["State"]["ExitCode"] for service, one in self.containers().items()}
        ours = {service: code for service, code in codes.items() if service != "app" or self.name == "family"}
        expect(f"{self.name}: all end with 0", not any(ours.values()), codes)


def memory(demo):
    """What the sidecars of a pod hold together, in MiB, without the page cache."""
    services = [service for service in demo.containers() if service not in ("app", "pod")]
    total = 0
    for service in services:
        pid = demo.containers()[service]["State"]["Pid"]
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        total += int(re.search(r"VmRSS:\s+(\d+)", status)[1])
    return services, total / 1024


def family():
    with Demo("family") as demo:
        until("family: everybody but /healthz is asked who they are", lambda: get("http://127.0.0.1:4180/")[0] == 401)
        expect("family: /healthz is the app's, for everybody", get("http://127.0.0.1:4180/healthz") == (200, "ok"))
        until("family: a user is answered by the app", lambda: get("http://127.0.0.1:4180/", "alice:example") == (200, "Hello from the app"))
        expect("family: a wrong password is not", get("http://127.0.0.1:4180/", "alice:wrong")[0] == 401)
        services, mib = memory(demo)
        print(f"      {len(services)} idle sidecars hold {mib:.1f} MiB together", flush=True)
        expect("family: all five within the 64 MiB of one", len(services) == 5 and mib < 64, mib)
        (demo.folder / "compose/app/greeting.conf").write_text("version = 2\ngreeting = Changed\n")
        until("family: an edited file is what the app says next", lambda: get("http://127.0.0.1:4180/", "alice:example") == (200, "Changed"))
        until("family: what the app sends is in /metrics", lambda: "greeting" in get("http://127.0.0.1:9102/metrics")[1])
        until("family: lines of the app's files are the log of log-shipper", lambda: "reloaded" in demo.logs("log-shipper"))
        demo.order("StartedAt", "pod", "reverse-proxy", "auth-proxy", "app")
        demo.stop()
        demo.order("FinishedAt", "app", "auth-proxy", "reverse-proxy", "pod")
        expect("family: the last line is shipped as well", "stopped" in demo.logs("log-shipper"), demo.logs("log-shipper")[-300:])


def log_shipper():
    with Demo("log-shipper") as demo:
        until("log-shipper: the app's lines, as they are", lambda: re.search(r"\d INFO Application is running", demo.logs("log-shipper")))
        demo.order("StartedAt", "pod", "log-shipper", "app")
        demo.stop()


def metrics_adapter():
    with Demo("metrics-adapter") as demo:
        wanted = re.compile(r'^app_requests\{route="home"\} \d', re.M)
        until("metrics-adapter: tags are labels", lambda: wanted.search(get("http://127.0.0.1:9102/metrics")[1]))
        demo.stop()


def reverse_proxy():
    with Demo("reverse-proxy") as demo:
        until("reverse-proxy: the app behind it", lambda: get("http://127.0.0.1:8000/passwd")[0] in (200, 404))
        demo.order("StartedAt", "pod", "reverse-proxy", "app")
        demo.stop()


def auth_proxy():
    with Demo("auth-proxy") as demo:
        until("auth-proxy: everybody is asked who they are", lambda: get("http://127.0.0.1:4180/passwd")[0] == 401)
        until("auth-proxy: a user is answered by the app", lambda: get("http://127.0.0.1:4180/passwd", "alice:example")[0] in (200, 404))
        demo.order("StartedAt", "pod", "auth-proxy", "app")
        demo.stop()


for demo in (family, log_shipper, metrics_adapter, reverse_proxy, auth_proxy):
    demo()
print(f"compose: {len(problems)} failed")
sys.exit(1 if problems else 0)
