#!/usr/bin/env bash
# Installs nginx from the system's packages, if it is missing: a test starts one of its own with deploy/nginx.conf. The
# package's own service is not started.
set -euo pipefail

say() { echo "nginx: $*"; }
die() { echo "nginx: error: $*" >&2; exit 1; }
is_there() { command -v nginx >/dev/null || [[ -x /usr/sbin/nginx ]]; }

is_there && exit 0
sudo=()
if ((EUID != 0)); then sudo=(sudo); [[ -t 0 ]] || sudo+=(-n); fi
policy=/usr/sbin/policy-rc.d
# Debian starts a service when its package is installed, unless this says no.
install_quietly() {
  local made=
  [[ -e $policy ]] || { made=1; printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null && "${sudo[@]}" chmod 755 "$policy"; }
  local outcome=0
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends nginx-light || outcome=$?
  [[ -z $made ]] || "${sudo[@]}" rm -f "$policy"
  return "$outcome"
}
say "installing the missing package: nginx-light"
command -v apt-get >/dev/null && { ((EUID == 0)) || command -v sudo >/dev/null; } &&
  "${sudo[@]}" apt-get -o DPkg::Lock::Timeout=300 update -qq && install_quietly ||
  die "cannot install it; please install (Debian/Ubuntu names): nginx-light"
is_there || die "the package nginx-light brought no nginx"
