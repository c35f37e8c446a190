#!/usr/bin/env bash
# Runs aioquic_client.py against a server of its own. Needs python3 and, once, a package index for aioquic; without them
# it says so and ends with 0, unless INTEROP=required.
set -euo pipefail
cd "$(dirname "$0")/../.."
maru=${MARU:-target/debug/maru}
venv=${INTEROP_VENV:-target/interop}

skip() {
    echo "interop: skipped: $1"
    [ "${INTEROP:-}" = required ] && exit 1 || exit 0
}

command -v python3 > /dev/null || skip "python3 is not installed"
if ! "$venv/bin/python" -c 'import aioquic' 2> /dev/null; then
    python3 -m venv "$venv" > /dev/null 2>&1 || skip "python3 cannot make a virtual environment (python3-venv)"
    timeout 120 "$venv/bin/pip" install --quiet aioquic > /dev/null 2>&1 || skip "aioquic cannot be installed"
fi

folder=$(mktemp -d)
"$maru" serve --data "$folder/data" --http 127.0.0.1:0 --listen 127.0.0.1:0 --shards 4 \
    > "$folder/out" 2> "$folder/log" &
pid=$!
trap 'kill "$pid" 2> /dev/null || true; wait "$pid" 2> /dev/null || true; rm -rf "$folder"' EXIT
for _ in $(seq 300); do
    grep -q '^maru ready ' "$folder/out" && break
    kill -0 "$pid" 2> /dev/null || break
    sleep 0.1
done
http=$(sed -n 's/^maru ready http=\([^ ]*\).*/\1/p' "$folder/out")
[ -n "$http" ] || { cat "$folder/log"; exit 1; }
"$venv/bin/python" clients/interop/aioquic_client.py "$http"
