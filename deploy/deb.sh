#!/usr/bin/env bash
# Makes a package for Debian and Ubuntu with dpkg-deb: the binary, the unit, /etc/maru.toml, man pages, completions, notices.
#
# Usage: deploy/deb.sh DIRECTORY    writes maru_VERSION_ARCH.deb there
#   MARU_BIN       the binary     (default: deploy/release.sh builds it)
#   MARU_DEB_FAST  any text: hardly compressed, for tests
set -euo pipefail
export LC_ALL=C
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
die() { echo "deb: error: $*" >&2; exit 1; }
OUT=${1:?where the package goes}
mkdir -p "$OUT" && OUT=$(cd "$OUT" && pwd)
command -v dpkg-deb >/dev/null || die "dpkg-deb not found (it is part of Debian and Ubuntu)"
if [[ -z ${MARU_BIN:-} ]]; then
  "$ROOT/deploy/release.sh" >&2
  MARU_BIN=${CARGO_TARGET_DIR:-$ROOT/target}/package/maru
fi
[[ -x $MARU_BIN ]] || die "$MARU_BIN is no program"

TREE=$(mktemp -d)
trap 'rm -rf "$TREE"' EXIT
umask 022
chmod 755 "$TREE"
version=$("$MARU_BIN" --version | cut -d' ' -f2)
arch=$(dpkg --print-architecture)
share=$TREE/usr/share
doc=$share/doc/maru
install -Dm755 "$MARU_BIN" "$TREE/usr/bin/maru"
strip --strip-unneeded "$TREE/usr/bin/maru"
mkdir -p "$TREE/usr/lib/systemd/system"
sed 's|/usr/local/bin/maru|/usr/bin/maru|g; s|^# A systemd unit. Put the binary at /usr/bin/maru and the settings at /etc/maru.toml, then:|# Settings are in /etc/maru.toml. After a change of them:|; s|systemctl enable --now maru|systemctl restart maru|' \
  "$ROOT/deploy/maru.service" >"$TREE/usr/lib/systemd/system/maru.service"
install -Dm644 "$ROOT/deploy/maru.toml" "$TREE/etc/maru.toml"
"$MARU_BIN" man --out "$share/man/man1"
gzip -9n "$share"/man/man1/*.1
mkdir -p "$share/bash-completion/completions" "$share/zsh/vendor-completions" "$share/fish/vendor_completions.d"
"$MARU_BIN" completions bash >"$share/bash-completion/completions/maru"
"$MARU_BIN" completions zsh >"$share/zsh/vendor-completions/_maru"
"$MARU_BIN" completions fish >"$share/fish/vendor_completions.d/maru.fish"
"$ROOT/deploy/sbom.sh" "$doc" >/dev/null
gzip -9n "$doc"/{maru.cdx.json,licences.tsv}
{
  echo "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
  echo "Upstream-Name: maru"
  echo
  echo "Files: *"
  echo "Copyright: the authors of Maru"
  echo "License: Apache-2.0"
  echo " On Debian systems the text is in /usr/share/common-licenses/Apache-2.0."
  echo " What the program is linked with, each under its own licence, is listed in"
  echo " /usr/share/doc/maru/licences.tsv.gz."
} >"$doc/copyright"
{
  echo "maru ($version-1) unstable; urgency=medium"
  echo
  echo "  * Version $version."
  echo
  echo " -- The authors of Maru <maru@localhost>  $(date -u -R -d "@${SOURCE_DATE_EPOCH:-$(git -C "$ROOT" log -1 --format=%ct 2>/dev/null || echo 0)}")"
} | gzip -9n >"$doc/changelog.Debian.gz"

# The oldest glibc that has every symbol that is called.
glibc=$(objdump -T "$TREE/usr/bin/maru" | grep -oE 'GLIBC_[0-9.]+' | sort -Vu | tail -1 | cut -d_ -f2)
needs="libc6 (>= $glibc)"
libraries=$(objdump -p "$TREE/usr/bin/maru" | sed -n 's/^ *NEEDED *//p')
grep -q '^libstdc++' <<<"$libraries" && needs+=", libstdc++6"
grep -q '^libgcc_s' <<<"$libraries" && needs+=", libgcc-s1"
mkdir "$TREE/DEBIAN"
cat >"$TREE/DEBIAN/control" <<CONTROL
Package: maru
Version: $version-1
Architecture: $arch
Maintainer: The authors of Maru <maru@localhost>
Installed-Size: $(du -sk --exclude=DEBIAN "$TREE" | cut -f1)
Depends: $needs
Recommends: ca-certificates
Suggests: postgresql
Section: net
Priority: optional
Description: chat server with durable, ordered, many-device conversations
 One binary, one process, one data directory and no outside service: accounts,
 one-to-one and group conversations over WebSocket and QUIC, history kept for
 ever. An acknowledgement leaves only when the message is on stable storage.
CONTROL
echo /etc/maru.toml >"$TREE/DEBIAN/conffiles"
# Nothing is started by itself: who may come in, and where, is the operator's to say first.
cat >"$TREE/DEBIAN/postinst" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = configure ] && [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  # After an upgrade the new program serves; a server that is stopped stays so.
  [ -z "$2" ] || systemctl try-restart maru.service
fi
exit 0
SCRIPT
cat >"$TREE/DEBIAN/prerm" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  systemctl disable --now maru.service >/dev/null 2>&1 || true
fi
exit 0
SCRIPT
cat >"$TREE/DEBIAN/postrm" <<'SCRIPT'
#!/bin/sh
set -e
# The data directory stays, also when the package is purged: history is for ever. Remove /var/lib/private/maru by hand.
if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
exit 0
SCRIPT
chmod 755 "$TREE"/DEBIAN/{postinst,prerm,postrm}
(cd "$TREE" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
chmod 644 "$TREE"/DEBIAN/{control,conffiles,md5sums}
compress=(-Zxz)
[[ -z ${MARU_DEB_FAST:-} ]] || compress=(-Zgzip -z1)
dpkg-deb --root-owner-group "${compress[@]}" --build "$TREE" "$OUT/maru_$version-1_$arch.deb" >/dev/null
echo "deb: $OUT/maru_$version-1_$arch.deb ($(du -h "$OUT/maru_$version-1_$arch.deb" | cut -f1), depends on $needs)"
