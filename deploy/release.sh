#!/usr/bin/env bash
# Builds the binary that is given away: optimised, without a path of this machine in it, its C with stack protector and fortify, and the
# list of its crates inside if cargo-auditable is installed (`cargo audit bin maru` reads it). Then looks whether all that is so.
#
# Usage: deploy/release.sh             builds into target/package/maru (and maru.debug, its symbols, and maru-web.tar.gz, the web app)
#        deploy/release.sh --check FILE  only looks at a binary
#   MARU_ANY_TOOLCHAIN=1  takes another Rust than the one that Cargo.toml pins
#   CARGO_TARGET_DIR  as cargo has it; the build is in a folder of its own below it, for its flags would make every other build anew
set -euo pipefail
export LC_ALL=C
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
say() { echo "release: $*"; }
die() { echo "release: error: $*" >&2; exit 1; }
REGISTRY=${CARGO_HOME:-$HOME/.cargo}/registry/src

# --- What must be true of it --------------------------------------------------
check() { # binary
  local file=$1 place left symbols
  for place in "$ROOT" "$REGISTRY" "${TARGET:-}" "$HOME/"; do
    # A home of / is in every path.
    [[ ${#place} -gt 1 && $place != // ]] || continue
    left=$( (grep -aoF -- "$place" "$file" || true) | wc -l)
    ((left == 0)) || die "$file names $place $left times: $(strings "$file" | grep -F -- "$place" | head -3)"
  done
  symbols=$(nm -D --undefined-only "$file")
  grep -q __stack_chk_fail <<<"$symbols" || die "$file has no stack protector"
  grep -qE '__(memcpy|memmove|snprintf|vsnprintf|read|fprintf)_chk' <<<"$symbols" || die "$file has no fortified calls"
  readelf -lW "$file" >"$CHECKED"
  grep -q GNU_RELRO "$CHECKED" || die "$file has no RELRO"
  grep -E GNU_STACK "$CHECKED" | grep -q 'RW ' || die "the stack of $file is executable"
  readelf -hW "$file" | grep -q 'DYN' || die "$file is not position independent"
  readelf -dW "$file" | grep -qE 'BIND_NOW|NOW' || die "$file binds late"
  if readelf -SW "$file" | grep -q '\.dep-v0'; then say "the list of crates is inside"; else say "no list of crates inside"; fi
}
CHECKED=$(mktemp)
trap 'rm -f "$CHECKED"' EXIT
case ${1:-} in
  --check) check "${2:?a binary}"; say "$2 is as it should be"; exit ;;
  "") ;;
  *) die "unknown word $1" ;;
esac

# --- The toolchain that is pinned -----------------------------------------------
pinned=$(sed -n '/^\[workspace.metadata\]/,/^\[/s/^toolchain = "\(.*\)"/\1/p' "$ROOT/Cargo.toml")
[[ -n $pinned ]] || die "Cargo.toml names no toolchain"
found=$(cd "$ROOT" && rustc --version | cut -d' ' -f2)
if [[ $found != "$pinned" ]]; then
  # rustup brings it, or has it already.
  export RUSTUP_TOOLCHAIN=$pinned
  found=$(cd "$ROOT" && rustc --version 2>/dev/null | cut -d' ' -f2) || true
fi
[[ $found == "$pinned" || -n ${MARU_ANY_TOOLCHAIN:-} ]] ||
  die "releases are built with Rust $pinned; found ${found:-none}. rustup toolchain install $pinned, or MARU_ANY_TOOLCHAIN=1"

# --- Build --------------------------------------------------------------------
"$ROOT/storage/rocksdb/build.sh"
BASE=${CARGO_TARGET_DIR:-$ROOT/target}
mkdir -p "$BASE/package"
TARGET=$(cd "$BASE/package" && pwd)
# What stands behind the last equals sign is what panics and logs show. The longest prefix comes last: rustc takes the last that fits.
flags=("--remap-path-prefix=$HOME=/home" "--remap-path-prefix=$ROOT=/maru" "--remap-path-prefix=$REGISTRY=/crates"
  "--remap-path-prefix=$TARGET=/target")
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; echo "${flags[*]}")
hard="-fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3"
hard+=" -ffile-prefix-map=$REGISTRY=/crates -ffile-prefix-map=$TARGET=/target"
export CARGO_ENCODED_RUSTFLAGS CFLAGS="${CFLAGS:-} $hard" CXXFLAGS="${CXXFLAGS:-} $hard" CARGO_INCREMENTAL=0
build=(build)
if cargo auditable --version >/dev/null 2>&1; then
  build=(auditable build)
else
  say "cargo-auditable is not installed, so the binary does not list its crates (cargo install --locked cargo-auditable)"
fi
"$ROOT/clients/web/build.sh" --must
(cd "$ROOT" && CARGO_TARGET_DIR=$TARGET cargo "${build[@]}" --release --locked -p server --bin maru)
objcopy --only-keep-debug "$TARGET/release/maru" "$TARGET/maru.debug"
objcopy --strip-unneeded --add-gnu-debuglink="$TARGET/maru.debug" "$TARGET/release/maru" "$TARGET/maru"
check "$TARGET/maru"
# For who builds without Node: unpacked into server/api/web. Always the same bytes for the same app.
(cd "$ROOT/server/api/web" && tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --exclude=.gitignore -cf - . | gzip -n9) >"$TARGET/maru-web.tar.gz"
say "$TARGET/maru ($(du -h "$TARGET/maru" | cut -f1))"
