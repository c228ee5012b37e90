"""Checks manifests/, images/Dockerfile* and the examples in docs/. Called by check.sh, which installs what is needed.

What a schema cannot know is asked of the binaries: every container of ours is started with its own arguments, its
ConfigMaps laid out where it mounts them, and told to check its configuration.
"""

import base64
import gzip
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

ROOT = pathlib.Path.cwd()
BINARIES = pathlib.Path(sys.argv[1]).resolve()
KUSTOMIZE = pathlib.Path(sys.argv[2]).resolve()
TOOLS = pathlib.Path(sys.executable).parent
SCHEMA = "1.37"
PREFIX = "pillion/"
# By the name of the sidecar: where it is probed, and the most CPU it is given where that is not 50m.
RECIPES = [file for file in sorted((ROOT / "images").glob("*.toml")) if (ROOT / "manifests" / file.stem).is_dir()]
PORTS = {file.stem: int(re.search(r'"(\d+)/tcp"', file.read_text())[1]) for file in RECIPES}
CPUS = {"log-shipper": "100m", "reverse-proxy": "200m", "auth-proxy": "200m"}
YAMLLINT = "{extends: relaxed, rules: {line-length: {max: 140, level: error}, document-start: disable}}"

# Made to be what others run already, with `image:` changed: these keep whatever hardening they came with.
AS_FOUND = {
    "prometheus.yaml",
    "configmap-reload.yaml",
    *(path.name for path in (ROOT / "manifests/seeds").glob("*.yaml")),
}

# Folders of manifests/ that have no pods in them.
WITHOUT_PODS = {"inject"}

APP = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
spec:
  selector:
    matchLabels: {app: app}
  template:
    metadata:
      labels: {app: app}
    spec:
      containers:
        - name: app
          image: ghcr.io/example/app:1.2.0
          securityContext: {runAsNonRoot: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}
---
apiVersion: v1
kind: Secret
metadata: {name: auth-proxy}
stringData: {cookie-secret: cGlsbGlvbjogYW4gZXhhbXBsZSwgcmVwbGFjZSBtZSE=, users: ""}
"""

problems = []
done = 0
quiet = False


def ok(what):
    global done
    done += 1
    print(f"ok    {what}")


def problem(what, words=""):
    problems.append(what)
    if not quiet:
        print(f"FAIL  {what}\n{words}".rstrip())


def run(what, command, env=None, accept=(0,)):
    """Runs a command and says how it went."""
    result = subprocess.run(
        [str(word) for word in command],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    if result.returncode in accept:
        ok(what)
    else:
        problem(f"{what}: exit {result.returncode}", result.stdout)


def name_of(image):
    return image.removeprefix(PREFIX).split(":")[0]


def is_compose(path):
    return path.name == "compose.yaml"


def is_kubernetes(path):
    return not is_compose(path) and path.name != "kustomization.yaml" and not {"component", "compose"} & set(path.parts)


def pod_of(document):
    spec = document.get("spec") or {}
    if document.get("kind") == "Pod":
        return spec
    if document.get("kind") == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return (spec.get("template") or {}).get("spec")


def files_of(document):
    """The files that a ConfigMap or Secret becomes."""
    files = {key: text.encode() for key, text in (document.get("stringData") or {}).items()}
    if document["kind"] == "ConfigMap":
        files |= {key: text.encode() for key, text in (document.get("data") or {}).items()}
        files |= {key: base64.b64decode(text) for key, text in (document.get("binaryData") or {}).items()}
    else:
        files |= {key: base64.b64decode(text) for key, text in (document.get("data") or {}).items()}
    for key, content in files.items():
        if key.endswith(".gz"):
            gzip.decompress(content)  # raises if it is not what its name says
    return files


CERTIFICATE = {}


def certificate():
    """What a Secret of kind kubernetes.io/tls has in it: made here, because none is kept in a repository."""
    if not CERTIFICATE:
        with tempfile.TemporaryDirectory() as scratch:
            key, crt = pathlib.Path(scratch, "tls.key"), pathlib.Path(scratch, "tls.crt")
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
                 "-subj", "/CN=app", "-addext", "subjectAltName=DNS:app", "-keyout", key, "-out", crt],
                check=True, stderr=subprocess.DEVNULL,
            )
            CERTIFICATE.update({"tls.key": key.read_bytes(), "tls.crt": crt.read_bytes(), "ca.crt": crt.read_bytes()})
    return CERTIFICATE


def lay_out(pod, container, sources, scratch):
    """Makes the container's mounts below scratch, and returns where each one is."""
    places = {}
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    for mount in container.get("volumeMounts", []):
        place = scratch / mount["mountPath"].strip("/").replace("/", "_")
        place.mkdir(parents=True, exist_ok=True)
        volume = volumes.get(mount["name"])
        if volume is None:
            problem(f"{container['name']}: mounts {mount['name']}, which is not a volume of the pod")
            continue
        wanted = (
            ("ConfigMap", volume["configMap"]["name"]) if "configMap" in volume
            else ("Secret", volume["secret"]["secretName"]) if "secret" in volume
            else None
        )
        files = sources.get(wanted, certificate() if "secret" in volume else {})
        if "subPath" in mount:
            place = place / mount["subPath"]
            place.write_bytes(files[mount["subPath"]])
        else:
            for name, content in files.items():
                (place / name).write_bytes(content)
        places[mount["mountPath"]] = str(place)
    return places


def moved(text, places):
    for path in sorted(places, key=len, reverse=True):
        text = text.replace(path, places[path])
    return text


def check_file(what, binary, text):
    """A config file of a page or an example, with the files that it names."""
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        for name, content in (*certificate().items(), ("other.crt", certificate()["tls.crt"]), ("other.key", certificate()["tls.key"]),
                              ("clients-ca.crt", certificate()["ca.crt"]), ("ca.pem", certificate()["ca.crt"])):
            (scratch / name).write_bytes(content)
        config = scratch / "config.yaml"
        for place in ("/etc/tls/", "/etc/secrets/", "/tls/"):
            text = text.replace(place, f"{scratch}/")
        config.write_text(text)
        run(what, [binary, f"--config={config}", "--check-config"])


def peers_test(name, container, places, scratch):
    """Where a mounted file decides whose place is taken: that peer's own way to test it."""
    if name != "reverse-proxy" or container.get("command") or container.get("args"):
        return None
    if "/etc/nginx/conf.d" in places:
        main = scratch / "nginx.conf"
        main.write_text(f"http {{ include {places['/etc/nginx/conf.d']}/*.conf; }}\n")
        return ["nginx", "-t", "-c", str(main)]
    if "/etc/envoy" in places:
        return ["envoy", "--mode", "validate", "-c", f"{places['/etc/envoy']}/envoy.yaml"]
    return None


def check_ours(where, container, pod, sources):
    """Asks the binary itself about a container of ours."""
    name = name_of(container["image"])
    if name == "demo":
        return  # the app of the examples
    command = container.get("command") or [name]
    entry = pathlib.PurePath(command[0]).name
    binary = BINARIES / name
    what = f"{where}: {container['name']}: {' '.join([*command, *container.get('args', [])])}"
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        places = lay_out(pod, container, sources, scratch)
        for place in places.values():
            for file in (*pathlib.Path(place).glob(f"{name}.yaml"), *pathlib.Path(place).glob("*.conf"), *pathlib.Path(place).glob("envoy.yaml")):
                file.write_text(moved(file.read_text(), places))
        said = peers_test(name, container, places, scratch)
        command, entry = (said, said[0]) if said else (command, entry)
        program = scratch / "bin" / entry  # under the name that the manifest calls it by: that is what chooses the dialect
        program.parent.mkdir()
        program.symlink_to(binary)
        args = [moved(word, places) for word in [*command[1:], *container.get("args", [])]]
        env = {"PATH": os.environ["PATH"], "SIDECAR_CHECK_CONFIG": "true"}
        for variable in container.get("env", []):
            env[variable["name"]] = variable.get("value", "app-0")
        match args[:1]:
            case ["pause"]:
                (ok if len(args) == 1 else problem)(what)
            case ["wait"]:
                # Nothing is there to wait for: 69 says that it was understood.
                quick = [re.sub(r"^--timeout=.*", "--timeout=1ms", word) for word in args]
                run(what, [program, *quick], env, accept=(69,))
            case _:
                run(what, [program, *args], env)


def check_restricted(where, pod):
    """What the Pod Security Standard `restricted` wants, and what we add to it."""
    wrong = []
    general = pod.get("securityContext") or {}
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        own = container.get("securityContext") or {}
        merged = general | own
        found = {
            "runAsNonRoot: true": merged.get("runAsNonRoot") is True,
            "seccompProfile": (merged.get("seccompProfile") or {}).get("type") == "RuntimeDefault",
            "allowPrivilegeEscalation: false": own.get("allowPrivilegeEscalation") is False,
            "capabilities: {drop: [ALL]}": (own.get("capabilities") or {}).get("drop") == ["ALL"],
            "no added capabilities": not (own.get("capabilities") or {}).get("add"),
            "not root": merged.get("runAsUser") != 0,
        }
        if container["image"].startswith(PREFIX) and name_of(container["image"]) in PORTS:
            name = name_of(container["image"])
            resources = container.get("resources") or {}
            cpu, port = CPUS.get(name, "50m"), PORTS[name]
            found |= {
                "readOnlyRootFilesystem: true": own.get("readOnlyRootFilesystem") is True,
                "requests 32Mi, 25m": resources.get("requests") == {"memory": "32Mi", "cpu": "25m"},
                f"limits 64Mi, {cpu}": resources.get("limits") == {"memory": "64Mi", "cpu": cpu},
                "terminationMessagePolicy": container.get("terminationMessagePolicy") == "FallbackToLogsOnError",
            }
            if container.get("restartPolicy") == "Always":
                probe = (container.get("startupProbe") or {}).get("httpGet") or {}
                found[f"startupProbe /readyz on {port}"] = (probe.get("path"), probe.get("port")) == ("/readyz", port)
        wrong += [f"  {container['name']}: expected {what}" for what, there in found.items() if not there]
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key):
            wrong.append(f"  {key}: true")
    if wrong:
        problem(f"{where}: not hardened", "\n".join(wrong))
    else:
        ok(f"{where}: passes `restricted`, resources and probes as promised")


def check_kubernetes(path):
    where = path.relative_to(ROOT)
    run(f"{where}: schema of Kubernetes {SCHEMA}", [TOOLS / "kubernetes-validate", "--strict", "--quiet", "-k", SCHEMA, path])
    documents = [document for document in yaml.safe_load_all(path.read_text()) if document]
    sources = {
        (document["kind"], document["metadata"]["name"]): files_of(document)
        for document in documents
        if document["kind"] in ("ConfigMap", "Secret")
    }
    ours = 0
    for pod in filter(None, map(pod_of, documents)):
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            if container["image"].startswith(PREFIX):
                ours += 1
                check_ours(where, container, pod, sources)
        if path.name not in AS_FOUND:
            check_restricted(where, pod)
    if not ours and path.parent.name not in WITHOUT_PODS:
        problem(f"{where}: no container of ours in it")


def check_text(where, text):
    """Manifests that a program has written."""
    with tempfile.TemporaryDirectory(dir=ROOT / "target") as scratch:
        path = pathlib.Path(scratch, f"{where}.yaml".replace("/", "-").replace(" ", "-"))
        path.write_text(text)
        check_kubernetes(path)
        return yaml.safe_load_all(text)


def check_additions():
    """What `inject` and the kustomize components make of an app: both the same, and both good."""
    with tempfile.TemporaryDirectory() as scratch:
        app = pathlib.Path(scratch, "app.yaml")
        app.write_text(APP)
        for name in PORTS:
            for form in ([], ["--plain"]):
                what = " ".join(["inject", name, *form])
                made = subprocess.run([BINARIES / "inject", "--with-config", f"--sidecars={name}", *form, app], capture_output=True, text=True)
                if made.returncode:
                    problem(what, made.stderr)
                else:
                    check_text(what, made.stdout)
        shutil.copytree(ROOT / "manifests", pathlib.Path(scratch, "manifests"))
        for name in PORTS:
            pathlib.Path(scratch, "kustomization.yaml").write_text(f"resources: [app.yaml]\ncomponents: [manifests/{name}/component]\n")
            made = subprocess.run([KUSTOMIZE, "build", scratch], capture_output=True, text=True)
            if made.returncode:
                problem(f"kustomize {name}", made.stderr)
            else:
                check_text(f"kustomize {name}", made.stdout)


def check_compose(path):
    where = path.relative_to(ROOT)
    document = yaml.safe_load(path.read_text())
    services = document["services"]
    if shutil.which("docker-compose"):
        run(f"{where}: docker-compose config", ["docker-compose", "-f", path, "config", "--quiet"])
    else:
        known = re.compile(r"service:(.+)")
        named = [known.match(str(service.get(key, ""))) for service in services.values() for key in ("network_mode", "pid")]
        named = [match[1] for match in named if match] + [name for service in services.values() for name in service.get("depends_on", [])]
        missing = sorted(set(named) - set(services))
        (problem if missing else ok)(f"{where}: every service that is named exists {missing or ''}")
    for name, service in services.items():
        if not service["image"].startswith(PREFIX):
            continue
        mounts = [volume.split(":") for volume in service.get("volumes", [])]
        for source, *_ in mounts:
            if source not in document.get("volumes", {}) and not (path.parent / source).exists():
                problem(f"{where}: {name}: {source} does not exist")
        container = {
            "name": name,
            "image": service["image"],
            "args": service.get("command", []),
            "env": [{"name": key, "value": str(value)} for key, value in (service.get("environment") or {}).items()],
            "volumeMounts": [{"name": mount[1], "mountPath": mount[1]} for mount in mounts],
        }
        # A directory of this one is as good as a ConfigMap.
        own = {source: path.parent / source for source, *_ in mounts if (path.parent / source).is_dir()}
        sources = {("ConfigMap", source): {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()} for source, folder in own.items()}
        volumes = [{"name": at} | ({"configMap": {"name": source}} if source in own else {}) for source, at, *_ in mounts]
        check_ours(where, container, {"volumes": volumes}, sources)


def check_page(path):
    """Examples on a page for people are promises too: whole config files, and command lines."""
    where = path.relative_to(ROOT)
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```", path.read_text(), re.M | re.S):
        title = block.splitlines()[0].lstrip("# ")
        name = next((name for name in PORTS if title.startswith(f"{name}.yaml")), None)
        if language == "yaml" and title == "outputs:":
            # One receiver on the page about receivers.
            name, block = "log-shipper", f"inputs: [{{paths: [/var/log/app]}}]\n{block}"
            title = f"{title} {block.splitlines()[2].strip()}"
        if language == "yaml" and name:
            check_file(f"{where}: {title}", BINARIES / name, block)
        if language == "sh":
            joined = block.replace("\\\n", " ")
            for line in joined.splitlines():
                if re.match(rf"({'|'.join(PORTS)})( --(?!help|version)| *$| *#)", line):
                    words = line.split("#")[0]
                    if re.search(r"--(config|mapping)[ =]\S+\.yaml", words):
                        continue  # the file is on the same page, and checked there
                    run(f"{where}: {words.strip()}", ["sh", "-c", f'PATH="{BINARIES}:$PATH" SIDECAR_CHECK_CONFIG=true {words}'])


def check_the_checks():
    """A check that cannot fail is none."""
    global quiet
    broken = {"name": "broken", "image": PREFIX + "config-reloader:0", "args": ["--watc=/etc/app"]}
    before = len(problems)
    quiet = True
    check_ours("self-test", broken, {}, {})
    quiet = False
    if len(problems) == before + 1:
        problems.pop()
        ok("a manifest with a wrong flag is refused")
    else:
        problem("a manifest with a wrong flag was not refused")


def main():
    check_the_checks()
    manifests = sorted((ROOT / "manifests").rglob("*.yaml"))
    run("yamllint", [TOOLS / "yamllint", "-d", YAMLLINT, *manifests, *sorted((ROOT / "docs/examples").glob("*.yaml"))])
    for path in manifests:
        if path.parent.name == "monitoring":
            continue  # monitoring.py checks it
        if is_compose(path):
            check_compose(path)
        elif is_kubernetes(path):
            check_kubernetes(path)
    check_additions()
    for path in sorted((ROOT / "docs/examples").glob("*.yaml")):
        check_file(f"{path.relative_to(ROOT)}: --check-config", BINARIES / path.stem, path.read_text())
    for path in sorted((ROOT / "docs").glob("*.md")):
        check_page(path)
    for path in sorted((ROOT / "images").glob("Dockerfile*")):
        run(f"{path.relative_to(ROOT)}: hadolint", [TOOLS / "hadolint", path])
    print(f"\n{done} passed, {len(problems)} failed")
    for what in problems:
        print(f"  FAIL  {what}")
    sys.exit(1 if problems else 0)


main()
