#!/usr/bin/env bash
# Is this directory's librocksdb.a the one that build.sh compiled? 0, or 1 and a sentence that says why not.
# Who may write here is in the binary, so a directory that others may write is refused whatever its hash says. Who is root or this user
# can write both files: against them no hash beside the library helps.
#
# Usage: storage/rocksdb/verify.sh DIRECTORY
set -euo pipefail
dir=${1:?the directory that holds librocksdb.a}
no() { echo "rocksdb: $dir: $*" >&2; exit 1; }

[[ -f $dir/librocksdb.a ]] || no "no librocksdb.a"
[[ -f $dir/sha256 ]] || no "librocksdb.a has no SHA-256 beside it"
for path in "$dir" "$dir/librocksdb.a" "$dir/sha256"; do
  read -r owner mode < <(stat -c '%u %a' "$path")
  ((owner == EUID || owner == 0)) || no "${path##*/} belongs to user $owner, neither you nor root"
  (((8#$mode & 8#022) == 0)) || no "${path##*/} can be written by others (mode $mode)"
done
want=$(cut -d' ' -f1 "$dir/sha256")
have=$(sha256sum <"$dir/librocksdb.a" | cut -d' ' -f1)
[[ $have == "$want" ]] || no "librocksdb.a is not what was compiled: its SHA-256 is $have, expected $want"
