#!/usr/bin/env bash
# `cargo check` for aarch64, where the target's library and a compiler for the C of the crates are installed; otherwise it says what is
# missing. RocksDB itself is not compiled: its headers are read, which is all that a check needs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
TARGET=aarch64-unknown-linux-gnu
say() { echo "aarch64: $*"; }
if [[ ! -d $(rustc --print sysroot)/lib/rustlib/$TARGET ]]; then
  say "not checked: the target is not installed (rustup target add $TARGET)"
  exit 0
fi
if ! command -v aarch64-linux-gnu-gcc >/dev/null; then
  say "not checked: no C compiler for it (apt install gcc-aarch64-linux-gnu)"
  exit 0
fi
exec "${CARGO:-cargo}" check --workspace --locked --target "$TARGET"
