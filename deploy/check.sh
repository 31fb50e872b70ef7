#!/usr/bin/env bash
# Checks the files of this folder with the tools that will read them, as far as they are installed, and says which are not.
# A real Prometheus scrapes a real sidecar, and the alerts are tried (Debian: apt-get install prometheus).
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"
failed=0

check() { # WHAT TOOL COMMAND…
  local what=$1 tool=$2
  shift 2
  if ! command -v "$tool" > /dev/null; then
    echo "skipped: $what: $tool is not installed"
  elif output=$("$@" 2>&1); then
    echo "ok:      $what"
  else
    echo "FAILED:  $what"
    echo "$output"
    failed=1
  fi
}

compose=(docker-compose)
docker compose version > /dev/null 2>&1 && compose=(docker compose)
manifests=(deploy/kubernetes/{vllm-with-sidecar,services,network-policy}.yaml)
check 'Prometheus, its alerts and their tests; a scrape and every panel' promtool node --test test/deploy/prometheus.test.ts
check 'systemd unit' systemd-analyze systemd-analyze verify deploy/qis-sidecar.service
check 'Kubernetes manifests, by schema (pip install kubernetes-validate)' kubernetes-validate \
  kubernetes-validate --strict "${manifests[@]}"
check 'Kubernetes manifests, as kubectl reads them' kubectl kubectl kustomize deploy/kubernetes
check 'Compose file' "${compose[0]}" env QIS_ADMIN_TOKEN=x "${compose[@]}" config --quiet
check 'Dockerfile' hadolint hadolint deploy/Dockerfile
check 'all of them against the program' node node --test test/deploy/{compose,dashboards,kubernetes,systemd}.test.ts
exit $failed
