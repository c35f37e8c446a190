#!/usr/bin/env bash
# Installs PostgreSQL from the system's packages, if it is missing: tests start servers of their own from it. No server
# is set up and none is started.
set -euo pipefail

say() { echo "postgresql: $*"; }
die() { echo "postgresql: error: $*" >&2; exit 1; }
is_there() { command -v "$1" >/dev/null || compgen -G "/usr/lib/postgresql/*/bin/$1" >/dev/null; }
are_there() { is_there postgres && is_there initdb && is_there psql; }

are_there && exit 0
sudo=()
if ((EUID != 0)); then sudo=(sudo); [[ -t 0 ]] || sudo+=(-n); fi
install() {
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "$@"
}
say "installing the missing package: postgresql"
# Debian makes a cluster and starts it when the package is installed, unless it is told not to.
command -v apt-get >/dev/null && { ((EUID == 0)) || command -v sudo >/dev/null; } &&
  "${sudo[@]}" apt-get -o DPkg::Lock::Timeout=300 update -qq && install postgresql-common &&
  "${sudo[@]}" sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' \
    /etc/postgresql-common/createcluster.conf && install postgresql ||
  die "cannot install it; please install (Debian/Ubuntu names): postgresql"
are_there || die "the package postgresql brought no postgres, initdb and psql"
