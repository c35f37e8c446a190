#!/usr/bin/env bash
# What the binary is made of, from cargo's own resolution: a bill of materials (CycloneDX 1.5, JSON) and a table of licences.
# Only what is linked into `maru` on this kind of machine, or runs while it is built; nothing of the tests. No tool but cargo and awk.
#
# Usage: deploy/sbom.sh DIRECTORY    writes maru.cdx.json and licences.tsv (crate, version, licence, source)
set -euo pipefail
export LC_ALL=C
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
OUT=${1:?where to write}
mkdir -p "$OUT" && OUT=$(cd "$OUT" && pwd)
cd "$ROOT"
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
commit=$(git rev-parse HEAD 2>/dev/null || echo unknown)

# "name v1.2.3 (path or proc-macro) (*)|licence|repository", in the order of names, each once.
cargo tree --locked --package server --edges normal,build --prefix none --format '{p}|{l}|{r}' |
  sed 's/ (\*)$//' | sort -u >"$OUT/tree"
[[ -s $OUT/tree ]] || { echo "sbom: cargo tree says nothing" >&2; exit 1; }

# The checksum of each crate's archive, from Cargo.lock: "name version sum".
awk -F'"' '/^name = /{n=$2} /^version = /{v=$2} /^checksum = /{print n, v, $2}' Cargo.lock >"$OUT/sums"

awk -F'|' -v version="$version" -v commit="$commit" -v sums="$OUT/sums" -v table="$OUT/licences.tsv" '
  function text(s) { gsub(/\\/, "\\\\", s); gsub(/"/, "\\\"", s); return "\"" s "\"" }
  # Before there was SPDX, a slash meant OR.
  function spdx(s) { gsub(/ *\/ */, " OR ", s); return s }
  function library(name, v, licence, from) {
    printf ",\n    {\"type\": \"library\", \"bom-ref\": %s, \"name\": %s, \"version\": %s, \"licenses\": [{\"expression\": %s}], \"description\": %s}",
      text(name "@" v), text(name), text(v), text(licence), text("C or C++ code inside the crate " from)
    printf "%s\t%s\t%s\tinside %s\n", name, v, licence, from >table
  }
  BEGIN {
    while ((getline line <sums) > 0) { split(line, part, " "); sum[part[1] " " part[2]] = part[3] }
    printf "crate\tversion\tlicence\tsource\n" >table
    printf "{\n  \"bomFormat\": \"CycloneDX\",\n  \"specVersion\": \"1.5\",\n  \"version\": 1,\n  \"metadata\": {\n"
    printf "    \"component\": {\"type\": \"application\", \"bom-ref\": \"maru\", \"name\": \"maru\", \"version\": %s, \"licenses\": [{\"expression\": \"Apache-2.0\"}]},\n", text(version)
    printf "    \"properties\": [{\"name\": \"maru:commit\", \"value\": %s}]\n  },\n  \"components\": [", text(commit)
  }
  {
    split($1, part, " "); name = part[1]; v = substr(part[2], 2); ours = index($1, "(/")
    printf "%s\n    {\"type\": \"library\", \"bom-ref\": %s, \"name\": %s, \"version\": %s, \"licenses\": [{\"expression\": %s}]",
      (NR > 1 ? "," : ""), text("cargo/" name "@" v), text(name), text(v), text(spdx($2))
    if (!ours) {
      # In a purl a plus is %2B.
      purl = v; gsub(/\+/, "%2B", purl)
      printf ", \"purl\": %s, \"hashes\": [{\"alg\": \"SHA-256\", \"content\": %s}]", text("pkg:cargo/" name "@" purl), text(sum[name " " v])
    }
    printf "}"
    printf "%s\t%s\t%s\t%s\n", name, v, spdx($2), (ours ? "this repository" : "crates.io") >table
    # What these carry that is not Rust.
    if (name == "librocksdb-sys" || name == "lz4-sys" || name == "zstd-sys") {
      split(v, inner, "+"); real = inner[2]; sub(/^[a-z0-9]*-|^zstd\./, "", real)
      if (name == "librocksdb-sys") rocksdb = real
      if (name == "lz4-sys") lz4 = real
      if (name == "zstd-sys") zstd = real
    }
    if (name == "libsqlite3-sys") sqlite = v
  }
  END {
    if (rocksdb) library("rocksdb", rocksdb, "Apache-2.0", "librocksdb-sys")
    if (lz4) library("lz4", lz4, "BSD-2-Clause", "lz4-sys")
    if (zstd) library("zstd", zstd, "BSD-3-Clause", "zstd-sys")
    if (sqlite) library("sqlite", "as in libsqlite3-sys " sqlite, "blessing", "libsqlite3-sys")
    printf "\n  ]\n}\n"
  }' "$OUT/tree" >"$OUT/maru.cdx.json"
rm -f "$OUT/tree" "$OUT/sums"
echo "sbom: $(($(wc -l <"$OUT/licences.tsv") - 1)) components in $OUT/maru.cdx.json, licences.tsv"
