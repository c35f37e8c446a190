#!/usr/bin/env bash
# Builds the web app into server/api/web, from where cargo puts it into the binary. Without Node what lies there is used, or none:
# the server then says at / how to have it. Usage: build.sh [--must] (fails when there is neither Node nor an app that was built)
set -euo pipefail
cd "$(dirname "$0")"
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  [[ -f ../../server/api/web/index.html ]] && { echo "web app: no Node here; taking the one that lies in server/api/web"; exit 0; }
  [[ ${1:-} == --must ]] && { echo "web app: error: building it wants Node 20 or newer" >&2; exit 1; }
  echo "web app: no Node here, so the binary has none; / says how to have it"
  exit 0
fi
newest=$(find app/src app/index.html app/scripts app/vite.config.ts app/vite.worker.config.ts app/package-lock.json sdk/src -type f -printf '%T@\n' | sort -n | tail -1)
stamp=app/dist/.built
[[ -f $stamp && -f ../../server/api/web/index.html && $(<"$stamp") == "$newest" ]] && exit 0
if ! ./setup.sh --build; then
  [[ ${1:-} == --must ]] && exit 1
  # Somebody who wants a server has Node, but no registry: the server is built all the same.
  echo "web app: it was not built" >&2
  exit 0
fi
(cd app && npm run --silent build)
echo "$newest" > "$stamp"
