#!/usr/bin/env bash
# Installs Node and npm from the system's packages, if they are missing, and what clients/web/sdk/package-lock.json names.
# Nothing is fetched while what is there is what the lock file says, so later runs need no network.
set -euo pipefail
cd "$(dirname "$0")/sdk"

NODE_MIN=20
say() { echo "node: $*"; }
die() { echo "node: error: $*" >&2; exit 1; }
are_there() { command -v node >/dev/null && command -v npm >/dev/null; }

if ! are_there; then
  sudo=()
  if ((EUID != 0)); then sudo=(sudo); [[ -t 0 ]] || sudo+=(-n); fi
  say "installing the missing packages: nodejs npm"
  command -v apt-get >/dev/null && { ((EUID == 0)) || command -v sudo >/dev/null; } &&
    "${sudo[@]}" apt-get -o DPkg::Lock::Timeout=300 update -qq &&
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends nodejs npm ||
    die "cannot install them; please install (Debian/Ubuntu names): nodejs npm"
  are_there || die "the packages nodejs and npm brought no node and npm"
fi
version=$(node -p 'process.versions.node.split(".")[0]')
((version >= NODE_MIN)) || die "$(command -v node) is version $version; the SDK's tests want $NODE_MIN or newer"

# Of the lock file that was installed last.
stamp=node_modules/.installed
sum=$(sha256sum package.json package-lock.json)
[[ -f $stamp && $(<"$stamp") == "$sum" ]] && exit 0
say "installing what clients/web/sdk/package-lock.json names"
# No package of it needs to run anything when it is installed.
npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --silent ||
  die "npm cannot fetch what package-lock.json names; is the registry reachable ($(npm config get registry))?"
echo "$sum" > "$stamp"
