#!/usr/bin/env bash
# Compiles RocksDB's C++ once into a static librocksdb.a in a user cache and
# points <repo>/.rocksdb at it. .cargo/config.toml tells librocksdb-sys to link
# that file, so debug, release, test and clippy builds never compile C++ again
# (the crate's own build takes about 25 minutes on 2 cores, per profile).
#
# What is compiled comes out of crate archives whose SHA-256 is the one that Cargo.lock names; the library's own SHA-256 is written
# beside it and checked at each run, before anything links it (verify.sh): another library is thrown away and compiled again.
#
# Usage: storage/rocksdb/build.sh          run again at any time; a no-op if up to date
#        storage/rocksdb/build.sh --check  look only: 0 if the library is there and is the one that was compiled, else 1 and why
#   MARU_CACHE  cache directory         (default: $XDG_CACHE_HOME/maru or ~/.cache/maru)
#   MARU_JOBS   parallel compiler runs  (default: nproc; about 1.5 GB of memory each)
#   CXX         C++20 compiler          (default: g++)
# Old versions in the cache directory may be deleted at any time.
set -euo pipefail
export LC_ALL=C

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
VERIFY=$ROOT/storage/rocksdb/verify.sh
case ${1:-} in "" | --check) ONLY=${1:-} ;; *) echo "usage: build.sh [--check]" >&2; exit 2 ;; esac
CACHE=${MARU_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/maru}
mkdir -p "$CACHE" && CACHE=$(cd "$CACHE" && pwd) # absolute, for the symlink
JOBS=${MARU_JOBS:-$(nproc)}
export CXX=${CXX:-g++}

say() { echo "rocksdb: $*"; }
die() { echo "rocksdb: error: $*" >&2; exit 1; }

[[ $(uname -s) == Linux ]] || die "this script knows Linux only; elsewhere build with ROCKSDB_COMPILE=1"
command -v cargo >/dev/null || die "cargo not found; install Rust first (https://rustup.rs)"

# --- 1. System packages ------------------------------------------------------
# g++ compiles; bindgen (inside librocksdb-sys) needs the libclang library and
# clang's own stddef.h; make and ca-certificates serve other crates and cargo.
need=()
has_file() { compgen -G "$1" >/dev/null; }
has_libclang() {
  [[ -n ${LIBCLANG_PATH:-} ]] && return
  { has_file '/usr/lib/llvm-*/lib/libclang*.so*' || has_file '/usr/lib*/libclang.so*'; } &&
    { has_file '/usr/lib/llvm-*/lib/clang/*/include/stddef.h' || has_file '/usr/lib*/clang/*/include/stddef.h'; }
}
command -v "$CXX" >/dev/null || need+=(g++)
command -v make >/dev/null || need+=(make)
has_libclang || need+=(libclang-dev)
[[ -e /etc/ssl/certs/ca-certificates.crt || -e /etc/pki/tls/certs/ca-bundle.crt ]] || need+=(ca-certificates)
if ((${#need[@]})); then
  sudo=()
  if ((EUID != 0)); then sudo=(sudo); [[ -t 0 ]] || sudo+=(-n); fi
  say "installing missing packages: ${need[*]}"
  command -v apt-get >/dev/null && { ((EUID == 0)) || command -v sudo >/dev/null; } &&
    "${sudo[@]}" apt-get -o DPkg::Lock::Timeout=300 update -qq &&
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${need[@]}" ||
    die "cannot install them; please install (Debian/Ubuntu names): ${need[*]}"
fi
command -v "$CXX" >/dev/null || die "the compiler CXX=$CXX does not exist"

# --- 2. Sources --------------------------------------------------------------
# Exactly the versions of the workspace's Cargo.lock: a throw-away crate with a
# copy of it asks cargo where the sources are (cargo downloads them if needed).
# Not the workspace itself, so that this works before it resolves or builds.
TMP=$(mktemp -d)
trap 'rm -rf "$TMP" "${BUILD:-}"' EXIT
req="=0.25.0"
if grep -qs '^name = "rocksdb"$' "$ROOT/Cargo.lock"; then
  cp "$ROOT/Cargo.lock" "$TMP/" && req="*"
fi
cat >"$TMP/Cargo.toml" <<TOML
[package]
name = "rocksdb-sources"
version = "0.0.0"
edition = "2021"
[lib]
path = "lib.rs"
[dependencies]
rocksdb = { version = "$req", default-features = false, features = ["lz4", "zstd", "bindgen-runtime"] }
[workspace]
TOML
touch "$TMP/lib.rs"
# Run in the checkout, so that its toolchain and cargo settings apply.
host=$(cd "$ROOT" && rustc -vV | sed -n 's/^host: //p')
metadata=$(cd "$ROOT" && cargo metadata --quiet --format-version 1 --filter-platform "$host" \
  --manifest-path "$TMP/Cargo.toml") || die "cargo could not fetch the sources (see above)"
crate_dir() { # name -> source directory of that crate
  local path
  path=$(grep -oE "\"manifest_path\":\"[^\"]*/$1(-[0-9][^/\"]*)?/Cargo\.toml\"" <<<"$metadata" | cut -d'"' -f4)
  [[ -f $path ]] || die "crate $1 not found in cargo metadata"
  dirname "$path"
}
SYS=$(crate_dir librocksdb-sys)
LZ4=$(crate_dir lz4-sys)
ZSTD=$(crate_dir zstd-sys)
# The directories above are what cargo unpacked some day; only the archives have a checksum. So it is they that are compiled, unpacked
# anew. A vendored crate has none (cargo checks its files itself).
checksum() { # source directory of a crate -> what Cargo.lock says of its archive
  local name=${1##*/}
  sed -n "/^name = \"${name%%-[0-9]*}\"$/,/^$/s/^checksum = \"\(.*\)\"$/\1/p" "$TMP/Cargo.lock" | head -1
}
unpack() { # source directory of a crate -> the same out of its archive, or itself if there is none
  local archive=${1/\/registry\/src\//\/registry\/cache\/}.crate
  [[ -f $archive ]] || { say "no archive of ${1##*/}: compiled as vendored" >&2; echo "$1"; return; }
  [[ $(sha256sum <"$archive" | cut -d' ' -f1) == "$(checksum "$1")" ]] ||
    die "$archive is not the archive that Cargo.lock names; delete it and run again"
  mkdir -p "$TMP/src" && tar -xzf "$archive" -C "$TMP/src" && echo "$TMP/src/${1##*/}"
}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$SYS/Cargo.toml" | head -1)

# --- 3. Flags: as in librocksdb-sys/build.rs, plus hardware CRC32C and hardening
FLAGS=(
  -std=c++20 -O2 -fPIC -ffunction-sections -fdata-sections -w -include cstdint
  -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
  -DNDEBUG -DLZ4=1 -DZSTD=1 -DHAVE_ALIGNED_NEW -DHAVE_UINT128_EXTENSION
  -DOS_LINUX -DROCKSDB_PLATFORM_POSIX -DROCKSDB_LIB_IO_POSIX
  -DROCKSDB_SCHED_GETCPU_PRESENT -DROCKSDB_AUXV_GETAUXVAL_PRESENT
  -DROCKSDB_FALLOCATE_PRESENT -DROCKSDB_RANGESYNC_PRESENT
)
# RocksDB chooses its CRC32C code at compile time on x86_64: SSE 4.2 + PCLMUL
# (any CPU since 2011). On aarch64 it also asks the CPU at run time.
case $(uname -m) in
  x86_64) FLAGS+=(-march=x86-64-v2 -mpclmul) ;;
  aarch64) FLAGS+=(-march=armv8-a+crc+crypto) ;;
esac

# --- 4. Compile --------------------------------------------------------------
# Left out: what nothing here can reach. Of all those who call, the linker needs
# only what Maru calls; were one of these missing, it would name the symbol.
UNUSED='^(tools|test_util)/'
UNUSED+='|^utilities/(agg_merge|backup|blob_db|leveldb_options|memory|option_change_migration|options)/'
UNUSED+='|^utilities/(persistent_cache|secondary_index|simulator_cache|sorted_run_builder)/'
UNUSED+='|^utilities/(cache_dump_load.*|debug|env_mirror|fault_injection_.*|types_util)\.cc$'
UNUSED+='|^utilities/transactions/(lock/|([^s]|s[^n])[^/]*$)' # all but snapshot_checker.cc
UNUSED+='|^db/db_impl/db_impl_(follower|debug)\.cc$|^env/fs_on_demand\.cc$'
# Most of the time goes into parsing the same headers for each source, so neighbouring
# sources are compiled together as one "unity" file. If that fails (two files
# with the same static name), the group is compiled file by file.
compile() { # group file (one source per line) -> object(s) beside it
  local g=$1 n=0 f
  [[ $(wc -l <"$g") -gt 1 ]] && sed 's/.*/#include "&"/' "$g" >"$g.cc" &&
    "$CXX" @"$ARGS" -c "$g.cc" -o "$g.o" 2>"$g.log" && { echo "  ${g##*/}"; return; }
  [[ -s $g.log ]] && echo "  ${g##*/}: not as one unit, compiling its files one by one"
  rm -f "$g.o"
  while read -r f; do
    n=$((n + 1))
    "$CXX" @"$ARGS" -c -x c++ - -o "$g-$n.o" <<<"#include \"$f\"" || return 255 # 255 stops xargs
  done <"$g" || return 255
  echo "  ${g##*/}"
}
export -f compile

build() {
  rm -rf "$OUT".tmp.* # of a killed run: we hold the lock
  SYS=$(unpack "$SYS")
  LZ4=$(unpack "$LZ4")
  ZSTD=$(unpack "$ZSTD")
  BUILD=$(mktemp -d "$OUT.tmp.XXXXXX")
  mkdir "$BUILD/obj" "$BUILD/inc"
  # Only the headers that the -sys crates export, as cargo would do it.
  cp "$LZ4"/liblz4/lib/*.h "$ZSTD"/zstd/lib/{zstd,zstd_errors,zdict}.h "$BUILD/inc"
  # The prefix map keeps machine paths out of the library (and of RocksDB's log).
  export ARGS=$BUILD/args
  printf '"%s"\n' "${FLAGS[@]}" "-ffile-prefix-map=$SYS/=" "-I$SYS/rocksdb/include" "-I$SYS/rocksdb" \
    "-I$SYS/rocksdb/third-party/gtest-1.8.1/fused-src" "-I$SYS" "-I$BUILD/inc" >"$ARGS"

  # Groups in list order, up to 400 KB (in one of 1 MB the compiler inlines
  # less, and scans were 27 % slower). Alone: c.cc (its "using" declarations
  # are global) and files that configure headers by macros.
  (cd "$SYS/rocksdb" && tr -d '\r' <../rocksdb_lib_sources.txt | grep . | grep -vE "$UNUSED" |
    sed 's|^util/build_version.cc$|../build_version.cc|' | xargs stat -c '%s %n') |
    awk -v dir="$BUILD/obj" '
      { sub("^\\.\\./", "", $2)
        alone = $2 ~ /^(db\/c|util\/xxhash|util\/crc32c.*|build_version)\.cc$/
        if (!g || alone || was_alone || bytes + $1 > 400000) { g++; bytes = 0 }
        bytes += $1; was_alone = alone
        print $2 > sprintf("%s/group%03d", dir, g) }'
  local groups=("$BUILD"/obj/group*)
  say "compiling RocksDB ($version) in ${#groups[@]} groups, $JOBS at a time; this takes some minutes"
  # Largest first, so that no long one is left over at the end.
  for g in "${groups[@]}"; do
    echo "$(cd "$SYS/rocksdb" && sed 's|^build_version.cc$|../&|' "$g" | xargs cat | wc -c) $g"
  done | sort -rn | cut -d' ' -f2- |
    xargs -P "$JOBS" -I{} bash -c 'compile "$1"' _ {} || die "compilation failed (see above)"

  ar crsD "$BUILD/librocksdb.a" "$BUILD"/obj/*.o
  nm "$BUILD/librocksdb.a" 2>/dev/null >"$BUILD/obj/symbols"
  for s in ' T rocksdb_open$' ' U LZ4_compress' ' U ZSTD_compress'; do
    grep -q "$s" "$BUILD/obj/symbols" || die "the library lacks '$s'"
  done
  { echo "librocksdb-sys $version"; "$CXX" --version | head -1; echo "${FLAGS[*]}"; } >"$BUILD/info.txt"
  rm -rf "$BUILD/obj" "$BUILD/inc" "$BUILD/args"
  (cd "$BUILD" && sha256sum librocksdb.a >sha256)
  chmod 755 "$BUILD" && chmod 644 "$BUILD"/*
  rm -rf "$OUT" # one that was refused
  mv -T "$BUILD" "$OUT" # atomic: $OUT is complete as soon as it exists
}

# The name: everything that decides the result (comments do not).
key=$({
  echo "${FLAGS[*]}" "$UNUSED" "$(uname -m)" "$("$CXX" --version | head -1)"
  echo "$(checksum "$SYS") $(checksum "$LZ4") $(checksum "$ZSTD")"
  declare -f compile build
} | sha256sum | cut -c1-12)
OUT=$CACHE/rocksdb-$version-$key

if [[ $ONLY == --check ]]; then "$VERIFY" "$OUT"; exit; fi
if [[ ! -e $OUT ]] || ! "$VERIFY" "$OUT"; then
  exec 9>"$OUT.lock"
  flock -n 9 || { say "another run is compiling the same version, waiting for it"; flock 9; }
  "$VERIFY" "$OUT" 2>/dev/null || build
  "$VERIFY" "$OUT" || die "what was just compiled is refused (see above)"
fi

# --- 5. Point the checkout at it ---------------------------------------------
before=$(readlink "$ROOT/.rocksdb" || true)
if [[ $before != "$OUT" ]]; then
  ln -s "$OUT" "$ROOT/.rocksdb.$$" && mv -T "$ROOT/.rocksdb.$$" "$ROOT/.rocksdb"
  # Cargo does not notice that the file behind an unchanged path is another one.
  [[ -z $before ]] || say "changed; if built before: cargo clean -p librocksdb-sys; cargo clean --release -p librocksdb-sys"
fi
say "ready: .rocksdb -> $OUT ($(du -h "$OUT/librocksdb.a" | cut -f1))"
