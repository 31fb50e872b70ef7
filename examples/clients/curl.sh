#!/usr/bin/env bash
set -euo pipefail
sidecar=${SIDECAR:-http://127.0.0.1:8787}
model=${MODEL:-qis-practice}

headers=$(mktemp)
trap 'rm -f "$headers"' EXIT
curl -sS --fail-with-body -D "$headers" "$sidecar/v1/chat/completions" -H 'content-type: application/json' \
  -d "{\"model\":\"$model\",\"messages\":[{\"role\":\"user\",\"content\":\"How much ibuprofen may an adult take per day?\"}]}"
echo

header() { tr -d '\r' < "$headers" | sed -n "s/^$1: //ip"; }
confidence=$(header x-qis-confidence)
evidence=$(header x-qis-evidence)
echo "confidence ${confidence:-unknown} evidence ${evidence:-none}"

curl -sS --fail-with-body "$sidecar/qis/feedback" -H 'content-type: application/json' \
  -d "{\"receipt\":\"$(header x-qis-receipt)\",\"rating\":\"down\"}"
