#!/usr/bin/env bash
# Runs the compose files of manifests/ with the images of target/images: what their heads promise is what happens.
# Starts a container engine of its own if it may; where none can be had it says so, and that is the only thing it skips.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
engine=
cleanup() {
  if [ -n "$engine" ]; then
    kill "$engine" && wait "$engine" || true
  fi
  rm -rf "$work"
}
trap cleanup EXIT

if ! docker info >/dev/null 2>&1; then
  if ! command -v dockerd >/dev/null || [ "$(id -u)" -ne 0 ]; then
    echo "compose: SKIPPED: no container engine runs here, and none can be started without dockerd and root"
    exit 0
  fi
  export DOCKER_HOST=unix://$work/docker.sock
  dockerd --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/docker.pid" -H "$DOCKER_HOST" >"$work/log" 2>&1 &
  engine=$!
  for _ in $(seq 60); do
    docker info >/dev/null 2>&1 && break
    if ! kill -0 "$engine" 2>/dev/null; then
      engine=
      echo "compose: SKIPPED: dockerd cannot run here: $(grep -m1 -o 'msg="*failed.*\|failed to.*' "$work/log" || tail -1 "$work/log")"
      exit 0
    fi
    sleep 0.5
  done
fi

for archive in target/images/*.tar; do
  docker load --quiet --input "$archive"
done
# No registry is asked: what the demos call busybox is Debian's.
if ! docker image inspect busybox:1.37 >/dev/null 2>&1; then
  mkdir -p "$work/busybox/bin"
  cp "$(command -v busybox)" "$work/busybox/bin/"
  ldd "$(command -v busybox)" | grep -o '/[^ ]*' | while read -r library; do
    install -D "$library" "$work/busybox$library"
  done
  for name in $(busybox --list); do ln -sf busybox "$work/busybox/bin/$name"; done
  tar -C "$work/busybox" -c . | docker import --change 'ENV PATH=/bin' - busybox:1.37 >/dev/null
fi

python3 tests/compose/check.py "$work"
