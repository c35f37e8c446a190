#!/usr/bin/env bash
# Installs Node, npm and Chromium from the system's packages, if they are missing, and what the package-lock.json of sdk and app name.
# Usage: setup.sh, or setup.sh --build: only what building the app wants, and without installing system packages; fails where there is no Node
# Nothing is fetched while what is there is what the lock file says, so later runs need no network.
set -euo pipefail
cd "$(dirname "$0")"

NODE_MIN=20
say() { echo "node: $*"; }
die() { echo "node: error: $*" >&2; exit 1; }
is_there() { command -v "$1" >/dev/null; }
browser_is_there() { [[ -x ${CHROMIUM:-} ]] || is_there chromium || is_there chromium-browser || is_there google-chrome; }

only_build=
[[ ${1:-} == --build ]] && only_build=1
missing=()
{ is_there node && is_there npm; } || missing+=(nodejs npm)
[[ $only_build ]] || browser_is_there || missing+=(chromium fonts-noto-cjk)
[[ $only_build && ${#missing[@]} -gt 0 ]] && die "no node or no npm here"
if ((${#missing[@]} > 0)); then
  sudo=()
  if ((EUID != 0)); then sudo=(sudo); [[ -t 0 ]] || sudo+=(-n); fi
  say "installing the missing packages: ${missing[*]}"
  command -v apt-get >/dev/null && { ((EUID == 0)) || command -v sudo >/dev/null; } &&
    "${sudo[@]}" apt-get -o DPkg::Lock::Timeout=300 update -qq &&
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}" ||
    die "cannot install them; please install (Debian/Ubuntu names): ${missing[*]}"
  { is_there node && is_there npm && browser_is_there; } || die "the packages ${missing[*]} brought no node, npm or chromium"
fi
version=$(node -p 'process.versions.node.split(".")[0]')
((version >= NODE_MIN)) || die "$(command -v node) is version $version; the web clients want $NODE_MIN or newer"

for folder in sdk app; do
  cd "$folder"
  # Of the lock file that was installed last.
  stamp=node_modules/.installed
  sum=$(sha256sum package.json package-lock.json)
  if [[ ! -f $stamp || $(<"$stamp") != "$sum" ]]; then
    say "installing what clients/web/$folder/package-lock.json names"
    # No package of it needs to run anything when it is installed.
    npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --silent ||
      die "npm cannot fetch what package-lock.json names; is the registry reachable ($(npm config get registry))?"
    echo "$sum" > "$stamp"
  fi
  cd ..
done
